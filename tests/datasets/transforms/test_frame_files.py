"""Frames that are loaded or skipped, and errors for bad files."""

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement
from PIL import Image
from torch.utils.data import DataLoader, Dataset

pytest.importorskip('mmdet3d')

from mmkd3d.datasets.transforms.frames import LoadPosedFrames  # noqa: E402
from mmkd3d.ops import project  # noqa: E402
from tests.helpers import rejects


def packed(scene='s', **meta):
    meta.setdefault('axis_align_matrix', np.eye(4))
    meta['lidar_path'] = f'x/{scene}.bin'
    return dict(inputs=dict(points=torch.zeros(4, 3)), data_samples=BaseDataElement(metainfo=meta))


@pytest.fixture
def folder(tmp_path):
    """Five frames, 10, 20, ..., 50; cameras look along z at x = 0 to 4."""
    (tmp_path / 's').mkdir()
    poses = np.tile(np.eye(4), (5, 1, 1))
    poses[:, 0, 3] = np.arange(5)
    for i in range(1, 6):
        image = np.full((6, 8, 3), 10 * i, np.uint8)
        image[:, 4:] = 200
        Image.fromarray(image).save(tmp_path / f's/{i * 10:05d}.jpg', quality=100, subsampling=0)
        depth = np.full((3, 4), 1000 * i, np.uint16)
        depth[0, 0] = 0
        Image.fromarray(depth).save(tmp_path / f's/{i * 10:05d}.png')
    write_cameras(tmp_path / 's', poses)
    return tmp_path


def write_cameras(folder, poses, **others):
    cameras = others or dict(K_8x6=np.array([[9.0, 0, 3.5], [0, 9, 2.5], [0, 0, 1]]))
    np.savez(folder / 'cameras.npz', frame=10 * np.arange(1, 6), cam2world=poses, **cameras)


def places_of(item):
    """Camera positions along x, which identify the loaded frames."""
    return (-item['data_samples'].frames.extrinsic[:, 0, 3]).round().tolist()


def load(folder, scene='s', **options):
    options = dict(choose='even', size=(6, 8)) | options
    return LoadPosedFrames(folder, **options)(packed(scene))


def test_fields_are_as_documented(folder):
    frames = load(folder, size=(3, 4))['data_samples'].frames
    assert frames.image.shape == (5, 3, 3, 4)
    assert frames.image.dtype == torch.uint8
    assert frames.image[2, 0, 1, 0] == pytest.approx(30, abs=4)
    assert frames.image[2, 0, 1, 3] == pytest.approx(200, abs=4)
    wanted = torch.arange(1.0, 6)[:, None, None].repeat(1, 3, 4)
    wanted[:, 0, 0] = 0
    assert torch.equal(frames.depth, wanted)
    # resizing keeps the image centre at the centre and an edge at the edge
    point = torch.tensor([[[0.0, 0, 1], [-4 / 9, 0, 1]]]).repeat(5, 1, 1)
    point[..., 0] += torch.arange(5)[:, None]
    uv = project(point, frames.extrinsic, frames.intrinsic).uv
    torch.testing.assert_close(uv, torch.tensor([[1.5, 1.0], [-0.5, 1.0]]).repeat(5, 1, 1))


def test_random_choices_differ_and_leave_the_global_generator_alone(folder):
    step = LoadPosedFrames(folder, 2, size=(6, 8))
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    drawn = [tuple(places_of(step(packed()))) for _ in range(40)]
    assert np.array_equal(before[0], np.random.get_state()[1])
    assert torch.equal(before[1], torch.get_rng_state())
    assert all(len(set(pair)) == 2 for pair in drawn)
    assert len(set(drawn)) > 10
    again = LoadPosedFrames(folder, 2, size=(6, 8))
    assert drawn == [tuple(places_of(again(packed()))) for _ in range(40)]


class Repeated(Dataset):
    def __init__(self, step):
        self.step = step

    def __len__(self):
        return 16

    def __getitem__(self, idx):
        return tuple(places_of(self.step(packed())))


