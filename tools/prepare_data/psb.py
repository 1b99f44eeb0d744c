#!/usr/bin/env python
"""Make psb_1809.npz from the Princeton Shape Benchmark.

Source   http://shape.cs.princeton.edu/benchmark, version 1: psb_v1.zip
Terms    research only; the models belong to their authors
Layout   db/N/mID/mID.off                       1,814 meshes, +y up
         classification/v1/base/{train,test}.cla  classes and splits

The npz holds, for each shape, 2,048 points sampled by area, centred, in the unit
sphere (float16), its model_id, its split (is_test), its coarse class (the root of
the hierarchy) and its fine class (the whole path, such as
'aircraft/airplane/biplane'). Meshes without a surface are left out.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mmkd3d.apis.errors import short_errors
from mmkd3d.datasets.prepare import sample_mesh, unpacked

# mmkd3d.datasets.find is imported in the functions: --help does not need it


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example:\n  python tools/prepare_data/psb.py --archive psb_v1.zip',
    )
    parser.add_argument('--archive', type=Path, required=True, help='zip file, or its folder')
    parser.add_argument('--out', type=Path, default=Path('data/psb_1809.npz'))
    parser.add_argument('--num-points', type=int, default=2048)
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args(argv)


def read_classes(path: Path) -> list[tuple[int, str]]:
    """Models of a .cla file in its order: number, and path of the class."""
    words = iter(path.read_text().split())
    if next(words, None) != 'PSB':
        raise SystemExit(f'{path} is no classification of the benchmark: it begins without PSB.')
    next(words)  # version
    num_classes, num_models = int(next(words)), int(next(words))
    paths, models = {'0': ''}, []
    for _ in range(num_classes):
        name, parent, count = next(words), next(words), int(next(words))
        paths[name] = f'{paths[parent]}/{name}'.lstrip('/')
        models += [(int(next(words)), paths[name]) for _ in range(count)]
    if len(models) != num_models:
        raise SystemExit(f'{path} lists {len(models)} models, its head says {num_models}.')
    return models


def find(folder: Path, pattern: str) -> Path:
    from mmkd3d.datasets.find import folders_in

    found = sorted(path for inner in folders_in(folder) for path in inner.glob(pattern))
    if not found:
        raise FileNotFoundError(f'no {pattern} below {folder}; --help shows the layout')
    return found[0]


def read_benchmark(folder: Path, num_points: int, seed: int) -> dict[str, np.ndarray]:
    """The arrays of the npz file."""
    from mmkd3d.datasets.find import files_in

    rows = []
    meshes = {path.stem: path for path in files_in(folder, ('.off',))}
    for is_test, half in enumerate(('train', 'test')):
        for number, name in tqdm(read_classes(find(folder, f'base/{half}.cla')), half):
            if f'm{number}' not in meshes:
                raise SystemExit(f'{half}.cla lists m{number}.off, which is not below {folder}.')
            try:
                points, _ = sample_mesh(meshes[f'm{number}'], num_points, seed + number)
            except ValueError as error:
                print(f'left out: {error}')
                continue
            rows.append((points, number, bool(is_test), name.split('/')[0], name))
    points, numbers, tests, coarse, fine = zip(*rows)
    arrays = dict(
        points=np.stack(points), model_id=np.array(numbers, np.int16), is_test=np.array(tests)
    )
    for key, names in (('coarse', coarse), ('fine', fine)):
        names, labels = np.unique(names, return_inverse=True)
        arrays |= {key: labels.astype(np.int16), f'{key}_names': names}
    return arrays


@short_errors()
def main(argv=None):
    args = parse_args(argv)
    with unpacked(args.archive) as folder:
        try:
            arrays = read_benchmark(folder, args.num_points, args.seed)
        except FileNotFoundError as error:
            raise SystemExit(f'{args.archive}: {error}')
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.out, **arrays)
    print(f'{args.out}: {len(arrays["points"])} shapes')


if __name__ == '__main__':
    main()
