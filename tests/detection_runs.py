"""Detectors made small for tests, and rooms for them."""
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from tests.helpers import REPO

SMALLER = dict(
    backbone=dict(
        embed_dims=16, depth=1, num_heads=2, num_groups=32, group_size=8),
    neck=dict(in_channels=16),
    bbox_head=dict(vote_aggregation_cfg=dict(num_point=16)))


def small_votenet() -> Config:
    """The toy VoteNet, smaller, on 256 points of a room."""
    cfg = Config.fromfile(REPO / 'configs/toy/votenet_toy.py')
    cfg.merge_from_dict(dict(model=SMALLER))
    set_num_points(cfg, 256)
    return cfg


def set_num_points(cfg, number: int) -> None:
    """Let every ``PointSample`` of a config take so many."""
    for value in (cfg.values() if isinstance(cfg, dict) else cfg):
        if isinstance(value, (dict, list, tuple)):
            set_num_points(value, number)
    if isinstance(cfg, dict) and str(cfg.get('type')).endswith('PointSample'):
        cfg['num_points'] = number


def write_checkpoint(cfg: Config, path, /, **meta):
    """Random weights of a config's model, as mmengine would save them."""
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    state = MODELS.build(cfg.model).state_dict()
    torch.save(dict(state_dict=state, meta=meta), path)
    return path
