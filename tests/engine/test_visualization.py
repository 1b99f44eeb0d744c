"""Boxes drawn by a test run are written to the requested folder."""

import numpy as np
import pytest
import torch
import trimesh

from mmkd3d.datasets.scannet_layout import CLASSES
from mmkd3d.engine.hooks.visualization import DetectionVisualizationHook
from tests.detection_runs import small_detector, write_checkpoint
from tests.ops.rooms import random_room, write_rooms

pytest.importorskip('mmdet3d')
from tests.helpers import rejects
from tools import test as tool  # noqa: E402


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Run tools/test.py on three rooms; returns the output folder."""
    folder = tmp_path_factory.mktemp('run')
    cfg = small_detector('votenet', write_rooms(folder / 'rooms', 3))
    cfg.work_dir = str(folder / 'out')
    checkpoint = write_checkpoint(cfg, folder / 'small.pth')
    cfg.dump(folder / 'small.py')

    def test(name, *options):
        files = [str(folder / 'small.py'), str(checkpoint)]
        tool.main([*files, '--show-dir', str(folder / name), *options])
        return folder / name

    return test


def test_scenes_are_drawn_with_their_boxes(run, monkeypatch):
    monkeypatch.delenv('DISPLAY', raising=False)
    out = run('drawn', '--show-score', '0', '--show-num', '2')
    ends = ('.html', '.png', '_found.ply', '_points.ply', '_truth.ply')
    expected = [f'scene000{i}_00{end}' for i in range(2) for end in ends]
    assert sorted(p.name for p in out.iterdir()) == expected
    bars = trimesh.load(out / 'scene0001_00_truth.ply', process=False)
    boxes = random_room(1)['boxes']  # (3, 6), gravity centres
    assert len(bars.vertices) == 96 * len(boxes)
    low, high = bars.vertices.reshape(3, 96, 3).min(1), bars.bounds[1]
    np.testing.assert_allclose(low, boxes[:, :3] - boxes[:, 3:] / 2 - 0.01, atol=1e-4)
    assert high[2] == pytest.approx((boxes[:, 2] + boxes[:, 5] / 2).max() + 0.01, abs=1e-4)
    page = (out / 'scene0001_00.html').read_text()
    assert 'chair' in page and 'truth: 3' in page
    out = run('none', '--show-score', '1')  # no box reaches this score
    assert len(list(out.glob('*_truth.ply'))) == 3
    assert 'found: 0' in (out / 'scene0002_00.html').read_text()
    bars = trimesh.load(out / 'scene0002_00_found.ply')
    assert not len(getattr(bars, 'vertices', ()))


def test_what_can_not_be_drawn_is_told():
    for arguments, words in (
        (dict(draw=True), 'show-dir'),
        (dict(draw=True, test_out_dir='x', show=True), 'not --show'),
        (dict(vis_task='mono_det'), 'lidar_det'),
    ):
        rejects(words, DetectionVisualizationHook, **arguments)


def test_augmented_points_and_absent_truth(tmp_path):
    from mmdet3d.structures import DepthInstance3DBoxes, Det3DDataSample
    from mmengine.structures import InstanceData

    hook = DetectionVisualizationHook(True, tmp_path, score_thr=0.5)
    sample = Det3DDataSample()
    sample.pred_instances_3d = InstanceData(
        bboxes_3d=DepthInstance3DBoxes(torch.ones(2, 7)),
        scores_3d=torch.tensor([0.9, 0.1]),
        labels_3d=torch.tensor([0, 3]),
    )
    hook.draw_sample([torch.rand(9, 3)] * 2, sample, CLASSES)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ['scene_0.html', 'scene_0.png', 'scene_0_found.ply', 'scene_0_points.ply']
    assert 'found: 1' in (tmp_path / 'scene_0.html').read_text()
