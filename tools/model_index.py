#!/usr/bin/env python
"""Write docs/model_zoo.md from the metafiles that model-index.yml lists."""

import argparse
from pathlib import Path

from mmkd3d.apis.model_index import model_zoo

REPO = Path(__file__).resolve().parents[1]


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='examples:\n'
        '  python tools/model_index.py\n'
        '  python tools/model_index.py --check     # fails if the page is out of date',
    )
    parser.add_argument(
        '--index', type=Path, default=REPO / 'model-index.yml', help='default: that of the checkout'
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=REPO / 'docs' / 'model_zoo.md',
        help='default: docs/model_zoo.md',
    )
    parser.add_argument(
        '--check', action='store_true', help='write nothing; exit with 1 if the page is out of date'
    )
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    page = model_zoo(args.index, args.out.parent)
    if not args.check:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(page, encoding='utf-8')
    elif not args.out.exists() or args.out.read_text(encoding='utf-8') != page:
        raise SystemExit(
            f'{args.out} is out of date: run python tools/model_index.py and commit it.'
        )


if __name__ == '__main__':
    main()
