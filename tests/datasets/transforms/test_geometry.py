import numpy as np
import pytest

from mmkd3d.registry import TRANSFORMS

rng = np.random.default_rng(0)


def item(n=40, channels=6):
    points = rng.normal(3, 2, (n, channels)).astype(np.float32)
    return dict(points=points, gt_parts=np.arange(n), sample_id='it')


def run(results, **cfg):
    return TRANSFORMS.build(cfg)(results)


@pytest.mark.parametrize('method', ['random', 'fps', 'first'])
@pytest.mark.parametrize('num_points', [1, 16, 40, 100])
def test_sampling_keeps_points_and_parts_together(method, num_points):
    before = item()
    after = run(dict(before), type='SamplePoints', num_points=num_points, method=method)
    assert after['points'].shape == (num_points, 6)
    assert (after['points'] == before['points'][after['gt_parts']]).all()
    distinct = len(np.unique(after['gt_parts']))
    assert distinct == min(num_points, 40)


def test_sampling_with_replacement_repeats_points():
    after = run(item(1000), type='SamplePoints', num_points=1000, replace=True)
    assert len(np.unique(after['gt_parts'])) < 800


def test_first_and_fps_are_deterministic():
    for method in ('first', 'fps'):
        before = item()
        one, two = (
            run(dict(before), type='SamplePoints', num_points=9, method=method) for _ in range(2)
        )
        assert (one['gt_parts'] == two['gt_parts']).all()
        assert one['gt_parts'][0] == 0


def test_fps_matches_a_loop():
    before = item()
    xyz = before['points'][:, :3]
    chosen = [0]
    for _ in range(7):
        dist = ((xyz[:, None] - xyz[chosen]) ** 2).sum(-1).min(1)
        chosen.append(int(dist.argmax()))
    after = run(before, type='SamplePoints', num_points=8, method='fps')
    assert after['gt_parts'].tolist() == chosen


def test_unit_sphere_matches_a_loop():
    before = item()
    xyz = before['points'][:, :3].astype(float)
    mean = sum(xyz) / len(xyz)
    largest = max(np.sqrt(((p - mean) ** 2).sum()) for p in xyz)
    after = run(dict(before), type='NormalizePoints')['points']
    expected = [(p - mean) / largest for p in xyz]
    np.testing.assert_allclose(after[:, :3], expected, atol=1e-6)
    assert (after[:, 3:] == before['points'][:, 3:]).all()
    assert after.dtype == np.float32


def test_unit_cube_touches_both_sides():
    xyz = run(item(), type='NormalizePoints', mode='unit_cube')['points']
    low, high = xyz[:, :3].min(0), xyz[:, :3].max(0)
    np.testing.assert_allclose(low, -high, atol=1e-6)
    np.testing.assert_allclose(high.max(), 1, atol=1e-6)


def test_center_keeps_the_scale():
    before = item()
    after = run(dict(before), type='NormalizePoints', mode='center')['points']
    np.testing.assert_allclose(after[:, :3].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(after.std(0), before['points'].std(0), 1e-5)


def test_shuffle_permutes():
    before = item()
    after = run(dict(before), type='ShufflePoints')
    assert sorted(after['gt_parts']) == list(range(40))
    assert (after['gt_parts'] != np.arange(40)).any()
    assert (after['points'] == before['points'][after['gt_parts']]).all()


def test_wrong_settings_and_input_are_explained():
    with pytest.raises(ValueError, match="'random', 'fps' or 'first'"):
        TRANSFORMS.build(dict(type='SamplePoints', num_points=1, method='grid'))
    with pytest.raises(ValueError, match="'unit_sphere'"):
        TRANSFORMS.build(dict(type='NormalizePoints', mode='box'))
    with pytest.raises(ValueError, match='LoadPoints'):
        run(dict(path='a.npy'), type='NormalizePoints')
    flat = dict(points=np.ones((4, 3), np.float32), sample_id='shape_7')
    with pytest.raises(ValueError, match='shape_7: all points coincide'):
        run(flat, type='NormalizePoints')
