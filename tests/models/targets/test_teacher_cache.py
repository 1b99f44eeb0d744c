"""Teacher caches: equal targets, errors for stale caches, interrupted writes."""

import json
import os

import numpy as np
import pytest
import torch

from mmkd3d.models.targets import cache as cache_module
from mmkd3d.models.targets.base import describe
from mmkd3d.models.targets.cache import (
    CacheWriter,
    FeatureCache,
    StaleCacheError,
    differences,
    remove_cache,
)
from mmkd3d.registry import MODELS
from mmkd3d.utils.hashes import row_digests
from tests.models.pretrainers.test_recon import recon
from tests.models.stub_teachers import (
    IMAGE,
    PROMPTS,
    RENDERER,
    TEXT,
    StubImageTeacher,
    StubTextTeacher,
    cloud,
    make_samples,
)

IDENTITY = dict(teacher=dict(checksum=1, gain=1.0), transform=dict(size=8))
POINTS = torch.zeros(4, 9, 3)


def write(folder, num=6, identity=IDENTITY, prefix='s', **kwargs):
    feats, keys = torch.randn(num, 2, 5).numpy(), [f'{prefix}{i}' for i in range(num)]
    writer = CacheWriter(folder, keys, (2, 5), identity=identity, **kwargs)
    writer.write(feats[writer.done :], np.arange(num)[writer.done :])
    return feats


def image_target(**kwargs):
    return MODELS.build(dict(dict(type='ImageTarget', teacher=IMAGE, renderer=RENDERER), **kwargs))


def text_target(**kwargs):
    return MODELS.build(dict(dict(type='TextTarget', teacher=TEXT, prompts=PROMPTS), **kwargs))


def cache_images(folder, num=4, dtype='float32'):
    """Write a cache of the stub's features of the first samples' views."""
    target = image_target()
    source = target.views.inputs(make_samples(num, view_points=cloud))
    keys, options = [f's{i}' for i in range(num)], dict(dtype=dtype, identity=target.identity())
    writer = CacheWriter(folder, keys, (3, 5), **options)
    writer.write(target.read(target.views.render(source)).numpy(), row_digests(source).numpy())
    StubImageTeacher.images = 0
    return folder


def cache_texts(folder, texts=('class 0', 'class 1', 'class 2')):
    target = text_target()
    writer = CacheWriter(folder, texts, (3, 6), identity=target.identity())
    writer.write(target.read(texts).numpy())
    StubTextTeacher.sentences.clear()
    return folder


@pytest.mark.parametrize('reduce', ['random', 'mean'])
def test_both_modes_give_the_same_image_targets(tmp_path, reduce):
    # A moved checkpoint or an explicit default does not make a cache stale.
    given = dict(type='mmkd3d.StubImageTeacher', seed=0, checkpoint='moved.pth')
    options = dict(teacher=given, renderer=dict(RENDERER, num_views=3, random=False))
    cached = image_target(cache=cache_images(tmp_path), reduce=reduce, **options)
    # No teacher is kept or run, and samples need no views.
    assert cached.teacher is None and cached.dims == 5 and not cached.state_dict()
    cached(POINTS, make_samples(4))
    assert StubImageTeacher.images == 0
    asked = image_target(reduce=reduce)
    # Order and batch size differ from those of the cache.
    samples = make_samples(4, view_points=cloud)[::-1][:3]
    for seed in range(3):
        torch.manual_seed(seed)
        expected = asked(POINTS[:3], samples)
        torch.manual_seed(seed)
        got = cached(POINTS[:3], samples)
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)
    assert got.dtype == torch.float32 and not got.requires_grad
    with pytest.raises(ValueError, match='StubRenderer gives random views'):
        image_target(cache=tmp_path, renderer=dict(RENDERER, random=True))


def test_both_modes_give_the_same_text_targets_and_class_features(tmp_path):
    cached, asked = text_target(cache=cache_texts(tmp_path)), text_target()
    for seed in range(3):
        torch.manual_seed(seed)
        expected = asked(None, make_samples(30))
        torch.manual_seed(seed)
        torch.testing.assert_close(cached(None, make_samples(30)), expected, rtol=1e-6, atol=1e-6)
    assert cached.teacher is None
    names = ['class 2', 'class 0']
    torch.testing.assert_close(cached.class_features(names), asked.class_features(names))
    assert not cached.state_dict()


