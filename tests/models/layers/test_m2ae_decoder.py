"""Decoder of Point-M2AE against loops over clouds, tokens and heads."""

import pytest
import torch
import torch.nn.functional as F

from mmkd3d.models.layers.m2ae_decoder import FeaturePropagation
from mmkd3d.models.layers.pyramid import propagate_mask
from mmkd3d.ops import gather

from ..small_m2ae import DIMS, build, decoder
from .test_pyramid import pyramid, random_mask


def naive_carry(fine, coarse, feats):
    """Interpolation for one cloud: inverse squared distances to the three nearest."""
    out = []
    for point in fine:
        dist = (coarse - point).square().sum(1)
        near = dist.argsort()[:3]
        weight = 1 / (dist[near] + 1e-8)
        out.append((weight / weight.sum()) @ feats[near])
    return torch.stack(out)


def naive_norm(x, norm):
    """Batch norm of rows in training mode."""
    mean, var = x.mean(0), x.var(0, unbiased=False)
    return (x - mean) / (var + 1e-5).sqrt() * norm.weight + norm.bias


def naive_propagation(module, fine_centers, coarse_centers, fine, coarse):
    """Feature propagation (spec, section 5), cloud by cloud and layer by layer."""
    x = torch.cat(
        [
            torch.cat([skip, naive_carry(*cloud)], 1)
            for skip, *cloud in zip(fine, fine_centers, coarse_centers, coarse)
        ]
    )

    def layer(pair, x):
        linear, norm = pair
        return naive_norm(x @ linear.weight.T + linear.bias, norm)

    y = F.gelu(layer(module.fuse, x))
    for block in module.extraction:
        y = F.gelu(layer(block.second, F.gelu(layer(block.first, y))) + y)
    return y.view(fine.shape)


@pytest.mark.parametrize('depth', [0, 1, 2])
def test_propagation_is_that_of_the_loops(depth):
    torch.manual_seed(0)
    module = FeaturePropagation(6, 10, depth)
    for p in module.parameters():
        torch.nn.init.normal_(p, std=0.5)
    fine, coarse = pyramid(2)
    feats = torch.randn(3, 16, 6), torch.randn(3, 8, 10)
    args = (fine.centers, coarse.centers, *feats)
    torch.testing.assert_close(
        module(*args), naive_propagation(module, *args), rtol=1e-4, atol=1e-4
    )
    assert len(module.extraction) == depth


def naive_attention(block, x):
    """Transformer block for one cloud (L, C), query by query and head by head."""
    attn, out = block.attn, []
    heads = attn.num_heads
    q, k, v = (y.view(len(x), heads, -1) for y in attn.qkv(block.norm1(x)).chunk(3, 1))
    for query in q:
        read = []
        for head, own in enumerate(query):
            logits = k[:, head] @ own / own.numel() ** 0.5
            read.append(logits.softmax(0) @ v[:, head])
        out.append(torch.cat(read))
    x = x + attn.proj(torch.stack(out))
    return x + block.mlp.fc2(F.gelu(block.mlp.fc1(block.norm2(x))))


def naive_decoder(net, levels, centers, mask):
    """Decoder (spec, section 5): order [visible, masked] at the top, natural order below."""
    tops, orders = [], []
    for cloud, places, hidden in zip(levels[-1], centers[-1], mask):
        token = net.mask_token.expand(int(hidden.sum()), -1)
        x = torch.cat([cloud[~hidden], token])
        order = torch.cat([(~hidden).nonzero(), hidden.nonzero()]).flatten()
        pos = net.pos_embeds[0](places[order])
        for block in net.stages[0]:
            x = naive_attention(block, x + pos)
        tops.append(x)
        orders.append(order)
    tokens, orders = torch.stack(tops), torch.stack(orders)
    places = gather(centers[-1], orders)
    for s, module in enumerate(net.propagations, start=1):
        fine = centers[-s - 1]
        tokens = naive_propagation(module, fine, places, levels[-s - 1], tokens)
        carried = []
        for x, own in zip(tokens, fine):
            pos = net.pos_embeds[s](own)
            for block in net.stages[s]:
                x = naive_attention(block, x + pos)
            carried.append(x)
        tokens, places = torch.stack(carried), fine
    tokens = net.norm(tokens)
    if len(net.stages) == 1:  # with more stages, tokens end in the order of the centres
        tokens = torch.zeros_like(tokens).scatter(1, orders[..., None].expand_as(tokens), tokens)
    return tokens


@pytest.mark.parametrize('num_levels, num_stages', [(1, 1), (3, 1), (3, 2), (3, 3), (4, 3)])
def test_the_decoder_is_that_of_the_loops(num_levels, num_stages):
    depths = (1, 2, 1)[:num_stages]
    net = build(decoder(num_stages, depths=depths)).train()
    for name, p in net.named_parameters():
        if p.ndim == 1:
            torch.nn.init.normal_(p, std=0.3)
    patches, mask = pyramid(num_levels), random_mask()
    masks = propagate_mask(mask, patches)
    centers = [level.centers for level in patches]
    levels = [
        torch.randn(3, hidden.shape[1], dims).masked_fill(hidden[..., None], 0)
        for hidden, dims in zip(masks, DIMS[-num_levels:])
    ]
    got = net(levels, centers, mask)
    expected = naive_decoder(net, levels, centers, mask)
    assert got.shape == levels[num_levels - num_stages].shape
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=2e-4)


def test_masked_tokens_of_the_top_are_not_read_by_the_decoder():
    net, patches = build(decoder()), pyramid()
    mask, centers = random_mask(), [level.centers for level in pyramid()]
    levels = [torch.randn(*p.centers.shape[:2], d) for p, d in zip(patches, DIMS[-3:])]
    expected = net(levels, centers, mask)
    levels[2][mask] = 1e3
    levels[0][:] = 1e3  # the finest level has no stage
    torch.testing.assert_close(net(levels, centers, mask), expected)


def test_drop_path_rises_over_all_blocks_of_the_decoder():
    net = build(decoder(3, depths=(1, 1, 2), drop_path_rate=0.1))
    check_rates(net.stages, 4, 0.1)


def check_rates(stages, depth, last):
    """Rates rise linearly from 0 (spec, section 3), equal in both branches."""
    expected = [last * i / (depth - 1) for i in range(depth)]
    for name in ('drop_path1', 'drop_path2'):
        blocks = (getattr(block, name) for stage in stages for block in stage)
        assert [getattr(block, 'drop_prob', 0.0) for block in blocks] == pytest.approx(expected)
