"""mmdetection3d's own tools run our configs outside the checkout.

``mim train mmdet3d CONFIG`` runs the same script, ``.mim/tools/train.py`` of
the installed mmdetection3d, with the config and ``--launcher none``. If mmcv
lacks compiled operators, this needs ``python -m mmkd3d.doctor --install-startup``.
"""

import json
from pathlib import Path

import pytest

from tests.detection_runs import HEADS
from tests.ops.rooms import write_rooms
from tests.packages import check_run, install, make_environment

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group('wheel')]
pytest.importorskip('mmdet3d')
OPTIONS = [
    'train_cfg.max_epochs=1',
    'train_cfg.val_interval=1',
    'default_hooks.logger.interval=1',
    'model.backbone.init_cfg=None',
    'model.backbone.num_groups=32',
    'model.backbone.depth=1',
    *(
        f'{split}_dataloader.{option}'
        for split in ('train', 'val', 'test')
        for option in ('num_workers=0', 'persistent_workers=False')
    ),
]


@pytest.fixture(scope='module')
def site(wheel, tmp_path_factory):
    """Environment with the wheel installed, and the location of mmdet3d."""
    python, purelib = make_environment(tmp_path_factory.mktemp('site') / 'env')
    install(python, wheel)
    check_run([python, '-m', 'mmkd3d.doctor', '--install-startup'], purelib)
    found = check_run(
        [python, '-c', 'import importlib.util; print(importlib.util.find_spec("mmdet3d").origin)'],
        purelib,
    )
    tools = found.stdout.strip().replace('__init__.py', '.mim/tools')
    return python, purelib / 'mmkd3d' / '.mim' / 'configs', tools


def smaller(name):
    head = [
        f'model.bbox_head.{key}.num_point={value["num_point"]}'
        if isinstance(value, dict)
        else f'model.bbox_head.{key}={value}'
        for key, value in HEADS[name].items()
    ]
    return ['--cfg-options', *OPTIONS, *head]


def losses_of(folder):
    (log,) = folder.glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return [row['loss'] for row in rows if 'loss' in row]


def run_tools(python, cwd, *commands):
    """Run several tools of mmdetection3d in sequence in one process.

    Args:
        commands: Path of a tool followed by its arguments.
    """
    code = f"""
import runpy, sys
for command in {[list(map(str, command)) for command in commands]}:
    sys.argv = command
    runpy.run_path(command[0], run_name='__main__')
"""
    check_run([python, '-c', code], cwd, DISPLAY='')


@pytest.mark.parametrize(
    'name',
    [
        name if name == 'votenet' else pytest.param(name, marks=pytest.mark.nightly)
        for name in HEADS
    ],
)
def test_our_configs_train_and_are_drawn(name, site, tmp_path):
    python, configs, tools = site
    write_rooms(tmp_path / 'data/scannet_small')
    config = configs / 'scannet_small' / f'{name}_pointvit-mini_1xb2-60e_scannet-small.py'
    train = [f'{tools}/train.py', config, '--launcher', 'none', '--work-dir', 'out']
    test = [f'{tools}/test.py', config, 'out/epoch_1.pth', '--show-dir', 'drawn']
    # visualizers are looked up by name
    run_tools(
        python,
        tmp_path,
        [*train, *smaller(name), 'visualizer.name=train'],
        [*test, '--task', 'lidar_det', *smaller(name), 'visualizer.name=test'],
    )
    assert losses_of(tmp_path / 'out')
    for end in ('.png', '.html', '_found.ply', '_truth.ply'):
        assert len(list((tmp_path / 'drawn').glob(f'*{end}'))) >= 2


@pytest.mark.nightly
@pytest.mark.parametrize('imports', ['', "custom_imports = dict(imports=['mmkd3d'])"])
def test_a_config_of_a_user_with_our_student(imports, site, tmp_path):
    """A stock config of mmdetection3d whose backbone is replaced by our student."""
    python, _, tools = site
    write_rooms(tmp_path / 'data/scannet')
    (tmp_path / 'mine.py').write_text(f"""
_base_ = 'mmdet3d::votenet/votenet_8xb8_scannet-3d.py'
{imports}
model = dict(
    backbone=dict(
        _delete_=True, type='mmkd3d.PointTransformer', embed_dims=32, depth=1,
        num_heads=2, num_groups=32, group_size=16, patch_dims=(16, 16),
        with_cls_token=False, fps_rule='mmcv'),
    neck=dict(type='mmkd3d.TokensToSeeds', in_channels=32, out_channels=256))
train_dataloader = dict(dataset=dict(times=1))
""")
    options = [option for option in OPTIONS if 'backbone' not in option]
    arguments = ['mine.py', '--launcher', 'none', '--work-dir', 'out', '--cfg-options', *options]
    check_run([python, f'{tools}/train.py', *arguments], tmp_path)
    assert losses_of(tmp_path / 'out')


@pytest.mark.nightly
def test_mim_trains_our_config(site, tmp_path):
    """Runs ``mim train`` itself if installed."""
    mim = pytest.importorskip('mim')
    python, configs, _ = site
    # mim may be installed outside the packages of this environment.
    (configs.parents[2] / 'mim.pth').write_text(str(Path(mim.__file__).parents[1]))
    write_rooms(tmp_path / 'data/scannet_small')
    config = configs / 'scannet_small/votenet_pointvit-mini_1xb2-60e_scannet-small.py'
    arguments = ['mmdet3d', config, '--gpus', '0', '--work-dir', 'out', *smaller('votenet')]
    check_run([python, '-m', 'mim', 'train', *arguments], tmp_path)
    assert losses_of(tmp_path / 'out')
