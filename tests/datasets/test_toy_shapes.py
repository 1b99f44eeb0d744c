import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from mmkd3d.datasets.procedural import solids
from mmkd3d.datasets.procedural import surface as surfaces
from mmkd3d.datasets.procedural.free_form import tube
from mmkd3d.datasets.procedural.shapes import scan as shape_scan
from mmkd3d.datasets.procedural.shapes.catalogue import CATEGORIES
from mmkd3d.datasets.procedural.shapes.symmetry import symmetries
from mmkd3d.datasets.procedural.surface import Surface
from mmkd3d.registry import DATASETS
from tests.helpers import rejects
from tests.runs import SHAPES

# fmt: off
GOLDEN = [
    0.203459, 0.258117, 0.256329, 0.326012, 0.236888, 0.33262, 0.255753, 0.214669,
    0.260592, 0.122307, 0.340066, 0.286147, 0.236734, 0.262189, 0.292028, 0.196575,
]
# fmt: on


def build(**cfg):
    return DATASETS.build(dict(type='ToyShapes', **cfg))


def everyday(**cfg):
    return build(categories=SHAPES.categories, **cfg)


def test_items_have_the_agreed_form():
    data = everyday(num_samples=20, num_points=256)
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
    some = dict(num_points=128, seed=3, scan=0.5, deform=0.5)
    few = build(num_samples=4, **some)
    many = build(num_samples=9, cache=False, **some)
    many[8], many[1]  # the order of access must not matter
    few[3]['points'][:] = 0  # nor in-place changes by the pipeline
    for k in (3, 0, 2):
        assert (few[k]['points'] == many[k]['points']).all()
        for key in ('gt_parts', 'gt_pose', 'gt_symmetry'):
            assert (few[k][key] == many[k][key]).all()
            assert few[k][key].dtype == many[k][key].dtype
    for other in (dict(seed=4), dict(seed=3, split='val')):
        changed = build(num_samples=4, num_points=128, **other)
        assert not np.allclose(changed[0]['points'], few[0]['points'])
    data = everyday(num_samples=16, num_points=128, seed=0)  # the same on every machine
    mean = [np.abs(data[k]['points']).mean() for k in range(16)]
    np.testing.assert_allclose(mean, GOLDEN, atol=2e-6)


def test_chosen_categories_are_numbered_anew():
    data = build(num_samples=6, num_points=64, categories=('mug', 'car'))
    assert data.metainfo['classes'] == ('mug', 'car')
    assert [data[k]['category'] for k in range(4)] == ['mug', 'car'] * 2
    assert data.get_cat_ids(3) == [1] == [data[3]['gt_label']]
    everything = build(num_samples=1).metainfo['parts']
    assert data.metainfo['parts']['mug'] == everything['mug']


def test_excluded_categories_leave_the_other_shapes_as_they_are():
    categories = ('mug', 'car', 'sofa', 'tree')
    whole = build(num_samples=10, num_points=64, categories=categories)
    some = build(num_samples=10, num_points=64, categories=categories, exclude=('car', 'tree'))
    assert some.metainfo == whole.metainfo
    expected = [whole[k] for k in range(10) if whole[k]['category'] in ('mug', 'sofa')]
    assert len(some) == len(expected)
    for got, item in zip(some, expected):
        assert got['sample_id'] == item['sample_id'] and got['gt_label'] == item['gt_label']
        assert (got['points'] == item['points']).all()


