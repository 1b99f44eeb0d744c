"""Loading, augmenting and packing renderings, and errors for bad files."""

import pickle

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from PIL import Image

from mmkd3d.models.data_preprocessor import PointDataPreprocessor
from mmkd3d.registry import DATASETS, TRANSFORMS
from tests.helpers import rejects

POINTS = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)


def load(results, **cfg):
    return TRANSFORMS.build(dict(type='LoadRendering', **cfg))(results)


def augment(image, **cfg):
    step = TRANSFORMS.build(dict(type='AugmentRendering', **cfg))
    return step(dict(image=image))['image']


@pytest.fixture
def folder(tmp_path):
    """A red top over a blue bottom, as 02691156-abc.png."""
    image = np.zeros((30, 20, 3), np.uint8)
    image[:15, :, 0], image[15:, :, 2] = 200, 100
    Image.fromarray(image).save(tmp_path / '02691156-abc.png')
    return tmp_path


def test_the_picture_is_found_by_the_stem(folder):
    for results in (
        dict(path='somewhere/02691156-abc.npy', sample_id='other'),
        dict(sample_id='02691156-abc'),
        dict(sample_id='plane/02691156-abc'),
    ):
        image = np.asarray(load(results, root=folder)['image'])
        assert image.shape == (30, 20, 3)
        assert (image[0] == (200, 0, 0)).all() and (image[-1] == (0, 0, 100)).all()
    says = r'nope\.png is missing.*of nope.*KeepViewPoints'
    rejects(says, load, dict(sample_id='nope'), root=folder, error=FileNotFoundError)
    (folder / '02691156-abc.png').rename(folder / '02691156-abc-r0.png')
    image = load(dict(sample_id='02691156-abc'), root=folder, suffix='-r0.png')['image']
    assert image.size == (20, 30)


def test_published_channel_order_swaps_red_and_blue(folder):
    cv2 = pytest.importorskip('cv2')
    results = dict(sample_id='02691156-abc')
    swapped = load(dict(results), root=folder, channel_order='bgr')['image']
    straight = load(dict(results), root=folder)['image']
    np.testing.assert_array_equal(swapped, cv2.imread(str(folder / '02691156-abc.png')))
    np.testing.assert_array_equal(swapped, np.asarray(straight)[..., ::-1])
    rejects("'rgb' or 'bgr', got 'brg'", load, results, root=folder, channel_order='brg')


@pytest.mark.parametrize('mode', ['RGBA', 'LA', 'P', 'L', '1'])
def test_every_kind_of_png_becomes_rgb_on_white(tmp_path, mode):
    image = Image.new('RGBA', (8, 8), (0, 0, 0, 0))
    image.paste((80, 80, 80, 255), (0, 0, 4, 8))
    options = {}
    if mode == 'P':
        image = Image.new('P', (8, 8), 1)
        image.putpalette([80, 80, 80, 0, 0, 0])
        image.paste(0, (0, 0, 4, 8))
        options = dict(transparency=1)
    elif mode in ('L', '1'):
        image = Image.new(mode, (8, 8), 1)
    else:
        image = image.convert(mode)
    image.save(tmp_path / 'x.png', **options)
    read = load(dict(sample_id='x'), root=tmp_path)['image']
    assert read.mode == 'RGB'
    if mode in ('L', '1'):
        value = 255 if mode == '1' else 1
        assert (np.asarray(read) == value).all()
    else:
        assert (np.asarray(read)[:, :4] == 80).all()
        assert (np.asarray(read)[:, 4:] == 255).all()


