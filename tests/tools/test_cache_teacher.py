"""The command that asks the teachers once."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from PIL import Image
from torch.utils.data import Dataset

from mmkd3d.apis.teacher_cache import cache_targets
from mmkd3d.models.data_preprocessor import PointDataPreprocessor
from mmkd3d.models.targets.cache import StaleCacheError
from mmkd3d.registry import DATASETS, MODELS
from tests.helpers import rejects
from tests.models.stub_teachers import (
    IMAGE,
    PROMPTS,
    RENDERER,
    TEXT,
    StubImageTeacher,
    StubTextTeacher,
    cloud,
    make_samples,
    picture,
)
from tools import cache_teacher

IMG = dict(type='ImageTarget', teacher=IMAGE, renderer=RENDERER)
TXT = dict(type='TextTarget', teacher=TEXT, prompts=PROMPTS)


@DATASETS.register_module(force=True)
class StubShapes(Dataset):
    """Ten samples; that with number ``damaged`` cannot be loaded."""

    def __init__(self, kind='view_points', damaged=None, jitter=0.0, shift=0.0, captions=10):
        self.kind, self.damaged = kind, damaged
        self.jitter, self.shift = jitter, shift
        self.captions = captions

    def __len__(self):
        return 10

    def get_data_info(self, i):
        return dict(sample_id=f's{i}', category=f'class {i % 3}')

    def __getitem__(self, i):
        if i == self.damaged:
            raise OSError(f'sample {i} is damaged')

        def field(i):
            value = (picture if self.kind == 'image' else cloud)(i)
            return value + self.shift + self.jitter * torch.rand(())

        fields = {self.kind: field} if self.kind else {}
        fields['caption'] = lambda i: f'shape {i % 4}' if i < self.captions else None
        (sample,) = make_samples(1, begin=i, **fields)
        return dict(inputs=dict(points=torch.zeros(9, 3)), data_samples=sample)


@pytest.fixture
def run(tmp_path):
    """Run the tool on a config with both targets; returns the cache folders."""
    StubTextTeacher.sentences.clear()
    StubImageTeacher.images = 0

    def run(*options, img=None, text=None, **dataset):
        targets = dict(img={**IMG, **(img or {})}, text={**TXT, **(text or {})})
        loader = dict(batch_size=2, num_workers=0, dataset=dict(type='StubShapes', **dataset))
        config = tmp_path / 'recon.py'
        config.write_text(
            f"default_scope = 'mmkd3d'\n"
            f"model = dict(type='ReCon', targets={targets})\n"
            f'train_dataloader = {loader}\n'
        )
        run.targets = targets
        words = f'{config} --out {tmp_path / "out"} --device cpu --batch-size 3'.split()
        return cache_teacher.main([*words, *options])

    return run


def build(run, name, **kwargs):
    return MODELS.build(dict(run.targets[name], **kwargs))


IMG_CACHE, TEXT_CACHE = 'model.targets.img.cache', 'model.targets.text.cache'


def test_both_caches_are_built_once_and_give_the_same_targets(run, capsys):
    folders = run()
    printed = capsys.readouterr().out
    options = ' '.join(f'{key}={folders[key]}' for key in (IMG_CACHE, TEXT_CACHE))
    assert f'--cfg-options {options}' in printed
    assert '0 of 10 rows done, 0.0 MB' in printed
    asked = StubImageTeacher.images, len(StubTextTeacher.sentences)
    assert asked == (10 * 3, 3 * len(PROMPTS))
    run()  # calls no teacher
    assert asked == (StubImageTeacher.images, len(StubTextTeacher.sentences))
    samples = make_samples(10, view_points=cloud)
    points = torch.zeros(10, 9, 3)
    for name, folder in zip(('img', 'text'), (folders[IMG_CACHE], folders[TEXT_CACHE])):
        plain, cached = build(run, name), build(run, name, cache=folder)
        torch.manual_seed(0)
        expected = plain(points, samples)
        torch.manual_seed(0)
        torch.testing.assert_close(cached(points, samples), expected, rtol=1e-6, atol=1e-6)
        assert cached.teacher is None
    record = json.loads((folders[IMG_CACHE] / 'cache.json').read_text())
    assert record['source']['dataset'] == 'StubShapes'


def test_an_interrupted_build_computes_only_the_rest(run, monkeypatch):
    read = StubImageTeacher.forward

    def interrupted(self, images):
        if StubImageTeacher.images == 3 * 3:  # after one batch of three samples
            raise KeyboardInterrupt
        return read(self, images)

    monkeypatch.setattr(StubImageTeacher, 'forward', interrupted)
    rejects('', run, '--only', 'img', error=KeyboardInterrupt)
    monkeypatch.setattr(StubImageTeacher, 'forward', read)
    rejects('sample 7 is damaged', run, '--only', 'img', damaged=7, error=SystemExit)
    assert StubImageTeacher.images == 6 * 3
    folder = run('--only', 'img')[IMG_CACHE]
    assert StubImageTeacher.images == 10 * 3
    points, samples = torch.zeros(10, 9, 3), make_samples(10, view_points=cloud)
    idx = torch.arange(10) % 3
    found = build(run, 'img', cache=str(folder))(points, samples, idx)
    expected = build(run, 'img')(points, samples, idx)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_images_of_the_samples_are_cached_without_a_renderer(run):
    folder = run('--only', 'img', kind='image', img=dict(renderer=None))[IMG_CACHE]
    target, points = build(run, 'img', cache=str(folder)), torch.zeros(10, 9, 3)
    samples = make_samples(10, image=picture)
    torch.testing.assert_close(target(points, samples), build(run, 'img')(points, samples))
    flipped = make_samples(10, image=lambda i: picture(i).flip(-1))
    other = build(run, 'img', cache=str(folder))
    rejects('differ from those in the teacher cache', other, points, flipped)


def test_keys_of_texts_are_categories_or_captions(run):
    def keys(**kwargs):
        folder = run('--only', 'text', '--rebuild', **kwargs)[TEXT_CACHE]
        return json.loads((folder / 'cache.json').read_text())['keys']

    assert keys(damaged=0) == ['class 0', 'class 1', 'class 2']  # no sample is loaded
    captions = dict(text=dict(source='caption'))
    assert keys(**captions) == [f'shape {i}' for i in range(4)]
    rejects('2 of 3 .*no caption: s7, s8', keys, captions=7, **captions, error=SystemExit)


def test_what_no_cache_can_stand_for_is_refused(run):
    images = dict(img=dict(renderer=None))
    for change, message in (
        (dict(jitter=1.0), 'view points of sample 0 differ.*KeepViewPoints'),
        (dict(kind='image', jitter=1.0, **images), 'images of sample 0 differ.*AugmentRendering'),
        (dict(kind=None), "no view points to cache.*type='KeepViewPoints'"),
        (dict(kind=None, **images), "type='LoadRendering'"),
        (dict(img=dict(renderer=dict(RENDERER, random=True))), 'StubRenderer gives random views'),
    ):
        rejects(message, run, '--only', 'img', '--rebuild', **change, error=SystemExit)
    rejects('img, text to cache, not image', run, '--only', 'image', error=SystemExit)
    says = 'has no target to cache'
    rejects(says, cache_teacher.main, ['point-mae_toy'], error=SystemExit)


def test_a_stale_cache_is_refused_until_it_is_rebuilt(run):
    run()
    teacher, stop = dict(teacher=dict(IMAGE, seed=1)), dict(error=SystemExit)
    rejects('teacher.checksum(.|\n)*--rebuild', run, img=teacher, **stop)
    folder = run('--only', 'img', '--rebuild', img=teacher)[IMG_CACHE]
    build(run, 'img', cache=str(folder))
    says = 'started with other data.*row 0'
    rejects(says, run, '--only', 'img', img=teacher, shift=1.0, **stop)


TOY = """
default_scope = 'mmkd3d'
model = dict(type='ReCon', targets=dict(
    img=dict(
        type='ImageTarget',
        renderer=dict(type='ViewRenderer', num_views=2, size=32),
        teacher=dict(
            type='TimmTeacher', model_name='vit_tiny_patch16_224',
            random_weights=True, model_kwargs=dict(img_size=32, depth=2))),
    text=dict(type='TextTarget', teacher=dict(type='StubTextTeacher'))))
