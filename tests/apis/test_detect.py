"""Detection in scans: input formats, predicted boxes and output files."""

import json
import re

import numpy as np
import pytest
import torch
import trimesh
from matplotlib.image import imread

import mmkd3d
from mmkd3d.apis import detect
from mmkd3d.datasets.scannet_layout import CLASSES
from tests.detection_runs import small_detector, write_checkpoint
from tests.helpers import rejects
from tests.ops.rooms import random_room
from tools import infer

pytest.importorskip('mmdet3d')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    cfg, path = small_detector(), tmp_path_factory.mktemp('weights') / 'votenet.pth'
    meta = dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=CLASSES))
    return write_checkpoint(cfg, path, **meta)


@pytest.fixture(scope='module')
def inferencer(checkpoint):
    return mmkd3d.Det3DInferencer(None, checkpoint, 'cpu')


@pytest.fixture(scope='module')
def room():
    return random_room(0, num_points=500)['points']


def boxes(inferencer, scan, **kwargs):
    (result,) = inferencer(scan, score_threshold=0.0, **kwargs)['predictions']
    return result['boxes']


def geometry(found):
    return np.array([[*b['center'], *b['size'], b['yaw']] for b in found])


def write_all(room, folder):
    """Write the room in every supported format."""
    np.save(folder / 'a.npy', room)
    np.savez(folder / 'b.npz', points=room)
    room.tofile(folder / 'c.bin')
    np.savetxt(folder / 'd.txt', room)
    trimesh.PointCloud(room[:, :3]).export(folder / 'e.ply')
    return sorted(folder.iterdir())


def test_every_format_gives_the_boxes_of_the_array(inferencer, room, tmp_path):
    wanted = geometry(boxes(inferencer, room))
    assert len(wanted) >= 3
    files = write_all(room, tmp_path)
    results = inferencer(str(tmp_path), score_threshold=0.0)['predictions']
    assert [r['name'] for r in results] == [p.as_posix() for p in files]
    for result in results:
        np.testing.assert_allclose(geometry(result['boxes']), wanted, atol=1e-4)
    again = inferencer([str(p) for p in files], 3, score_threshold=0.0)
    assert len(again['predictions']) == len(files)
    np.random.rand(3), torch.rand(3)  # results ignore the global generators and keep them
    state = np.random.get_state()[1].copy()
    np.testing.assert_array_equal(geometry(boxes(inferencer, room)), wanted)
    assert (np.random.get_state()[1] == state).all()


def test_boxes_are_those_of_the_model(inferencer, room):
    """Gravity centres, one class per box, sorted by score, as in mmdet3d."""
    (sample,) = inferencer(room, return_datasamples=True)['predictions']
    pred = sample.pred_instances_3d
    found = boxes(inferencer, room)
    scores = [b['score'] for b in found]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pred.scores_3d.max()
    best = pred.scores_3d.argmax()
    np.testing.assert_allclose(found[0]['center'], pred.bboxes_3d.gravity_center[best])
    np.testing.assert_allclose(found[0]['size'], pred.bboxes_3d.dims[best])
    assert found[0]['class_name'] == CLASSES[pred.labels_3d[best]]
    unique = pred.bboxes_3d.tensor.numpy().round(3)
    assert len(found) == len(np.unique(unique, axis=0)) < len(unique)
    thresholded = inferencer(room, score_threshold=scores[2])['predictions'][0]
    assert thresholded['boxes'] == [b for b in found if b['score'] >= scores[2]]


def test_boxes_are_in_the_coordinates_of_the_scan(inferencer, room, tmp_path):
    """A scan in map coordinates: boxes, JSON and PLY come back there, in double precision."""
    room = room[:, :3].astype(np.float64)
    low, high = room.min(0), room.max(0)
    room -= [*np.rint((low + high) / 2)[:2], np.rint(low[2])]
    shift = np.array([5e5, 5.4e6, 312.0])
    near = inferencer(room, score_threshold=0.0)['predictions'][0]['boxes']
    scans = [room + shift, room, room + shift * 2]
    results = inferencer(scans, score_threshold=0.0, out_dir=tmp_path)
    for factor, found in zip((1, 0, 2), results['predictions']):
        wanted = geometry(near) + np.append(shift * factor, np.zeros(4))
        np.testing.assert_allclose(geometry(found['boxes']), wanted, rtol=0, atol=1e-5)
    written = json.loads((tmp_path / 'cloud_0.json').read_text())
    assert written == results['predictions'][0]
    plyfile = pytest.importorskip('plyfile')
    for name in ('points', 'found'):
        vertex = plyfile.PlyData.read(tmp_path / f'cloud_0_{name}.ply')['vertex']
        moved = np.stack([vertex[axis] for axis in 'xyz'], 1) - shift
        vertex = plyfile.PlyData.read(tmp_path / f'cloud_1_{name}.ply')['vertex']
        as_it_is = np.stack([vertex[axis] for axis in 'xyz'], 1)
        np.testing.assert_allclose(moved, as_it_is, rtol=0, atol=1e-5)
    assert '(500000.0, 5400000.0, 312.0)' in (tmp_path / 'cloud_0.html').read_text()
    (sample,) = inferencer(scans[:1], return_datasamples=True)['predictions']
    assert sample.origin.tolist() == shift.tolist()


