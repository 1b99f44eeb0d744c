"""type='mmkd3d.Student': the student of a checkpoint as a backbone."""

import torch

import mmkd3d
from mmkd3d.models.pretrainers.base import BasePretrainer
from mmkd3d.registry import MODELS
from tests.helpers import rejects


def build(**kwargs):
    model = MODELS.build(dict(type='mmkd3d.Student', **kwargs))
    model.init_weights()
    return model.eval()


def test_sizes_come_with_the_weights():
    model = build(pretrained='joint-mini', num_groups=16)
    expected = mmkd3d.load_student('joint-mini').backbone
    assert model.embed_dims == 128 and model.group.num_groups == 16
    for key, value in expected.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
    i2p = build(pretrained='i2p-mae-mini')
    assert type(i2p).__name__ == 'PointM2AE'


def test_the_class_token_may_be_left_out():
    assert build(pretrained='act-mini', with_cls_token=False).cls_token is None


def test_changes_that_do_not_fit_name_the_sizes_that_do():
    text = "do not fit .*'embed_dims': 256.*Their student has {'embed_dims': 128}"
    rejects(text, build, pretrained='joint-mini', embed_dims=256)
    rejects(
        'num_group', build, pretrained='joint-mini', num_grups=16, error=(TypeError, ValueError)
    )


def test_a_detector_of_mmdetection3d_gets_its_backbone_by_name():
    cfg = mmkd3d.get_config('votenet_toy')
    cfg.model.backbone = dict(
        type='mmkd3d.Student',
        pretrained='joint-mini',
        num_groups=64,
        fps_rule='mmcv',
        pos_scale='scene',
    )
    model = MODELS.build(cfg.model)
    model.init_weights()
    weight = mmkd3d.load_student('joint-mini').backbone.state_dict()
    key = next(k for k in weight if k.endswith('weight') and weight[k].dim() == 2)
    assert torch.equal(model.backbone.state_dict()[key], weight[key])


def test_a_checkpoint_of_such_a_model_is_loaded_without_its_config(tmp_path):
    student = dict(type='mmkd3d.Student', pretrained='joint-mini', num_groups=16)
    model = BasePretrainer(student).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.1)
    text = f'model = dict(type="PointMAE", backbone={student})'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=text)), tmp_path / 'run.pth')
    found = mmkd3d.load_student(None, tmp_path / 'run.pth')
    points = torch.rand(1, 512, 3)
    torch.testing.assert_close(found.extract_feat(points), model.extract_feat(points))
    out = mmkd3d.export_backbone(tmp_path / 'run.pth', tmp_path / 'student.safetensors')
    again = mmkd3d.load_student(None, out)
    torch.testing.assert_close(again.extract_feat(points), model.extract_feat(points))
