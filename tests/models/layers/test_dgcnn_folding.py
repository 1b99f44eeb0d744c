"""The graph network and the folding decoder, against naive loops."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from mmkd3d.models.layers.dgcnn import DGCNN, EdgeConv
from mmkd3d.models.layers.folding import FoldingDecoder


def random_norms(module):
    """Give norms scales of both signs: a maximum must come after them."""
    for m in module.modules():
        if isinstance(m, (nn.GroupNorm, nn.BatchNorm1d)):
            nn.init.normal_(m.weight)
            nn.init.normal_(m.bias)
    return module.double().requires_grad_(False)


def group_norm(norm, x):
    """Of one sample x (channels, ...), its statistics group by group."""
    groups = []
    for part in x.split(norm.num_channels // norm.num_groups):
        var = part.var(unbiased=False)
        groups.append((part - part.mean()) / (var + 1e-5).sqrt())
    shape = (-1, *[1] * (x.ndim - 1))
    return torch.cat(groups) * norm.weight.view(shape) + norm.bias.view(shape)


def edge_conv(edge, feats, graph):
    """The spec, cloud by cloud and edge by edge."""
    clouds = []
    for f, neighbors in zip(feats, graph):
        edges = torch.stack(
            [
                torch.stack(
                    [edge.linear.weight @ torch.cat([f[j] - f[i], f[i]]) for j in neighbors[i]]
                )
                for i in range(len(f))
            ]
        )  # (G, k, D)
        edges = F.leaky_relu(group_norm(edge.norm, edges.permute(2, 0, 1)), 0.2)
        clouds.append(edges.amax(2).T)
    return torch.stack(clouds)


def test_edge_conv_is_a_loop_over_edges():
    torch.manual_seed(0)
    edge = random_norms(EdgeConv(6, 8))
    feats, graph = torch.randn(2, 7, 6).double(), torch.randint(7, (2, 7, 4))
    torch.testing.assert_close(edge(feats, graph), edge_conv(edge, feats, graph))


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


def test_widths_are_the_published_ones():
    net = DGCNN(384, 8192)
    assert [tuple(e.linear.weight.shape) for e in net.edges] == [
        (256, 256),
        (512, 512),
        (512, 1024),
        (1024, 1024),
    ]
    assert tuple(net.output.weight.shape) == (8192, 2304)
    assert net.input.bias is not None and net.output.bias is None


def test_the_graph_joins_the_nearest_and_oneself_first():
    centers = torch.randn(2, 12, 3)
    graph = DGCNN.graph(centers)
    for b in range(2):
        for i in range(12):
            near = sorted(range(12), key=lambda j: (centers[b, j] - centers[b, i]).norm())
            assert graph[b, i].tolist() == near[:4] and near[0] == i


def test_among_equally_near_centers_the_lower_index_comes_first():
    line = torch.zeros(1, 7, 3)
    line[0, :, 0] = torch.arange(7.0)
    graph = DGCNN.graph(line)[0]
    assert graph[3].tolist() == [3, 2, 4, 1]
    assert graph[0].tolist() == [0, 1, 2, 3]
    assert (DGCNN.graph(torch.zeros(1, 7, 3)) == torch.arange(4)).all()


def test_fewer_patches_than_neighbors_are_an_error():
    with pytest.raises(ValueError, match='at least 4 patches, got 3: raise'):
        DGCNN.graph(torch.randn(1, 3, 3))
    assert DGCNN.graph(torch.randn(1, 4, 3)).shape == (1, 4, 4)


def test_clouds_do_not_see_each_other():
    torch.manual_seed(0)
    net = random_norms(DGCNN(6, 8, edge_dims=(4, 8, 8)))
    feats, centers = torch.randn(3, 9, 6).double(), torch.randn(3, 9, 3)
    whole = net(feats, DGCNN.graph(centers))
    alone = net(feats[1:2], DGCNN.graph(centers[1:2]))
    torch.testing.assert_close(whole[1:2], alone)


def test_dgcnn_moves_with_the_order_of_the_patches():
    torch.manual_seed(0)
    net = random_norms(DGCNN(6, 8, edge_dims=(4, 8, 8)))
    feats, centers = torch.randn(1, 9, 6).double(), torch.randn(1, 9, 3)
    order = torch.randperm(9)
    torch.testing.assert_close(
        net(feats, DGCNN.graph(centers))[:, order],
        net(feats[:, order], DGCNN.graph(centers[:, order])),
    )


def folding(**kwargs):
    torch.manual_seed(0)
    decoder = FoldingDecoder(6, 16, hidden_dims=10, coarse_dims=12, **kwargs)
    return random_norms(decoder)


@pytest.mark.parametrize('training', [False, True])
def test_folding_reads_feature_grid_and_coarse_point(training):
    decoder = folding().train(training)
    feats = torch.randn(2, 5, 6).double()
    coarse = decoder.coarse(feats).view(2, 5, 4, 3)
    grid = [(-0.05, -0.05), (0.05, -0.05), (-0.05, 0.05), (0.05, 0.05)]
    rows = [
        torch.cat([feats[b, g], torch.tensor(grid[n % 4]).double(), coarse[b, g, n // 4]])
        for b in range(2)
        for g in range(5)
        for n in range(16)
    ]
    moved = decoder.fold(torch.stack(rows)).view(2, 5, 16, 3)
    expected = moved + coarse.repeat_interleave(4, dim=2)
    got = decoder(feats)
    torch.testing.assert_close(got[0], coarse)
    torch.testing.assert_close(got[1], expected, rtol=1e-6, atol=1e-7)


def test_four_fine_points_in_a_row_belong_to_one_coarse_point():
    decoder = folding().eval()
    nn.init.zeros_(decoder.fold[-1].weight)
    nn.init.zeros_(decoder.fold[-1].bias)
    coarse, fine = decoder(torch.randn(1, 2, 6).double())
    for n in range(16):
        assert torch.equal(fine[:, :, n], coarse[:, :, n // 4])


def test_the_grid_is_not_in_the_state_dict_and_has_the_given_size():
    decoder = folding(grid_size=0.2)
    assert 'grid' not in decoder.state_dict()
    assert decoder.grid.tolist() == [
        pytest.approx(row) for row in ([-0.2, -0.2], [0.2, -0.2], [-0.2, 0.2], [0.2, 0.2])
    ]


def test_a_patch_that_is_no_multiple_of_four_is_an_error():
    with pytest.raises(ValueError, match='multiple of 4, got 6'):
        FoldingDecoder(6, 6)
