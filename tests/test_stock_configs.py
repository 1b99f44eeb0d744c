"""Unchanged config files of the installed mmdetection3d on the CPU.

Our tools train and evaluate them; ``--cfg-options`` only reduces sizes. The
data is at the default path, ``data/NAME``.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

import mmkd3d  # noqa: F401  (replaces operators that mmcv lacks)

mmdet3d = pytest.importorskip('mmdet3d')
from tests import stock_data  # noqa: E402
from tools import test as test_tool  # noqa: E402
from tools import train as train_tool  # noqa: E402

CONFIGS = Path(mmdet3d.__file__).parent / '.mim' / 'configs'
DATA = dict(
    scannet=stock_data.write_scannet, sunrgbd=stock_data.write_sunrgbd, s3dis=stock_data.write_s3dis
)
EVERYDAY = ('votenet_8xb8_scannet-3d',)
NAMES = sorted(
    path.stem
    for family in ('votenet', 'groupfree3d', 'pointnet2', 'dgcnn')
    for path in (CONFIGS / family).glob('*.py')
)

RUN = [
    'train_cfg.max_epochs=1',
    'train_cfg.val_interval=1',
    'default_hooks.checkpoint.interval=1',
    'train_dataloader.batch_size=2',
    *(
        f'{split}_dataloader.{option}'
        for split in ('train', 'val', 'test')
        for option in ('num_workers=0', 'persistent_workers=False')
    ),
]
SSG = ['model.backbone.num_points=(64,32,16,16)', 'model.backbone.num_samples=(8,8,8,8)']
MSG = [SSG[0], 'model.backbone.num_samples=((4,8),(4,8),(4,8),(4,8))']
MODEL = dict(
    # mmdetection3d's IoU loss fails if no proposal is near an object
    votenet=[
        'model.backbone.num_points=(256,128,64,64)',
        SSG[1],
        'model.bbox_head.vote_aggregation_cfg.num_point=128',
    ],
    groupfree3d=SSG + ['model.bbox_head.num_proposal=16', 'model.bbox_head.num_decoder_layers=3'],
    pointnet2_ssg=SSG + ['model.test_cfg.num_points=512'],
    dgcnn=['model.backbone.num_samples=(5,5,5)', 'model.test_cfg.num_points=512'],
    pointnet2_msg=MSG + ['model.test_cfg.num_points=512'],
)


def fewer(cfg, place=''):
    """Options that reduce the number of sampled points throughout a config."""
    items = (
        cfg.items()
        if isinstance(cfg, dict)
        else enumerate(cfg)
        if isinstance(cfg, (list, tuple))
        else ()
    )
    for key, value in items:
        if key == 'num_points' and 'PointSample' in cfg.get('type', ''):
            yield f'{place}num_points=512'
        elif key == 'times':
            yield f'{place}times=1'
        yield from fewer(value, f'{place}{key}.')


@pytest.mark.parametrize(
    'name',
    [name if name in EVERYDAY else pytest.param(name, marks=pytest.mark.nightly) for name in NAMES],
)
def test_stock_config_trains_and_is_evaluated(name, tmp_path, monkeypatch):
    data = next(d for d in DATA if d in name)
    family = next(f for f in MODEL if name.startswith(f))
    DATA[data](tmp_path)
    monkeypatch.chdir(tmp_path)
    (config,) = CONFIGS.glob(f'*/{name}.py')
    loaders = {
        k: v for k, v in Config.fromfile(config).to_dict().items() if k.endswith('_dataloader')
    }
    options = ['--cfg-options', *RUN, *MODEL[family], *fewer(loaders)]
    for main, arguments, out in (
        (train_tool.main, [], 'trained'),
        (test_tool.main, ['trained/epoch_1.pth'], 'tested'),
    ):
        # visualizers are looked up by name, and a reused one keeps its first output folder
        main(
            [str(config), *arguments, '--work-dir', out, *options, f'visualizer.name={name}_{out}']
        )

    trained, tested = map(read_logs, ('trained', 'tested'))
    losses = [row['loss'] for row in trained if 'loss' in row]
    assert losses and np.isfinite(losses).all()
    metric = 'miou' if family.startswith(('pointnet2', 'dgcnn')) else 'mAP_0.25'
    for rows in (trained, tested):
        assert any(metric in row for row in rows)


def read_logs(folder):
    """All log records of a run."""
    lines = '\n'.join(path.read_text().strip() for path in Path(folder).glob('**/*.json'))
    return [json.loads(line) for line in lines.splitlines()]
