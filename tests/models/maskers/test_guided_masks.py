"""Masked pretraining methods with teacher-guided masks."""

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from mmkd3d.registry import MODELS, TASK_UTILS
from tests.helpers import REPO
from tests.models.pretrainers.test_act import act
from tests.models.pretrainers.test_pretrainers import PARTS, distillation
from tests.models.pretrainers.test_recon import KINDS, cloud, recon
from tests.models.stub_teachers import DENSE, StubDenseTeacher


def guided(**options):
    """The config entry for a guided mask."""
    return dict(masker=dict(type='mmkd3d.SaliencyMasker', ratio=0.75, target=DENSE, **options))


def point_mae(masker):
    loss = dict(type='mmkd3d.ChamferLoss')
    return MODELS.build(dict(PARTS, type='mmkd3d.PointMAE', loss=loss, masker=masker))


def masked_distillation(masker):
    model = distillation()
    model.masker = TASK_UTILS.build(masker)
    return model


METHODS = dict(
    ACT=lambda masker: act(masker=masker),
    ReCon=lambda masker: recon(masker=masker),
    PointMAE=point_mae,
    MaskedDistillation=masked_distillation,
)


class Watched:
    """A method in training; ``masks`` records the masks passed to its student."""

    def __init__(self, method, **options):
        torch.manual_seed(0)
        self.model = METHODS[method](guided(**options)['masker']).train()
        self.optim = OptimWrapper(torch.optim.SGD(self.model.parameters(), lr=0.1))
        self.masks, encode = [], self.model.backbone.encode

        def watch(patches, mask, **kwargs):
            self.masks.append(mask)
            self.centers = patches.centers
            return encode(patches, mask, **kwargs)

        self.model.backbone.encode = watch

    def step(self, points):
        data = dict(inputs=dict(points=list(points)), data_samples=KINDS)
        return self.model.train_step(data, self.optim)


@pytest.mark.parametrize('method', METHODS)
def test_a_training_step_hides_what_the_teacher_does_not_look_at(method):
    watched, points = Watched(method, temperature=1e-9), cloud()
    before = [p.clone() for p in watched.model.backbone.parameters()]
    log = watched.step(points)
    assert torch.isfinite(log['loss'])
    assert any(not torch.equal(p, q) for p, q in zip(before, watched.model.backbone.parameters()))
    target = MODELS.build(DENSE)
    scores = target.saliency_at(target.forward_views(points), watched.centers)
    visible = ~watched.masks[0]
    assert (visible.sum(1) == 4).all() and visible.shape == (4, 16)
    top = scores.topk(4).indices.sort(1).values
    assert torch.equal(visible.nonzero()[:, 1].view(4, 4), top)


@pytest.mark.parametrize('method', METHODS)
def test_masks_differ_from_step_to_step_and_the_guide_is_in_no_checkpoint(method):
    watched, points = Watched(method), cloud()
    before = StubDenseTeacher.images
    for _ in range(2):
        watched.step(points)
    assert StubDenseTeacher.images == before + 2 * 3 * len(points)
    assert not torch.equal(*watched.masks)
    assert all((mask.sum(1) == 12).all() for mask in watched.masks)
    assert not [k for k in watched.model.state_dict() if 'masker' in k]
    assert not [k for k, _ in watched.model.named_parameters() if 'masker' in k]


@pytest.mark.parametrize('method', METHODS)
def test_a_guided_mask_for_a_batch_of_one_and_clouds_without_extent(method):
    watched = Watched(method)
    watched.model.eval()  # BatchNorm of the target may need two samples
    dot = torch.zeros(1, 128, 3)
    doubled = cloud(1, 64).repeat(1, 2, 1)
    for points in (cloud(1), dot, doubled):
        out = watched.model(dict(points=points), KINDS[:1], mode='predict')
        assert len(out) == 1
        assert (watched.masks.pop().sum(1) == 12).all()


@pytest.mark.parametrize(
    'name, method',
    [
        ('act/act_pointvit-s_guided_1xb128-300e_shapenet55', 'ACT'),
        ('recon/recon-b_guided_1xb128-300e_shapenet55', 'ReCon'),
    ],
)
def test_shipped_configs_differ_from_the_published_by_the_masker(name, method):
    """The same entry, with a stub teacher, guides the small model."""
    guided_cfg, plain_cfg = (
        Config.fromfile(REPO / 'configs' / f'{n}.py').to_dict()
        for n in (name, name.replace('_guided', ''))
    )
    line = guided_cfg['model'].pop('masker')
    assert plain_cfg['model'].pop('masker') == dict(type='RandomMasker', ratio=line['ratio'])
    assert guided_cfg == plain_cfg
    assert line['target']['teacher']['type'] == 'OpenClipTeacher'
    line['target']['teacher'] = DENSE['teacher']
    for node in (line, line['target']):
        node['type'] = 'mmkd3d.' + node['type']
    masker = METHODS[method](line).masker
    assert masker.target.projector.size == 224
    points = cloud()
    seen = masker.target.forward_views(points)
    centers = points[:, :32]
    scores = masker.target.saliency_at(seen, centers)
    visible = torch.stack([~masker(centers, scores=scores) for _ in range(200)]).float().mean(0)
    for score, share in zip(scores, visible):  # visibility follows the scores
        assert torch.corrcoef(torch.stack([score, share]))[0, 1] > 0.7