def test_a_picture_that_cannot_be_decoded_is_named(tmp_path):
    noise = np.random.RandomState(0).randint(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / 'bad.png'
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    chunk = data[:40] + b'\xff' * 60 + data[100:]
    for damaged in (b'', b'not a picture', data[: len(data) // 2], chunk):
        path.write_bytes(damaged)
        rejects(r'bad\.png: cannot be decoded', load, dict(sample_id='bad'), root=tmp_path)


def gradient(width=100, height=80):
    row = np.linspace(0, 255, width).astype(np.uint8)
    return Image.fromarray(np.tile(row[None, :, None], (height, 1, 3)))


def test_output_is_a_tensor_in_the_unit_interval():
    for _ in range(10):
        image = augment(gradient())
        assert image.shape == (3, 224, 224) and image.dtype == torch.float32
        assert image.min() >= 0 and image.max() <= 1
    assert augment(gradient(), size=64, resize=72).shape == (3, 64, 64)
    image = augment(gradient(), train=False)  # only resizes
    expected = gradient().resize((224, 224), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal((image * 255).round().byte().permute(1, 2, 0), expected)
    step = TRANSFORMS.build(dict(type='AugmentRendering', size=32, resize=40))
    again = pickle.loads(pickle.dumps(step))  # must be picklable for workers
    assert again(dict(image=gradient()))['image'].shape == (3, 32, 32)


def test_the_crop_takes_its_share_and_half_are_flipped():
    np.random.seed(0)
    torch.manual_seed(0)
    # disable RandAugment and reduce the cutout to one pixel
    row, flipped, spans = gradient(256, 256), 0, []
    for _ in range(300):
        line = augment(row, num_ops=0, cutout=1)[0].median(0).values * 255
        flipped += bool(line[0] > line[-1])
        spans.append(abs(line[0] - line[-1]).item() / 255)
    assert 110 < flipped < 190
    # crop sides lie between sqrt(.64 * 3 / 4) and 1
    assert min(spans) > 0.67 and max(spans) <= 1
    assert np.mean(spans) < 0.95


def test_seeds_of_numpy_and_torch_decide():
    drawn = []
    for seed in (0, 0, 1):
        np.random.seed(seed)
        torch.manual_seed(seed)
        drawn.append(augment(gradient()))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def shapes(tmp_path, steps):
    (tmp_path / 'points').mkdir(exist_ok=True)
    for name in 'abc':
        np.save(tmp_path / 'points' / f'{name}.npy', POINTS)
    pipeline = [dict(type='LoadPoints'), *steps, dict(type='PackPoints')]
    cfg = dict(type='PointCloudFolder', data_root=tmp_path / 'points')
    return DATASETS.build(dict(cfg, pipeline=pipeline))


def test_missing_pictures_and_steps_are_named_before_training(tmp_path):
    (tmp_path / 'images').mkdir()
    gradient().save(tmp_path / 'images' / 'b.png')
    steps = [dict(type='LoadRendering', root=tmp_path / 'images')]
    says = r'images: no image for 2 of 3 shapes; the first: a\.png, c\.png\. .*Render'
    rejects(says, shapes, tmp_path, steps, error=FileNotFoundError)
    steps[0]['root'] = tmp_path / 'elsewhere'
    rejects('elsewhere is missing', shapes, tmp_path, steps, error=FileNotFoundError)
    augment, pack = (TRANSFORMS.build(dict(type=k)) for k in ('AugmentRendering', 'PackPoints'))
    rejects("needs 'image'.*LoadRendering", augment, dict(points=POINTS))
    rejects('AugmentRendering', pack, dict(points=POINTS, image=gradient()))
    keep = TRANSFORMS.build(dict(type='KeepViewPoints'))
    rejects("KeepViewPoints needs 'points'", keep, {})
    results = keep(dict(points=np.concatenate([POINTS, POINTS], 1)))
    results['points'][:] = 0  # view_points is a copy of the coordinates
    np.testing.assert_array_equal(results['view_points'], POINTS)


def test_images_and_view_points_reach_the_model(tmp_path):
    (tmp_path / 'images').mkdir()
    for name in 'abc':
        gradient().save(tmp_path / 'images' / f'{name}.png')
    steps = [
        dict(type='KeepViewPoints'),
        dict(type='SamplePoints', num_points=8),
        dict(type='NormalizePoints'),
        dict(type='LoadRendering', root=tmp_path / 'images'),
        dict(type='AugmentRendering', size=32, resize=40),
    ]
    data = shapes(tmp_path, steps)
    batch = PointDataPreprocessor()(pseudo_collate([data[0], data[1]]))
    assert batch['inputs']['points'].shape == (2, 8, 3)
    for sample in batch['data_samples']:
        assert sample.image.shape == (3, 32, 32)
        assert sample.image.dtype == torch.float32
        assert sample.view_points.dtype == torch.float32
        np.testing.assert_array_equal(sample.view_points, POINTS)
