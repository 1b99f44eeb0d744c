"""Caches of augmented copies: equal losses, uniform draws, refusals, budget."""

import copy
import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from PIL import Image

from mmkd3d.apis.teacher_cache import cache_targets
from mmkd3d.apis.teacher_copies import draw_copies, fit_copies, use_cached_copies
from mmkd3d.datasets.transforms.copies import AugmentedCopies
from mmkd3d.models.targets.cache import StaleCacheError
from mmkd3d.registry import DATASETS, MODELS
from tests.helpers import rejects
from tests.models.small_m2ae import i2p_mae
from tests.models.stub_teachers import IMAGE, StubDenseTeacher, StubImageTeacher

COUNT = 6
CLOUDS = 'model.target.cache'


def shapes(pipeline):
    """Config of a loader of ``COUNT`` shapes of 256 points."""
    data = dict(type='ToyShapes', num_samples=COUNT, num_points=256, pipeline=pipeline)
    return dict(batch_size=2, num_workers=0, dataset=data)


@pytest.fixture
def clouds():
    """I2P-MAE on augmented clouds of 200 points."""
    augments = [dict(type='ScaleTranslate')]
    model = i2p_mae(data_preprocessor=dict(type='PointDataPreprocessor', augments=augments))
    steps = [
        dict(type='SamplePoints', num_points=200),
        dict(type='NormalizePoints'),
        dict(type='PackPoints'),
    ]
    return Config(dict(default_scope='mmkd3d', model=model, train_dataloader=shapes(steps)))


@pytest.fixture
def images(tmp_path):
    """ReCon with augmented PNG files."""
    steps = [
        dict(type='SamplePoints', num_points=64),
        dict(type='LoadRendering', root=str(tmp_path / 'png')),
        dict(type='AugmentRendering', size=8, resize=10, cutout=2),
        dict(type='PackPoints'),
    ]
    target = dict(type='ImageTarget', teacher=IMAGE)
    model = dict(type='ReCon', targets=dict(img=target))
    cfg = Config(dict(default_scope='mmkd3d', model=model, train_dataloader=shapes(steps)))
    (tmp_path / 'png').mkdir()
    plain = dict(cfg.train_dataloader.dataset, pipeline=[])
    for i in range(COUNT):
        pixels = np.random.default_rng(i).integers(0, 255, (12, 12, 3), dtype='uint8')
        name = DATASETS.build(plain).get_data_info(i)['sample_id']
        Image.fromarray(pixels).save(tmp_path / 'png' / f'{name}.png')
    return cfg


def cached(cfg, folders):
    """The config of a training with caches, as ``tools/train.py`` makes it."""
    cfg = copy.deepcopy(cfg)
    cfg.merge_from_dict({option: str(folder) for option, folder in folders.items()})
    use_cached_copies(cfg)
    return cfg


