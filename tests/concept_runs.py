"""Small concept distillation runs."""

import copy

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope

from tests.helpers import REPO
from tests.models.teachers.nets import TINY, VIT
from tests.runs import RUNTIME, Curve, train

STUDENT = dict(embed_dims=32, depth=2, num_heads=2, num_groups=8, group_size=16, patch_dims=(8, 16))
SETTINGS = dict(
    model=dict(
        backbone=dict(STUDENT, drop_path_rate=0.1),
        extractor=dict(embed_dims=32, num_heads=2),
        target=dict(
            views=dict(renderer=dict(size=48)),
            teacher=dict(VIT, _delete_=True, model_kwargs=dict(TINY, img_size=48)),
        ),
    ),
    train_dataloader=dict(batch_size=8, dataset=dict(num_samples=24, num_points=128)),
    train_cfg=dict(max_epochs=10),
    optim_wrapper=dict(optimizer=dict(lr=4e-3)),
)


def config(name, **options):
    cfg = Config.fromfile(REPO / 'configs' / name)
    cfg.merge_from_dict(copy.deepcopy(RUNTIME))
    cfg.merge_from_dict(copy.deepcopy(options))
    return cfg


PRETRAIN = config('toy/concept_toy.py', **SETTINGS)


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory):
    """Work folder, losses and checkpoint of a run of 30 steps."""
    work_dir = tmp_path_factory.mktemp('concept') / 'whole'
    curve = Curve()
    train(PRETRAIN, work_dir, curve)
    DefaultScope._instance_dict.clear()
    return work_dir, curve, work_dir / 'epoch_10.pth'


@pytest.fixture
def mmdet3d_scope():
    pytest.importorskip('mmdet3d')
    init_default_scope('mmdet3d')
