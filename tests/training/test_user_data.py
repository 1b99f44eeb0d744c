"""Finetuning on folders and npz files, with the last or the best checkpoint."""

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmkd3d.apis.config_files import config_path
from tests import runs

NAMES = ('ball', 'box', 'plate')
SMALL = dict(
    model=dict(
        backbone=dict(
            embed_dims=24,
            depth=2,
            num_heads=2,
            num_groups=16,
            group_size=8,
            patch_dims=(8, 16),
            drop_path_rate=0.0,
            init_cfg=None,
        ),
        head=dict(in_channels=24, num_classes=3, **runs.HIDDEN),
    ),
    train_cfg=dict(max_iters=120, val_interval=60),
    default_hooks=dict(checkpoint=dict(interval=60)),
)


def shapes(count, rng):
    """Points (count, 96, 3) in a ball, a box or a plate, and labels."""
    points = rng.uniform(-1, 1, (count, 96, 3))
    label = np.arange(count) % 3
    norm = np.linalg.norm(points, axis=2, keepdims=True)
    points = np.where(label[:, None, None] == 0, points / norm * norm.clip(0.9, 1), points)
    points[label == 2] *= (1, 0.05, 1)
    return points, label


def in_folders(root, rng):
    for split, count in (('train', 48), ('test', 12)):
        for k, (points, label) in enumerate(zip(*shapes(count, rng))):
            folder = root / split / NAMES[label]
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / f'{k}.npy', points)
    return {split: dict(data_root=str(root / split)) for split in ('train', 'test')}


def in_a_file(root, rng):
    points, label = shapes(60, rng)
    np.savez(
        root / 'shapes.npz',
        points=points,
        label=label,
        names=np.array(NAMES),
        is_test=np.arange(60) >= 48,
    )
    return dict.fromkeys(('train', 'test'), dict(file=str(root / 'shapes.npz')))


@pytest.mark.slow
@pytest.mark.parametrize(
    'kind, write, best',
    [('few_1xb32-600i_folder', in_folders, False), ('1xb32-800i_npz', in_a_file, True)],
)
def test_shapes_of_the_user_are_told_apart(tmp_path, kind, write, best):
    data = write(tmp_path, np.random.default_rng(0))
    cfg = Config.fromfile(config_path(f'cls_pointvit-mini_{kind}'))
    cfg.merge_from_dict(SMALL)
    cfg.optim_wrapper.optimizer.lr = 3e-3
    cfg.param_scheduler = None
    cfg.merge_from_dict(runs.RUNTIME)
    cfg.merge_from_dict(dict(work_dir=str(tmp_path / 'run'), experiment_name=tmp_path.name))
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=8, num_workers=0)
        loader.dataset.update(data['train' if split == 'train' else 'test'])
        loader.dataset.pipeline[1].num_points = 64
    if best:
        cfg.default_hooks.checkpoint.save_best = 'acc/overall'
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.test()['acc/overall'] > 80
    files = {path.name for path in (tmp_path / 'run').glob('*.pth')}
    assert {'iter_60.pth', 'iter_120.pth'} <= files
    named = [name for name in files if name.startswith('best_acc_overall_')]
    assert len(named) == best and len(files) == 2 + best