def batch_of(cfg, seed=0):
    """The whole data set, drawn with a seed; (points, data samples)."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    batch = pseudo_collate([dataset[i] for i in range(COUNT)])
    preprocessor = MODELS.build(
        cfg.model.get('data_preprocessor') or dict(type='PointDataPreprocessor')
    )
    batch = preprocessor(batch, training=True)
    return batch['inputs']['points'], batch['data_samples']


def loss(cfg, batch):
    torch.manual_seed(3)
    model = MODELS.build(cfg.model)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.loss(*batch)


def test_a_copy_depends_on_the_sample_and_its_number_only():
    steps = [dict(type='SamplePoints', num_points=30), dict(type='ShufflePoints')]
    draw = AugmentedCopies(num_copies=3, transforms=steps, augments=[dict(type='RandomRotation')])
    points = np.random.default_rng(0).normal(size=(50, 3)).astype('float32')

    def copies(name, seed, count=300):
        np.random.seed(seed)
        torch.manual_seed(seed)
        return [draw(dict(points=points, sample_id=name)) for _ in range(count)]

    first, other = copies('a', 0), copies('a', 1)
    indices = [[c['copy_idx'] for c in found] for found in (first, other)]
    assert indices[0] != indices[1]
    assert np.bincount(indices[0], minlength=3).min() > 70  # of 100, 3.7 deviations below
    known = {c['copy_idx']: c['points'] for c in first}
    assert all((c['points'] == known[c['copy_idx']]).all() for c in first + other)
    shared = np.stack([*known.values(), copies('b', 0, 1)[0]['points']])
    assert len(np.unique(shared.round(4), axis=0)) == 4
    # The generators go on as if nothing but the number had been drawn.
    np.random.seed(0), torch.manual_seed(0)
    state = torch.get_rng_state()
    draw(dict(points=points, sample_id='a'))
    after = np.random.random()
    np.random.seed(0)
    np.random.randint(3)
    assert np.random.random() == after and torch.equal(torch.get_rng_state(), state)
    rejects("needs 'sample_id'", draw, dict(points=points))
    rejects('at least 1, got 0', AugmentedCopies, num_copies=0)


@pytest.mark.parametrize('dtype, rtol', [('float32', 1e-6), (None, 1e-3)])
def test_the_loss_of_i2p_mae_is_that_without_a_cache(clouds, tmp_path, dtype, rtol):
    folders = cache_targets(clouds, tmp_path, copies=2, dtype=dtype, device='cpu')
    stored = np.load(folders[CLOUDS] / 'features.npy')
    assert stored.shape == (2 * COUNT, 3, 6, 6, 6)  # saliency beside 5 channels
    assert stored.dtype == (dtype or 'float16')
    assert not np.allclose(stored[::2], stored[1::2], rtol=1e-2)
    cfg = cached(clouds, folders)
    assert not cfg.model.data_preprocessor.augments
    batch = batch_of(cfg)
    assert {sample.copy_idx for sample in batch[1]} == {0, 1}
    looked_up = StubDenseTeacher.images
    found = loss(cfg, batch)
    assert StubDenseTeacher.images == looked_up
    cfg.model.target.cache = None
    expected = loss(cfg, batch)
    assert StubDenseTeacher.images > looked_up
    torch.testing.assert_close(found, expected, rtol=rtol, atol=0)
    # other copies are other targets
    assert loss(cfg, batch_of(cfg, seed=1))['loss_semantic'] != expected['loss_semantic']


def test_the_loss_of_recon_is_that_without_a_cache_and_no_image_is_loaded(images, tmp_path):
    folders = cache_targets(images, tmp_path / 'out', copies=3, device='cpu')
    cfg = cached(images, folders)
    assert [step['type'].split('.')[-1] for step in cfg.train_dataloader.dataset.pipeline] == [
        'SamplePoints',
        'AugmentedCopies',
        'PackPoints',
    ]
    use_cached_copies(cfg)  # a config that was saved in training
    points, samples = batch_of(cfg)
    assert len({sample.copy_idx for sample in samples}) > 1 and 'image' not in samples[0]
    online = copy.deepcopy(cfg)
    (step,) = (s for s in online.train_dataloader.dataset.pipeline if 'num_copies' in s)
    step.transforms = cfg.model.targets.img.copies.transforms
    with_images = batch_of(online)[1]
    assert [s.copy_idx for s in with_images] == [s.copy_idx for s in samples]
    target = dict(cfg.model.targets.img)
    StubImageTeacher.images = 0
    feats = [MODELS.build(target)(points, given) for given in (samples, with_images)]
    assert torch.equal(*feats) and StubImageTeacher.images == 0
    expected = MODELS.build(dict(target, cache=None))(points, with_images)
    torch.testing.assert_close(feats[0], expected, rtol=1e-6, atol=1e-6)
    assert feats[0].std(0).min() > 0


def test_images_are_loaded_as_long_as_one_target_has_no_cache(images, tmp_path):
    folders = cache_targets(images, tmp_path / 'out', copies=2, device='cpu')
    images.model.targets.other = dict(type='ImageTarget', teacher=IMAGE)
    cfg = cached(images, folders)
    samples = batch_of(cfg)[1]
    assert 'image' in samples[0] and {sample.copy_idx for sample in samples} == {0, 1}


def test_augmentation_of_the_preprocessor_alone_is_drawn_in_copies(clouds):
    dataset = clouds.train_dataloader.dataset
    dataset.pipeline = [dict(type='LoadPoints'), dict(type='PackPoints')]
    copies = draw_copies(clouds, clouds.model.target, 2)
    assert [copies['transforms'], copies['augments']] == [[], [dict(type='ScaleTranslate')]]
    steps = [step['type'].rpartition('.')[2] for step in dataset.pipeline]
    assert steps == ['LoadPoints', 'AugmentedCopies', 'PackPoints']


def test_a_build_goes_on_and_a_finished_one_is_kept(clouds, tmp_path, monkeypatch):
    read = StubDenseTeacher.forward_dense
    whole = cache_targets(clouds, tmp_path / 'whole', copies=2, batch_size=5, device='cpu')
    start = StubDenseTeacher.images

    def interrupted(self, images):
        if StubDenseTeacher.images >= start + 3 * 6:
            raise KeyboardInterrupt
        return read(self, images)

    options = dict(copies=2, batch_size=5, device='cpu')
    monkeypatch.setattr(StubDenseTeacher, 'forward_dense', interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache_targets(clouds, tmp_path / 'out', **options)
    monkeypatch.setattr(StubDenseTeacher, 'forward_dense', read)
    record = json.loads((tmp_path / 'out' / 'target' / 'cache.json').read_text())
    assert record['done'] == 5 and len(record['digests']) == 3
    rejects('has 5 of 12 rows', loss, cached(clouds, {CLOUDS: tmp_path / 'out/target'}), None)
    folders = cache_targets(clouds, tmp_path / 'out', **options)
    ends = [np.load(f[CLOUDS] / 'features.npy') for f in (folders, whole)]
    assert (ends[0] == ends[1]).all()
    start = StubDenseTeacher.images
    cache_targets(clouds, tmp_path / 'out', **options)
    assert StubDenseTeacher.images == start + 2 * 3  # only for the shape of the maps


@pytest.mark.parametrize(
    'option, value, message',
    [
        ('pipeline.2.size', 9, 'copies.transforms.1.size: the cache has 8, this run has 9'),
        ('pipeline.2.num_ops', 1, 'num_ops: the cache has 2, this run has 1'),
        (
            'pipeline.2.train',
            False,
            r"copies: the cache has \{.*, this run has 'nothing'(.|\n)*tools/train.py",
        ),
        ('num_samples', COUNT + 1, '1 of 7 samples are not in the teacher cache'),
    ],
)
def test_a_changed_augmentation_is_refused(images, tmp_path, option, value, message):
    folders = cache_targets(images, tmp_path / 'out', copies=2, device='cpu')
    images.merge_from_dict({f'train_dataloader.dataset.{option}': value})

    def teach():
        cfg = cached(images, folders)
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        samples = [dataset[i]['data_samples'] for i in range(len(dataset))]
        MODELS.build(cfg.model.targets.img)(torch.zeros(len(dataset), 9, 3), samples)

    rejects(message, teach, error=ValueError)


def test_other_clouds_and_numbers_are_refused(clouds, tmp_path):
    folders = cache_targets(clouds, tmp_path, copies=2, device='cpu')
    says = 'copies.num_copies: the cache has 2, this run has 3(.|\n)*--copies 3 --rebuild'
    rejects(says, cache_targets, clouds, tmp_path, copies=3, device='cpu', error=StaleCacheError)
    cfg = cached(clouds, folders)
    points, samples = batch_of(cfg)
    model = MODELS.build(cfg.model)
    says = f'{sum(s.copy_idx == 0 for s in samples)} of . samples differ'
    rejects(says, model.loss, points * 1.001, samples, error=StaleCacheError)
    model.loss(points * (1 + 1e-7), samples)  # another machine
    rejects('knows the training samples only', model.predict, points, samples)
    samples[2].set_metainfo(dict(copy_idx=2))
    rejects('has 2 copies of each sample, got copy_idx 2', model.loss, points, samples)
    del samples[2].copy_idx
    rejects('1 of 6 samples have no copy_idx.*AugmentedCopies', model.loss, points, samples)
    (step,) = (s for s in cfg.train_dataloader.dataset.pipeline if 'num_copies' in s)
    step.num_copies = 4
    del cfg.model.target.copies
    rejects('draws 4 augmented copies, expected 2', use_cached_copies, cfg)


def test_the_budget_holds_as_many_copies_as_fit(clouds, tmp_path, capsys):
    one = COUNT * 3 * 6 * 6 * 6 * 2
    folders = cache_targets(clouds, tmp_path, max_gb=(3.9 * one) / 1e9, device='cpu')
    file = folders[CLOUDS] / 'features.npy'
    assert len(np.load(file)) == 3 * COUNT
    assert file.stat().st_size <= 3.9 * one < file.stat().st_size + one
    assert '0.0 MB, 3 augmented copies of 6 samples' in capsys.readouterr().out
    for copies, max_gb, message in (
        (None, 1.0, r'takes 2 GB: 1 GB hold none. Raise max_gb \(--max-gb'),
        (3, 5.0, 'takes 2 GB: 5 GB hold 2 of 3'),
        (0, None, 'at least 1, got 0'),
        (None, float('nan'), 'positive number of GB, got nan'),
    ):
        rejects(message, fit_copies, 2 * 10**9, copies, max_gb)
    assert fit_copies(10, 7, None) == fit_copies(10, 7, 1.0) == 7
    assert fit_copies(10**6, None, (3 * 10**6 + 255) / 1e9) == 2


def test_copies_are_for_what_is_augmented(clouds, images, tmp_path):
    rejects('reads views of the augmented clouds', cache_targets, clouds, tmp_path, device='cpu')
    images.train_dataloader.dataset.pipeline[2].train = False
    rejects('img: .* is not augmented', cache_targets, images, tmp_path, copies=2, device='cpu')
    several = clouds.train_dataloader.dataset
    other = dict(several, pipeline=several.pipeline[1:])
    clouds.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[several, other])
    rejects('different pipelines', cache_targets, clouds, tmp_path, copies=2, device='cpu')
