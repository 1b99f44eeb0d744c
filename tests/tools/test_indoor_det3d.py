"""Scans and boxes become a detection data set."""

import json
import re

import numpy as np
import pytest

from mmkd3d.datasets.infos import read_infos
from tests.datasets.own_rooms import CLASSES, own_room
from tests.helpers import rejects
from tools.prepare_data import indoor_det3d

HEAD = 'scan,class,x,y,z,dx,dy,dz,yaw'
STOP = dict(error=SystemExit)


def write(root, yaw=0.3, origin=(0, 0, 0), order=(0, 1, 2), factor=1.0):
    """Three scans as npy, and their boxes as rows; the last scan has none."""
    (root / 'scans').mkdir()
    rows = []
    for seed in range(3):
        points, instances = own_room(seed, 0 if seed == 2 else 4, yaw)
        points = points.astype(float)
        points[:, :3] = (points[:, order] + origin) * factor
        np.save(root / 'scans' / f'room{seed}.npy', points)
        for box in instances:
            values = np.array(box['bbox_3d'])
            center = (values[[*order]] + origin) * factor
            size = values[[k + 3 for k in order]] * factor
            rows.append([f'room{seed}', CLASSES[box['bbox_label_3d']], *center, *size, yaw])
    (root / 'val.txt').write_text('room1\n')
    write_csv(root / 'boxes.csv', rows)
    return rows


def write_csv(path, rows, head=HEAD):
    path.write_text('\n'.join([head, *(','.join(map(str, row)) for row in rows)]))


def run(root, *options, boxes='boxes.csv'):
    words = [root / 'scans', '--boxes', root / boxes, '--val', root / 'val.txt']
    indoor_det3d.main([str(x) for x in (*words, '--out', root / 'out', *options)])
    return {split: read_infos(root / f'out/indoor_infos_{split}.pkl') for split in ('train', 'val')}


@pytest.mark.parametrize(
    'given, options',
    [
        (dict(), []),
        (dict(yaw=0.0), []),
        (dict(order=(1, 2, 0)), ['--up', 'y']),
        (dict(factor=1000.0), ['--unit', '0.001']),
        (dict(origin=(431234.125, 5412345.5, 0)), []),
    ],
)
def test_boxes_and_points_are_turned_to_metres(given, options, tmp_path, capsys):
    write(tmp_path, **given)
    infos = run(tmp_path, '--columns', '4', *options)
    assert infos['train'].classes == CLASSES and len(infos['val'].data_list) == 1
    points, instances = own_room(0, 4, given.get('yaw', 0.3))
    written = np.fromfile(tmp_path / 'out/points/room0.bin', np.float32).reshape(-1, 4)
    found = infos['train'].data_list[0]
    boxes = np.array([box['bbox_3d'] for box in found['instances']])
    wanted = np.array([[*box['bbox_3d'], 0.0][:7] for box in instances])
    shift = written[0, :3] - points[0, :3]
    assert np.abs(shift - shift.round(4)).max() < 1e-4  # of a scan far away only
    np.testing.assert_allclose(written[:, :3] - shift, points[:, :3], atol=1e-4)
    np.testing.assert_allclose(boxes[:, :3] - shift, wanted[:, :3], atol=1e-4)
    np.testing.assert_allclose(boxes[:, 3:], wanted[:, 3:], atol=1e-4)
    assert infos['train'].data_list[1]['instances'] == []
    out = capsys.readouterr().out
    assert f'classes={CLASSES}' in out and 'scans have no box, such as room2' in out
    assert ('num_angle_bins=12' in out) == (given.get('yaw') != 0.0)
    mean = np.mean([box['bbox_3d'][3:6] for box in instances if box['bbox_label_3d'] == 1], axis=0)
    assert str(mean.round(3).tolist()) in out


def test_files_of_boxes_agree(tmp_path):
    rows = write(tmp_path)
    wanted = run(tmp_path)['train'].data_list
    names = [f'room{k}' for k in range(3)]
    keys = ('class', 'center', 'size', 'yaw')
    table = {
        name: [dict(zip(keys, (r[1], r[2:5], r[5:8], r[8]))) for r in rows if r[0] == name]
        for name in names
    }
    (tmp_path / 'table.json').write_text(json.dumps(table))
    (tmp_path / 'files').mkdir()
    for name, boxes in table.items():  # as tools/infer.py writes them
        boxes = [dict(box, class_name=box['class'], label=7, score=1.0) for box in boxes]
        boxes = [{k: v for k, v in box.items() if k != 'class'} for box in boxes]
        (tmp_path / 'files' / f'{name}.json').write_text(json.dumps(dict(name='x', boxes=boxes)))
    turned = [[*row[:8], np.rad2deg(row[8])] for row in rows]
    write_csv(tmp_path / 'degrees.csv', turned, HEAD.replace('class', 'Label'))
    semicolons = (tmp_path / 'boxes.csv').read_text().replace(',', ';')
    (tmp_path / 'semicolons.csv').write_text(semicolons, encoding='utf-8-sig')
    names = HEAD.replace('yaw', 'rotation_z').replace('x,y,z', 'x [m],y (m),Z [M]')
    write_csv(tmp_path / 'names.csv', [[*row, 0] for row in rows], names + ',pitch')
    cases = {
        'names.csv': [],
        'table.json': [],
        'files': [],
        'semicolons.csv': [],
        'degrees.csv': ['--degrees'],
    }
    for boxes, options in cases.items():
        found = run(tmp_path, *options, boxes=boxes)['train'].data_list
        for ours, theirs in zip(found, wanted):
            assert ours['sample_idx'] == theirs['sample_idx']
            for a, b in zip(ours['instances'], theirs['instances'], strict=True):
                np.testing.assert_allclose(a['bbox_3d'], b['bbox_3d'], atol=1e-6)
                assert a['bbox_label_3d'] == b['bbox_label_3d']