def test_few_shapes_of_each_category_can_be_drawn():
    whole, few = (everyday(num_samples=64, num_points=64, shots=n) for n in (None, 1))
    assert sorted(few.get_cat_ids(i)[0] for i in range(len(few))) == list(range(16))
    ids = [whole[i]['sample_id'] for i in range(64)]
    chosen = few[5]
    same = whole[ids.index(chosen['sample_id'])]
    assert (same['points'] == chosen['points']).all() and same['gt_label'] == chosen['gt_label']


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
    rejects("unknown category .*'unicorn'", build, categories=('mug', 'unicorn'))
    rejects('unknown feature', build, features=('colour',))
    rejects('shares from 0 to 1, got 40', build, scan=40)
    rejects('category to exclude', build, categories=('mug', 'car'), exclude=('sofa',))
    rejects('each category once', build, categories=('mug', 'sofa', 'mug'))
    rejects('num_points is 2 or more, got 1', build, num_points=1)


def test_all_categories_are_made_and_named_in_words():
    data = build(num_samples=len(CATEGORIES), num_points=16)
    assert data.metainfo['classes'] == tuple(n.replace('_', ' ') for n in CATEGORIES)
    assert not any('_' in n for n in data.metainfo['part_names'])
    for k, name in enumerate(data.metainfo['classes']):
        assert data[k]['category'] == name
        assert set(data[k]['gt_parts']) <= set(data.metainfo['parts'][name])


def scan_of(*parts, eyes, monkeypatch, num=1024, outliers=0):
    """A scan of solids in the unit sphere from given viewpoints, and the owner of each point."""
    monkeypatch.setattr(shape_scan, 'HOLES', 0)
    monkeypatch.setattr(shape_scan, 'OUTLIERS', outliers)
    monkeypatch.setattr(shape_scan, 'stand_around', lambda rng: np.array(eyes, float))
    rng = np.random.default_rng(0)
    surface = Surface(parts)
    points, normals, owner = surface.draw(shape_scan.surface_points(num), rng)
    found = shape_scan.scan_shape(points, normals, surface.open[owner], num, 0.005, rng)
    return *found[:2], owner[found[2]]


def test_a_scan_lies_near_what_its_cameras_see(monkeypatch):
    ball = solids.ellipsoid('ball', (0.9, 0.9, 0.9), (0, 0, 0))
    points, normals, _ = scan_of(ball, eyes=[(0, 1, 3)], monkeypatch=monkeypatch)
    assert points.shape == normals.shape == (1024, 3)
    assert (points @ (0, 1, 3)).min() > -0.1  # not the far side
    away = np.abs(np.linalg.norm(points, axis=1) - 0.9)
    assert away.max() < 0.06 and np.median(away) < 0.01
    assert ((normals * points).sum(1) / np.linalg.norm(points, axis=1)).min() > 0.97
    more, _, _ = scan_of(ball, eyes=[(0, 1, 3), (0, 1, -3)], monkeypatch=monkeypatch)
    assert (more[:, 2] < -0.5).any() and (more[:, 2] > 0.5).any()
    odd, _, _ = scan_of(ball, eyes=[(0, 1, 3)], monkeypatch=monkeypatch, outliers=0.5)
    far = np.abs(np.linalg.norm(odd, axis=1) - 0.9) > 0.06
    assert 5 < far.sum() < 300


def test_a_scan_hides_what_is_behind_and_shows_both_sides_of_open_surfaces(monkeypatch):
    plate = solids.rectangle('plate', (1, 1), (0, 0, 0))
    small = solids.ellipsoid('small', (0.3, 0.3, 0.3), (0, 0, -0.5))
    for z, seen in ((4, 0), (-4, 1)):
        _, normals, owner = scan_of(plate, small, eyes=[(0, 0, z)], monkeypatch=monkeypatch)
        assert ((owner == 1).mean() > 0.1) == seen
        assert (normals[owner == 0, 2] * z > 0).all() and (owner == 0).any()


