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
    """Ten samples; that with number ``damaged`` can not be loaded."""

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
        (sample,) = make_samples(
            1, begin=i, **fields, caption=lambda i: f'shape {i % 4}' if i < self.captions else None
        )
        return dict(inputs=dict(points=torch.zeros(9, 3)), data_samples=sample)


@pytest.fixture
def run(tmp_path):
    """Run the tool on a config with both targets; returns the folders."""
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
        return cache_teacher.main(
            [
                str(config),
                '--out',
                str(tmp_path / 'out'),
                '--device',
                'cpu',
                '--batch-size',
                '3',
                *options,
            ]
        )

    return run


def build(run, name, **kwargs):
    return MODELS.build(dict(run.targets[name], **kwargs))


IMG_CACHE, TEXT_CACHE = 'model.targets.img.cache', 'model.targets.text.cache'


def test_both_caches_are_built_and_give_the_same_targets(run, capsys):
    folders = run()
    printed = capsys.readouterr().out
    assert (
        f'--cfg-options {IMG_CACHE}={folders[IMG_CACHE]} {TEXT_CACHE}={folders[TEXT_CACHE]}'
    ) in printed
    assert '0 of 10 rows done, 0.0 MB' in printed
    samples = make_samples(10, view_points=cloud)
    points = torch.zeros(10, 9, 3)
    for name in ('img', 'text'):
        asked, cached = (
            build(run, name),
            build(run, name, cache=folders[f'model.targets.{name}.cache']),
        )
        torch.manual_seed(0)
        expected = asked(points, samples)
        torch.manual_seed(0)
        torch.testing.assert_close(cached(points, samples), expected, rtol=1e-6, atol=1e-6)
        assert cached.teacher is None
    record = json.loads((folders[IMG_CACHE] / 'cache.json').read_text())
    assert record['source']['dataset'] == 'StubShapes'


def test_a_second_run_asks_nothing(run):
    run()
    images, sentences = StubImageTeacher.images, len(StubTextTeacher.sentences)
    assert (images, sentences) == (10 * 3, 3 * len(PROMPTS))
    run()
    assert StubImageTeacher.images == images
    assert len(StubTextTeacher.sentences) == sentences


def test_an_interrupted_build_computes_only_the_rest(run, monkeypatch):
    read = StubImageTeacher.forward

    def interrupted(self, images):
        if StubImageTeacher.images == 2 * 3 * 3:  # two batches of three
            raise KeyboardInterrupt
        return read(self, images)

    monkeypatch.setattr(StubImageTeacher, 'forward', interrupted)
    with pytest.raises(KeyboardInterrupt):
        run('--only', 'img')
    monkeypatch.setattr(StubImageTeacher, 'forward', read)
    StubImageTeacher.images = 0
    folder = run('--only', 'img')[IMG_CACHE]
    assert StubImageTeacher.images == 4 * 3
    points, samples = torch.zeros(10, 9, 3), make_samples(10, view_points=cloud)
    idx = torch.arange(10) % 3
    torch.testing.assert_close(
        build(run, 'img', cache=str(folder))(points, samples, idx),
        build(run, 'img')(points, samples, idx),
        rtol=1e-6,
        atol=1e-6,
    )


def test_a_sample_that_can_not_be_loaded_loses_nothing(run):
    with pytest.raises(OSError, match='sample 7 is damaged'):
        run('--only', 'img', damaged=7)
    assert StubImageTeacher.images == 6 * 3
    run('--only', 'img')
    assert StubImageTeacher.images == 10 * 3


def test_images_of_the_samples_are_cached_without_a_renderer(run):
    folder = run('--only', 'img', kind='image', img=dict(renderer=None))[IMG_CACHE]
    target = build(run, 'img', cache=str(folder))
    samples = make_samples(10, image=picture)
    torch.testing.assert_close(
        target(torch.zeros(10, 9, 3), samples), build(run, 'img')(torch.zeros(10, 9, 3), samples)
    )
    with pytest.raises(ValueError, match='differ from those in the teacher cache'):
        build(run, 'img', cache=str(folder))(
            torch.zeros(10, 9, 3), make_samples(10, image=lambda i: picture(i).flip(-1))
        )


