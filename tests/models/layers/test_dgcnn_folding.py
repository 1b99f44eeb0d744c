"""Graph network (DGCNN) and folding decoder against naive loops."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from mmkd3d.models.layers.dgcnn import DGCNN
from mmkd3d.models.layers.folding import FoldingDecoder


def random_norms(module):
    """Give norms scales of both signs, so that a maximum must come after them."""
    for m in module.modules():
        if isinstance(m, (nn.GroupNorm, nn.BatchNorm1d)):
            nn.init.normal_(m.weight)
            nn.init.normal_(m.bias)
    return module.double().requires_grad_(False)


def group_norm(norm, x):
    """Group norm of one sample x (channels, ...), group by group."""
    groups = []
    for part in x.split(norm.num_channels // norm.num_groups):
        var = part.var(unbiased=False)
        groups.append((part - part.mean()) / (var + 1e-5).sqrt())
    shape = (-1, *[1] * (x.ndim - 1))
    return torch.cat(groups) * norm.weight.view(shape) + norm.bias.view(shape)


def edge_conv(edge, feats, graph):
    """Edge convolution of the spec, cloud by cloud and edge by edge."""
    weight, clouds = edge.linear.weight, []
    for f, neighbors in zip(feats, graph):
        ends = [[torch.cat([f[j] - f[i], f[i]]) for j in own] for i, own in enumerate(neighbors)]
        edges = torch.stack([torch.stack([weight @ end for end in row]) for row in ends])
        edges = F.leaky_relu(group_norm(edge.norm, edges.permute(2, 0, 1)), 0.2)  # (D, G, k)
        clouds.append(edges.amax(2).T)
    return torch.stack(clouds)


def test_dgcnn_is_four_edge_convolutions_and_their_concatenation():
    torch.manual_seed(0)
    net = random_norms(DGCNN(6, 20, edge_dims=(4, 8, 12, 12, 16)))
    feats, centers = torch.randn(2, 9, 6).double(), torch.randn(2, 9, 3)
    graph = DGCNN.graph(centers)
    x, levels = feats @ net.input.weight.T + net.input.bias, []
    for edge in net.edges:
        x = edge_conv(edge, x, graph)
        levels.append(x)
    x = torch.cat(levels, dim=2) @ net.output.weight.T
    x = torch.stack([group_norm(net.norm, cloud.T).T for cloud in x])
    torch.testing.assert_close(net(feats, graph), F.leaky_relu(x, 0.2))


def test_the_graph_joins_the_nearest_and_oneself_first_and_of_equals_the_lower_index():
    centers = torch.randn(2, 12, 3)
    graph = DGCNN.graph(centers)
    for b in range(2):
        for i in range(12):
            near = sorted(range(12), key=lambda j: (centers[b, j] - centers[b, i]).norm())
            assert graph[b, i].tolist() == near[:4] and near[0] == i
    line = torch.zeros(1, 7, 3)
    line[0, :, 0] = torch.arange(7.0)
    graph = DGCNN.graph(line)[0]
    assert graph[3].tolist() == [3, 2, 4, 1]
    assert graph[0].tolist() == [0, 1, 2, 3]
    assert (DGCNN.graph(torch.zeros(1, 7, 3)) == torch.arange(4)).all()
    assert DGCNN.graph(torch.randn(1, 4, 3)).shape == (1, 4, 4)
    with pytest.raises(ValueError, match='at least 4 patches, got 3: raise'):
        DGCNN.graph(torch.randn(1, 3, 3))


def folding(**kwargs):
    torch.manual_seed(0)
    decoder = FoldingDecoder(6, 16, hidden_dims=10, coarse_dims=12, **kwargs)
    return random_norms(decoder)


@pytest.mark.parametrize('training, size', [(False, 0.05), (True, 0.2)])
def test_folding_reads_feature_grid_and_coarse_point(training, size):
    decoder = folding(grid_size=size).train(training)
    assert 'grid' not in decoder.state_dict()
    feats = torch.randn(2, 5, 6).double()
    coarse = decoder.coarse(feats).view(2, 5, 4, 3)
    grid = torch.tensor([(-size, -size), (size, -size), (-size, size), (size, size)]).double()
    rows = [
        torch.cat([feats[b, g], grid[n % 4], coarse[b, g, n // 4]])
        for b in range(2)
        for g in range(5)
        for n in range(16)
    ]
    moved = decoder.fold(torch.stack(rows)).view(2, 5, 16, 3)
    expected = moved + coarse.repeat_interleave(4, dim=2)
    got = decoder(feats)
    torch.testing.assert_close(got[0], coarse)
    torch.testing.assert_close(got[1], expected, rtol=1e-6, atol=1e-7)
    with pytest.raises(ValueError, match='multiple of 4, got 6'):
        FoldingDecoder(6, 6)
