"""Unusual rooms in datasets, detectors and the metric."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, METRICS, MODELS, init_default_scope
from mmengine.runner import Runner

from tests.detection_runs import HEADS, small_detector, write_checkpoint
from tests.ops.rooms import CLASSES, random_room, write_rooms

pytest.importorskip('mmdet3d')
from tests.helpers import rejects
from tools import test as test_tool  # noqa: E402


def keep(room, rows):
    """Keep only some points of a room."""
    return dict(room, **{k: room[k][rows] for k in ('points', 'instance', 'semantic')})


def without_boxes(room):
    none = dict(boxes=room['boxes'][:0], labels=room['labels'][:0])
    return dict(room, **none, instance=0 * room['instance'], semantic=room['semantic'] ** 0)


def with_an_empty_box(room):
    return dict(room, boxes=room['boxes'] + [[0, 0, 9, 0, 0, 0]], instance=0 * room['instance'])


def with_a_flat_box(room):
    return dict(room, boxes=room['boxes'] * [1, 1, 1, 1, 1, 0])


ODD = {
    'no boxes': without_boxes,
    'fewer points than asked for': lambda room: keep(room, slice(50)),
    'fewer points than in a patch': lambda room: keep(room, slice(5)),
    'one point': lambda room: keep(room, slice(1)),
    'one point, no boxes': lambda room: without_boxes(keep(room, slice(1))),
    'boxes without points': with_an_empty_box,
    'boxes without height': with_a_flat_box,
}


def go_through(name, rooms, folder):
    """Train on the rooms, then evaluate; returns whether the losses are finite, and scores."""
    cfg = small_detector(name, write_rooms(folder, rooms))
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).train()

    def batch(loader):
        dataset = DATASETS.build(cfg[loader].dataset)
        return pseudo_collate([dataset[i] for i in range(len(dataset))])

    losses = model(**model.data_preprocessor(batch('train_dataloader'), True), mode='loss')
    total = sum(torch.as_tensor(v).sum() for v in losses.values())
    model.parse_losses(losses)[0].backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    finite = bool(total.isfinite()) and all(g.isfinite().all() for g in gradients)

    model.eval()
    metric = METRICS.build(cfg.test_evaluator)
    metric.dataset_meta = dict(classes=CLASSES, box_type_3d='Depth')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    for i in range(len(dataset)):
        with torch.no_grad():
            samples = model.test_step(pseudo_collate([dataset[i]]))
        metric.process(None, [sample.to_dict() for sample in samples])
    return finite, metric.evaluate(len(dataset))


@pytest.mark.parametrize('odd', ODD.values(), ids=list(ODD))
@pytest.mark.parametrize('name', HEADS)
@pytest.mark.parametrize('share', ['one', 'all'])
def test_odd_rooms_train_and_are_evaluated(name, odd, share, tmp_path):
    rooms = [random_room(0, 600), random_room(1, 600)]
    rooms = [odd(rooms[0]), odd(rooms[1]) if share == 'all' else rooms[1]]
    finite, scores = go_through(name, rooms, tmp_path)
    assert finite
    assert 0 <= scores['mAP_0.25'] <= 1 and 0 <= scores['mAR_0.50'] <= 1


@pytest.mark.parametrize('value', [np.nan, np.inf])
@pytest.mark.parametrize('name', HEADS)
def test_points_that_are_not_finite_are_told(name, value, tmp_path):
    rooms = [random_room(0, 600), random_room(1, 600)]
    rooms[1]['points'][:, 1] = value
    rejects(r'(Scene|Cloud) 1 .*not finite', go_through, name, rooms, tmp_path)


class NoBatch(Hook):
    """Fails when a batch is loaded."""

    def before_train_iter(self, *args, **kwargs):
        raise AssertionError


@pytest.mark.parametrize('name', HEADS)
def test_classes_that_do_not_fit_the_head_or_the_checkpoint(name, tmp_path):
    cfg = small_detector(name, write_rooms(tmp_path / 'rooms'))
    cfg.work_dir = str(tmp_path / 'out')

    def test_says(message):
        cfg.dump(tmp_path / 'config.py')
        rejects(message, test_tool.main, [str(tmp_path / 'config.py'), str(checkpoint)])

    cfg.model.bbox_head.num_classes = 10
    meta = dict(classes=CLASSES[:10])
    checkpoint = write_checkpoint(cfg, tmp_path / 'small.pth', dataset_meta=meta)
    runner = Runner.from_cfg(cfg)
    runner.register_hook(NoBatch())
    rejects('18 classes.*num_classes=10', runner.train)
    test_says('18 classes.*num_classes=10')
    cfg.model.bbox_head.num_classes = 18
    test_says('bbox_head')
    if name == 'votenet':  # class order differs from training
        meta = dict(classes=CLASSES[::-1])
        checkpoint = write_checkpoint(cfg, tmp_path / 'turned.pth', dataset_meta=meta)
        test_says('class 0 is ')