def test_scans_and_bent_shapes_keep_their_labels():
    data = everyday(
        num_samples=12, num_points=1024, features=('normal',), scan=1.0, deform=0.5, noise=0.003
    )
    neighbours = NearestNeighbors(n_neighbors=24)
    for k in range(12):
        item = data[k]
        xyz, normal = np.split(item['points'], 2, axis=1)
        assert np.linalg.norm(xyz, axis=1).max() == pytest.approx(1, abs=1e-5)
        assert np.abs(xyz.mean(0)).max() < 1e-5
        assert set(item['gt_parts']) <= set(data.metainfo['parts'][item['category']])
        near = xyz[neighbours.fit(xyz).kneighbors(xyz, return_distance=False)]
        near = near - near.mean(1, keepdims=True)
        plane = np.linalg.svd(near, full_matrices=False)[2][:, 2]
        assert np.median(np.abs((plane * normal).sum(1))) > 0.8


def test_the_pose_turns_the_upright_shape_into_the_given_one():
    data = build(num_samples=8, num_points=256, features=('normal',), categories=['bookshelf'])
    for item in (data[k] for k in range(8)):
        pose = item['gt_pose']
        assert pose.dtype == np.float32 and np.linalg.det(pose) == pytest.approx(1, abs=1e-5)
        upright = np.abs(item['points'][:, 3:] @ pose).max(1)  # normals of boxes
        assert np.median(upright) > 0.999


def test_symmetries_are_those_of_the_design():
    found = {
        name: np.mean(
            [symmetries(CATEGORIES[name].build(np.random.default_rng(k))) for k in range(20)], 0
        )
        for name in ('car', 'mug', 'bottle', 'laptop', 'table')
    }
    np.testing.assert_array_equal(found['car'], [1, 0, 0])
    np.testing.assert_array_equal(found['laptop'], [1, 0, 0])
    np.testing.assert_array_equal(found['mug'], [0, 1, 0])  # the handle is at +x
    assert (found['bottle'][:2] == 1).all() and 0 < found['bottle'][2] < 1  # round or oval
    assert (found['table'][:2] > 0.8).all()
    cone = solids.rod('cone', (0, 0, 0), (1, 0, 0), 0.2, top=0.5)
    slash = solids.rod('slash', (0, 0, 0), (1, 1, 0), 0.1)
    for solid in (cone, slash):  # their bounds are symmetric
        np.testing.assert_array_equal(symmetries([solid]), [False, True, False])
    bent = build(num_samples=2, num_points=16, categories=['car'], deform=1.0)
    assert not bent[0]['gt_symmetry'].any()
    assert build(num_samples=2, num_points=16, categories=['car'])[0]['gt_symmetry'][0]


def test_loops_and_numpy_find_the_same_points(monkeypatch):
    made = [
        solids.prism('a', (1, 1, 1), (0, 0, 0), top=(0.4, 1.5), shift=(0.5, 0)),
        solids.cylinder('b', 0.5, 1, (0.3, 0.2, 0), top=1.4),
        solids.ellipsoid('c', (0.5, 0.3, 0.4), (0, 0.5, 0.2), rotate=solids.rotation(0.4, 'x')),
        solids.bowl('d', (0.6, 0.6, 0.6), (0, 0, 0)),
        tube('e', [(-1, 0, 0), (0, 0.5, 0.2), (1, 0, 0)], 0.4).moved(solids.rotation(0.3)),
    ]
    surface = Surface(made)
    points, normals, owner = surface.draw(2000, np.random.default_rng(0))
    eyes, two_sided = np.array([(0, 1, 3), (2, 1, -2.0)]), surface.open[owner]
    seen = shape_scan.facing(points / 2, normals, two_sided, eyes)
    for module in (surfaces, shape_scan):
        monkeypatch.setattr(module, 'kernels', lambda: None)
    for one, two in zip(seen, shape_scan.facing(points / 2, normals, two_sided, eyes)):
        np.testing.assert_allclose(one, two, atol=1e-9)
    for one, two in zip((points, normals, owner), surface.draw(2000, np.random.default_rng(0))):
        np.testing.assert_allclose(one, two, atol=1e-12)


def arrays(split, count):
    data = everyday(split=split, num_samples=count, num_points=256, cache=False)
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
