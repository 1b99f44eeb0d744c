"""Memory saved by autograd, and memory-efficient attention."""

import pytest
import torch
import torch.nn as nn

from benchmarks import memory
from mmkd3d.registry import MODELS

SMALL = dict(embed_dims=48, depth=2, num_heads=4, group_size=4, patch_dims=(8, 16), fps_rule='mmcv')
STUDENTS = dict(
    PointTransformer=lambda T: dict(SMALL, type='mmkd3d.PointTransformer', num_groups=T),
    ReConTransformer=lambda T: dict(SMALL, type='mmkd3d.ReConTransformer', num_groups=T),
    PointM2AE=lambda T: dict(
        type='mmkd3d.PointM2AE',
        level_dims=(24, 48),
        depths=(1, 1),
        num_heads=4,
        num_groups=(T, T // 2),
        group_sizes=(4, 4),
        patch_dims=(8, 16),
        fps_rule='mmcv',
    ),
)


def counted(model, parts, x):
    saved = memory.SavedTensors(model)
    with saved.of(parts):
        y = model(x)
    assert y is not None
    return saved.bytes


def test_saved_bytes_are_those_of_inputs_and_activations():
    first, second = nn.Linear(3, 5), nn.Linear(5, 7)
    model = nn.Sequential(first, nn.ReLU(), second)
    found = counted(model, dict(first=first, second=second), torch.ones(2, 3))
    # x is saved for the gradient of the first weight. The output of the ReLU is
    # saved by the ReLU and the second layer, and counted once. Weights are not counted.
    assert found == dict(first=2 * 3 * 4, rest=2 * 5 * 4)


def test_a_part_within_a_part_counts_for_itself():
    inner = nn.Linear(3, 5)
    outer = nn.Sequential(nn.Linear(3, 3), inner)
    found = counted(outer, dict(outer=outer, inner=inner), torch.ones(2, 3))
    assert found == dict(outer=24, inner=24)


@pytest.mark.parametrize('kind', STUDENTS)
def test_students_keep_no_matrix_of_tokens_by_tokens(kind):
    """Saved memory grows linearly with the number of tokens."""
    points = torch.rand(1, 1024, 3, generator=torch.Generator().manual_seed(0))
    total = []
    for tokens in (128, 256):
        net = MODELS.build(STUDENTS[kind](tokens)).train()
        total.append(sum(counted(net, {}, points).values()))
    assert 1.5 < total[1] / total[0] < 2.05


def test_a_radius_costs_a_mask_and_not_an_attention_map():
    points = torch.rand(1, 1024, 3, generator=torch.Generator().manual_seed(0))
    total = []
    for radii in (None, (0.5, 0.5)):
        net = MODELS.build(dict(STUDENTS['PointM2AE'](256), radii=radii)).train()
        total.append(sum(counted(net, {}, points).values()))
    maps = 4 * 4 * (256**2 + 128**2)  # 4 heads, 4 bytes
    assert total[1] - total[0] < maps


def test_larger_batches_are_computed_from_small_ones():
    pytest.importorskip('mmdet3d')
    import mmkd3d

    batch_size = 3
    model = mmkd3d.get_model('votenet_toy').train()
    rows, total, peak = memory.run(model, num_points=1024, batch_size=batch_size, device='cpu')
    found = memory.saved_bytes(model, batch_size, 1024, 'cpu')
    state = 16 * sum(p.numel() for p in model.parameters())
    assert total == pytest.approx(state + sum(found.values()), rel=0.02)
    assert peak is None
    assert {'backbone.blocks', 'backbone.patch_embed', 'neck'} <= {row[0] for row in rows}
