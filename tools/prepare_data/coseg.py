#!/usr/bin/env python
"""Make partseg_coseg.npz from COSEG's aliens and vases.

Source   https://github.com/ranahanocka/MeshCNN, scripts/coseg_seg/get_data.sh:
         coseg.tar.gz, meshes of the data set of Wang et al., Active
         Co-Analysis of a Set of Shapes (SIGGRAPH Asia 2012)
Terms    research only
Layout   CATEGORY/{train,test}/NAME.obj  meshes, in the published splits
         CATEGORY/seg/NAME.eseg          the part of each edge, a number a line

with the categories coseg_aliens (198) and coseg_vases (297). NAME.seg, the part
of each face, is read instead of NAME.eseg where there is one.

The npz holds, for each shape, 2,048 points sampled by area, centred, in the unit
sphere (float16), the part of each point (numbered through all categories:
part_offset), its category, its split (is_test) and its name (model).
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mmkd3d.apis.errors import short_errors
from mmkd3d.datasets.prepare import sample_mesh, unpacked

# what is heavy is imported in the functions: --help needs none of it

CATEGORIES = ('coseg_aliens', 'coseg_vases')


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example:\n  python tools/prepare_data/coseg.py --archive coseg.tar.gz',
    )
    parser.add_argument('--archive', type=Path, required=True, help='tar file, or its folder')
    parser.add_argument('--out', type=Path, default=Path('data/partseg_coseg.npz'))
    parser.add_argument('--num-points', type=int, default=2048)
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args(argv)


def face_parts(path: Path, seg: Path) -> np.ndarray:
    """Part of each face of a mesh: its own, or that of most of its edges.

    Edges are numbered by their first face and, in it, by their place.
    """
    import trimesh

    faces = trimesh.load(path, force='mesh', process=False).faces
    per_face = seg / f'{path.stem}.seg'
    if per_face.is_file():
        parts = np.loadtxt(per_face).astype(int)
        edges = np.arange(len(faces))[:, None]
    else:
        parts = np.loadtxt(seg / f'{path.stem}.eseg').astype(int)
        sides = np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1), -1).reshape(-1, 2)
        _, first, inverse = np.unique(sides, axis=0, return_index=True, return_inverse=True)
        number = np.empty(len(first), int)
        number[np.argsort(first)] = np.arange(len(first))
        edges = number[inverse.ravel()].reshape(-1, 3)
    if len(parts) != edges.max() + 1:
        raise SystemExit(
            f'{path} has {edges.max() + 1} {"edges" if edges.shape[1] == 3 else "faces"}, '
            f'{seg} has {len(parts)} labels of it.'
        )
    votes = np.sort(parts[edges], 1)  # of three, the middle one is the majority
    return votes[:, votes.shape[1] // 2]


def read_category(folder: Path, num_points: int, seed: int) -> list[tuple]:
    """Points, parts, split and name of each shape of a category."""
    from mmkd3d.datasets.find import files_in

    rows = []
    for is_test, half in ((False, 'train'), (True, 'test')):
        paths = files_in(folder / half, ('.obj', '.off')) if (folder / half).is_dir() else []
        if not paths:
            raise SystemExit(f'No meshes in {folder / half}; --help shows the layout.')
        for path in tqdm(paths, f'{folder.name}/{half}'):
            points, faces = sample_mesh(path, num_points, seed + len(rows))
            rows.append((points, face_parts(path, folder / 'seg')[faces], is_test, path.stem))
    return rows


@short_errors()
def main(argv=None):
    args = parse_args(argv)

    from mmkd3d.datasets.find import folders_in

    rows, offset = [], [0]
    with unpacked(args.archive) as root:
        for number, category in enumerate(CATEGORIES):
            folder = next((p for p in folders_in(root) if p.name == category), None)
            if folder is None:
                raise SystemExit(f'No folder {category} in {args.archive}.')
            shapes = read_category(folder, args.num_points, args.seed)
            labels = np.unique(np.concatenate([parts for _, parts, _, _ in shapes]))
            for points, parts, is_test, name in shapes:
                parts = np.searchsorted(labels, parts) + offset[-1]
                rows.append((points, parts, number, is_test, name))
            offset.append(offset[-1] + len(labels))
    points, parts, category, is_test, model = zip(*rows)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        args.out,
        points=np.stack(points),
        part=np.stack(parts).astype(np.int8),
        category=np.array(category, np.int8),
        category_names=np.array(CATEGORIES),
        part_offset=np.array(offset, np.int8),
        is_test=np.array(is_test),
        model=np.array(model),
    )
    print(f'{args.out}: {len(points)} shapes, {offset[-1]} parts')


if __name__ == '__main__':
    main()