def test_both_modes_give_the_same_losses_and_gradients(tmp_path):
    points = torch.randn(4, 64, 3)
    samples = make_samples(4, view_points=cloud)
    folders = dict(img=cache_images(tmp_path / 'img'), text=cache_texts(tmp_path / 'text'))
    losses, grads = [], []
    for cache in ({}, folders):
        img = dict(type='ImageTarget', teacher=IMAGE, renderer=RENDERER, cache=cache.get('img'))
        text = dict(type='TextTarget', teacher=TEXT, prompts=PROMPTS, cache=cache.get('text'))
        model = recon(targets=dict(img=img, text=text))
        torch.manual_seed(1)
        losses.append(model.loss(points, samples))
        sum(losses[-1].values()).backward()
        grads.append([p.grad for p in model.parameters()])
        assert not any('targets' in key for key in model.state_dict())
    assert set(losses[0]) == {'loss_chamfer', 'loss_img', 'loss_text', 'loss_contrast'}
    torch.testing.assert_close(*losses, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(*grads, rtol=1e-5, atol=1e-6)


def test_a_text_that_is_not_in_the_cache_is_read_by_a_new_teacher(tmp_path):
    target = text_target(cache=cache_texts(tmp_path))
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    feats = target.class_features(['class 1', 'chair'])
    assert torch.equal(torch.rand(2), expected)
    assert len(StubTextTeacher.sentences) == len(PROMPTS)
    torch.testing.assert_close(feats, text_target().class_features(['class 1', 'chair']))


def test_half_precision_takes_half_the_space(tmp_path):
    full = cache_images(tmp_path / 'full')
    half = cache_images(tmp_path / 'half', dtype='float16')
    bytes_ = [np.load(f / 'features.npy').nbytes for f in (full, half)]
    assert bytes_ == [4 * 4 * 3 * 5, 2 * 4 * 3 * 5]
    samples, idx = make_samples(4), torch.zeros(4, dtype=torch.long)
    got = image_target(cache=half)(POINTS, samples, idx)
    assert got.dtype == torch.float32
    expected = image_target(cache=full)(POINTS, samples, idx)
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match='float16, got .*int8'):
        write(tmp_path / 'new', dtype='int8')


TWO_VIEWS = dict(RENDERER, num_views=2)


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(teacher=dict(IMAGE, seed=1)), r'teacher.checksum: .* has -?\d+, .* -?\d+'),
        (dict(teacher=dict(IMAGE, gain=2.0)), r'teacher.gain: the cache has 1.0, this run has 2.0'),
        (dict(renderer=TWO_VIEWS), 'transform.renderer.num_views: the cache has 3, this run has 2'),
        (dict(renderer=None), "transform.renderer: the cache has {'type': .*}, this run has None"),
        (dict(precision='bf16'), "teacher.precision: the cache has 'fp32', this run has 'bf16'"),
    ],
)
def test_stale_images_are_refused_with_both_values(tmp_path, change, message):
    folder = cache_images(tmp_path / 'img')
    with pytest.raises(StaleCacheError, match=message) as error:
        image_target(cache=folder, **change)
    command = f'tools/cache_teacher.py CONFIG --out {tmp_path} --only img --rebuild'
    assert command in str(error.value)


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(teacher=dict(TEXT, seed=1)), 'teacher.seed.*\n.*teacher.checksum'),
        (dict(prompts=['{}', 'a {}']), 'transform.prompts: the cache has 3, .* 2'),
        (dict(prompts=PROMPTS[::-1]), "transform.templates: the cache has '"),
    ],
)
def test_stale_texts_are_refused(tmp_path, change, message):
    with pytest.raises(StaleCacheError, match=message):
        text_target(cache=cache_texts(tmp_path), **change)


def test_a_sample_that_is_not_in_the_cache_is_named(tmp_path):
    target = image_target(cache=cache_images(tmp_path))
    with pytest.raises(ValueError, match="2 of 4 .*which has 4: 's4', 's5'"):
        target(POINTS, make_samples(4, begin=2))


def test_changed_data_under_the_same_id_is_found_once_and_named(tmp_path):
    target = image_target(cache=cache_images(tmp_path))
    target(POINTS, make_samples(4, view_points=cloud))
    target = image_target(cache=tmp_path)
    samples = make_samples(4, view_points=lambda i: cloud(i) + (1e-6 if i in (1, 3) else 0))
    text = (
        r"2 of 4 .*'s1', 's3' \(checksum .* has -?\d+, .* -?\d+\)(.|\n)*--rebuild(.|\n)*augmented"
    )
    with pytest.raises(StaleCacheError, match=text):
        target(POINTS, samples)


def test_what_is_no_cache_or_not_whole_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match='cache_teacher.py CONFIG'):
        FeatureCache(tmp_path / 'none', IDENTITY)
    writer = CacheWriter(tmp_path, ['a', 'b', 'c'], (2,), identity=IDENTITY)
    writer.write(np.ones((2, 2), 'float32'))
    with pytest.raises(ValueError, match='has 2 of 3 rows'):
        FeatureCache(tmp_path, IDENTITY)
    writer.write(np.ones((1, 2), 'float32'))
    FeatureCache(tmp_path, IDENTITY)
    os.truncate(tmp_path / 'features.npy', 140)
    with pytest.raises(ValueError, match=r'damaged(.|\n)*--rebuild'):
        FeatureCache(tmp_path, IDENTITY)


