#!/usr/bin/env python
"""Convert a published checkpoint to ours: tensors and plain metadata only."""
import argparse
from collections import Counter
from pathlib import Path

import torch

import mmkd3d
from mmkd3d.checkpoints import (SOURCES, convert, read_checkpoint,
                                state_dict_of)
from mmkd3d.checkpoints.sources import detect


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/convert_checkpoint.py pretrain.pth '
        'point-mae.pth')
    parser.add_argument('source_file', type=Path)
    parser.add_argument('target_file', type=Path)
    parser.add_argument(
        '--source',
        choices=sorted(SOURCES),
        help='kind of the file; found out from its keys if not given')
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='unpickle whatever is in the file; a pickle can run any code')
    args = parser.parse_args(argv)
    try:
        state = state_dict_of(
            read_checkpoint(args.source_file, trust=args.trust_checkpoint))
        source = args.source or detect(state)
        if source is None:
            raise ValueError(
                f'{args.source_file} is none of the published files that are '
                f'known: {", ".join(SOURCES)}. Its keys start with '
                f'{", ".join(list(state)[:5])}.')
        ours, meta = convert(state, source)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error))
    meta['mmkd3d_version'] = mmkd3d.__version__
    args.target_file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=ours, meta=meta), args.target_file)
    parts = Counter(key.split('.')[0] for key in ours)
    print(f'{args.source_file} ({source}, {meta["stage"]}) -> '
          f'{args.target_file}')
    print(f'  converted {len(ours)}: '
          f'{", ".join(f"{k} {n}" for k, n in parts.items())}')
    print(f'  dropped   {len(meta["dropped"])}: '
          f'{", ".join(meta["dropped"]) or "nothing"}')


if __name__ == '__main__':
    main()
