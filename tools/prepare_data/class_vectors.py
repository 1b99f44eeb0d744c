#!/usr/bin/env python
"""Make an npz file of CLIP's vectors of class names, for LabelTexts.

Source   CLIP's ViT-B/32 as OpenAI published it, weights/ViT-B-32.pt
Terms    MIT

The file has the names and their vectors, of unit length: scannet_names (20,) and
scannet_512 (20, 512). Each name is read in the prompt 'a {} in a scene'.
"""

import argparse
from pathlib import Path

import numpy as np

from mmkd3d.apis.errors import short_errors

SCANNET = (
    'wall floor cabinet bed chair sofa table door window bookshelf picture counter desk curtain '
    'refrigerator shower_curtain toilet sink bathtub otherfurniture'
).split()


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example:\n  python tools/prepare_data/class_vectors.py',
    )
    parser.add_argument('--checkpoint', default='weights/ViT-B-32.pt')
    parser.add_argument('--model-name', default='ViT-B-32-quickgelu')
    parser.add_argument('--prompt', default='a {} in a scene')
    parser.add_argument('--names', nargs='+', default=SCANNET, help='_ stands for a space')
    parser.add_argument('--key', default='scannet', help='KEY_names and KEY_WIDTH in the file')
    parser.add_argument('--out', type=Path, default=Path('data/clip_text_scannet_matterport.npz'))
    return parser.parse_args(argv)


@short_errors()
def main(argv=None, teacher=None):
    args = parse_args(argv)

    # imported here: --help needs neither
    import torch

    from mmkd3d.registry import MODELS

    teacher = teacher or dict(
        type='mmkd3d.OpenClipTextTeacher', model_name=args.model_name, checkpoint=args.checkpoint
    )
    names = [name.replace('_', ' ') for name in args.names]
    with torch.no_grad():
        vectors = MODELS.build(teacher).encode_text([args.prompt.format(name) for name in names])
    vectors = torch.nn.functional.normalize(vectors, dim=1).half().numpy()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    key = f'{args.key}_{vectors.shape[1]}'
    np.savez_compressed(args.out, **{f'{args.key}_names': np.array(names), key: vectors})
    print(f'{args.out}: {len(names)} names')


if __name__ == '__main__':
    main()