def test_workers_and_epochs_draw_other_frames(folder):
    step = LoadPosedFrames(folder, 2, size=(6, 8))
    loader = DataLoader(Repeated(step), num_workers=2, batch_size=8, collate_fn=list)
    batches = [tuple(batch) for _ in range(2) for batch in loader]
    assert len(set(batches)) == 4


def test_scans_without_frames_pass_through_with_one_warning(folder, monkeypatch):
    told = []
    monkeypatch.setattr(
        'mmkd3d.datasets.transforms.frames.print_log', lambda message, *_: told.append(message)
    )
    step = LoadPosedFrames(folder, size=(6, 8))
    for scene in ('s', 'none', 'other', 's', 'none'):
        item = packed(scene)
        points, before = item['inputs']['points'], item['data_samples'].clone()
        after = step(item)
        assert after['inputs']['points'] is points
        if scene != 's':
            sample = after['data_samples']
            assert sample.keys() == before.keys() == []
            assert set(sample.metainfo_keys()) == set(before.metainfo_keys())
    assert step.num_without == 3
    assert len(told) == 1 and told[0].startswith('none has no usable frames')


def test_poses_that_are_not_finite_are_passed_over(folder):
    poses = np.tile(np.eye(4), (5, 1, 1))
    poses[:, 0, 3] = np.arange(5)
    poses[1], poses[3, 2, 1] = -np.inf, np.nan
    write_cameras(folder / 's', poses)
    assert places_of(load(folder)) == [0, 2, 4]
    assert sorted(places_of(load(folder, choose='random'))) == [0, 2, 4]
    poses[:] = np.inf
    write_cameras(folder / 's', poses)
    assert 'frames' not in load(folder)['data_samples']


def test_frames_without_depth_are_passed_over_or_kept(folder):
    (folder / 's/00020.png').unlink()
    Image.fromarray(np.zeros((3, 4), np.uint16)).save(folder / 's/00040.png')
    assert places_of(load(folder)) == [0, 2, 4]
    # other frames replace them
    assert len(places_of(load(folder, num_frames=2, choose='random'))) == 2
    kept = load(folder, without_depth='keep')
    assert places_of(kept) == [0, 1, 2, 3, 4]
    there = kept['data_samples'].frames.depth.flatten(1).any(1)
    assert there.tolist() == [True, False, True, False, True]
    for path in (folder / 's').glob('*.png'):
        path.unlink()
    assert 'frames' not in load(folder)['data_samples']
    frames = load(folder, without_depth='keep')['data_samples'].frames
    assert len(frames) == 5 and not frames.depth.any()


def test_even_choices_are_spread_and_broken_files_are_named(folder):
    assert places_of(load(folder)) == places_of(load(folder, num_frames=9)) == [0, 1, 2, 3, 4]
    assert places_of(load(folder, num_frames=3)) == [0, 2, 4]
    missing = dict(error=FileNotFoundError)
    rejects('posed images', load, folder / 'nowhere', **missing)
    rejects('choose is one of', load, folder, choose='best')
    rejects('without_depth is one of', load, folder, without_depth='drop')
    step = LoadPosedFrames(folder, size=(6, 8))
    item = packed()
    item['data_samples'] = BaseDataElement(metainfo=dict(sample_idx=3))
    rejects('lidar_path.*sample_idx', step, item)
    item = packed()
    item['data_samples'].pop('axis_align_matrix')
    rejects('aligned=False', step, item)
    rejects('more than once', step, packed(transformation_3d_flow=['R', 'S', 'T', 'R', 'S', 'T']))
    (folder / 's/00030.jpg').write_bytes(b'no image')
    rejects('00030.jpg: cannot be decoded', load, folder)
    (folder / 's/00030.jpg').unlink()
    rejects('00030.jpg is missing', load, folder, **missing)
    write_cameras(folder / 's', np.tile(np.eye(4), (5, 1, 1)), K_648x484=np.eye(3))
    rejects(r"no K_8x6, only \['K_648x484'\]", load, folder)
    (folder / 's/cameras.npz').unlink()
    rejects('cameras.npz is missing', load, folder, **missing)
