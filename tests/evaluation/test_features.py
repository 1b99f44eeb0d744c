"""Feature extraction and caching, and damaged or stale caches."""

import multiprocessing

import numpy as np
import pytest
import torch
import torch.nn as nn

from mmkd3d.datasets.toy_shapes import ToyShapes
from mmkd3d.evaluation import features
from mmkd3d.evaluation.features import cached_features, extract_features
from mmkd3d.models.pretrainers.base import BasePretrainer
from mmkd3d.registry import MODELS
from tests.helpers import rejects


@MODELS.register_module(force=True)
class StubStudent(nn.Module):
    """One token per point; the global feature is ten times the mean token."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.dropout = nn.Dropout(0.5)
        self.clouds = 0
        self.shift = 0.0

    def extract_feat(self, points, level='global', at=None):
        self.clouds += len(points)
        tokens = self.dropout(self.linear(points)) + self.shift  # (B, N, 4)
        return tokens if level == 'token' else tokens.mean(1) * 10


def toy(split='train', num=10, **kwargs):
    pipeline = [dict(type='NormalizePoints'), dict(type='PackPoints')]
    return ToyShapes(split, num, num_points=32, pipeline=pipeline, **kwargs)


@pytest.fixture
def model():
    return BasePretrainer(dict(type='mmkd3d.StubStudent'))


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(features, 'warn', lines.append)
    return lines


@pytest.mark.parametrize('pooling, dims', [('global', 4), ('max', 4), ('mean', 4), ('max-mean', 8)])
def test_pooling_is_a_loop_over_clouds(model, pooling, dims):
    found, labels = extract_features(model, toy(), batch_size=4, pooling=pooling, progress=False)
    assert found.shape == (10, dims) and found.dtype == np.float32
    assert labels.tolist() == list(range(10))
    for item, feature in zip(toy(), found):
        with torch.no_grad():
            tokens = model.backbone.linear(item['inputs']['points'])
        expected = dict(max=tokens.amax(0), mean=tokens.mean(0))
        expected['global'] = expected['mean'] * 10
        expected['max-mean'] = torch.cat([expected['max'], expected['mean']])
        np.testing.assert_allclose(feature, expected[pooling], atol=1e-5)


def test_what_has_no_features_is_refused(model, tmp_path):
    rejects("pooling is one of .* got 'sum'", extract_features, model, toy(), pooling='sum')
    data = toy()
    data.pipeline.transforms.insert(0, lambda r: r.pop('gt_label') and r or r)
    rejects('toy_train_0_000000 has no label', extract_features, model, data)
    model.backbone.linear.weight.data[1] = torch.nan
    rejects('10 of 10 shapes are NaN', extract_features, model, toy())
    rejects('10 of 10 shapes are NaN', cached_features, model, toy(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_cache_is_used_for_what_it_was_made_of(model, tmp_path, warnings):
    seen = model.backbone

    def clouds(*args, **kwargs):
        before = seen.clouds
        found = cached_features(*args, **kwargs)
        return seen.clouds - before, found

    count, first = clouds(model, toy(), tmp_path)
    assert count == 10
    count, again = clouds(model, toy(), tmp_path)
    assert count == features.NUM_CHECKED
    np.testing.assert_array_equal(again[0], first[0])
    np.testing.assert_array_equal(again[1], first[1])
    for change in (dict(config='b'), dict(pooling='max'), dict(data='0')):
        assert clouds(model, toy(), tmp_path, **change)[0] == 10
    other_steps = toy()
    other_steps.pipeline.transforms.pop(0)
    for other in (toy('test'), toy(num=11), other_steps):
        assert clouds(model, other, tmp_path)[0] == len(other)
    with torch.no_grad():
        seen.linear.bias += 1
    assert clouds(model, toy(), tmp_path)[0] == 10
    assert len(list(tmp_path.iterdir())) == 8 and not warnings


@pytest.mark.parametrize(
    'damage',
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:300] + b'\x07' + data[301:],
        lambda data: b'',
    ],
)
def test_a_damaged_or_stale_cache_is_made_anew(model, tmp_path, warnings, damage):
    first = cached_features(model, toy(), tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    again = cached_features(model, toy(), tmp_path)
    np.testing.assert_array_equal(again[0], first[0])
    assert len(warnings) == 1 and 'is damaged' in warnings[0]
    cached_features(model, toy(), tmp_path)
    assert len(warnings) == 1 and list(tmp_path.iterdir()) == [file]
    model.backbone.shift = 0.1  # simulates changed code
    shifted = cached_features(model, toy(), tmp_path)
    np.testing.assert_allclose(shifted[0], first[0] + 1, rtol=1e-5)
    assert len(warnings) == 2 and 'the code has changed' in warnings[1]


def write_often(path):
    for _ in range(100):
        features.store_features(path, np.ones((4, 3)), np.arange(4))


def test_processes_that_store_the_same_features_do_not_disturb_each_other(tmp_path):
    path = tmp_path / 'same.npz'
    context = multiprocessing.get_context('fork')
    writers = [context.Process(target=write_often, args=(path,)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert features.read_features(path) is not None
    assert list(tmp_path.iterdir()) == [path]
