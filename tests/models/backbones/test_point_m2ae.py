"""Hierarchical student (PointM2AE) against loops over tokens and clouds."""

import re

import pytest
import torch

from mmkd3d.models.layers.pyramid import propagate_mask

from ..layers.test_m2ae_decoder import check_rates
from ..layers.test_pyramid import random_mask
from ..naive_m2ae import RADII, close, naive_encode, net_of
from ..small_m2ae import build, clouds, student


@pytest.mark.parametrize(
    'num_levels, radii', [(1, RADII), (2, None), (3, RADII), (3, (0, 2.0, 0)), (4, None)]
)
@torch.no_grad()
def test_masked_clouds_are_encoded_as_each_of_them_alone(num_levels, radii):
    radii = radii and ((0.5,) + radii)[-num_levels:]
    net = net_of(num_levels, radii=radii, depths=(2,) * num_levels)
    points, mask = clouds(), random_mask()
    out = net.encode(net.group(points), mask)
    masks = propagate_mask(mask, net.group(points))
    assert all(map(torch.equal, out['masks'], masks))
    assert num_levels == 1 or len({int(m.sum()) for m in masks[0]}) > 1
    for b, cloud in enumerate(points):
        expected = naive_encode(
            net, cloud, [(~m[b]).nonzero().flatten() for m in masks], radii or (0,) * num_levels
        )
        for x, hidden, rows in zip(out['levels'], masks, expected):
            close(x[b][~hidden[b]], rows)
            assert not x[b][hidden[b]].any()
        close(out['tokens'][b], expected[-1])


@pytest.mark.parametrize('radii', [None, RADII, (1e-3, 1e-6, 1e-30)], ids=str)
@torch.no_grad()
def test_whole_clouds_are_encoded_as_each_of_them_alone(radii):
    net = net_of(radii=radii, depths=(1, 2, 1))
    points = clouds()
    out = net(points)
    assert out['masks'] == [None] * 3 and out['cls_token'] is None
    for b, cloud in enumerate(points):
        every = [torch.arange(x.shape[1]) for x in out['levels']]
        expected = naive_encode(net, cloud, every, radii or (0, 0, 0))
        for x, rows in zip(out['levels'], expected):
            close(x[b], rows)
    assert torch.equal(out['tokens'], out['levels'][-1])


@torch.no_grad()
def test_a_token_on_the_radius_is_not_seen():
    points = torch.tensor([[1.0, 0, 0], [2.0, 0, 0], [4.0, 0, 0]])[None]
    sizes = dict(num_groups=(3,), group_sizes=(1,), level_dims=(12,), depths=(1,))

    def links(radius):
        net = build(student(1, **sizes, radii=(radius,))).eval()
        seen = []
        net.blocks[0].register_forward_hook(
            lambda _, args, kwargs, out: seen.append(kwargs['allowed']), with_kwargs=True
        )
        order = net(points)['center_idx'][0]
        allowed = seen[0][0, 0]
        pairs = allowed.nonzero()
        return {(int(order[a]), int(order[b])) for a, b in pairs if a != b}

    assert links(1.0) == set()
    assert links(1.001) == {(0, 1), (1, 0)}
    assert links(2.0) == {(0, 1), (1, 0)}
    assert links(3.001) == {(a, b) for a in range(3) for b in range(3) if a != b}


@pytest.mark.parametrize('radius', [1e-30, 1e-3, 0.5])
def test_no_token_is_left_without_another_to_attend_to(radius):
    net = build(student(radii=(radius,) * 3))
    points, seen = clouds(), []
    points[1] = 0.5  # all centres coincide
    points[2, 20:] = points[2, :1]
    for blocks in net.blocks:
        blocks.register_forward_hook(
            lambda _, args, kwargs, out: seen.append(kwargs['allowed']), with_kwargs=True
        )
    for mask in (None, random_mask(masked=7), random_mask(masked=0)):
        out = net.train().encode(net.group(points), mask)
        assert all(x.isfinite().all() for x in out['levels'])
        net.zero_grad()
        out['tokens'].square().sum().backward()
        grads = [p.grad for p in net.parameters() if p.grad is not None]
        assert grads and all(g.isfinite().all() for g in grads)
    assert len(seen) == 9 and all(x.any(-1).all() for x in seen)


@pytest.mark.parametrize('radii', [None, RADII], ids=str)
@torch.no_grad()
def test_masked_patches_need_not_be_embedded(radii):
    points, mask = clouds(), random_mask()
    patches = net_of().group(points)
    outs = [
        net_of(embed_masked=embed, radii=radii).encode(patches, mask) for embed in (True, False)
    ]
    for a, b in zip(*(out['levels'] for out in outs)):
        close(a, b)
    assert all(map(torch.equal, *(out['masks'] for out in outs)))


