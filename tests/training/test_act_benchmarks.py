"""ACT's finetuning configs hold the published settings (ACT, section 8)."""

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmkd3d.datasets.base import read_meta
from tests.datasets.official import write_shapenetpart
from tests.helpers import REPO

FOLDER = REPO / 'configs/act/benchmarks'
# epochs, points, patches, classes, augmentation
DATA = {
    '300e_scanobjectnn-hardest': (300, None, 128, 15, 'RandomRotation'),
    '300e_modelnet40': (300, 1024, 64, 40, 'ScaleTranslate'),
    '150e_modelnet-fewshot': (150, 1024, 64, 40, 'ScaleTranslate'),
}
# Protocols of docs/downstream.md.
MLP3 = {'model.transfer_type': 'mlp-3', 'optim_wrapper.optimizer.lr': 1e-3}
TRANSFER = {
    'full': {},
    'mlp-3': MLP3,
    'linear': MLP3 | {'model.transfer_type': 'linear', 'model.head.hidden_dims': []},
}
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def load(transfer, data):
    cfg = Config.fromfile(FOLDER / f'cls_act-pointvit-s_1xb32-{data}.py')
    cfg.merge_from_dict(TRANSFER[transfer])
    return cfg


def points_of(loader):
    """Points that the last sampling of a pipeline leaves, if there is one."""
    sizes = [step.get('num_points') for step in loader.dataset.pipeline]
    return next((size for size in reversed(sizes) if size), None)


@pytest.mark.parametrize('transfer', TRANSFER)
@pytest.mark.parametrize('data', DATA)
def test_classification_has_its_row_of_the_table(transfer, data):
    cfg = load(transfer, data)
    epochs, points, patches, classes, augment = DATA[data]
    model, optimizer = cfg.model, cfg.optim_wrapper.optimizer
    assert model.get('transfer_type', 'full') == transfer
    assert (model.head.get('hidden_dims') == []) == (transfer == 'linear')
    assert optimizer.lr == (5e-4 if transfer == 'full' else 1e-3)
    assert (optimizer.type, optimizer.weight_decay) == ('AdamW', 0.05)
    assert cfg.optim_wrapper.clip_grad.max_norm == 10
    schedule = cfg.param_scheduler
    assert (schedule.period, schedule.warmup) == (epochs, 10)
    assert schedule.min_lr == 1e-7
    assert cfg.train_cfg.max_epochs == epochs + 1  # passes 0..T
    backbone = model.backbone
    assert (backbone.embed_dims, backbone.depth, backbone.num_heads) == (384, 12, 6)
    assert (backbone.num_groups, backbone.group_size) == (patches, 32)
    assert backbone.drop_path_rate == 0.1
    assert model.head.num_classes == classes
    assert [a.type for a in model.data_preprocessor.augments] == [augment]
    assert [points_of(cfg[name]) for name in LOADERS] == [points] * 3
    assert cfg.train_dataloader.batch_size == 32


def test_all_loaders_read_the_variant_of_the_environment(monkeypatch):
    for variant in ('pb_t50_rs', 'obj_bg', 'obj_only'):  # the first is the default
        cfg = load('full', '300e_scanobjectnn-hardest')
        assert [cfg[loader].dataset.variant for loader in LOADERS] == ['pb_t50_rs'] * 3
        monkeypatch.setenv('VARIANT', variant)
        cfg = load('full', '300e_scanobjectnn-hardest')
        assert [cfg[loader].dataset.variant for loader in LOADERS] == [variant] * 3
        monkeypatch.delenv('VARIANT')


def test_an_episode_is_chosen_by_variables(monkeypatch):
    for name, value in (('WAY', '10'), ('SHOT', '20'), ('FOLD', '7')):
        monkeypatch.setenv(name, value)
    cfg = load('mlp-3', '150e_modelnet-fewshot')
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
    assert cfg.optim_wrapper.type == 'OptimWrapper'  # one step per batch
    assert cfg.optim_wrapper.optimizer.lr == 2e-4
    assert cfg.optim_wrapper.clip_grad.max_norm == 10
    schedule = cfg.param_scheduler
    assert (schedule.period, schedule.warmup) == (epochs, 10)
    assert schedule.min_lr == 1e-6
    assert cfg.train_cfg.max_epochs == epochs  # passes 0..T-1
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.auto_scale_lr.base_batch_size == batch
    backbone = cfg.model.backbone
    assert (backbone.num_groups, backbone.group_size) == (128, 32)
    assert not backbone.with_cls_token
    assert tuple(backbone.out_indices) == (3, 7, 11)
    assert cfg.model[head].num_classes == (50 if head == 'head' else 13)


PARTSEG = FOLDER / 'partseg_act-pointvit-s_1xb16-300e_shapenetpart.py'


def test_parts_of_the_categories_are_those_of_the_data():
    table = read_meta('shapenetpart')
    assert Config.fromfile(PARTSEG).model.category_parts == [row['parts'] for row in table.values()]


def test_part_segmentation_runs_on_real_shapes(data_root, tmp_path):
    """The five real Caps for training, the eleven for validation."""
    root = tmp_path / 'shapenetpart'
    write_shapenetpart(root, data_root)
    cfg = Config.fromfile(PARTSEG)
    cfg.work_dir = str(tmp_path / 'run')
    cfg.visualizer.vis_backends = None
    cfg.model.backbone.pop('init_cfg')
    cfg.model.backbone.update(
        embed_dims=24, depth=2, num_heads=3, num_groups=32, out_indices=(0, 1), patch_dims=(8, 16)
    )
    cfg.model.head.update(
        in_channels=24, num_levels=2, propagation_dims=(32, 32), hidden_dims=(32, 16)
    )
    for name in LOADERS:
        cfg[name].update(batch_size=5, num_workers=0)
        cfg[name].dataset.data_root = str(root)
    cfg.train_cfg.max_epochs = 2
    cfg.default_hooks.checkpoint.interval = -1
    runner = Runner.from_cfg(cfg)
    runner.train()
    instance, category = (
        runner.message_hub.get_scalar(f'val/part_iou/{name}').current()
        for name in ('instance', 'category')
    )
    assert 0 < instance <= 100
    assert instance == category  # one category
