import importlib.util
import pickle
import shutil

import numpy as np
import pytest

from mmkd3d.datasets.base import read_meta
from mmkd3d.datasets.toy_rooms import write_toy_rooms
from mmkd3d.datasets.verify import CHECKS, check_scannet
from mmkd3d.registry import DATASETS
from tests.datasets import official
from tests.helpers import REPO


@pytest.fixture
def tool(capsys):
    """Run the command: arguments -> (exit code, output)."""
    spec = importlib.util.spec_from_file_location(
        'dataset_tool', REPO / 'tools' / 'prepare_data' / 'dataset.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*args):
        try:
            code = module.main([str(a) for a in args])
        except SystemExit as stop:
            code = stop.code
        return code, capsys.readouterr().out

    return run


@pytest.mark.parametrize('name', CHECKS)
def test_an_absent_folder_is_not_complete(name, tmp_path):
    report = CHECKS[name](tmp_path / 'none')
    assert not report.complete
    assert any(line.startswith('MISSING') for line in report.lines)
    assert set(read_meta('published')[name]) == {'what', 'terms', 'get', 'size', 'layout'}


def test_wrong_counts_and_missing_files_are_told(data_root, tmp_path):
    official.write_shapenetpart(tmp_path, data_root)
    next(tmp_path.glob('02954340/*.txt')).unlink()
    report = CHECKS['shapenetpart'](tmp_path)
    text = '\n'.join(report.lines)
    assert not report.complete
    assert 'test shapes: 11, expected 2,874' in text
    assert 'part segmentation reads them; the first that lacks' in text


def test_few_shot_counts_the_published_episodes(tmp_path):
    cloud = np.zeros((1, 3))
    for way in (5, 10):
        for shot in (10, 20):
            sizes = dict(train=shot, test=20)
            content = {k: [(cloud, c, c) for c in range(way)] * n for k, n in sizes.items()}
            folder = tmp_path / f'{way}way_{shot}shot'
            folder.mkdir()
            for fold in range(10):
                (folder / f'{fold}.pkl').write_bytes(pickle.dumps(content))
    assert CHECKS['modelnet_fewshot'](tmp_path).complete
    (tmp_path / '10way_20shot' / '9.pkl').unlink()
    report = CHECKS['modelnet_fewshot'](tmp_path)
    missing = [x for x in report.lines if x.startswith('MISSING')]
    assert len(missing) == 1 and '9.pkl' in missing[0]


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    out = tmp_path_factory.mktemp('v') / 'r'
    return write_toy_rooms(out, num_train=2, num_val=1, num_points=2000)


def test_scannet_counts_scenes_boxes_and_alignment(rooms, tmp_path):
    report = check_scannet(rooms, partial=True)
    text = '\n'.join(report.lines)
    assert report.complete and 'train scenes: 2' in text
    assert 'train axis alignment: 2 of 2' in text and 'hash' in text
    full = check_scannet(rooms)
    assert not full.complete
    assert 'train scenes: 2, expected 1,201' in '\n'.join(full.lines)
    shutil.copytree(rooms, tmp_path / 'r')
    (tmp_path / 'r' / 'instance_mask' / 'scene0001_00.bin').unlink()
    report = check_scannet(tmp_path / 'r', partial=True)
    line = next(x for x in report.lines if x.startswith('MISSING'))
    assert 'vote targets' in line and 'scene0001_00.bin' in line


def test_renderings_of_shapenet_are_checked_where_there_are_some(tmp_path):
    (tmp_path / 'shapenet_pc').mkdir()
    (tmp_path / 'ShapeNet-55').mkdir()
    for split in ('train', 'test'):
        names = [f'02691156-{k}.npy' for k in 'abc']
        (tmp_path / 'ShapeNet-55' / f'{split}.txt').write_text('\n'.join(names))
    lines = CHECKS['shapenet55'](tmp_path).lines
    assert not any('renderings of' in line for line in lines)
    (tmp_path / 'shapenet_images').mkdir()
    (tmp_path / 'shapenet_images' / '02691156-b.png').touch()
    found = [line for line in CHECKS['shapenet55'](tmp_path).lines if 'renderings of train' in line]
    assert len(found) == 1 and '1 of 3 files' in found[0]
    assert found[0].endswith('02691156-a.png')


def test_the_tool_tells_by_its_exit_code(tool, rooms, tmp_path):
    code, text = tool('verify', 'scannet', '--root', rooms, '--partial')
    assert code == 0 and 'is complete' in text
    code, text = tool('verify', 'shapenet55', '--root', tmp_path)
    assert code == 1 and 'NOT complete' in text and 'shapenet_pc' in text
    code, text = tool('info', 'scanobjectnn')
    assert code == 0 and 'form' in text and 'main_split' in text
    code, text = tool('verify', '--help')
    assert '{' + ','.join(CHECKS) + '}' in text
    code, text = tool('--help')
    assert code == 0 and 'python tools/prepare_data/dataset.py verify' in text


def test_all_bad_files_of_a_folder_are_listed_in_one_run(tool, tmp_path):
    root, good = tmp_path / 'shapes', tmp_path / 'good.txt'
    points = np.random.default_rng(0).normal(size=(2, 9, 3))
    points[1, 4] = np.nan
    for name in ('bed', 'chair'):
        (root / name).mkdir(parents=True)
        np.save(root / name / 'a.npy', points[0])
        np.save(root / name / 'b.npy', points[1])
    (root / 'bed/c.npy').write_bytes(b'cut off')
    code, said = tool('read', root, '--write-list', good)
    assert code == 1 and said.count('BAD') == 3
    assert 'bed/c.npy' in said and '2 of 5 shapes of 2 classes can be read' in said
    data = DATASETS.build(dict(type='PointCloudFolder', data_root=root, file_list=good))
    assert [data.get_data_info(i)['sample_id'] for i in range(2)] == ['bed/a', 'chair/a']
    assert tool('read', root, '--drop-nan')[1].count('BAD') == 1
    (root / 'bed/c.npy').unlink()
    assert tool('read', root, '--drop-nan')[0] == 0
    code, said = tool('read', tmp_path / 'nowhere')
    assert code == 1 and 'nowhere is missing' in said
