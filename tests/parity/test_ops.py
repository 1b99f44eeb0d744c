"""Point operators against loops that follow the published kernels."""

import numpy as np
import pytest
import torch

from mmkd3d import ops
from tests.helpers import load_case, parity_cases

pytestmark = pytest.mark.usefixtures('parity_root')


@pytest.fixture(params=parity_cases('detection/ops_points*'), ids=lambda case: case.name)
def points_case(request):
    """Tolerances and arrays of a case of mmcv's operators, as tensors."""
    manifest, arrays = load_case(request.param)
    return manifest['tolerance'], {name: torch.from_numpy(array) for name, array in arrays.items()}


@pytest.mark.parametrize(
    'name, idx, rule',
    [
        ('fps_random', 'fps_random_idx', 'mmcv'),
        ('fps_duplicates', 'fps_duplicates_idx_kernel_ties', 'mmcv'),
        ('fps_origin', 'fps_origin_idx', 'mmcv'),
        ('fps_origin', 'fps_origin_idx_pointnet2', 'pointnet2'),
        ('fps_grid', 'fps_grid_idx_kernel_ties', 'mmcv'),
        ('fps_single', 'fps_single_idx', 'mmcv'),
    ],
)
def test_fps_picks_what_the_kernel_picks(points_case, name, idx, rule):
    _, arrays = points_case
    expected = arrays[idx].long()
    found = ops.farthest_point_sample(arrays[f'{name}_xyz'], expected.shape[1], rule=rule)
    assert torch.equal(found, expected)


def test_fps_repeats_places_as_the_kernel_does(points_case):
    _, arrays = points_case
    xyz = arrays['fps_duplicates_xyz']
    picked = arrays['fps_duplicates_picked_xyz']
    found = ops.farthest_point_sample(xyz, picked.shape[1])
    assert torch.equal(ops.gather(xyz, found), picked)


def test_fps_with_dist_follows_rows(points_case):
    _, arrays = points_case
    expected = arrays['fps_with_dist_idx'].long()
    found = ops.farthest_point_sample_with_dist(arrays['fps_with_dist_matrix'], expected.shape[1])
    assert torch.equal(found, expected)


def test_ball_query_takes_first_hits(points_case):
    _, arrays = points_case
    queries = [
        ('ball', 'ball_idx_%d' % row, params) for row, params in enumerate(arrays['ball_params'])
    ]
    queries.append(('ball_edge', 'ball_edge_idx', arrays['ball_edge_params']))
    for name, idx, params in queries:
        min_radius, radius, num_samples = params.tolist()
        found = ops.ball_query(
            arrays[f'{name}_center'],
            arrays[f'{name}_xyz'],
            radius,
            int(num_samples),
            min_radius=min_radius,
        )
        assert torch.equal(found, arrays[idx].long())


def test_knn_order_equals_the_kernel(points_case):
    _, arrays = points_case
    xyz = arrays['knn_xyz']
    for name, query in (('knn_idx_k8', arrays['knn_center']), ('knn_idx_self_k5', xyz)):
        expected = arrays[name].transpose(1, 2).long()
        found = ops.knn(query, xyz, expected.shape[-1]).idx
        assert torch.equal(found, expected)


def test_knn_among_ties_gives_the_kernels_set(points_case):
    _, arrays = points_case
    expected = arrays['knn_ties_idx_k6_sorted'].transpose(1, 2).long()
    found = ops.knn(arrays['knn_ties_center'], arrays['knn_ties_xyz'], expected.shape[-1]).idx
    assert torch.equal(found.sort().values, expected.sort().values)


@pytest.mark.parametrize(
    'source, num_sources, dist, idx',
    [
        ('three_nn_source', None, 'three_nn_dist', 'three_nn_idx'),
        ('three_nn_ties_source', None, 'three_nn_ties_dist', 'three_nn_ties_idx'),
        ('three_nn_source', 2, 'three_nn_two_sources_dist_inf', 'three_nn_two_sources_idx'),
    ],
)
def test_three_nn_equals_the_kernel(points_case, source, num_sources, dist, idx):
    tolerance, arrays = points_case
    found = ops.three_nn(arrays['three_nn_target'], arrays[source][:, :num_sources])
    assert torch.equal(found.idx, arrays[idx].long())
    torch.testing.assert_close(found.dist, arrays[dist], **tolerance)