@pytest.mark.parametrize('embed_masked', [True, False])
def test_masked_patches_count_in_the_statistics_if_they_are_embedded(embed_masked):
    net = net_of(embed_masked=embed_masked).train()
    mask = random_mask()
    patches = net.group(clouds())
    hidden = propagate_mask(mask, patches)[0]
    points = patches[0].points
    rows = points if embed_masked else points[~hidden]
    norm = net.embeds[0].first[1]
    before, mean = norm.running_mean.clone(), net.embeds[0].first[0](rows).flatten(0, -2).mean(0)
    net.encode(patches, mask)
    torch.testing.assert_close(norm.running_mean, 0.9 * before + 0.1 * mean)


@torch.no_grad()
def test_masked_tokens_go_up_as_they_were_embedded():
    net, mask = net_of(), random_mask()
    patches, embedded, gathered = net.group(clouds()), [], []
    for embed in net.embeds:
        embed.register_forward_hook(lambda _, given, out: gathered.append(given[0]))
        embed.register_forward_hook(lambda _, given, out: embedded.append(out))
    out = net.encode(patches, mask)
    for i, hidden in enumerate(out['masks'][:-1]):
        for b in range(3):
            index = patches[i + 1].point_idx[b]
            same = (gathered[i + 1][b] == embedded[i][b][index]).all(-1)
            assert torch.equal(same, hidden[b][index])


@pytest.mark.parametrize('embed_masked', [True, False])
@torch.no_grad()
def test_what_is_masked_is_not_seen(embed_masked):
    """Moving the points of masked patches does not change visible tokens."""
    net = net_of(embed_masked=embed_masked, radii=RADII)
    patches, mask = net.group(clouds()), random_mask()
    masks = propagate_mask(mask, patches)
    expected = net.encode(patches, mask)
    moved = patches[0].points.clone()
    moved[masks[0]] += 100 * torch.randn(3)
    patches[0] = patches[0]._replace(points=moved)
    found = net.encode(patches, mask)
    for a, b, hidden in zip(expected['levels'], found['levels'], masks):
        # visible tokens are built from visible tokens only
        torch.testing.assert_close(a, b)
    moved[~masks[0]] += 1.0
    found = net.encode(patches, mask)
    assert not torch.allclose(found['tokens'], expected['tokens'], atol=0.1)


def test_drop_path_rises_over_the_blocks_of_all_levels():
    net = build(student(depths=(1, 2, 3), drop_path_rate=0.1))
    check_rates(net.blocks, 6, 0.1)


def test_layers_are_counted_from_the_points_to_the_top():
    net = build(student(depths=(2, 1, 3), norm_levels=(0, 2)))
    layers = [
        ['embeds.0', 'pos_embeds.0'],
        ['blocks.0.0'],
        ['blocks.0.1', 'embeds.1', 'pos_embeds.1'],
        ['blocks.1.0', 'embeds.2', 'pos_embeds.2'],
        ['blocks.2.0'],
        ['blocks.2.1'],
        ['blocks.2.2'],
        ['norms.0', 'norms.2'],
    ]
    expected = {name: depth for depth, names in enumerate(layers) for name in names}
    found = set()
    for name, _ in net.named_parameters():
        part = re.match(r'blocks\.\d\.\d|\w+\.\d', name)[0]
        assert net.get_layer_depth(name) == (expected[part], 8)
        assert net.get_layer_depth(f'backbone.{name}', 'backbone.') == (expected[part], 8)
        found.add(part)
    assert found == set(expected)


def test_the_start_is_as_published():
    torch.manual_seed(0)
    net = build(dict(type='mmkd3d.PointM2AE', depths=(1, 1, 1)))
    for name, p in net.state_dict().items():
        if 'running' in name or 'num_batches' in name:
            continue
        if p.ndim == 2:
            assert p.std().item() == pytest.approx(0.02, rel=0.2), name
            assert p.abs().max() <= 2 and p.mean().abs() < 2e-3, name
        elif name.endswith('bias'):
            assert not p.any(), name
        else:
            assert (p == 1).all(), name
    before = {k: v.clone() for k, v in net.state_dict().items()}
    net.init_weights()
    assert not torch.equal(before['blocks.0.0.mlp.fc1.weight'], net.blocks[0][0].mlp.fc1.weight)
