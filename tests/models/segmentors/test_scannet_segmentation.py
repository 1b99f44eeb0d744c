"""Our backbones and heads in mmdetection3d's segmentor, on files in its ScanNet layout."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd3d.datasets.scannet_layout import SEG_IDS
from mmkd3d.datasets.toy_rooms import write_toy_rooms
from mmkd3d.engine.hooks.class_weight import class_weights, count_labels
from tests.helpers import REPO
from tests.models import small_m2ae
from tests.models.steps import SMALL

pytest.importorskip('mmdet3d')
BLOCKS = dict(num_points=256, block_size=1.5)
BACKBONE = dict(SMALL, num_groups=32, out_indices=(0, 1))
HEAD = dict(in_channels=24, num_levels=2, propagation_dims=(24, 24), hidden_dims=(24, 16))
PYRAMID_HEAD = dict(
    type='mmkd3d.PyramidSegHead',
    in_channels=small_m2ae.DIMS[-3:],
    point_channels=6,
    num_classes=20,
    ignore_index=20,
    propagation_dims=(24, 24),
    hidden_dims=(24, 16),
)
PYRAMID = {
    'model.backbone': dict(small_m2ae.student(), _delete_=True, in_channels=6),
    'model.decode_head': dict(PYRAMID_HEAD, _delete_=True),
}
XYZ = 'act/benchmarks/semseg_act-pointvit-s_2xb16-60e_scannet'
COLOR = 'act/benchmarks/semseg_act-pointvit-s_color_2xb16-60e_scannet'


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    root = tmp_path_factory.mktemp('rooms') / 'scannet'
    return write_toy_rooms(root, num_train=3, num_val=2, num_points=2000)


def small(name, root, work_dir, points=BLOCKS, **options):
    """Return a shipped config with a small model, for the rooms in a folder."""
    cfg = Config.fromfile(REPO / f'configs/{name}.py')
    cfg.model.backbone.pop('init_cfg')
    cfg.model.backbone.update(BACKBONE)
    cfg.model.decode_head.update(HEAD)
    cfg.model.test_cfg.update(points)
    for step in cfg.train_dataloader.dataset.pipeline:
        if step.type == 'mmdet3d.IndoorPatchPointSample':
            step.update(points)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0)
        loader.dataset.data_root = str(root)
    cfg.train_dataloader.batch_size = 3
    cfg.visualizer.vis_backends = []
    cfg.log_level = 'ERROR'
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = work_dir.name
    cfg.merge_from_dict(options)
    return cfg


def labels_of(root, split):
    """Return the class of each point, 20 if it has none, for each scan of a split."""
    with open(root / f'scannet_infos_{split}.pkl', 'rb') as file:
        infos = pickle.load(file)['data_list']
    classes = np.full(41, 20)
    classes[list(SEG_IDS)] = range(20)
    return [
        classes[np.fromfile(root / 'semantic_mask' / info['pts_semantic_mask_path'], np.int64)]
        for info in infos
    ]


class Predictions(Hook):
    """Collects the predictions of each room."""

    def __init__(self):
        self.found = []

    def after_val_iter(self, runner, batch_idx, data_batch, outputs):
        self.found += [
            (s.pred_pts_seg.pts_semantic_mask.cpu().numpy(), s.pts_seg_logits.pts_seg_logits)
            for s in outputs
        ]


def naive_scores(truth, guesses, num_classes=20):
    """Return IoUs and accuracy, counted point by point."""
    hit, true, predicted = (np.zeros(num_classes) for _ in range(3))
    for t, g in zip(np.concatenate(truth), np.concatenate(guesses)):
        if t == num_classes:
            continue
        true[t] += 1
        predicted[g] += 1
        hit[t] += t == g
    with np.errstate(invalid='ignore'):
        return hit / (true + predicted - hit), hit.sum() / true.sum()


@pytest.mark.parametrize(
    'name, options', [(XYZ, {}), (COLOR, PYRAMID)], ids=['xyz', 'pyramid of colours']
)
def test_a_run_trains_and_segments_whole_rooms(name, options, rooms, tmp_path):
    cfg = small(name, rooms, tmp_path, **options)
    cfg.train_cfg = dict(by_epoch=True, max_epochs=2, val_interval=2)
    runner, hook = Runner.from_cfg(cfg), Predictions()
    runner.register_hook(hook)
    before = copy.deepcopy(runner.model.state_dict())
    runner.train()
    for key, value in runner.model.named_parameters():
        assert not torch.equal(before[key], value), key
    assert len(hook.found) == 2
    for guess, logits in hook.found:
        assert guess.shape == (2000,)
        assert logits.shape == (20, 2000) and logits.isfinite().all()
        assert torch.equal(logits.argmax(dim=0), torch.from_numpy(guess))
    scores = {key: runner.message_hub.get_scalar(f'val/{key}').current() for key in ('miou', 'acc')}
    ious, accuracy = naive_scores(labels_of(rooms, 'val'), [guess for guess, _ in hook.found])
    assert scores['miou'] == pytest.approx(np.nanmean(ious), abs=1e-6)
    assert scores['acc'] == pytest.approx(accuracy, abs=1e-6)


def test_overlapping_blocks_give_the_mean_of_their_logits(rooms, tmp_path):
    """The model returns the x coordinates in the block as logits."""
    runner = Runner.from_cfg(small(XYZ, rooms, tmp_path))
    model = runner.model.eval()
    cloud = torch.rand(700, 3) * torch.tensor([3.0, 1.5, 2.0])

    class Place(torch.nn.Module):
        def predict(self, points, metas, cfg):
            return points[:, None, :, 0].expand(-1, 20, -1)  # x of the block

    model.backbone, model.decode_head = torch.nn.Identity(), Place()
    logits = model.inference(cloud[None], [{}], True)[0]
    low, high = cloud[:, 0].min(), cloud[:, 0].max()
    # Origins are low, low + 0.75, ...; the last block is moved back to end at high.
    for place, value in zip(cloud[:, 0], logits[0]):
        starts = {round(min(low + 0.75 * k, high - 1.5).item(), 4) for k in range(3)}
        values = [
            place - (start + 0.75)
            for start in starts
            if start - 1e-3 <= place <= start + 1.5 + 1e-3
        ]
        assert min(values) - 1e-3 <= value <= max(values) + 1e-3
        if len(values) == 1:
            assert value == pytest.approx(values[0].item(), abs=1e-3)


def test_wrong_numbers_of_classes_and_wrong_colours_are_refused(rooms, tmp_path):
    def head(**options):
        return {f'model.decode_head.{key}': value for key, value in options.items()}

    cfg = small(XYZ, rooms, tmp_path, **head(num_classes=13, class_weight=None))
    text = 'data set has 20 classes.*num_classes=13.*decode_head.num_classes=20'
    with pytest.raises(ValueError, match=text):
        Runner.from_cfg(cfg).train()
    with pytest.raises(ValueError, match='label 20 .*ignore_index=13'):
        Runner.from_cfg(small(XYZ, rooms, tmp_path, **head(ignore_index=13))).val()
    cfg, plain = (small(name, rooms, tmp_path) for name in (COLOR, XYZ))
    cfg.train_dataloader.dataset.pipeline = plain.train_dataloader.dataset.pipeline
    with pytest.raises(ValueError, match='got points of 3 channels'):
        Runner.from_cfg(cfg).train()
    cfg = small(COLOR, rooms, tmp_path)
    steps = cfg.val_dataloader.dataset.pipeline
    unscaled = [step for step in steps if step.type != 'mmdet3d.NormalizePointsColor']
    cfg.val_dataloader.dataset.pipeline = unscaled  # training colours are scaled
    with pytest.raises(ValueError, match='divide colours by 255'):
        Runner.from_cfg(cfg).val()


def test_class_weights_count_every_room_once(rooms, tmp_path):
    cfg = small(XYZ, rooms, tmp_path)
    loader = cfg.train_dataloader
    loader.dataset.scene_idxs = [0, 0, 0, 1]  # the third room is not used
    loader.dataset = dict(type='RepeatDataset', times=3, dataset=loader.dataset)
    counts = count_labels(Runner.build_dataloader(loader).dataset)
    labels = np.concatenate(labels_of(rooms, 'train')[:2])
    wanted = np.bincount(labels, minlength=21)[:20].tolist()
    assert counts.tolist() == wanted
    for count, weight in zip(wanted, class_weights(counts)):
        expected = (max(wanted) / count) ** (1 / 3) if count else 0.0
        assert weight == pytest.approx(expected, rel=1e-6)


def test_the_hook_sets_the_weights_of_the_head(rooms, tmp_path):
    hook = {'default_hooks.class_weight': dict(type='mmkd3d.ClassWeightHook', power=0.5)}
    with pytest.raises(ValueError, match='already has a class_weight'):
        Runner.from_cfg(small(XYZ, rooms, tmp_path, **hook)).train()
    cfg = small(XYZ, rooms, tmp_path, **hook, **{'model.decode_head.class_weight': None})
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=2)
    runner = Runner.from_cfg(cfg)
    runner.train()
    counts = count_labels(runner.train_dataloader.dataset)
    head = runner.model.decode_head
    assert torch.equal(head.class_weight, class_weights(counts, 0.5))
    assert 'class_weight' not in head.state_dict()


@pytest.mark.slow
@pytest.mark.parametrize('name', [XYZ, COLOR], ids=['xyz', 'color'])
def test_real_scans(name, data_root, tmp_path):
    """After short training, accuracy on other scans exceeds that of the most frequent class."""
    subprocess.run(
        [sys.executable, data_root / 'make_scannet.py', tmp_path / 'scannet'],
        check=True,
        capture_output=True,
    )
    cfg = small(name, tmp_path / 'scannet', tmp_path, dict(num_points=1024, block_size=1.5))
    cfg.model.backbone.num_groups = 64
    cfg.train_dataloader.batch_size = 8
    cfg.train_dataloader.drop_last = False
    cfg.optim_wrapper.optimizer.lr = 3e-3
    cfg.param_scheduler = []
    cfg.train_cfg = dict(by_epoch=True, max_epochs=6, val_interval=6)
    runner, hook = Runner.from_cfg(cfg), Predictions()
    runner.register_hook(hook)
    runner.train()
    assert [len(guess) for guess, _ in hook.found] == [50000] * 3
    truth = np.concatenate(labels_of(tmp_path / 'scannet', 'val'))
    most = np.bincount(truth[truth < 20]).max() / (truth < 20).sum()
    score = runner.message_hub.get_scalar('val/acc').current()
    assert score > most
