#!/usr/bin/env python
"""Draw the features of clouds as points in the plane: png, pdf or svg.

Reads a file of tools/extract_features.py. The colour of a cloud is that of its folder, as
in shapes/CLASS/FILE; --depth 2 takes the folder above. For arrays with labels, name them:
--labels shapes.npz label names.
"""

import argparse
from pathlib import Path

from mmkd3d.apis.errors import short_errors

# what is heavy is imported in the functions: --help needs none of it


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python tools/embed.py features.npz --out features.svg',
    )
    add = parser.add_argument
    add('features', type=Path, help='npz file of tools/extract_features.py, level global')
    add('--out', type=Path, default=Path('features.png'), help='default: features.png')
    add('--method', choices=('tsne', 'pca'), default='tsne')
    add('--depth', type=int, default=1, help='which folder above a file is its class')
    add(
        '--labels',
        nargs='+',
        metavar=('FILE', 'LABEL'),
        help='npz file, its array of labels and, if there is one, that of their names',
    )
    add('--seed', type=int, default=0, help='of t-SNE')
    add('--dpi', type=int, default=200, help='of a png')
    args = parser.parse_args(argv)
    if args.out.suffix not in ('.png', '.pdf', '.svg'):
        parser.error(f'--out is a png, pdf or svg file, got {args.out}.')
    if args.labels and len(args.labels) not in (2, 3):
        parser.error('--labels takes FILE LABEL or FILE LABEL NAMES.')
    return args


def read_classes(args: argparse.Namespace, ids: list[str]) -> list[str]:
    """Name of the class of each cloud."""
    import numpy as np

    if not args.labels:
        above = [Path(name.partition('#')[0]).parents for name in ids]
        return [folders[min(args.depth, len(folders)) - 1].name or 'all' for folders in above]
    with np.load(args.labels[0]) as arrays:
        lost = [key for key in args.labels[1:] if key not in arrays]
        if lost:
            raise ValueError(f'{args.labels[0]} has no {lost[0]!r}, only {", ".join(arrays)}.')
        found = [arrays[key] for key in args.labels[1:]]
    if len(found[0]) != len(ids):
        raise ValueError(
            f'{args.features} has {len(ids)} clouds, {args.labels[0]} {len(found[0])}.'
        )
    names = [found[1][label] for label in found[0]] if len(found) == 2 else found[0]
    return [str(name) for name in names]


@short_errors()
def main(argv=None):
    args = parse_args(argv)
    import numpy as np

    from mmkd3d.visualization.embedding import draw_embedding

    with np.load(args.features) as arrays:
        if 'features' not in arrays or arrays['features'].ndim != 2:
            raise ValueError(
                f'{args.features} holds no features of whole clouds (N, D): make it with '
                'tools/extract_features.py, --level global.'
            )
        features, ids = arrays['features'], arrays['ids'].astype(str).tolist()
    classes = read_classes(args, ids)
    path = draw_embedding(
        features, classes, args.out, method=args.method, seed=args.seed, dpi=args.dpi
    )
    print(f'{path}: {len(ids)} clouds, {len(set(classes))} classes')


if __name__ == '__main__':
    main()
