"""``tools/visualize.py frames`` on the command line."""

import pytest
from matplotlib.image import imread

pytest.importorskip('mmdet3d')

from mmkd3d.datasets import toy_rooms  # noqa: E402
from mmkd3d.datasets.scannet_layout import CLASSES  # noqa: E402
from tests.helpers import rejects
from tests.models import stub_teachers  # noqa: E402, F401
from tools import visualize  # noqa: E402

ROOMS = dict(num_train=2, num_val=0, num_points=3000, frames=2)


@pytest.fixture
def config(tmp_path):
    root = tmp_path / 'rooms'
    pipeline = [
        dict(type='LoadPointsFromFile', coord_type='DEPTH', load_dim=6, use_dim=[0, 1, 2]),
        dict(type='LoadAnnotations3D', with_bbox_3d=True, with_label_3d=True),
        dict(type='GlobalAlignment', rotation_axis=2),
        dict(type='Pack3DDetInputs', keys=['points', 'gt_bboxes_3d', 'gt_labels_3d']),
    ]
    hook = dict(
        type='mmkd3d.DistillationHook',
        frames=dict(root=str(root / 'posed_images'), num_frames=1),
        target=dict(
            type='mmkd3d.PointTarget',
            teacher=dict(type='mmkd3d.StubDenseTeacher'),
            views=dict(type='mmkd3d.PosedFrames', num_views=1, tolerance=0.1),
        ),
    )
    dataset = dict(
        type='mmkd3d.ToyRooms',
        data_root=str(root),
        rooms=ROOMS,
        pipeline=pipeline,
        metainfo=dict(classes=CLASSES),
    )
    path = tmp_path / 'config.py'
    path.write_text(
        "default_scope = 'mmdet3d'\n"
        "model = dict(type='VoteNet')\n"
        f'train_dataloader = dict(dataset={dataset!r})\n'
        f'custom_hooks = [{hook!r}]\n'
    )
    yield path
    toy_rooms._made.clear()


def test_scans_are_drawn_with_what_the_teacher_says(config, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv('DISPLAY', raising=False)
    out = tmp_path / 'out'
    visualize.main(['frames', str(config), '--out', str(out), '--num', '2'])
    names = ['frames.html', 'frames_0.png', 'frames_1.png']
    assert sorted(p.name for p in out.iterdir()) == names
    printed = capsys.readouterr().out
    assert all(str(out / name) in printed for name in names)
    assert all(imread(out / name).std() > 0.01 for name in names[1:])
    page = (out / 'frames.html').read_text()
    assert '"scene0000_00"' in page and '"scene0001_00"' in page
    share = int(page.split('"features, ')[1].split('%')[0])
    assert 20 < share < 100  # over both frames, although the hook uses one


def test_what_can_not_be_drawn_is_named(config, tmp_path):
    text = config.read_text()
    config.write_text(text + 'custom_hooks = []\n')
    rejects(
        'no DistillationHook with frames', visualize.main, ['frames', str(config)], error=SystemExit
    )
    (tmp_path / 'empty').mkdir()
    config.write_text(text.replace('posed_images', '../empty'))
    rejects(
        'None of the 2 scans has frames', visualize.main, ['frames', str(config)], error=SystemExit
    )
