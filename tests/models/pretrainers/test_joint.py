"""Joint pretraining: what each loss compares, and which parts it needs."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.structures import BaseDataElement

from mmkd3d.registry import MODELS
from tests.helpers import given, rejects
from tests.models.steps import SMALL, cloud, fall_of_loss

LABELS = dict(category=4, parts=6, symmetry=3)


@MODELS.register_module()
class SizeTarget(nn.Module):
    """A teacher that knows the mean size of a cloud."""

    dims, teacher = 5, None

    def forward(self, points, data_samples):
        return points.abs().mean((1, 2))[:, None] * torch.arange(1.0, 6)


def joint(labels=LABELS, targets=True, **kwargs):
    torch.manual_seed(0)
    losses = dict(chamfer=dict(type='mmkd3d.ChamferLoss'))
    cfg = dict(
        type='mmkd3d.JointPretraining',
        backbone=dict(SMALL, type='mmkd3d.PointTransformer', with_cls_token=False),
        decoder=dict(type='mmkd3d.MaskedDecoder', embed_dims=24, depth=1, num_heads=3),
        masker=dict(type='mmkd3d.RandomMasker', ratio=0.6),
        targets=dict(img=dict(type='SizeTarget')) if targets is True else targets or None,
        losses=losses | (dict(img=dict(type='mmkd3d.CosineLoss')) if targets else {}),
        labels=labels,
    )
    return MODELS.build(cfg | kwargs).train()


def samples(batch, points=128):
    return [
        BaseDataElement(
            metainfo=dict(sample_id=str(i)),
            gt_label=torch.tensor(i % 4),
            gt_parts=torch.arange(points) % 6,
            gt_symmetry=torch.tensor([True, False, bool(i % 2)]),
        )
        for i in range(batch)
    ]


def test_all_losses_fall_and_train_everything():
    model, points = joint(), cloud(4)
    losses = model.loss(points, samples(4, points.shape[1]))
    assert set(losses) == {f'loss_{k}' for k in ('chamfer', 'img', 'category', 'parts', 'symmetry')}
    sum(losses.values()).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # each token is normalised: the last bias of a projection may be without effect
    assert not [name for name in still if not name.endswith('bias')]
    given_samples = samples(4, points.shape[1])
    assert fall_of_loss(model, points, 25, 5e-3, given_samples) < 0.9


def test_parts_are_those_of_the_centres():
    model, points = joint(), cloud(2)
    patches = model.group(points)
    labels = model.forward_labels('parts', points, patches, samples(2, points.shape[1]))
    for b in range(2):
        for g in range(patches.centers.shape[1]):
            index = (points[b] - patches.centers[b, g]).norm(dim=1).argmin()
            assert labels[b, g] == index % 6


def test_labels_are_predicted_from_the_whole_cloud_as_probes_read_it():
    model, points = joint(dict(category=4), targets=False), cloud(3)
    model.eval()  # without dropped paths
    feature = model.extract_feat(points)
    expected = F.cross_entropy(model.classify['category'](feature), torch.tensor([0, 1, 2]))
    with given(model, draw_mask=torch.arange(16).expand(3, -1) % 2 == 0):
        found = model.loss(points, samples(3, points.shape[1]))['loss_category']
    torch.testing.assert_close(found, model.label_weight * expected)


def test_teachers_are_standardised():
    model = joint()
    features = model.forward_teachers(cloud(8) * torch.rand(8, 1, 1), None)['img']
    torch.testing.assert_close(features.mean(0), torch.zeros(5), atol=1e-5, rtol=0)


def test_what_does_not_fit_is_refused():
    rejects('labels are some of', joint, dict(colour=3))
    rejects('Only reconstruction', joint, None, targets=False)
    rejects(
        r"only one of them for \['img'\]",
        joint,
        losses=dict(chamfer=dict(type='mmkd3d.ChamferLoss')),
    )
    rejects('2 of 2 samples have no gt_symmetry', joint().loss, cloud(2), bare(2))
    cosine = dict(type='mmkd3d.CosineLoss')
    rejects('chamfer is missing', joint, losses=dict(img=cosine))
    rejects('chamfer is missing', joint, losses=dict(img=cosine, chamfer=None))
    rejects('symmetry is 3, got 2', joint, dict(symmetry=2))
    model = joint()
    model.check_classes(dict(classes='abcd', parts=dict(a=(0, 1), b=(5,))))
    rejects('set model.labels.parts=7', model.check_classes, dict(parts=dict(a=(0, 6))))
    rejects('set model.labels.category=5', model.check_classes, dict(classes='abcde'))


def test_none_switches_targets_and_labels_off():
    """A config can only set an entry of its base to None."""
    chamfer, cosine = dict(type='mmkd3d.ChamferLoss'), dict(type='mmkd3d.CosineLoss')
    labels, target = dict(category=4, parts=None), dict(type='SizeTarget')
    for losses, targets in (
        (dict(chamfer=chamfer, img=None), dict(img=target)),
        (dict(chamfer=chamfer, img=cosine), dict(img=None)),
    ):
        losses = joint(labels, losses=losses, targets=targets).loss(cloud(2), samples(2))
        assert set(losses) == {'loss_chamfer', 'loss_category'}


def test_parts_of_points_that_are_gone_are_refused():
    """Labels would belong to other points, without an error."""
    cfg = dict(
        type='mmkd3d.PointDataPreprocessor', augments=[dict(type='SubsamplePoints', num_points=64)]
    )
    points = cloud(2)
    model, given_samples = joint(data_preprocessor=cfg), samples(2, points.shape[1])
    data = dict(inputs=dict(points=list(points)), data_samples=given_samples)
    batch = model.data_preprocessor(data, True)
    rejects('64 points have gt_parts of .96', model, **batch, mode='loss')
    del given_samples[1].gt_parts
    given_samples[1].gt_parts = torch.zeros(50).long()
    rejects('gt_parts of .50, 96', model.loss, points, given_samples)


def bare(batch):
    found = samples(batch, cloud(1).shape[1])
    for sample in found:
        del sample.gt_symmetry
    return found