def test_an_interrupted_writer_is_gone_on_with(tmp_path):
    keys = [f's{i}' for i in range(7)]
    feats = np.random.default_rng(0).normal(size=(7, 3)).astype('float32')
    for begin, end in ((0, 2), (2, 5), (5, 7)):
        writer = CacheWriter(tmp_path, keys, (3,), identity=IDENTITY)
        assert writer.done == begin
        writer.write(feats[begin:end])
        del writer
    cache = FeatureCache(tmp_path, IDENTITY)
    assert (np.array(cache.features) == feats).all()
    assert cache.rows(['s6', 's0']).tolist() == [6, 0]


@pytest.mark.parametrize('call', range(1, 4))
def test_a_kill_within_any_write_leaves_a_cache_that_goes_on(tmp_path, monkeypatch, call):
    """The process is killed while it writes the n-th record."""
    write_atomic, calls = cache_module.write_atomic, []

    def killed(path, data):
        calls.append(path)
        if len(calls) == call:
            path.with_name(f'.{path.name}.partial').write_bytes(data[:3])
            raise KeyboardInterrupt
        write_atomic(path, data)

    feats = np.random.default_rng(0).normal(size=(6, 3)).astype('float32')

    def fill():
        writer = CacheWriter(tmp_path, list('abcdef'), (3,), identity=IDENTITY)
        begin = writer.done
        for i in range(begin, 6, 2):
            writer.write(feats[i : i + 2], np.arange(i, i + 2))
        return begin

    monkeypatch.setattr(cache_module, 'write_atomic', killed)
    with pytest.raises(KeyboardInterrupt):
        fill()
    monkeypatch.setattr(cache_module, 'write_atomic', write_atomic)
    assert fill() == 2 * (call - 1)
    cache = FeatureCache(tmp_path, IDENTITY)
    assert (cache.features == feats).all()
    cache.check(np.arange(6), np.arange(6))


def test_the_record_of_a_large_cache_is_written_about_a_hundred_times(tmp_path, monkeypatch):
    write, calls = cache_module.write_atomic, []
    monkeypatch.setattr(cache_module, 'write_atomic', lambda *args: calls.append(write(*args)))
    keys = [str(i) for i in range(1000)]
    writer = CacheWriter(tmp_path, keys, (1,), identity=IDENTITY)
    for i in range(333):
        writer.write(np.full((3, 1), i, 'float32'))
    assert 60 < len(calls) <= 100 and writer.done == 999
    resumed = CacheWriter(tmp_path, keys, (1,), identity=IDENTITY)
    assert 989 <= resumed.done <= 999
    resumed.write(np.zeros((1000 - resumed.done, 1), 'float32'))
    assert FeatureCache(tmp_path, IDENTITY).features[988, 0] == 329


OTHER = dict(IDENTITY, teacher=dict(checksum=2, gain=1.0))


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(identity=OTHER), 'teacher.checksum: the cache has 1, this run has 2'),
        (dict(num=7), 'other samples: it has 6, this run has 7'),
        (dict(prefix='t'), 'other samples: it has 6, this run has 6'),
        (dict(dtype='float16'), "dtype: the cache has 'float32', .* 'float16'"),
    ],
)
def test_an_unfit_writer_is_refused_and_nothing_is_lost(tmp_path, change, message):
    feats = write(tmp_path)
    with pytest.raises(StaleCacheError, match=message):
        write(tmp_path, **change)
    assert (FeatureCache(tmp_path, IDENTITY).features == feats).all()


def test_what_can_not_be_stored_is_said(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="Several samples have the id 'a'"):
        CacheWriter(tmp_path, ['a', 'b', 'a'], (2,), identity=IDENTITY)
    writer = CacheWriter(tmp_path, ['a', 'b'], (2,), identity=IDENTITY, dtype='float16')
    with pytest.raises(ValueError, match='rows 0 to 1 are not finite in flo'):
        writer.write(np.array([[1, 1], [1, 1e6]], 'float32'))
    assert writer.done == 0
    usage = type('usage', (), dict(free=10))
    monkeypatch.setattr(cache_module.shutil, 'disk_usage', lambda _: usage)
    with pytest.raises(ValueError, match='need 0.00 GB,.* 0.00 GB free'):
        write(tmp_path / 'full')


def test_the_record_says_what_the_cache_was_made_of_and_both_can_be_removed(tmp_path):
    write(tmp_path, source=dict(dataset='Shapes'))
    assert sorted(p.name for p in tmp_path.iterdir()) == ['cache.json', 'features.npy']
    record = json.loads((tmp_path / 'cache.json').read_text())
    assert record['identity'] == IDENTITY and record['version']
    assert record['done'] == len(record['keys']) == len(record['digests']) == 6
    assert record['source'] == dict(dataset='Shapes')
    (tmp_path / 'notes.txt').write_text('mine')
    remove_cache(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ['notes.txt']


def test_differences_name_nested_fields_and_missing_ones():
    assert not differences(dict(a=dict(b=1)), dict(a=dict(b=1)))
    assert differences(dict(a=dict(b=1, c=2)), dict(a=dict(b=3, d=4))) == [
        'a.b: the cache has 1, this run has 3',
        "a.c: the cache has 2, this run has 'nothing'",
        "a.d: the cache has 'nothing', this run has 4",
    ]
    assert describe(None) is None
