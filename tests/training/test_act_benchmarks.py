"""ACT's finetuning configs use the published settings (ACT, section 8)."""

import pytest
from mmengine.config import Config

from tests.helpers import REPO

FOLDER = REPO / 'configs/act/benchmarks'
# epochs, points, patches, classes, augmentation
DATA = {
    '300e_scanobjectnn-hardest': (300, None, 128, 15, 'RandomRotation'),
    '300e_modelnet40': (300, 1024, 64, 40, 'ScaleTranslate'),
    '150e_modelnet-fewshot': (150, 1024, 64, 40, 'ScaleTranslate'),
}
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def load(data):
    return Config.fromfile(FOLDER / f'cls_act-pointvit-s_1xb32-{data}.py')


def points_of(loader):
    """Number of points after the last sampling transform."""
    sizes = [step.get('num_points') for step in loader.dataset.pipeline]
    return next((size for size in reversed(sizes) if size), None)


@pytest.mark.parametrize('data', DATA)
def test_classification_has_its_row_of_the_table(data):
    cfg = load(data)
    epochs, points, patches, classes, augment = DATA[data]
    model, optimizer = cfg.model, cfg.optim_wrapper.optimizer
    assert model.get('transfer_type', 'full') == 'full'
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', 5e-4, 0.05)
    assert cfg.optim_wrapper.clip_grad.max_norm == 10
    schedule = cfg.param_scheduler
    assert (schedule.period, schedule.warmup, schedule.min_lr) == (epochs, 10, 1e-7)
    assert cfg.train_cfg.max_epochs == epochs + 1  # epochs 0..T
    backbone = model.backbone
    assert (backbone.embed_dims, backbone.depth, backbone.num_heads) == (384, 12, 6)
    assert (backbone.num_groups, backbone.group_size) == (patches, 32)
    assert backbone.drop_path_rate == 0.1
    assert model.head.num_classes == classes
    assert [a.type.split('.')[-1] for a in model.data_preprocessor.augments] == [augment]
    assert [points_of(cfg[name]) for name in LOADERS] == [points] * 3
    assert cfg.train_dataloader.batch_size == 32


@pytest.mark.parametrize('variant', [None, 'obj_bg', 'obj_only'])
def test_all_loaders_read_the_chosen_variant(monkeypatch, variant):
    if variant:
        monkeypatch.setenv('VARIANT', variant)
    cfg = load('300e_scanobjectnn-hardest')
    assert {cfg[loader].dataset.variant for loader in LOADERS} == {variant or 'pb_t50_rs'}


def test_an_episode_is_chosen_by_variables(monkeypatch):
    for name, value in (('WAY', '10'), ('SHOT', '20'), ('FOLD', '7')):
        monkeypatch.setenv(name, value)
    cfg = load('150e_modelnet-fewshot')
    for loader, split in zip(LOADERS, ('train', 'test', 'test')):
        data = cfg[loader].dataset
        assert (data.way, data.shot, data.fold) == (10, 20, 7)
        assert data.type == 'mmkd3d.ModelNetFewShot' and data.split == split


@pytest.mark.parametrize(
    'name, batch, epochs, head',
    [
        ('partseg_act-pointvit-s_1xb16-300e_shapenetpart', 16, 300, 'head'),
        ('semseg_act-pointvit-s_1xb32-60e_s3dis', 32, 60, 'decode_head'),
    ],
)
def test_segmentation_has_the_published_settings(name, batch, epochs, head):
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    assert cfg.optim_wrapper.type == 'OptimWrapper'  # a single optimizer step per batch
    assert cfg.optim_wrapper.optimizer.lr == 2e-4
    assert cfg.optim_wrapper.clip_grad.max_norm == 10
    schedule = cfg.param_scheduler
    assert (schedule.period, schedule.warmup) == (epochs, 10)
    assert schedule.min_lr == 1e-6
    assert cfg.train_cfg.max_epochs == epochs  # epochs 0..T-1
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.auto_scale_lr.base_batch_size == batch
    backbone = cfg.model.backbone
    assert (backbone.num_groups, backbone.group_size) == (128, 32)
    assert not backbone.with_cls_token
    assert tuple(backbone.out_indices) == (3, 7, 11)
    assert cfg.model[head].num_classes == (50 if head == 'head' else 13)