def test_mistakes_are_told(tmp_path):
    rows = write(tmp_path)

    def says(message, row=None, *options, head=HEAD):
        write_csv(tmp_path / 'boxes.csv', rows if row is None else [*rows, row], head)
        rejects(message, run, tmp_path, *options, **STOP)

    good = ['room0', 'crate', 1, 1, 0.5, 0.5, 0.5, 0.5, 0]
    says(r"'crate' is none of --classes pallet robot", None, '--classes', 'pallet', 'robot')
    says(r'box 8: the size is \[0.5, -1.0', [*good[:6], -1, 1, 0])
    says('box 8: the size is .*more than twice the diagonal of .*room0', [*good[:5], 1e6, 1, 1, 0])
    for name in ('angle', 'yaw_deg', 'rotation_y', 'Rotation', 'roll', 'theta [rad]'):
        head = HEAD.replace('yaw', name)
        says(rf"'{re.escape(name)}' seems to be a turn, '0.3'.*name it yaw", head=head)
    says("'yaw \\(deg\\)' is not in metres.*--degrees", head=HEAD.replace('yaw', 'yaw (deg)'))
    says("'dx \\[mm\\]' is not in metres.*--unit", head=HEAD.replace('dx', 'dx [mm]'))
    says('two columns for class', [*good, 'robot'], head=HEAD + ',label')
    says("classes 'Crate' and 'crate' differ in case", ['room0', 'Crate', *good[2:]])
    says('twice', None, '--classes', *CLASSES, CLASSES[0])
    says(r"'cr\\x1b\[31m' is no class name", ['room0', 'cr\x1b[31m', *good[2:]])
    for unit in ('0', '-1', 'nan', 'inf'):
        says('--unit is more than 0 metres', None, '--unit', unit)
    for columns in ('0', '2', '-1'):
        says(f'--columns is 3 .*got {columns}', None, '--columns', columns)
    box = {'scan': 'room0', 'class': 'crate', 'center': [1, 1, 1], 'size': [1, 1, 1]}
    for change, message in (
        ({'center': [float('nan'), 1, 1]}, 'expected finite numbers'),
        ({'class': ['crate']}, r"the name of a class, got \['crate'\]"),
        ({'rotations': dict(x=0, y=0, z=90)}, "'rotations' seems to be a turn"),
    ):
        (tmp_path / 'one.json').write_text(json.dumps([dict(box, **change)]))
        says(message, None, '--boxes', str(tmp_path / 'one.json'))
    (tmp_path / 'deep.json').write_text('[' * 100000)
    says('deep.json: not read .*recursion', None, '--boxes', str(tmp_path / 'deep.json'))
    says('expected finite numbers', [*good[:2], 'nan', *good[3:]])
    says("could not convert string to float: 'far'", [*good[:2], 'far', *good[3:]])
    says('box 8: no point of .*room0.npy is inside.*drop-empty', [*good[:2], 90, *good[3:]])
    says('room7', ['room7', *good[1:]])
    says('the yaw 45.0 is no angle in radians', [*good[:-1], 45])
    says('no z, dx, dy, dz, got', head='scan,class,x,y')
    says('does not name its scan', head=HEAD.replace('scan', 'id'))
    says('expected column 5, got 4', None, '--columns', '6')
    says('No training scan has a drone', None, '--classes', *CLASSES, 'drone')
    says('no such file or folder of boxes', None, '--boxes', 'none.csv')
    (tmp_path / 'val.txt').write_text('room9\n')
    says('lists room9, of which there is no scan')
    (tmp_path / 'val.txt').write_text('room1\nroom1.npy\n')
    says('val.txt lists room1 more than once')
    (tmp_path / 'val.txt').write_text('room1\n', encoding='utf-16')
    says('val.txt: expected a text in UTF-8')
    (tmp_path / 'val.txt').write_text('room1\n', encoding='utf-8-sig')
    (tmp_path / 'train.txt').write_text('room0\nroom1\n')
    says('room1 is in both lists', None, '--train', str(tmp_path / 'train.txt'))
    (tmp_path / 'files').mkdir()
    says('no file of boxes for 3 of 3 scans', None, '--boxes', str(tmp_path / 'files'))
    assert not (tmp_path / 'out/indoor_infos_train.pkl').exists()
    write_csv(tmp_path / 'boxes.csv', [*rows, [*good[:2], 90, *good[3:]]])
    assert len(run(tmp_path, '--drop-empty')['train'].data_list[0]['instances']) == 4
