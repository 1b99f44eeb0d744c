"""Small detectors for tests."""

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from tests.helpers import REPO

# Head settings that make each detector small.
HEADS = {
    'votenet': dict(vote_aggregation_cfg=dict(num_point=16)),
    'groupfree3d': dict(num_proposal=16),
    '3detr': dict(num_queries=16, depth=2),
}


def small_detector(name: str = 'votenet', data_root=None) -> Config:
    """Config of a small detector with our student as backbone and 256 points per room.

    Args:
        name: One of ``HEADS``.
        data_root: Folder in mmdetection3d's ScanNet layout.
    """
    folder = REPO / 'configs/scannet_small'
    cfg = Config.fromfile(folder / f'{name}_pointvit-mini_1xb2-60e_scannet-small.py')
    student = dict(depth=1, num_groups=32, group_size=8, init_cfg=None)
    cfg.merge_from_dict(dict(model=dict(backbone=student, bbox_head=HEADS[name])))
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(data_root)
        set_num_points(loader, 256)
    return cfg


def set_num_points(cfg, number: int) -> None:
    """Set the number of points of every ``PointSample`` in a config."""
    for value in cfg.values() if isinstance(cfg, dict) else cfg:
        if isinstance(value, (dict, list, tuple)):
            set_num_points(value, number)
    if isinstance(cfg, dict) and str(cfg.get('type')).endswith('PointSample'):
        cfg['num_points'] = number


def write_checkpoint(cfg: Config, path, /, **meta):
    """Save random weights of a config's model in mmengine's format."""
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    state = MODELS.build(cfg.model).state_dict()
    torch.save(dict(state_dict=state, meta=meta), path)
    return path
