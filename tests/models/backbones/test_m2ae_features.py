"""Features of whole clouds from the hierarchical student (PointM2AE)."""

import pytest
import torch

from mmkd3d.models.layers.pyramid import propagate_mask

from ..layers.test_m2ae_decoder import naive_carry
from ..naive_m2ae import RADII, close, naive_encode, net_of
from ..small_m2ae import clouds


@pytest.mark.parametrize('level', ['global', 'token', 'point'])
@torch.no_grad()
def test_features_of_a_cloud_do_not_depend_on_its_batch(level):
    net, points = net_of(index_zero_visible=True, radii=RADII), clouds(5)
    together = net.extract_feat(points, level)
    sizes = {'global': (24,), 'token': (8, 24), 'point': (96, 12 + 18 + 24)}
    assert together.shape[1:] == sizes[level]
    for b in range(5):
        if b or level != 'global':
            close(net.extract_feat(points[b : b + 1], level)[0], together[b])
    others = torch.cat([points[:1], clouds(2, seed=7)])
    close(net.extract_feat(others, level)[0], together[0])


@torch.no_grad()
def test_features_of_points_are_carried_from_all_levels():
    net, points = net_of(), clouds()
    feats, out = net.extract_feat(points, 'point'), net(points)
    for b, cloud in enumerate(points):
        expected = [
            naive_carry(cloud, centers[b], tokens[b])
            for centers, tokens in zip(out['level_centers'], out['levels'])
        ]
        close(feats[b], torch.cat(expected, 1))


@pytest.mark.parametrize('layer', [0, 1, -1])
@torch.no_grad()
def test_a_student_that_was_cut_ends_with_a_level(layer):
    net, points = net_of(radii=RADII), clouds()
    out = net(points)
    whole = net.extract_feat(points, 'point')
    top = net.extract_feat(points)
    net.truncate(layer)
    last = layer % 3
    assert net.embed_dims == (12, 18, 24)[last]
    assert torch.equal(net.extract_feat(points, 'token'), out['levels'][last])
    width = sum((12, 18, 24)[: last + 1])
    assert torch.equal(net.extract_feat(points, 'point'), whole[..., :width])
    got = net.extract_feat(points, 'global')
    assert got.shape == (len(points), net.embed_dims)
    assert layer != -1 or torch.equal(got, top)
    with pytest.raises(ValueError, match='no layer 5: .* has [123] levels'):
        net.truncate(5)


@torch.no_grad()
def test_the_global_feature_leaves_out_what_is_in_no_patch():
    net, points = net_of(group_sizes=(8, 3, 2)), clouds(4)
    mask = torch.zeros(4, 8, dtype=torch.bool)
    masks = propagate_mask(mask, net.group(points))
    assert masks[0].any() and masks[1].any()
    feats = net.extract_feat(points)
    for b, cloud in enumerate(points):
        expected = naive_encode(net, cloud, [(~m[b]).nonzero().flatten() for m in masks])
        close(feats[b], expected[-1].amax(0))
    assert not torch.allclose(feats, net(points)['tokens'].amax(1), atol=1e-3)
    with pytest.raises(ValueError, match="got 'cloud'"):
        net.extract_feat(points, 'cloud')


@pytest.mark.parametrize('num_levels', [1, 2, 4])
@torch.no_grad()
def test_forward_tells_where_its_tokens_are(num_levels):
    net, points = net_of(num_levels), clouds()
    out = net(torch.cat([points, torch.rand(3, 96, 4)], 2))
    assert torch.equal(out['points'], points)
    for x, centers, index, G, C in zip(
        out['levels'],
        out['level_centers'],
        out['level_center_idx'],
        net.group.levels,
        net.level_dims,
    ):
        assert x.shape == (3, G.num_groups, C)
        assert torch.equal(centers, torch.stack([p[i] for p, i in zip(points, index)]))
    assert torch.equal(out['centers'], out['level_centers'][-1])
    assert torch.equal(out['center_idx'], out['level_center_idx'][-1])
    assert len(out['levels']) == num_levels
    assert net.embed_dims == net.level_dims[-1] == out['tokens'].shape[2]


@torch.no_grad()
def test_norms_stand_at_the_end_of_their_levels():
    points, whole = clouds(), net_of()
    bare = net_of(norm_levels=())
    some = net_of(norm_levels=(1,))
    for net in (bare, some):
        state = whole.state_dict()
        net.load_state_dict({k: state[k] for k in net.state_dict()})
    assert len(bare.norms) == 0 and list(some.norms) == ['1']
    normed, raw, mixed = (net(points)['levels'] for net in (whole, bare, some))
    for i, (a, b) in enumerate(zip(normed, raw)):
        close(whole.norms[str(i)](b), a)
        close(mixed[i], a if i == 1 else b)


@torch.no_grad()
def test_centered_positions_do_not_know_where_a_scene_is():
    net = net_of(pos_scale='scene', fps_rule='mmcv')
    points = clouds()
    expected = net(points)['tokens']
    torch.testing.assert_close(
        net(points * 2**-3)['level_center_idx'], net(points)['level_center_idx']
    )
    found = net(points + torch.tensor([8.0, -4.0, 2.0]))['tokens']
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    plain = net_of(fps_rule='mmcv')
    assert not torch.allclose(plain(points + 1)['tokens'], plain(points)['tokens'], atol=0.1)
