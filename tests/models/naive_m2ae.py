"""Loop implementation of the hierarchical student, cloud by cloud and patch by patch."""

import math

import torch
import torch.nn.functional as F

from .small_m2ae import build, student

RADII = (1.0, 2.0, 3.0)


def net_of(num_levels=3, seed=0, **kwargs):
    """Student in eval mode with random weights, norms and statistics."""
    net = build(student(num_levels, **kwargs), seed)
    for name, p in net.named_parameters():
        if p.ndim == 1:
            torch.nn.init.normal_(p, 1.0, 0.3)
        else:
            torch.nn.init.normal_(p, std=0.4)
    for name, buffer in net.named_buffers():
        if 'running' in name:
            buffer.uniform_(0.5, 2.0)
    return net.eval()


def naive_embed(embed, patch):
    """Token of one patch (K, D); the pooled half comes first (spec, section 2)."""

    def mlp(layers, x):
        first, norm, _, last = layers
        x = first(x)
        x = (x - norm.running_mean) / (norm.running_var + 1e-5).sqrt()
        return last(F.relu(x * norm.weight + norm.bias))

    h = mlp(embed.first, patch)
    pooled = h.amax(0).expand_as(h)
    return mlp(embed.second, torch.cat([pooled, h], 1)).amax(0)


def naive_encode(net, points, visible, radii=(0, 0, 0)):
    """Encode one cloud (N, 3), without padding and with additive masks.

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
    """Block in the published form: -1e5 where attention is not allowed."""
    attn = block.attn
    q, k, v = (
        y.view(len(x), attn.num_heads, -1).transpose(0, 1)
        for y in attn.qkv(block.norm1(x)).chunk(3, 1)
    )
    logits = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
    read = (logits - 1e5 * blocked).softmax(2) @ v
    x = x + attn.proj(read.transpose(0, 1).flatten(1))
    return x + block.mlp(block.norm2(x))


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=2e-4)
