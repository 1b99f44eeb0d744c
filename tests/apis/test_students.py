"""Loading a student and its weights from any config, without a Runner."""

import pytest
import torch
from mmengine.config import Config

import mmkd3d
from mmkd3d.checkpoints import stored_config
from mmkd3d.checkpoints.stored import parse_config
from mmkd3d.models.pretrainers.base import BasePretrainer
from tests.helpers import rejects

BACKBONE = dict(
    type='PointTransformer',
    embed_dims=24,
    depth=3,
    num_heads=2,
    num_groups=8,
    group_size=8,
    patch_dims=(8, 16),
)


def small_config(**model) -> Config:
    return Config(
        dict(default_scope='mmkd3d', model=dict(type='PointMAE', backbone=dict(BACKBONE), **model))
    )


def checkpoint_of(config: Config, seed=0, **meta) -> dict:
    torch.manual_seed(seed)
    state = mmkd3d.load_student(config).backbone.state_dict()
    return dict(state_dict={f'backbone.{k}': v for k, v in state.items()}, meta=meta)


def same_weights(model, checkpoint: dict) -> bool:
    return all(
        torch.equal(checkpoint['state_dict'][f'backbone.{k}'], v)
        for k, v in model.backbone.state_dict().items()
    )


@pytest.mark.parametrize('form', ['object', 'file', 'text in checkpoint'])
def test_the_config_in_every_form(form, tmp_path):
    config = small_config()
    checkpoint = checkpoint_of(config, cfg=config.pretty_text)
    config.dump(tmp_path / 'student.py')
    given = dict(object=config, file=str(tmp_path / 'student.py')).get(form)
    torch.save(checkpoint, tmp_path / 'student.pth')
    model = mmkd3d.load_student(given, tmp_path / 'student.pth')
    assert isinstance(model, BasePretrainer) and not model.training
    assert same_weights(model, checkpoint)
    assert model.extract_feat(torch.rand(2, 40, 3)).shape == (2, 48)


@pytest.mark.parametrize(
    'name',
    [
        'point-mae_pointvit-mini_1xb16-20k_psb',
        'recon-mini_1xb16-20k_psb',
        'cls_act-pointvit-s_1xb32-300e_modelnet40',
        'partseg_recon-b_1xb16-300e_shapenetpart',
        'zeroshot_recon-mini_psb',
    ],
)
def test_shipped_configs_need_no_teacher(name):
    model = mmkd3d.load_student(name)
    assert not any('teacher' in n for n, _ in model.named_modules())
    width = model.backbone.embed_dims
    assert model.extract_feat(torch.rand(1, 200, 3)).shape == (1, 2 * width)


@pytest.mark.parametrize('name', ['votenet_toy', 'semseg_i2p-mae-b_1xb32-60e_s3dis'])
def test_a_student_leaves_a_model_of_mmdet3d(name):
    pytest.importorskip('mmdet3d')
    model = mmkd3d.load_student(name)
    batch = dict(inputs=dict(points=[torch.rand(600, 3)] * 2))
    data = model.data_preprocessor(batch)
    assert model(**data, mode='tensor').shape[0] == 2


def test_random_weights_follow_the_seed():
    config = small_config()
    one = checkpoint_of(config, 1)
    assert same_weights(mmkd3d.load_student(config, one), checkpoint_of(config, 1))
    assert not same_weights(mmkd3d.load_student(config), one)


def test_what_is_not_there_is_named(tmp_path):
    load, missing = mmkd3d.load_student, dict(error=FileNotFoundError)
    config = small_config()
    bare, empty = checkpoint_of(config), Config(dict(default_scope='mmkd3d'))
    rejects('There is no config.*list_models', load, None)
    rejects('the given dict carries no config', load, None, bare)
    rejects("'point-maee'. Did you mean point-mae", load, 'point-maee', bare, **missing)
    rejects('nowhere.pth', load, config, tmp_path / 'nowhere.pth', **missing)
    rejects('has no model, only default_scope', load, empty, bare)
    config.model.backbone.depth = 2
    rejects(r'unexpected: blocks\.2', load, config, bare)


def test_a_stored_config_is_read_as_mmengine_writes_it():
    config = Config(
        dict(
            rate=-1e-3,
            name="it's",
            nothing=None,
            items=[(1,), dict(a=[True]), set('b')],
            keys={'with.dots.': dict(x=1), 3: 'number'},
            model=dict(type='PointMAE'),
        )
    )
    read = parse_config(dict(meta=dict(cfg=config.pretty_text)))
    assert read.to_dict() == config.to_dict()


def test_a_stored_config_is_not_run():
    for text in (
        '__import__("os").system("true")',
        'model = open("/etc/hosts").read()',
        'import os',
        'model = dict(',
        'a, b = 1, 2',
        'x = [y for y in (1,)]',
    ):
        rejects('more than assignments', stored_config, dict(meta=dict(cfg=text)))