def test_categories_are_cached_without_loading_a_sample(run):
    folder = run('--only', 'text', damaged=0)[TEXT_CACHE]
    keys = json.loads((folder / 'cache.json').read_text())['keys']
    assert keys == ['class 0', 'class 1', 'class 2']


def test_captions_are_cached_and_those_that_lack_named(run):
    folder = run('--only', 'text', text=dict(source='caption'))[TEXT_CACHE]
    keys = json.loads((folder / 'cache.json').read_text())['keys']
    assert keys == [f'shape {i}' for i in range(4)]
    with pytest.raises(SystemExit, match='2 of 3 .*no caption: s7, s8'):
        run('--only', 'text', text=dict(source='caption'), captions=7)


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(jitter=1.0), 'view points of sample 0 differ.*KeepViewPoints'),
        (
            dict(kind='image', jitter=1.0, img=dict(renderer=None)),
            'images of sample 0 differ.*AugmentRendering',
        ),
        (dict(kind=None), "no view points to cache.*type='KeepViewPoints'"),
        (dict(kind=None, img=dict(renderer=None)), "type='LoadRendering'"),
        (dict(img=dict(renderer=dict(RENDERER, random=True))), 'StubRenderer gives random views'),
    ],
)
def test_what_no_cache_can_stand_for_is_refused(run, change, message):
    with pytest.raises(SystemExit, match=message):
        run('--only', 'img', **change)


def test_a_stale_cache_is_refused_until_it_is_rebuilt(run):
    run()
    teacher = dict(teacher=dict(IMAGE, seed=1))
    with pytest.raises(SystemExit, match='teacher.checksum(.|\n)*--rebuild'):
        run(img=teacher)
    folder = run('--only', 'img', '--rebuild', img=teacher)[IMG_CACHE]
    build(run, 'img', cache=str(folder))
    with pytest.raises(SystemExit, match='started with other data.*row 0'):
        run('--only', 'img', img=teacher, shift=1.0)


def test_targets_that_are_not_there_are_named(run):
    with pytest.raises(SystemExit, match=r"targets img, text, not \['image'"):
        run('--only', 'image')
    with pytest.raises(SystemExit, match='has the targets none'):
        cache_teacher.main(['point-mae_toy'])


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
    """The real renderer, a real image teacher, the published prompts."""
    config = tmp_path / 'recon_toy.py'
    config.write_text(TOY)
    monkeypatch.chdir(tmp_path)
    folders = cache_teacher.main([str(config), '--device', 'cpu'])
    assert str(folders[IMG_CACHE]) == 'work_dirs/teacher_cache/recon_toy/img'
    cfg = Config.fromfile(config)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    data = PointDataPreprocessor([dict(type='RandomRotation')])(
        pseudo_collate([dataset[i] for i in (7, 2, 5)]), training=True
    )
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
    """PNG files through the real transforms."""

    def toy(train):
        cfg = Config.fromfile(config)
        cfg.merge_from_dict(
            {
                'model.targets.img.renderer': None,
                'model.targets.text': None,
                'train_dataloader.dataset.pipeline': [
                    dict(type='LoadRendering', root=str(tmp_path)),
                    dict(type='AugmentRendering', size=32, train=train),
                    dict(type='PackPoints'),
                ],
            }
        )
        return cfg

    config = tmp_path / 'recon_toy.py'
    config.write_text(TOY)
    plain, augmented = toy(train=False), toy(train=True)
    shapes = Config.fromfile(config).train_dataloader.dataset
    for i in range(9):
        pixels = np.random.default_rng(i).integers(0, 255, (40, 50, 3), dtype='uint8')
        sample = DATASETS.build(shapes).get_data_info(i)
        Image.fromarray(pixels).save(tmp_path / f'{sample["sample_id"]}.png')
    with pytest.raises(ValueError, match='images of sample 0 .*train=False'):
        cache_targets(augmented, tmp_path / 'out', device='cpu')
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
    with pytest.raises(StaleCacheError, match=r'images (.|\n)*augmented'):
        other(points, samples(augmented))