def test_a_scan_on_a_map_may_be_turned_and_in_millimetres(checkpoint, room):
    room = room[:, :3].astype(np.float64)
    room -= [*np.rint(room.mean(0))[:2], 0]
    y_up = (room[:, [1, 2, 0]] + [5.4e6, 0, 5e5]) * 1000
    wanted = geometry(boxes(mmkd3d.Det3DInferencer(None, checkpoint, 'cpu'), room))
    turned = mmkd3d.Det3DInferencer(None, checkpoint, 'cpu', up='y', unit=0.001)
    found = geometry(boxes(turned, y_up)) - np.array([5e5, 5.4e6, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-3)


def test_bad_scans_are_skipped_and_listed_on_request(
    inferencer, checkpoint, room, tmp_path, capsys
):
    colours = np.concatenate([room[:, :3], room[:, :3]], axis=1)
    colours[3, 4] = np.nan
    for name, points in (('a', room), ('b', colours), ('c', room.T), ('d', room)):
        np.save(tmp_path / f'{name}.npy', points)
    bad = []
    found = inferencer(str(tmp_path), 2, bad=bad)['predictions']
    assert [p['name'][-5:] for p in found] == ['a.npy', 'd.npy']
    assert 'b.npy: 1 of' in bad[0] and 'c.npy' in bad[1] and len(bad) == 2
    found = inferencer(str(tmp_path), drop_nan=True, bad=(again := []))['predictions']
    assert len(found) == 3 and again == bad[1:]
    options = (
        f'--checkpoint {checkpoint} --out {tmp_path}/out --device cpu --skip-bad --no-pictures'
    )
    with pytest.raises(SystemExit) as stop:
        infer.main([str(tmp_path), *options.split()])
    assert stop.value.code == 3 and '2 left out' in capsys.readouterr().err
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['a.json', 'bad.txt', 'd.json']
    assert (tmp_path / 'out/bad.txt').read_text().splitlines() == bad


def test_data_samples_leave_the_device_with_their_boxes(inferencer, room, monkeypatch):
    from mmdet3d.structures import DepthInstance3DBoxes

    moved = []
    monkeypatch.setattr(
        DepthInstance3DBoxes, 'to', lambda boxes, device: moved.append(device) or boxes
    )
    inferencer(room, return_datasamples=True)
    assert moved[-1:] == ['cpu']


def test_other_axes_and_units_are_brought_to_metres(checkpoint, room):
    """A scan in millimetres with y up yields the same boxes as one in metres."""
    wanted = geometry(boxes(mmkd3d.Det3DInferencer(None, checkpoint, 'cpu'), room))
    y_up = np.concatenate([room[:, [1, 2, 0]] * 1000, room[:, 3:]], 1)
    inferencer = mmkd3d.Det3DInferencer(None, checkpoint, 'cpu', up='y', unit=0.001)
    np.testing.assert_allclose(geometry(boxes(inferencer, y_up)), wanted, atol=1e-3)


def test_what_is_no_room_in_metres_is_told_with_its_extent(inferencer, room, recwarn):
    inferencer(room)
    assert not [w for w in recwarn if 'extends' in str(w.message)]
    for scale, words in (
        ((1000, 1000, 1000), 'may be millimetres: then set unit=0.001'),
        ((1 / 0.3048,) * 3, 'may be feet: then set unit=0.3048'),
        ((0.001, 0.001, 0.001), 'may be kilometres: then set unit=1000'),
        ((1, 1 / 3, 3), "up='y'"),
    ):
        odd = room[:, :3] * scale
        extent = f'{np.ptp(odd.astype("float32")[:, 0]):.4g} x'
        with pytest.warns(UserWarning, match=f'{extent}.*{words}'):
            inferencer(odd)


def test_files_of_a_scan(inferencer, room, tmp_path, monkeypatch):
    monkeypatch.delenv('DISPLAY', raising=False)
    np.savez(tmp_path / 'two.npz', points=np.stack([room, room]))
    out = tmp_path / 'out'
    results = inferencer(tmp_path / 'two.npz', score_threshold=0.0, out_dir=out)
    ends = '.json', '.png', '.html', '_points.ply', '_found.ply'
    assert results['visualization'] == [[out / f'two_{i}{end}' for end in ends] for i in range(2)]
    written = json.loads((out / 'two_1.json').read_text())
    assert written == results['predictions'][1]
    assert imread(out / 'two_0.png').std() > 0
    cloud = trimesh.load(out / 'two_0_points.ply')
    np.testing.assert_allclose(cloud.vertices, room[:, :3])
    bars = trimesh.load(out / 'two_0_found.ply', process=False)
    found = written['boxes']
    assert len(bars.vertices) == 96 * len(found)
    low = min(b['center'][2] - b['size'][2] / 2 for b in found)
    assert bars.bounds[0, 2] == pytest.approx(low - 0.01, abs=1e-4)
    assert found[0]['class_name'] in (out / 'two_0.html').read_text()
    for folder in 'ab':  # output file names stay unique
        (tmp_path / 'in' / folder).mkdir(parents=True)
        np.save(tmp_path / 'in' / folder / 'scan.npy', room)
    paths = inferencer(tmp_path / 'in', out_dir=tmp_path / 'b', no_save_vis=True)['visualization']
    assert [p.name for (p,) in paths] == ['scan.json', 'scan_2.json']


def test_a_dense_mesh_is_its_vertices(tmp_path, monkeypatch, inferencer):
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=2.0)
    mesh.export(tmp_path / 'scan.ply')
    for number, wanted in ((600, 642), (700, 700)):  # the mesh has 642 vertices
        monkeypatch.setattr(detect, 'MESH_POINTS', number)
        (scan,) = inferencer._read(tmp_path / 'scan.ply', load_dim=None)
        assert len(scan.points) == wanted


