"""The hierarchical student, token by token and cloud by cloud."""
import math
import re

import pytest
import torch
import torch.nn.functional as F

from mmkd3d.models.modules.pyramid import propagate_mask

from .small_m2ae import build, clouds, m2ae, student
from .test_m2ae_decoder import check_rates, naive_attention, naive_carry
from .test_pyramid import random_mask

RADII = (1., 2., 3.)


def net_of(num_levels=3, seed=0, **kwargs):
    """A student in eval mode whose norms and biases tell places apart."""
    net = build(student(num_levels, **kwargs), seed)
    for name, p in net.named_parameters():
        if p.ndim == 1:
            torch.nn.init.normal_(p, 1., 0.3)
        else:
            torch.nn.init.normal_(p, std=0.4)
    for name, buffer in net.named_buffers():
        if 'running' in name:
            buffer.uniform_(0.5, 2.)
    return net.eval()


def naive_embed(embed, patch):
    """A token of one patch (K, D): pooled half first, as in the spec, 2."""

    def mlp(layers, x):
        first, norm, _, last = layers
        x = first(x)
        x = (x - norm.running_mean) / (norm.running_var + 1e-5).sqrt()
        return last(F.relu(x * norm.weight + norm.bias))

    h = mlp(embed.first, patch)
    pooled = h.amax(0).expand_as(h)
    return mlp(embed.second, torch.cat([pooled, h], 1)).amax(0)


def naive_encode(net, points, visible, radii=(0, 0, 0)):
    """One cloud (N, 3) alone, without padding, with additive masks.

    ``visible``: indices of the visible tokens of each level.
    """
    tokens, out = None, []
    for i, level in enumerate(net.group(points[None])):
        source = level.points[0]  # (G, K, 3)
        if i:
            source = tokens[level.point_idx[0]]  # (G, K, C)
        tokens = torch.stack([naive_embed(net.embeds[i], p) for p in source])
        seen, centers = visible[i], level.centers[0][visible[i]]
        blocked = torch.zeros(len(seen), len(seen))
        if radii[i]:
            gaps = (centers[:, None] - centers).square().sum(2).sqrt()
            blocked = (gaps >= radii[i]).float()
        x, pos = tokens[seen], net.pos_embeds[i](centers)
        for block in net.blocks[i]:
            x = masked_attention(block, x + pos, blocked)
        tokens = tokens.clone()
        tokens[seen] = x
        norm = net.norms[str(i)] if str(i) in net.norms else (lambda y: y)
        out.append(norm(x))
    return out


def masked_attention(block, x, blocked):
    """The published form: -1e5 where attention is forbidden."""
    attn = block.attn
    q, k, v = (y.view(len(x), attn.num_heads, -1).transpose(0, 1)
               for y in attn.qkv(block.norm1(x)).chunk(3, 1))
    logits = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
    read = (logits - 1e5 * blocked).softmax(2) @ v
    x = x + attn.proj(read.transpose(0, 1).flatten(1))
    return x + block.mlp(block.norm2(x))


def test_the_two_naive_attentions_agree():
    block, x = net_of().blocks[2][0], torch.randn(8, 24)
    torch.testing.assert_close(
        masked_attention(block, x, torch.zeros(8, 8)),
        naive_attention(block, x))


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize('radii', [None, RADII, (0, 2., 0)], ids=str)
@pytest.mark.parametrize('num_levels', [1, 2, 3, 4])
@torch.no_grad()
def test_masked_clouds_are_encoded_as_each_of_them_alone(num_levels, radii):
    radii = radii and ((0.5, ) + radii)[-num_levels:]
    net = net_of(num_levels, radii=radii, depths=(2, ) * num_levels)
    points, mask = clouds(), random_mask()
    out = net.encode(net.group(points), mask)
    masks = propagate_mask(mask, net.group(points))
    assert all(map(torch.equal, out['masks'], masks))
    assert num_levels == 1 or len({int(m.sum()) for m in masks[0]}) > 1
    for b, cloud in enumerate(points):
        expected = naive_encode(
            net, cloud, [(~m[b]).nonzero().flatten() for m in masks],
            radii or (0, ) * num_levels)
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
    points = torch.tensor([[1., 0, 0], [2., 0, 0], [4., 0, 0]])[None]
    sizes = dict(num_groups=(3, ), group_sizes=(1, ), level_dims=(12, ),
                 depths=(1, ))

    def links(radius):
        net = build(student(1, **sizes, radii=(radius, ))).eval()
        seen = []
        net.blocks[0].register_forward_hook(
            lambda _, args, kwargs, out: seen.append(kwargs['allowed']),
            with_kwargs=True)
        order = net(points)['center_idx'][0]
        allowed = seen[0][0, 0]
        pairs = allowed.nonzero()
        return {(int(order[a]), int(order[b])) for a, b in pairs if a != b}

    assert links(1.) == set()
    assert links(1.001) == {(0, 1), (1, 0)}
    assert links(2.) == {(0, 1), (1, 0)}
    assert links(3.001) == {(a, b) for a in range(3) for b in range(3)
                            if a != b}


