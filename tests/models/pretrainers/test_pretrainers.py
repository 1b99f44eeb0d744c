"""Point-MAE and masked distillation."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from mmkd3d.models.layers.transformer import split_by_mask
from mmkd3d.models.pretrainers.base import BasePretrainer
from mmkd3d.models.pretrainers.masked_distillation import FourierDescriptor
from mmkd3d.models.teachers.base import BaseTeacher
from mmkd3d.registry import MODELS
from tests.helpers import given
from tests.models.steps import SMALL, check_step, cloud, fall_of_loss, losses_of

STUDENT = dict(SMALL, type='mmkd3d.PointTransformer', with_cls_token=False)
PARTS = dict(
    backbone=STUDENT,
    decoder=dict(type='mmkd3d.MaskedDecoder', embed_dims=24, depth=1, num_heads=3),
    masker=dict(type='mmkd3d.RandomMasker', ratio=0.6),
)


@MODELS.register_module(name='mmkd3d_test_teacher', force=True)
class TinyTeacher(BaseTeacher):
    def __init__(self):
        torch.manual_seed(0)
        super().__init__(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 32)

    def forward_tokens(self, tokens):
        with torch.no_grad():
            return self.net(tokens)


def point_mae():
    return MODELS.build(dict(type='mmkd3d.PointMAE', loss=dict(type='mmkd3d.ChamferLoss'), **PARTS))


def distillation():
    parts = dict(teacher=dict(type='mmkd3d_test_teacher'), loss=dict(type='mmkd3d.CosineLoss'))
    return MODELS.build(dict(type='mmkd3d.MaskedDistillation', **parts, **PARTS))


@pytest.fixture(params=[point_mae, distillation])
def model(request):
    torch.manual_seed(0)
    return request.param()


def test_split_by_mask_is_a_loop_over_rows():
    x, mask = torch.randn(4, 10, 3), torch.zeros(4, 10, dtype=torch.bool)
    for row in mask:
        row[torch.randperm(10)[:6]] = True
    visible, masked = split_by_mask(x, mask)
    for b in range(4):
        assert torch.equal(visible[b], x[b][~mask[b]])
        assert torch.equal(masked[b], x[b][mask[b]])


def test_masks_with_other_numbers_of_visible_patches_are_refused():
    x, mask = torch.randn(2, 6, 3), torch.tensor([[True] * 4 + [False] * 2, [True] * 6])
    with pytest.raises(RuntimeError, match='same number of visible patches, 2 here'):
        split_by_mask(x, mask)
    mask[1, :2] = False
    split_by_mask(x, mask)
    mask[:, 2] = False  # the number that the mask knows is stale
    with pytest.raises(RuntimeError, match='copy a mask'):
        split_by_mask(x, mask)


def test_every_parameter_is_trained_and_a_few_steps_lower_the_loss(model):
    check_step(model, cloud())
    assert fall_of_loss(model, cloud(4), steps=25, lr=5e-3) < 0.9


def test_modes_return_what_they_promise(model):
    model.eval()
    points = cloud()
    assert model(dict(points=points)).shape == (3, 48)
    drawn = model(dict(points=points), mode='predict')
    assert len(drawn) == 3
    assert all(torch.equal(d['input'], p) for d, p in zip(drawn, points))
    if 'pred' in drawn[0]:  # int(0.6 * 16) = 9 patches are masked
        assert drawn[0]['visible'].shape == (7 * 8, 3) and drawn[0]['pred'].shape == (9 * 8, 3)
    with pytest.raises(ValueError, match="'train'"):
        model(dict(points=points), mode='train')


def test_point_mae_compares_with_the_points_of_the_masked_patches():
    model = point_mae()
    patches, mask = model.group(cloud()), (torch.arange(16) % 3 > 0).expand(3, -1)
    perfect = model.forward_target(patches, mask).flip(1)
    model.to_points = nn.Identity()
    with given(model, draw_mask=mask, forward_decoder=perfect):
        assert losses_of(model, cloud())['loss_chamfer'] < 1e-10


def test_distillation_targets_have_no_common_part():
    model = distillation()
    patches = model.group(cloud(8))
    outputs = model.forward_teacher(patches)
    target = model.forward_target(outputs, torch.ones(8, 16, dtype=torch.bool))
    assert target.mean(dim=(0, 1)).abs().max() < 1e-4
    cone, mean = (F.normalize(x, dim=-1).mean((0, 1)).square().sum() for x in (outputs, target))
    assert mean < min(float(cone), 0.05)


def test_distillation_leaves_the_teacher_alone():
    model = distillation()
    before = {k: v.clone() for k, v in model.teacher.net.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses_of(model, cloud())['loss_distill'].backward()
    optimizer.step()
    for key, value in model.teacher.net.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert not [k for k in model.state_dict() if k.startswith('teacher.')]


def test_descriptor_depends_on_the_set_and_not_on_its_order():
    descriptor = FourierDescriptor(64)
    patches, centers = torch.randn(2, 5, 9, 3) / 10, torch.randn(2, 5, 3)
    descriptor(patches, centers)
    descriptor.eval()
    same = descriptor(patches[:, :, torch.randperm(9)], centers)
    torch.testing.assert_close(same, descriptor(patches, centers))
    for other in (descriptor(patches * 1.5, centers), descriptor(patches, centers * 1.5)):
        assert (other - same).abs().mean() > 0.05


def test_descriptor_gives_shape_and_place_equal_weight():
    descriptor = FourierDescriptor(64)
    patches, centers = torch.randn(8, 16, 9, 3) / 10, torch.randn(8, 16, 3)
    words = descriptor(patches, centers)
    of_place = descriptor(patches[:1, :1].expand_as(patches), centers)
    of_shape = descriptor(patches, centers[:1, :1].expand_as(centers))
    for fixed in (of_place, of_shape):
        assert abs(fixed.flatten(0, 1).std(0).mean() - 1) < 0.02
    assert abs(words.flatten(0, 1).std(0).mean() - 2**0.5) < 0.1


def test_descriptor_distance_is_a_kernel_distance():
    # E <phi(x), phi(y)> = exp(-|x - y|^2 / (2 s^2)) / 2 for random features.
    descriptor = FourierDescriptor(20000, patch_scale=0.1)
    x, y = torch.tensor([[0.0, 0.0, 0.0], [0.08, 0.0, 0.06]])
    fx, fy = (torch.cos(p @ descriptor.patch_freq + descriptor.patch_phase) for p in (x, y))
    kernel = 2 * (fx * fy).mean()
    assert abs(kernel - torch.exp(-(x - y).square().sum() / 0.02)) < 0.03


def test_a_student_without_features_to_probe_is_an_error():
    model = BasePretrainer()
    model.backbone = nn.Identity()
    with pytest.raises(ValueError, match='Identity has no extract_feat'):
        model.extract_feat(cloud())
