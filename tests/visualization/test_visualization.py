"""Drawing functions and output files."""

import numpy as np
import pytest
import trimesh
from matplotlib.image import imread

from mmkd3d.visualization import draw_boxes, draw_clouds, pretraining, write_ply
from mmkd3d.visualization.panels import EDGES, box_corners
from tests.models.pretrainers.test_act import act
from tests.models.pretrainers.test_act_autoencoder import cloud, stage_one
from tests.models.pretrainers.test_pretrainers import distillation, point_mae


def test_ply_keeps_points_and_colors(tmp_path):
    points = np.random.default_rng(0).random((50, 3)).astype('float32')
    colors = np.arange(150).reshape(50, 3)
    cloud = trimesh.load(write_ply(tmp_path / 'a' / 'c.ply', points, colors))
    np.testing.assert_array_equal(cloud.vertices.astype('float32'), points)
    np.testing.assert_array_equal(cloud.colors[:, :3], colors)


def test_box_has_twelve_edges_of_its_extents_and_turns_by_its_yaw():
    box = np.array([1.0, 2, 3, 4, 5, 6, 0.7])
    corners = box_corners(box)
    lengths = [np.linalg.norm(corners[a] - corners[b]) for a, b in EDGES]
    assert sorted(np.round(lengths, 6)) == [4] * 4 + [5] * 4 + [6] * 4
    np.testing.assert_allclose(corners.mean(0), box[:3])
    # counter-clockwise, seen from above
    front = box_corners(np.array([0.0, 0, 0, 2, 1, 1, np.pi / 2]))[[1, 3, 5, 7]]
    np.testing.assert_allclose(front.mean(0), [0, 1, 0], atol=1e-9)


def test_pictures_are_drawn_without_a_display(tmp_path, monkeypatch):
    monkeypatch.delenv('DISPLAY', raising=False)
    points = np.random.default_rng(0).random((200, 3))
    boxes = dict(truth=np.array([[0.5, 0.5, 0.5, 0.4, 0.4, 0.4, 0]]), found=np.empty((0, 7)))
    empty = imread(draw_boxes(tmp_path / 'e.png', points, dict(found=[])))
    drawn = imread(draw_boxes(tmp_path / 'b.png', points, boxes))
    green = (drawn[..., 1] > drawn[..., 0] + 0.3).sum()
    assert green > (empty[..., 1] > empty[..., 0] + 0.3).sum() + 100
    picture = imread(
        draw_clouds(tmp_path / 'c.png', [dict(a=points, b=(points, points[:, 0]))] * 2)
    )
    assert picture.shape[:2] == (600, 600) and picture.std() > 0


@pytest.mark.parametrize(
    'make, titles',
    [
        (point_mae, ['input', 'visible', 'predicted', 'both']),
        (distillation, ['input', 'cosine']),
        (stage_one, ['input', 'coarse', 'predicted']),
        (act, ['input', 'cosine']),
    ],
)
def test_what_a_pretrainer_predicts_can_be_drawn(make, titles, tmp_path):
    drawn = make().eval()(dict(points=cloud(2)), mode='predict')
    rows = [pretraining._panels(sample) for sample in drawn]
    assert [list(row) for row in rows] == [titles] * 2
    assert draw_clouds(tmp_path / 'drawn.png', rows).is_file()
