"""Shapes in tar files are those of the folder that was packed."""

import io
import json
import tarfile

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mmkd3d.datasets import shards
from mmkd3d.datasets.folder import PointCloudFolder
from mmkd3d.datasets.shards import PointCloudShards, pack_folder
from tests.helpers import rejects
from tools.prepare_data import dataset

PIPELINE = [dict(type='LoadPoints', channels=None), dict(type='PackPoints')]


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    long = 'a' * 120  # more than a plain tar header holds
    for name in ('bed/0.npy', 'bed/1.txt', 'bed/ä.v2.npy', f'cup/{long}/2.npy', 'cup/3.npz'):
        path = tmp_path / 'data' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        points = rng.normal(size=(40, 6))
        if path.suffix == '.txt':
            np.savetxt(path, points)
        elif path.suffix == '.npz':
            np.savez(path, points=points)
        else:
            np.save(path, points + 1e6 * (name == 'bed/0.npy'))  # far away: moved as it is read
    return tmp_path / 'data'


@pytest.fixture
def packed(root, monkeypatch):
    """Three shards."""
    monkeypatch.setattr(shards, 'tqdm', lambda x, **_: x)
    sizes = iter([2, 2, 2, 2, 2])
    split = shards._split
    monkeypatch.setattr(
        shards, '_split', lambda paths, *_: split(paths, [next(sizes, 2) for _ in paths], 4)
    )
    assert pack_folder(root, root.parent / 'out') == 3
    return root.parent / 'out'


def test_samples_are_those_of_the_folder(root, packed):
    files, packs = (
        kind(path, pipeline=PIPELINE)
        for kind, path in ((PointCloudFolder, root), (PointCloudShards, packed))
    )
    assert len(packs) == len(files) == 5 and packs.metainfo == files.metainfo
    for one, two in zip(files, packs, strict=True):
        assert torch.equal(one['inputs']['points'], two['inputs']['points'])
        one, two = one['data_samples'], two['data_samples']
        assert one.metainfo == two.metainfo and one.gt_label == two.gt_label
    assert [packs.get_cat_ids(i) for i in range(5)] == [[0], [0], [0], [1], [1]]
    few = PointCloudShards(packed, shots=1, pipeline=PIPELINE)
    assert [few[i]['data_samples'].sample_id for i in range(2)] == [
        PointCloudFolder(root, shots=1).get_data_info(i)['sample_id'] for i in range(2)
    ]


def test_workers_read_the_same(packed):
    data = PointCloudShards(packed, pipeline=PIPELINE)
    loader = DataLoader(data, batch_size=None, num_workers=2, collate_fn=lambda sample: sample)
    for one, two in zip(data, loader, strict=True):
        assert torch.equal(one['inputs']['points'], two['inputs']['points'])


def test_shards_are_plain_tar_files(packed):
    with tarfile.open(packed / 'shard-00000.tar') as archive:
        assert archive.getnames() == ['bed/0.npy', 'bed/1.npy']
        points = np.load(io.BytesIO(archive.extractfile('bed/1.npy').read()))
    assert points.shape == (40, 6) and points.dtype == np.float32


def test_packing_goes_on_after_an_interruption(root, packed, monkeypatch):
    wanted = {path.name: path.read_bytes() for path in packed.iterdir()}
    (packed / 'shard-00001.npz').unlink()
    (packed / 'shard-00002.npz').unlink()
    (packed / 'shard-00002.tar').unlink()
    written, write = [], shards._write
    monkeypatch.setattr(shards, '_write', lambda *args: written.append(args[0]) or write(*args))
    pack_folder(root, packed)
    assert [path.name for path in written] == ['shard-00001.tar', 'shard-00002.tar']
    assert {path.name for path in packed.iterdir()} == wanted.keys()
    assert (packed / 'shard-00002.tar').read_bytes() == wanted['shard-00002.tar']
    rejects('out holds shards of other files or options', pack_folder, root, packed, drop_nan=True)
    np.save(root / 'bed/0.npy', np.full((3, 3), np.nan))
    says = 'bed/0.npy: 3 of 3 points'
    rejects(says, pack_folder, root, root.parent / 'bad')


def test_missing_and_damaged_shards_are_named(root, packed):
    missing = dict(error=FileNotFoundError)
    rejects('nowhere/shards.json is missing', PointCloudShards, root / 'nowhere', **missing)
    tar = packed / 'shard-00001.tar'
    good = tar.read_bytes()
    tar.unlink()
    rejects('shard-00001.tar is missing.*copy it again', PointCloudShards, packed, **missing)
    tar.write_bytes(good[:-512])
    rejects('shard-00001.tar has .* it is cut off', PointCloudShards, packed)
    tar.write_bytes(good[:2000] + b'X' + good[2001:])
    data = PointCloudShards(packed)
    assert data.get_data_info(1)['sample_id'] == 'bed/1'
    rejects('shard-00001.tar: the shape bed/ä.v2 is damaged', data.get_data_info, 2)
    (packed / 'shard-00002.npz').write_bytes(b'PK')
    rejects('shard-00002.npz', PointCloudShards, packed)
    (packed / 'shards.json').write_text(json.dumps(dict(classes=['cup'], shards=[2])))
    rejects("shape 'bed/0.npy' has none of the classes", PointCloudShards, packed)
    for counts in ('[]', '[1e400]'):
        (packed / 'shards.json').write_text(f'{{"classes": null, "shards": {counts}}}')
        rejects('shards.json is damaged', PointCloudShards, packed)


def test_hostile_names_are_no_paths(root, packed):
    index = packed / 'shard-00000.npz'
    with np.load(index) as found:
        arrays = dict(found, names=np.frombuffer(b'bed/../../evil.npy\0bed//etc/x.npy\0', np.uint8))
    np.savez(index, **arrays)
    before = {path for path in root.parent.rglob('*')}
    data = PointCloudShards(packed)
    assert data.get_data_info(0)['sample_id'] == 'bed/../../evil'
    assert 'path' not in data.get_data_info(1)
    assert {path for path in root.parent.rglob('*')} == before


def test_the_tool_packs_a_folder(root, capsys):
    out = root.parent / 'out'
    assert dataset.main(['shards', str(root), str(out)]) == 0
    assert 'holds 1 shards' in capsys.readouterr().out and len(PointCloudShards(out)) == 5