@pytest.mark.parametrize('name', ['gather', 'group'])
def test_gather_and_its_gradient_equal_the_kernel(points_case, name):
    tolerance, arrays = points_case
    feats = arrays['interp_feat'].clone().requires_grad_()  # (B, C, N)
    out = ops.gather(feats.transpose(1, 2), arrays[f'{name}_idx'])
    out = out.movedim(-1, 1)
    out.backward(arrays[f'{name}_grad_out'])
    torch.testing.assert_close(out, arrays[f'{name}_out'], **tolerance)
    torch.testing.assert_close(feats.grad, arrays[f'{name}_grad_feat'], **tolerance)


def test_three_interpolate_and_its_gradient_equal_the_kernel(points_case):
    tolerance, arrays = points_case
    feats = arrays['interp_feat'].clone().requires_grad_()
    out = ops.three_interpolate(
        arrays['three_nn_target'], arrays['three_nn_source'], feats.transpose(1, 2)
    ).transpose(1, 2)
    out.backward(arrays['interp_grad_out'])
    torch.testing.assert_close(out, arrays['interp_out'], **tolerance)
    torch.testing.assert_close(feats.grad, arrays['interp_grad_feat'], **tolerance)


def group_patches(points, num_groups, group_size):
    """Centre indices, centres, neighbours and patches, as in the published models."""
    points = torch.from_numpy(points)
    idx = ops.farthest_point_sample(points, num_groups, rule='pointnet2')
    centers = ops.gather(points, idx)
    neighbors = ops.knn(centers, points, group_size).idx
    return idx, centers, neighbors, ops.group(points, centers, neighbors)


def rows_sorted(patches):
    """Patches (..., K, 3) with their points in lexicographic order."""
    patches = np.asarray(patches)
    order = np.lexsort(np.moveaxis(patches, -1, 0))
    return np.take_along_axis(patches, order[..., None], axis=-2)


@pytest.mark.parametrize('case', parity_cases('act/grouping*'), ids=lambda case: case.name)
def test_act_grouping(case):
    manifest, arrays = load_case(case)
    tolerance = manifest['tolerance']
    config = manifest['config']
    for name in sorted(key[:-7] for key in arrays if key.endswith('_points')):
        idx, centers, neighbors, patches = group_patches(
            arrays[f'{name}_points'], **config_sizes(config)
        )
        step = -(-patches.shape[1] // arrays[f'{name}_neighborhood'].shape[1])
        np.testing.assert_allclose(centers, arrays[f'{name}_center'], atol=tolerance['center'])
        np.testing.assert_allclose(
            rows_sorted(patches[:, ::step]),
            rows_sorted(arrays[f'{name}_neighborhood']),
            atol=tolerance['neighborhood'],
        )
        if name != 'duplicates':
            np.testing.assert_array_equal(idx, arrays[f'{name}_fps_index'])
            np.testing.assert_array_equal(neighbors, arrays[f'{name}_knn_index'])


@pytest.mark.parametrize('case', parity_cases('recon/grouping*'), ids=lambda case: case.name)
def test_recon_grouping(case):
    manifest, arrays = load_case(case)
    idx, centers, _, patches = group_patches(arrays['points'], **config_sizes(manifest['config']))
    np.testing.assert_allclose(centers, arrays['center'], **manifest['tolerance'])
    np.testing.assert_allclose(
        rows_sorted(patches), rows_sorted(arrays['neighborhood']), **manifest['tolerance']
    )
    for found, expected, cloud in zip(idx, arrays['fps_idx'], arrays['points']):
        if len(np.unique(cloud, axis=0)) == len(cloud):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('case', parity_cases('recon/grouping*'), ids=lambda case: case.name)
def test_recon_exhausted_clouds_repeat_the_kernels_winner(case):
    _, arrays = load_case(case)
    points = torch.from_numpy(arrays['exhausted_points'])
    expected = torch.from_numpy(arrays['exhausted_idx']).long()
    found = ops.farthest_point_sample(points, expected.shape[1], rule='pointnet2')
    assert torch.equal(found, expected)


def config_sizes(config):
    """Number and size of patches, under our names."""
    return dict(num_groups=config['num_group'], group_size=config['group_size'])
