import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from mmkd3d.registry import DATASETS
from tests.helpers import rejects

# fmt: off
GOLDEN = [
    0.203459, 0.258117, 0.256329, 0.326012, 0.236888, 0.33262, 0.255753, 0.214669,
    0.260592, 0.122307, 0.340066, 0.286147, 0.236734, 0.262189, 0.292028, 0.196575,
]
# fmt: on


def build(**cfg):
    return DATASETS.build(dict(type='ToyShapes', **cfg))


def test_items_have_the_agreed_form():
    data = build(num_samples=20, num_points=256)
    assert len(data) == 20 and len(data.metainfo['classes']) == 16
    for k in (0, 7, 19):
        item = data[k]
        assert item['points'].shape == (256, 3)
        assert item['points'].dtype == np.float32
        assert item['category'] == data.metainfo['classes'][item['gt_label']]
        allowed = data.metainfo['parts'][item['category']]
        assert set(item['gt_parts']) <= set(allowed)
        assert item['gt_parts'].shape == (256,)
        radius = np.linalg.norm(item['points'], axis=1)
        assert radius.max() == pytest.approx(1, abs=1e-5)
    assert len({data[k]['sample_id'] for k in range(20)}) == 20


def test_a_shape_depends_on_seed_split_and_index_alone():
    few = build(num_samples=4, num_points=128, seed=3)
    many = build(num_samples=9, num_points=128, seed=3, cache=False)
    many[8], many[1]  # the order of access must not matter
    few[3]['points'][:] = 0  # nor in-place changes by the pipeline
    for k in (3, 0, 2):
        assert (few[k]['points'] == many[k]['points']).all()
        assert (few[k]['gt_parts'] == many[k]['gt_parts']).all()
    for other in (dict(seed=4), dict(seed=3, split='val')):
        changed = build(num_samples=4, num_points=128, **other)
        assert not np.allclose(changed[0]['points'], few[0]['points'])
    data = build(num_samples=16, num_points=128, seed=0)  # the same on every machine
    mean = [np.abs(data[k]['points']).mean() for k in range(16)]
    np.testing.assert_allclose(mean, GOLDEN, atol=2e-6)


def test_chosen_categories_are_numbered_anew():
    data = build(num_samples=6, num_points=64, categories=('mug', 'car'))
    assert data.metainfo['classes'] == ('mug', 'car')
    assert [data[k]['category'] for k in range(4)] == ['mug', 'car'] * 2
    assert data.get_cat_ids(3) == [1] == [data[3]['gt_label']]
    everything = build(num_samples=1).metainfo['parts']
    assert data.metainfo['parts']['mug'] == everything['mug']


def test_normals_and_colours_are_columns():
    item = build(num_samples=1, num_points=512, features=('normal', 'color'))[0]
    xyz, normal, color = np.split(item['points'], 3, axis=1)
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1, atol=1e-5)
    assert color.min() >= 0 and color.max() <= 1
    parts = item['gt_parts']
    means = np.stack([color[parts == p].mean(0) for p in np.unique(parts)])
    spread = [color[parts == p].std(0).max() for p in np.unique(parts)]
    assert max(spread) < 0.08 and np.ptp(means, axis=0).max() > 0.1


def test_views_show_the_object_from_around():
    views = build(num_samples=1, num_points=1024, views=5, view_size=32)[0]['views']
    assert views.shape == (5, 32, 32) and views.dtype == np.float32
    assert views.min() == 0 and views.max() <= 1
    share = (views > 0).mean((1, 2))
    assert (share > 0.03).all() and (share < 0.9).all()
    assert len({v.tobytes() for v in views}) == 5


def test_unknown_arguments_are_named():
    rejects('unknown split', build, split='trian')
    rejects("unknown category .*'cat'", build, categories=('mug', 'cat'))
    rejects('unknown feature', build, features=('colour',))


def arrays(split, count):
    data = build(split=split, num_samples=count, num_points=256, cache=False)
    items = [data[k] for k in range(count)]
    return (np.stack([i['points'] for i in items]), np.array([i['gt_label'] for i in items]))


def distances(clouds):
    """Histogram of distances between random points of each cloud."""
    one, two = np.random.default_rng(0).integers(256, size=(2, 2000))
    far = np.linalg.norm(clouds[:, one] - clouds[:, two], axis=2)
    return np.stack([np.histogram(f, 32, (0, 2))[0] for f in far])


def test_raw_coordinates_do_not_solve_it_but_shape_says_something():
    (train, labels), (test, truth) = arrays('train', 480), arrays('test', 240)

    def by_height(clouds):
        order = np.argsort(clouds[:, :, 1], axis=1)
        return np.take_along_axis(clouds, order[:, :, None], 1).reshape(len(clouds), -1)

    linear = LogisticRegression(max_iter=200, C=0.1)
    linear.fit(by_height(train), labels)
    raw = linear.score(by_height(test), truth)
    assert 1 / 16 < raw < 0.7
    nearest = KNeighborsClassifier(1, metric='manhattan')
    nearest.fit(distances(train), labels)
    floor = nearest.score(distances(test), truth)
    assert 0.25 < floor < 0.9