def test_columns_of_a_scan_are_chosen_by_name(tmp_path, inferencer, room):
    header = ';'.join(f'c{k}' for k in range(room.shape[1]))
    np.savetxt(tmp_path / 'a.csv', room, delimiter=';', header=header, comments='')
    columns = header.split(';')
    columns[:3] = 'c2', 'c0', 'c1'
    (scan,) = inferencer._read(tmp_path / 'a.csv', load_dim=None, columns=columns)
    np.testing.assert_allclose(scan.points[:, :3], room[:, [2, 0, 1]], rtol=1e-6)


def test_config_by_name_and_by_file(checkpoint, tmp_path):
    cfg = small_detector()
    cfg.dump(tmp_path / 'mine.py')
    by_file = mmkd3d.Det3DInferencer(str(tmp_path / 'mine.py'), checkpoint, 'cpu')
    assert by_file.classes == CLASSES
    with pytest.warns(UserWarning, match='randomly initialized'):
        named = mmkd3d.Det3DInferencer('votenet_toy', device='cpu')
    assert named.classes == CLASSES


def test_bad_scans_are_named(inferencer):
    for scan, words in (
        (np.zeros((0, 3)), 'empty'),
        (np.full((40, 3), np.nan), 'NaN'),
        (np.zeros((40, 2)), 'N, >=3'),
        ('nowhere.ply', 'nowhere.ply'),
        ([], 'no scan'),
    ):
        rejects(words, inferencer, scan, error=(ValueError, FileNotFoundError))


def test_missing_colors_are_an_error_or_zeros(room, tmp_path):
    cfg = small_detector()
    cfg.test_dataloader.dataset.pipeline[0].use_dim = [0, 1, 2, 3, 4, 5]
    with pytest.warns(UserWarning, match='randomly'):
        strict = mmkd3d.Det3DInferencer(cfg, device='cpu')
    assert strict(room)['predictions']
    rejects("cloud 0: expected column 5.*missing='zero'", strict, room[:, :3])
    with pytest.warns(UserWarning, match='randomly'):
        filled = mmkd3d.Det3DInferencer(cfg, device='cpu', missing='zero')
    assert filled(room[:, :3])['predictions']


def test_configs_that_do_not_fit_are_refused(checkpoint, tmp_path):
    build = mmkd3d.Det3DInferencer
    cfg = small_detector()
    cfg.test_dataloader.dataset.metainfo.classes = [*CLASSES, 'piano']
    rejects('config names 19.*num_classes=18', build, cfg, checkpoint, 'cpu')
    cfg, meta = small_detector(), dict(classes=CLASSES[:10])
    other = write_checkpoint(cfg, tmp_path / 'x.pth', dataset_meta=meta)
    rejects('checkpoint names 10', build, cfg, other, 'cpu')
    for meta in (dict(dataset_meta=[1]), dict(dataset_meta=dict(classes=7)), dict(CLASSES='abc')):
        other = write_checkpoint(cfg, tmp_path / 'x.pth', **meta)
        rejects("the checkpoint's meta.*expected", build, cfg, other, 'cpu')
    cfg.test_dataloader.dataset.pipeline.pop(0)
    rejects('no LoadPointsFromFile', build, cfg, checkpoint, 'cpu')
    cfg.test_dataloader = None
    rejects('no test_dataloader', build, cfg, checkpoint, 'cpu')


def test_tool(checkpoint, room, tmp_path, capsys):
    room.tofile(tmp_path / 'room.bin')
    options = f'--checkpoint {checkpoint} --score 0 --out {tmp_path}/out --device cpu'
    infer.main([str(tmp_path / 'room.bin'), *options.split()])
    said = capsys.readouterr().out
    assert 'room.bin:' in said and ' at ' in said
    assert str(tmp_path / 'out/room.png') in said
    infer.main([str(tmp_path / 'room.bin'), *options.replace('--score 0', '--score 1').split()])
    assert re.search(
        'no box with a score of 1 or more; the best one has 0', capsys.readouterr().out
    )
    options = ['nothing.ply', '--checkpoint', str(checkpoint)]
    rejects('nothing.ply', infer.main, options, error=SystemExit)