@pytest.mark.parametrize('radius', [1e-30, 1e-3, 0.5])
def test_no_token_is_left_without_another_to_attend_to(radius):
    net = build(student(radii=(radius, ) * 3))
    points, seen = clouds(), []
    points[1] = 0.5  # all centres coincide
    points[2, 20:] = points[2, :1]
    for blocks in net.blocks:
        blocks.register_forward_hook(
            lambda _, args, kwargs, out: seen.append(kwargs['allowed']),
            with_kwargs=True)
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
        net_of(embed_masked=embed, radii=radii).encode(patches, mask)
        for embed in (True, False)
    ]
    for a, b in zip(*(out['levels'] for out in outs)):
        close(a, b)
    assert all(map(torch.equal, *(out['masks'] for out in outs)))


@pytest.mark.parametrize('embed_masked', [True, False])
def test_masked_patches_count_in_the_statistics_if_they_are_embedded(
        embed_masked):
    net = net_of(embed_masked=embed_masked).train()
    mask = random_mask()
    patches = net.group(clouds())
    hidden = propagate_mask(mask, patches)[0]
    points = patches[0].points
    rows = points if embed_masked else points[~hidden]
    norm = net.embeds[0].first[1]
    before, mean = norm.running_mean.clone(), net.embeds[0].first[0](
        rows).flatten(0, -2).mean(0)
    net.encode(patches, mask)
    torch.testing.assert_close(norm.running_mean, 0.9 * before + 0.1 * mean)


@torch.no_grad()
def test_masked_tokens_go_up_as_they_were_embedded():
    net, mask = net_of(), random_mask()
    patches, embedded, gathered = net.group(clouds()), [], []
    for embed in net.embeds:
        embed.register_forward_hook(
            lambda _, given, out: gathered.append(given[0]))
        embed.register_forward_hook(
            lambda _, given, out: embedded.append(out))
    out = net.encode(patches, mask)
    for i, hidden in enumerate(out['masks'][:-1]):
        for b in range(3):
            index = patches[i + 1].point_idx[b]
            same = (gathered[i + 1][b] == embedded[i][b][index]).all(-1)
            assert torch.equal(same, hidden[b][index])


@pytest.mark.parametrize('embed_masked', [True, False])
@torch.no_grad()
def test_what_is_masked_is_not_seen(embed_masked):
    """Points in masked patches alone may be anywhere near them."""
    net = net_of(embed_masked=embed_masked, radii=RADII)
    patches, mask = net.group(clouds()), random_mask()
    masks = propagate_mask(mask, patches)
    expected = net.encode(patches, mask)
    moved = patches[0].points.clone()
    moved[masks[0]] += 100 * torch.randn(3)
    patches[0] = patches[0]._replace(points=moved)
    found = net.encode(patches, mask)
    for a, b, hidden in zip(expected['levels'], found['levels'], masks):
        # a visible token is made of visible ones
        torch.testing.assert_close(a, b)
    moved[~masks[0]] += 1.
    found = net.encode(patches, mask)
    assert not torch.allclose(found['tokens'], expected['tokens'], atol=0.1)


@pytest.mark.parametrize('level', ['global', 'token', 'point'])
@torch.no_grad()
def test_features_of_a_cloud_do_not_depend_on_its_batch(level):
    net, points = net_of(index_zero_visible=True, radii=RADII), clouds(5)
    together = net.extract_feat(points, level)
    sizes = {'global': (24, ), 'token': (8, 24), 'point': (96, 12 + 18 + 24)}
    assert together.shape[1:] == sizes[level]
    for b in range(5):
        if b or level != 'global':
            close(net.extract_feat(points[b:b + 1], level)[0], together[b])
    others = torch.cat([points[:1], clouds(2, seed=7)])
    close(net.extract_feat(others, level)[0], together[0])


@torch.no_grad()
def test_features_of_points_are_carried_from_all_levels():
    net, points = net_of(), clouds()
    feats, out = net.extract_feat(points, 'point'), net(points)
    for b, cloud in enumerate(points):
        expected = [naive_carry(cloud, centers[b], tokens[b]) for
                    centers, tokens in zip(out['level_centers'],
                                           out['levels'])]
        close(feats[b], torch.cat(expected, 1))


