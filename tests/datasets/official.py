"""Real clouds in the file layouts of the published releases."""

import json
import pickle

import numpy as np

from mmkd3d.datasets.base import read_meta


def real_modelnet(data_root):
    """Real clouds: points (156, 2048, 6) float32, label, model and split.

    None is known to belong to the test split, so clouds of unknown split are
    used as the test split.
    """
    with np.load(data_root / 'modelnet40_subset_156.npz') as arrays:
        return dict(
            arrays, points=arrays['points'].astype(np.float32), split=np.abs(arrays['split'])
        )


def write_modelnet_text(root, arrays, rows=64):
    """Write the clouds in the layout of modelnet40_normal_resampled."""
    names = arrays['names']
    for split, number in (('train', 0), ('test', 1)):
        mine = np.flatnonzero(arrays['split'] == number)
        models = arrays['model'][mine]
        (root / f'modelnet40_{split}.txt').write_text('\n'.join(models) + '\n')
        for k in mine:
            folder = root / names[arrays['label'][k]]
            folder.mkdir(parents=True, exist_ok=True)
            np.savetxt(
                folder / f'{arrays["model"][k]}.txt',
                arrays['points'][k][:rows],
                fmt='%.6f',
                delimiter=',',
            )


def write_modelnet_cache(root, arrays):
    """Write the clouds as pickles of [clouds, labels]."""
    for split, number in (('train', 0), ('test', 1)):
        mine = arrays['split'] == number
        content = [list(arrays['points'][mine]), [np.array([k]) for k in arrays['label'][mine]]]
        path = root / f'modelnet40_{split}_8192pts_fps.dat'
        path.write_bytes(pickle.dumps(content))


def write_few_shot(path, arrays, way=5, shot=1, tests=1):
    """Write an episode of real clouds, with labels 0..way-1 and the original labels."""
    path.parent.mkdir(parents=True)
    counts = np.bincount(arrays['label'], minlength=40)
    content = dict(train=[], test=[])
    for k, label in enumerate(np.flatnonzero(counts >= shot + tests)[:way]):
        mine = arrays['points'][arrays['label'] == label]
        for split, clouds in (('train', mine[:shot]), ('test', mine[shot : shot + tests])):
            content[split] += [(c, k, int(label)) for c in clouds]
    path.write_bytes(pickle.dumps(content))


def write_shapenetpart(root, data_root):
    """Write the real Cap shapes; returns (points, parts) by model name."""
    with np.load(data_root / 'shapenetpart_cap_16.npz') as arrays:
        cuts = arrays['offset'][1:-1]
        points, normals, parts = (
            np.split(arrays[key].astype(np.float64), cuts) for key in ('points', 'normals', 'part')
        )
        splits = arrays['split']
    synset = read_meta('shapenetpart')['Cap']['synset']
    (root / synset).mkdir(parents=True)
    (root / 'train_test_split').mkdir()
    lists, shapes = dict(train=[], val=[], test=[]), {}
    for k, split in enumerate(splits):
        rows = np.concatenate([points[k], normals[k], parts[k][:, None]], 1)
        np.savetxt(root / synset / f'model{k}.txt', rows, fmt='%.6f')
        lists[str(split)].append(f'shape_data/{synset}/model{k}')
        shapes[f'{synset}/model{k}'] = points[k], parts[k]
    for split, entries in lists.items():
        path = root / 'train_test_split' / f'shuffled_{split}_file_list.json'
        path.write_text(json.dumps(entries))
    return shapes
