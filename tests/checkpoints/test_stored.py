"""What a config in a checkpoint may build, and what reading it may do."""

import ast
import inspect
import textwrap

import pytest
import torch
from mmengine.config import Config, ConfigDict

from mmkd3d.checkpoints import stored_config, stored_spec
from mmkd3d.checkpoints.stored import EVALUATED, REFUSED, check_buildable, is_buildable, registries
from mmkd3d.registry import MODELS
from tests.helpers import rejects

HONEST = dict(
    type='PointMAE',
    backbone=dict(type='mmkd3d.PointTransformer', depth=2, norm_cfg=dict(type='LN')),
    _scope_='mmkd3d',
    losses=[dict(type='mmdet3d.ChamferDistance'), dict(type='mmdet.FocalLoss')],
)


@pytest.mark.parametrize(
    'name',
    [
        'os.system',
        'subprocess.Popen',
        'builtins.eval',
        'antigravity',  # no dot: mmengine would import the module
        'mmkd3d.import_hooks.install',
        'mmengine.config.Config.fromfile',
        'mmdet3d.models.detectors.votenet.VoteNet',
        'mmkd3d.os.system',
        'torch.load',
        'Pretrained',
        'mmengine.Pretrained',
        'mmdet3d.DataBaseSampler',
        'Runner',
        'mmengine.DVCLiveVisBackend',
        '',
        '.PointMAE',
        'mmkd3d.',
        None,
        3,
        ['PointMAE'],
        dict,
    ],
)
def test_a_type_that_is_not_registered_is_refused_at_any_depth(name):
    assert not is_buildable(name)
    bad = dict(type=name, command='true')
    for place in (
        bad,
        dict(HONEST, neck=bad),
        dict(HONEST, losses=[dict(type='mmdet3d.ChamferDistance'), bad]),
        dict(HONEST, heads=(dict(x=[[dict(y=bad)]]),)),
        ConfigDict(HONEST, neck=ConfigDict(a=ConfigDict(bad))),
    ):
        rejects(r'config in .* has type=.*registered.*--trust-checkpoint', check_buildable, place)


def test_registered_types_are_accepted_by_all_their_names():
    check_buildable(HONEST)
    for name in ('mmdet3d.VoteNet', 'VoteNet', 'mmdet.ResNet', 'BN1d', 'PointSAModule', 'Xavier'):
        assert is_buildable(name), name


def test_a_users_registered_type_is_accepted():
    assert not is_buildable('TypeOfAUser')
    MODELS.register_module(name='TypeOfAUser', module=type('TypeOfAUser', (), {}))
    try:
        assert is_buildable('TypeOfAUser') and is_buildable('mmkd3d.TypeOfAUser')
    finally:
        del MODELS.module_dict['TypeOfAUser']


@pytest.mark.parametrize(
    'cfg',
    [
        dict(_scope_='antigravity'),
        dict(default_scope='antigravity'),
        dict(model=[dict(deep=dict(_scope_='os'))]),
        dict(type='PointMAE', checkpoint='https://example.org/a.pth'),
        dict(type='PointMAE', checkpoint=' open-mmlab://resnet50'),
        dict(type='PointMAE', name='hf-hub:somebody/model'),
        dict(type='PointMAE', name='local-dir:model'),
        dict(type='PointMAE', name='somebody/model'),
        dict(type='PointMAE', cache='features.npy'),
        dict(type='PointMAE', trust=True),
        dict(type='PointMAE', model_kwargs=dict(weights_only=False)),
        dict(type='mmkd3d.TimmTeacher'),
        dict(type='mmdet.BertModel'),
        dict(type='mmdet3d.LoadAnnotations3D', seg_3d_dtype='__import__("os").system("true")'),
        dict(type='mmdet3d.LoadAnnotations3D', seg_3d_dtype='np.int64 if exit() else 0'),
    ],
)
def test_scopes_addresses_and_code_are_refused(cfg):
    rejects('config in .* has', check_buildable, cfg)


def test_what_is_evaluated_may_be_a_plain_name():
    check_buildable(dict(type='mmdet3d.LoadAnnotations3D', seg_3d_dtype='np.int64'))


@pytest.mark.nightly
def test_no_buildable_type_evaluates_an_argument_that_is_not_checked():
    calls = set()
    for registry in registries():
        registry.import_from_location()
        for name in getattr(registry, 'names', registry.module_dict):
            part = registry.get(name)
            if name in REFUSED or not inspect.isclass(part):
                continue
            tree = ast.parse(textwrap.dedent(inspect.getsource(part)))
            for node in ast.walk(tree):
                named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                if named and node.func.id in ('eval', 'exec', '__import__', 'import_module'):
                    calls.add((name, ast.unparse(node.args[0])))
    assert {argument for _, argument in calls} <= {*EVALUATED}, calls


def test_the_weights_that_training_started_from_are_left_out():
    init = dict(type='Pretrained', checkpoint='https://example.org/resnet.pth')
    model = dict(HONEST, backbone=dict(HONEST['backbone'], init_cfg=init))
    text = Config(dict(model=model)).pretty_text
    kept = stored_config(dict(meta=dict(cfg=text)))
    assert kept.to_dict() == dict(model=dict(backbone=HONEST['backbone']))


def test_only_what_is_needed_is_kept():
    other = dict(type='not.registered')
    cfg = dict(
        model=dict(HONEST, decoder=other),
        default_scope='mmkd3d',
        train_dataloader=other,
        custom_hooks=[other],
        class_names=['bed'],
    )
    content = dict(meta=dict(cfg=Config(cfg).pretty_text))
    kept = stored_config(content)
    assert set(kept) == {'model', 'default_scope', 'class_names'}
    assert set(kept.model) == {'backbone'}
    rejects('not.registered', stored_config, content, detector=True)
    assert stored_config(content, trust=True).to_dict() == cfg


@pytest.mark.parametrize('text', ['-' * 10**5 + '1', '(' * 10**4, 'a=' * 10**4 + '1', '\0', 3, [1]])
def test_text_that_breaks_a_parser_is_an_error(text):
    rejects('more than assignments', stored_config, dict(meta=dict(cfg=text)))


def test_structures_that_never_end_are_an_error():
    loop = dict(type='PointMAE')
    loop['self'] = loop
    rejects('contains itself', stored_config, dict(meta=dict(cfg=loop)))
    many = 1
    for _ in range(40):  # 2^40 entries in 40 lists
        many = [many, many]
    rejects('contains itself', stored_config, dict(meta=dict(cfg=dict(a=many))))


def test_metadata_of_other_types_are_named():
    for meta in ([1], 'text', torch.ones(2)):
        rejects("under 'meta', expected a dict", stored_config, dict(meta=meta))
        rejects("under 'meta', expected a dict", stored_spec, dict(meta=meta))
    state = dict(weight=torch.ones(1))
    for wrong in (dict(points='many'), dict(points=-1), dict(up='w'), dict(normalize=['a'])):
        rejects('input_spec', stored_spec, dict(state, meta=dict(input_spec=wrong)))
