"""Training and evaluation of part segmentation with shipped configs."""

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from tests import runs
from tests.datasets import official
from tests.helpers import REPO

SMALL = dict(
    model=dict(
        backbone=dict(
            embed_dims=48,
            depth=3,
            num_heads=4,
            num_groups=48,
            group_size=16,
            patch_dims=(16, 32),
            drop_path_rate=0.0,
            out_indices=(0, 1, 2),
            init_cfg=None,
        ),
        head=dict(in_channels=48, propagation_dims=(64, 64), hidden_dims=(32, 32)),
    ),
    optim_wrapper=dict(optimizer=dict(lr=3e-3)),
    param_scheduler=dict(warmup=0, lag=0),
    default_hooks=dict(checkpoint=dict(interval=100)),
)


def run(cfg, work_dir, epochs, **data):
    """Metrics before and after training."""
    cfg.merge_from_dict(SMALL)
    cfg.param_scheduler.period = epochs
    cfg.train_cfg.update(max_epochs=epochs, val_interval=100)
    cfg.merge_from_dict(runs.RUNTIME)
    cfg.merge_from_dict(dict(work_dir=str(work_dir), experiment_name=work_dir.name))
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=5, num_workers=0)
        loader.dataset.update(data)
    runner = Runner.from_cfg(cfg)
    before = runner.test()
    runner.train()
    after = runner.test()
    for metrics in (before, after):
        assert all(0 <= value <= 100 for value in metrics.values())
    return before, after


@pytest.mark.slow
def test_the_real_caps_are_learnt_from_the_official_layout(tmp_path, data_root):
    official.write_shapenetpart(tmp_path / 'data', data_root)
    cfg = Config.fromfile(
        REPO / 'configs/act/benchmarks/partseg_act-pointvit-s_1xb16-300e_shapenetpart.py'
    )
    before, after = run(
        cfg, tmp_path / 'run', 45, data_root=str(tmp_path / 'data'), categories=('Cap',)
    )
    # with one category, both means are over the same shapes
    assert after['part_iou/instance'] == pytest.approx(after['part_iou/category'])
    # a constant prediction has an IoU of at most 50 %
    assert after['part_iou/instance'] > max(50, 20 + before['part_iou/instance'])


@pytest.mark.slow
def test_parts_of_an_npz_file_are_learnt_without_a_table(tmp_path):
    """Cubes with an upper and a lower part; the height of the cut depends on the category."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (24, 256, 3))
    category = np.arange(24) % 2
    upper = points[..., 1] > np.where(category, 0.3, -0.3)[:, None]
    np.savez(
        tmp_path / 'parts.npz',
        points=points,
        category=category,
        category_names=['low', 'high'],
        part=upper + 2 * category[:, None],
        is_test=np.arange(24) >= 14,
    )
    bases = [
        f'{REPO}/configs/_base_/{name}.py'
        for name in (
            'models/part-segmentor_pointvit-s',
            'datasets/npz_parts',
            'schedules/segment_300e',
            'default_runtime',
        )
    ]
    (tmp_path / 'cfg.py').write_text(
        f'_base_ = {bases}\n'
        'model = dict(\n'
        '    head=dict(num_classes=4, num_categories=2),\n'
        '    category_parts=None)\n'
        'train_dataloader = dict(sampler=dict(type="DefaultSampler"))\n'
    )
    before, after = run(
        Config.fromfile(tmp_path / 'cfg.py'), tmp_path / 'run', 30, file=str(tmp_path / 'parts.npz')
    )
    assert after['part_iou/category'] > 20 + before['part_iou/category']
    assert after['part_iou/accuracy'] > 85