train_dataloader = dict(batch_size=4, dataset=dict(
    type='ToyShapes', num_samples=9, num_points=256, pipeline=[
        dict(type='NormalizePoints'),
        dict(type='KeepViewPoints'),
        dict(type='SamplePoints', num_points=64),
        dict(type='PackPoints')]))
"""


def test_views_of_toy_shapes_are_cached(tmp_path, monkeypatch):
    """Uses the real renderer, a real image teacher and the published prompts."""
    config = tmp_path / 'recon_toy.py'
    config.write_text(TOY)
    monkeypatch.chdir(tmp_path)
    folders = cache_teacher.main([str(config), '--device', 'cpu'])
    assert str(folders[IMG_CACHE]) == 'work_dirs/teacher_cache/recon_toy/img'
    cfg = Config.fromfile(config)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    turn = PointDataPreprocessor([dict(type='RandomRotation')])
    data = turn(pseudo_collate([dataset[i] for i in (7, 2, 5)]), training=True)
    for name in ('img', 'text'):
        targets = [
            MODELS.build({**cfg.model.targets[name], 'cache': cache})
            for cache in (None, folders[f'model.targets.{name}.cache'])
        ]
        assert not targets[0].state_dict()
        feats = []
        for target in targets:
            torch.manual_seed(0)
            feats.append(target(data['inputs']['points'], data['data_samples']))
        torch.testing.assert_close(*feats)
        assert feats[0].std(0).max() > 0
    assert len(target.templates) == 60


def test_pictures_are_cached_unless_they_are_augmented(tmp_path):
    """PNG files loaded with the real transforms."""

    def toy(train):
        cfg = Config.fromfile(config)
        cfg.model.targets.img.renderer = cfg.model.targets.text = None
        cfg.train_dataloader.dataset.pipeline = [
            dict(type='LoadRendering', root=str(tmp_path)),
            dict(type='AugmentRendering', size=32, train=train),
            dict(type='PackPoints'),
        ]
        return cfg

    config = tmp_path / 'recon_toy.py'
    config.write_text(TOY)
    plain, augmented = toy(train=False), toy(train=True)
    shapes = Config.fromfile(config).train_dataloader.dataset
    for i in range(9):
        pixels = np.random.default_rng(i).integers(0, 255, (40, 50, 3), dtype='uint8')
        sample = DATASETS.build(shapes).get_data_info(i)
        Image.fromarray(pixels).save(tmp_path / f'{sample["sample_id"]}.png')
    says = 'images of sample 0 .*train=False'
    rejects(says, cache_targets, augmented, tmp_path / 'out', device='cpu')
    folders = cache_targets(plain, tmp_path / 'out', device='cpu')
    assert list(folders) == [IMG_CACHE]
    points = torch.zeros(2, 9, 3)

    def samples(cfg):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        return [dataset[i]['data_samples'] for i in (4, 1)]

    asked, cached, other = (
        MODELS.build({**plain.model.targets.img, 'cache': cache})
        for cache in (None, folders[IMG_CACHE], folders[IMG_CACHE])
    )
    torch.testing.assert_close(cached(points, samples(plain)), asked(points, samples(plain)))
    says = r'images (.|\n)*augmented'
    rejects(says, other, points, samples(augmented), error=StaleCacheError)