@pytest.mark.parametrize('layer', [0, 1, -1])
@torch.no_grad()
def test_a_student_that_was_cut_ends_with_a_level(layer):
    net, points = net_of(radii=RADII), clouds()
    out = net(points)
    whole = net.extract_feat(points, 'point')
    top = net.extract_feat(points)
    net.cut_after(layer)
    last = layer % 3
    assert net.embed_dims == (12, 18, 24)[last]
    assert torch.equal(net.extract_feat(points, 'token'), out['levels'][last])
    width = sum((12, 18, 24)[:last + 1])
    assert torch.equal(net.extract_feat(points, 'point'), whole[..., :width])
    got = net.extract_feat(points, 'global')
    assert got.shape == (len(points), net.embed_dims)
    assert layer != -1 or torch.equal(got, top)
    with pytest.raises(ValueError, match='no layer 5: .* has [123] levels'):
        net.cut_after(5)


@torch.no_grad()
def test_the_global_feature_leaves_out_what_is_in_no_patch():
    net, points = net_of(group_sizes=(8, 3, 2)), clouds(4)
    mask = torch.zeros(4, 8, dtype=torch.bool)
    masks = propagate_mask(mask, net.group(points))
    assert masks[0].any() and masks[1].any()
    feats = net.extract_feat(points)
    for b, cloud in enumerate(points):
        expected = naive_encode(
            net, cloud, [(~m[b]).nonzero().flatten() for m in masks])
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
            out['levels'], out['level_centers'], out['level_center_idx'],
            net.group.levels, net.level_dims):
        assert x.shape == (3, G.num_groups, C)
        assert torch.equal(
            centers, torch.stack([p[i] for p, i in zip(points, index)]))
    assert torch.equal(out['centers'], out['level_centers'][-1])
    assert torch.equal(out['center_idx'], out['level_center_idx'][-1])
    assert len(out['levels']) == num_levels
    assert net.embed_dims == net.level_dims[-1] == out['tokens'].shape[2]


@torch.no_grad()
def test_norms_stand_at_the_end_of_their_levels():
    points, whole = clouds(), net_of()
    bare = net_of(norm_levels=())
    some = net_of(norm_levels=(1, ))
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
        net(points * 2 ** -3)['level_center_idx'],
        net(points)['level_center_idx'])
    found = net(points + torch.tensor([8., -4., 2.]))['tokens']
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    plain = net_of(fps_rule='mmcv')
    assert not torch.allclose(
        plain(points + 1)['tokens'], plain(points)['tokens'], atol=0.1)


@pytest.mark.parametrize('depths', [(1, 2, 3), (5, 5, 5), (1, 1, 1)])
def test_drop_path_rises_over_the_blocks_of_all_levels(depths):
    net = build(student(depths=depths, drop_path_rate=0.1))
    check_rates(net.blocks, sum(depths), 0.1)


def test_layers_are_counted_from_the_points_to_the_top():
    net = build(student(depths=(2, 1, 3), norm_levels=(0, 2)))
    depth = {name: net.get_layer_depth(name)
             for name, _ in net.named_parameters()}
    assert {total for _, total in depth.values()} == {8}
    found = {}
    for name, (layer, _) in depth.items():
        part = re.match(r'blocks\.\d\.\d|\w+\.\d', name)[0]
        found.setdefault(part, set()).add(layer)
    expected = {
        'embeds.0': 0, 'pos_embeds.0': 0, 'blocks.0.0': 1, 'blocks.0.1': 2,
        'embeds.1': 2, 'pos_embeds.1': 2, 'blocks.1.0': 3, 'embeds.2': 3,
        'pos_embeds.2': 3, 'blocks.2.0': 4, 'blocks.2.1': 5, 'blocks.2.2': 6,
        'norms.0': 7, 'norms.2': 7
    }
    assert found == {name: {layer} for name, layer in expected.items()}
    for name in depth:
        prefixed = net.get_layer_depth(f'backbone.{name}', 'backbone.')
        assert prefixed == depth[name]


def test_a_seed_decides_weights_masks_and_losses():
    def losses(weights, masks):
        net = build(
            m2ae(backbone=student(drop_path_rate=0.3)), weights).train()
        torch.manual_seed(masks)
        loss = net.loss(clouds(), None)['loss_chamfer']
        loss.backward()
        return torch.cat([
            loss.detach()[None],
            *(p.grad.flatten() for p in net.parameters() if p.requires_grad)
        ])

    assert torch.equal(losses(0, 1), losses(0, 1))
    assert not torch.allclose(losses(0, 1), losses(0, 2))
    assert not torch.allclose(losses(0, 1), losses(1, 1))


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
    assert not torch.equal(before['blocks.0.0.mlp.fc1.weight'],
                           net.blocks[0][0].mlp.fc1.weight)
