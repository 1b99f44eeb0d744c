"""Concept distillation by its configs: learn, resume, serve what follows."""
import copy

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope, init_default_scope

import mmkd3d
from mmkd3d.apis.teacher_cache import cache_targets
from mmkd3d.checkpoints import load_pretrained
from mmkd3d.engine.hooks.checkpoint import find_resumable
from mmkd3d.engine.hooks.fit_targets import mean_cosine, spread
from mmkd3d.models.teachers.base import BaseTeacher
from mmkd3d.models.teachers.cache import StaleCacheError
from mmkd3d.registry import DATASETS, MODELS
from tests.helpers import REPO
from tests.models.stub_teachers import (StubDenseTeacher, StubTextTeacher,
                                        make_samples, seeded)
from tests.test_i2p_training import (FINETUNE, HIDDEN, RUNTIME, SHAPES, Curve,
                                     Filled, check_filled, predictions,
                                     start_from, train)

STUDENT = dict(
    embed_dims=32, depth=2, num_heads=2, num_groups=8, group_size=16,
    patch_dims=(8, 16))
SETTINGS = dict(
    model=dict(
        backbone=dict(STUDENT, drop_path_rate=0.1),
        extractor=dict(embed_dims=32, num_heads=2),
        targets=dict(
            concepts=dict(
                pairs=dict(renderer=dict(size=48)),
                teacher=dict(
                    model_kwargs=dict(
                        img_size=48, depth=1, embed_dim=24, num_heads=2))))),
    train_dataloader=dict(
        batch_size=8, dataset=dict(num_samples=24, num_points=128)),
    train_cfg=dict(max_epochs=10),
    optim_wrapper=dict(optimizer=dict(lr=4e-3)))


def config(name, **options):
    cfg = Config.fromfile(REPO / 'configs' / name)
    cfg.merge_from_dict(copy.deepcopy(RUNTIME))
    cfg.merge_from_dict(options)
    return cfg


PRETRAIN = config('toy/concept_toy.py', **SETTINGS)


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory):
    """A run of 30 steps: its folder, its losses and its checkpoint."""
    work_dir = tmp_path_factory.mktemp('concept') / 'whole'
    curve = Curve()
    train(PRETRAIN, work_dir, curve)
    DefaultScope._instance_dict.clear()
    return work_dir, curve, work_dir / 'epoch_10.pth'


def test_the_loss_falls(pretrained):
    _, curve, _ = pretrained
    assert sorted(curve.losses) == list(range(1, 31))
    assert curve.fell(0.95), list(curve.losses.values())


def test_a_stopped_run_goes_on_in_the_same_curve(pretrained, tmp_path):
    """Bit by bit; also with the statistics of the targets, fitted once."""
    _, whole, _ = pretrained
    stopped, rest = Curve(stop_at=4), Curve(stop_at=9)
    with pytest.raises(KeyboardInterrupt):
        train(PRETRAIN, tmp_path / 'run', stopped)
    found = find_resumable(tmp_path / 'run')
    with pytest.raises(KeyboardInterrupt):
        train(PRETRAIN, tmp_path / 'run', rest, load_from=found, resume=True)
    assert sorted(rest.losses) == list(range(4, 10))
    assert {**stopped.losses, **rest.losses} == {
        i: whole.losses[i] for i in range(1, 10)}


def test_a_checkpoint_has_the_statistics_and_no_teacher(pretrained):
    saved = torch.load(pretrained[2], weights_only=False)['state_dict']
    assert {key.split('.')[0] for key in saved} == {
        'backbone', 'extractor', 'standardizers', 'head_concept',
        'head_global', 'loss_global'}
    assert saved['standardizers.pictures.count'] == 24 * 2
    assert saved['standardizers.regions.count'] == 24 * 2 * 3


def overfit(work_dir, **options):
    """200 steps on 32 shapes, as often as they are in a batch."""
    cfg = config('toy/concept_toy.py', **SETTINGS)
    cfg.merge_from_dict(
        dict(
            model=dict(
                data_preprocessor=dict(augments=[]),
                head_dims=256,
                backbone=dict(drop_path_rate=0., embed_dims=128, num_heads=4),
                extractor=dict(embed_dims=128, num_heads=4)),
            train_dataloader=dict(
                batch_size=32,
                dataset=dict(num_samples=32, num_points=256)),
            param_scheduler=dict(warmup=20, period=200),
            train_cfg=dict(max_epochs=200),
            default_hooks=dict(checkpoint=dict(interval=200)),
            optim_wrapper=dict(optimizer=dict(lr=2e-3))))
    # the sample drawn is always the same
    cfg.train_dataloader.dataset.pipeline = [
        dict(type='mmkd3d.KeepViewPoints'),
        dict(type='mmkd3d.NormalizePoints'),
        dict(type='mmkd3d.PackPoints')]
    cfg.merge_from_dict(options)
    curve = Curve()
    return train(cfg, work_dir, curve), curve, cfg


@pytest.mark.slow
def test_few_shapes_are_learned_by_heart(tmp_path):
    runner, curve, cfg = overfit(tmp_path / 'overfit')
    values = np.array([curve.losses[i] for i in sorted(curve.losses)])
    means = values.reshape(-1, 20).mean(1)
    assert (np.diff(means) < 0).all(), means
    loader = runner.build_dataloader(cfg.train_dataloader, seed=0)
    model = runner.model.eval()
    data = model.data_preprocessor(next(iter(loader)))
    with torch.no_grad():
        losses = model(**data, mode='loss')
    assert losses['retrieval_top1'] == 1
    assert losses['loss_concept'] < 0.1, float(losses['loss_concept'])


class Listener:
    """What a logger is warned of."""

    def __init__(self, monkeypatch):
        self.said = []
        monkeypatch.setattr(
            MMLogger, 'warning',
            lambda _, text, *args, **kwargs: self.said.append(str(text)))


@pytest.mark.slow
def test_targets_that_are_all_alike_ring_the_alarm(tmp_path, monkeypatch):
    """Not standardised they are learned at once, and mean nothing."""
    listener = Listener(monkeypatch)
    same = torch.randn(24)
    monkeypatch.setattr(
        'mmkd3d.models.targets.concepts.ConceptTargets.read',
        lambda self, pictures: same.expand(*pictures.images.shape[:2], 4, 24))
    overfit(tmp_path / 'alike', model=dict(standardize=None))
    assert any('matched_cos is 1' in text or 'matched_cos is 0.99' in text
               for text in listener.said), listener.said


def test_standardising_targets_that_are_all_alike_is_refused(
        tmp_path, monkeypatch):
    monkeypatch.setattr(
        'mmkd3d.models.targets.concepts.ConceptTargets.read',
        lambda self, pictures: torch.ones(*pictures.images.shape[:2], 4, 24))
    with pytest.raises(ValueError, match='are the same'):
        train(PRETRAIN, tmp_path / 'alike')


CACHED = dict(
    model=dict(
        targets=dict(
            concepts=dict(
                teacher=dict(
                    _delete_=True, type='mmkd3d.StubDenseTeacher')))),
    train_cfg=dict(max_epochs=2))


def test_a_cache_teaches_the_same(tmp_path):
    cfg = copy.deepcopy(PRETRAIN)
    cfg.merge_from_dict(copy.deepcopy(CACHED))
    online, looked_up = Curve(), Curve()
    train(cfg, tmp_path / 'online', online)
    folders = cache_targets(cfg, tmp_path / 'cache')
    StubDenseTeacher.images = 0
    cfg.model.targets.concepts.cache = str(folders['concepts'])
    train(cfg, tmp_path / 'cached', looked_up)
    assert StubDenseTeacher.images == 0
    assert looked_up.losses == pytest.approx(online.losses, abs=1e-5)


def test_a_cache_of_half_the_size_says_the_same_within_its_rounding(tmp_path):
    cfg = copy.deepcopy(PRETRAIN)
    cfg.merge_from_dict(copy.deepcopy(CACHED))
    folders = cache_targets(cfg, tmp_path, dtype='float16')
    features = np.load(folders['concepts'] / 'features.npy')
    assert features.shape == (24, 2, 4, 5) and features.dtype == np.float16
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    batch = pseudo_collate([dataset[i] for i in range(24)])
    points = torch.stack(batch['inputs']['points'])
    target = cfg.model.targets.concepts
    online, cached = (
        MODELS.build(dict(target, cache=folder))(
            points, batch['data_samples'])
        for folder in (None, folders['concepts']))
    torch.testing.assert_close(cached, online, rtol=1e-3, atol=1e-4)
    assert not torch.equal(cached, online)


@pytest.mark.parametrize('change, message', [
    (dict(teacher=dict(seed=1)), 'teacher.checksum'),
    (dict(num_regions=2), 'transform.num_regions: the cache has 3, this run'),
    (dict(pairs=dict(renderer=dict(size=32))), 'transform.pairs.renderer'),
])
def test_a_cache_of_something_else_is_refused(tmp_path, change, message):
    cfg = copy.deepcopy(PRETRAIN)
    cfg.merge_from_dict(copy.deepcopy(CACHED))
    folders = cache_targets(cfg, tmp_path)
    cfg.merge_from_dict(
        dict(
            model=dict(
                targets=dict(
                    concepts=dict(
                        change, cache=str(folders['concepts']))))))
    init_default_scope('mmkd3d')
    with pytest.raises(StaleCacheError, match=message):
        MODELS.build(cfg.model)


def test_statistics_are_of_samples_spread_over_the_training_set():
    assert spread(10, 4) == [0, 3, 6, 9] and spread(3, 9) == [0, 1, 2]
    feats = torch.randn(20, 5)
    cosines = [
        torch.cosine_similarity(feats[i], feats[j], dim=0)
        for i in range(20) for j in range(20) if i != j]
    assert mean_cosine(feats) == pytest.approx(
        float(torch.stack(cosines).mean()), abs=1e-5)


def test_a_model_without_targets_to_fit_is_named(tmp_path):
    cfg = config('toy/point-mae_toy.py')
    cfg.merge_from_dict(
        dict(train_dataloader=SETTINGS['train_dataloader'],
             model=dict(backbone=dict(num_groups=8, group_size=8))))
    cfg.custom_hooks = [dict(type='mmkd3d.FitTargetsHook')]
    with pytest.raises(AttributeError, match='PointMAE has none to fit'):
        train(cfg, tmp_path / 'run')


def downstream(name, checkpoint, head, **model):
    """A finetuning config on toy shapes of two categories."""
    cfg = config(f'concept/benchmarks/{name}.py')
    cfg.train_dataloader = copy.deepcopy(SHAPES.train_dataloader)
    for key in [k for k in cfg if k.startswith(('val_', 'test_'))]:
        cfg.pop(key)
    cfg.merge_from_dict(
        dict(
            FINETUNE,
            model=dict(
                backbone=dict(STUDENT, **start_from(checkpoint)),
                head=dict(HIDDEN, **head), **model),
            train_cfg=dict(max_epochs=25, val_interval=100),
            param_scheduler=dict(warmup=0),
            optim_wrapper=dict(optimizer=dict(lr=2e-3))))
    return cfg


@pytest.mark.parametrize('concepts', [True, False])
def test_a_classifier_reads_tokens_and_concepts(
        pretrained, tmp_path, concepts):
    head = dict(in_channels=32, num_classes=2)
    extractor = dict(
        extractor=dict(
            embed_dims=32, num_heads=2, num_concepts=8,
            **start_from(pretrained[2])))
    cfg = downstream('cls_concept-pt-s_1xb32-300e_modelnet40', pretrained[2],
                     head, **extractor)
    if not concepts:
        cfg.model.extractor = None
        cfg.model.head.pooling = ('max', 'mean')
    curve = Curve()
    filled = [Filled(pretrained[2])]
    runner = train(cfg, tmp_path / 'cls', curve, *filled)
    assert curve.fell(0.85), list(curve.losses.values())
    samples = predictions(runner, cfg.train_dataloader)
    assert sum(int(s.pred_label == s.gt_label) for s in samples) >= 7
    assert any('extractor' in k for k in runner.model.state_dict()) == concepts


def test_the_extractor_of_a_classifier_starts_from_the_file(pretrained):
    init_default_scope('mmkd3d')
    model = MODELS.build(
        dict(
            type='PointClassifier',
            backbone=dict(
                PRETRAIN.model.backbone, **start_from(pretrained[2])),
            extractor=dict(
                PRETRAIN.model.extractor, **start_from(pretrained[2])),
            head=dict(type='ClsHead', in_channels=32, num_classes=2,
                      pooling=('concept', ))))
    model.init_weights()
    check_filled(model.backbone, pretrained[2])
    saved = torch.load(pretrained[2], weights_only=False)['state_dict']
    for key, value in model.extractor.state_dict().items():
        assert torch.equal(value, saved[f'extractor.{key}'])
    points = torch.randn(2, 128, 3)
    pooled = model.head.pool(model.eval().extract(points))
    net = MODELS.build(PRETRAIN.model).eval()
    net.load_state_dict(saved)
    torch.testing.assert_close(
        pooled, net(dict(points=points))['concepts'].mean(1))
    with pytest.raises(ValueError, match="'side'.*leave out the extractor"):
        MODELS.build(
            dict(
                type='PointClassifier', backbone=PRETRAIN.model.backbone,
                extractor=PRETRAIN.model.extractor, transfer_type='side',
                head=dict(type='ClsHead', in_channels=32, num_classes=2)))


@pytest.mark.parametrize('name', [
    'partseg_concept-pt-s_1xb16-300e_shapenetpart',
    'semseg_concept-pt-s_1xb32-60e_s3dis'])
def test_segmentors_load_the_exported_student_strictly(
        pretrained, tmp_path, name):
    out = mmkd3d.export_backbone(pretrained[2], tmp_path / 'student.pth')
    cfg = config(f'concept/benchmarks/{name}.py')
    if cfg.default_scope == 'mmdet3d':
        pytest.importorskip('mmdet3d')
    init_default_scope(cfg.default_scope)
    backbone = {
        **cfg.model.backbone, **STUDENT, 'out_indices': (0, 1, 1),
        **start_from(out)}
    head = 'decode_head' if 'decode_head' in cfg.model else 'head'
    model = MODELS.build({
        **cfg.model, 'backbone': backbone,
        head: {**cfg.model[head], 'in_channels': 32}})
    model.init_weights()
    check_filled(model.backbone, pretrained[2])


def test_export_names_a_file_without_student(pretrained, tmp_path):
    state = torch.load(pretrained[2], weights_only=False)['state_dict']
    torch.save({k: v for k, v in state.items() if 'backbone' not in k},
               tmp_path / 'other.pth')
    with pytest.raises(ValueError, match="no keys under 'backbone.'.*head_"):
        mmkd3d.export_backbone(tmp_path / 'other.pth', tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()
    out = mmkd3d.export_backbone(pretrained[2], tmp_path / 'out.pth')
    plain = torch.load(out, weights_only=True)
    assert plain['state_dict'].keys() == {
        k.removeprefix('backbone.') for k in state if 'backbone.' in k}


@pytest.fixture
def mmdet3d_scope():
    pytest.importorskip('mmdet3d')
    init_default_scope('mmdet3d')


@pytest.mark.slow
def test_pointnet2_goes_into_stock_votenet(tmp_path, mmdet3d_scope):
    cfg = config('concept/concept_pointnet2_1xb32-10e_psb.py', **SETTINGS)
    toy = copy.deepcopy(PRETRAIN)
    cfg.train_dataloader = toy.train_dataloader
    cfg.train_dataloader.dataset.pipeline = [
        dict(type='mmkd3d.KeepViewPoints'),
        dict(type='mmkd3d.NormalizePoints'),
        dict(type='mmkd3d.ToDepthCoordinates', height=False),
        dict(type='mmkd3d.PackPoints')]
    cfg.model.targets = toy.model.targets
    for key in STUDENT:
        cfg.model.backbone.pop(key)
    cfg.model.backbone.pop('drop_path_rate')
    cfg.model.backbone.update(
        num_points=(64, 32, 16, 16), num_samples=(8, 8, 8, 8))
    cfg.model.adapter.embed_dims = 32
    cfg.train_cfg.max_epochs = 2
    runner = train(cfg, tmp_path / 'run')
    model = runner.model
    fixed = [n for n, p in model.named_parameters() if not p.requires_grad]
    assert fixed and all('FP_modules' in name for name in fixed)
    out = mmkd3d.export_backbone(
        tmp_path / 'run' / 'epoch_2.pth', tmp_path / 'student.pth')
    stock = config(
        'scannet_small/votenet_concept-pointnet2_1xb2-60e_scannet-small.py')
    init_default_scope('mmdet3d')
    stock.model.backbone.init_cfg.checkpoint = str(out)
    votenet = MODELS.build(stock.model)
    assert type(votenet.backbone).__module__.startswith('mmdet3d.')
    keys = votenet.backbone.load_state_dict(
        torch.load(out)['state_dict'], strict=True)
    assert not keys.missing_keys and not keys.unexpected_keys
    for p in votenet.backbone.parameters():
        torch.nn.init.zeros_(p)
    votenet.backbone.init_weights()
    for (name, a), b in zip(votenet.backbone.state_dict().items(),
                            model.backbone.state_dict().values()):
        assert torch.equal(a, b), name


def test_the_student_is_asked_by_class_names(pretrained):
    """As it would answer in pretraining, in the space of the teacher."""
    init_default_scope('mmkd3d')
    text = dict(type='TextTarget', prompts=['a {}', 'the {}'],
                teacher=dict(type='mmkd3d.StubTextTeacher'))
    shared = {k: PRETRAIN.model[k] for k in ('backbone', 'extractor')}
    with pytest.raises(ValueError, match='does not fit'):  # width 6, not 24
        load_pretrained(
            MODELS.build(dict(type='ConceptZeroShot', text=text, **shared)),
            pretrained[2], prefix='')
    text.update(teacher=dict(type='mmkd3d.WideTextTeacher'))
    model = MODELS.build(
        dict(type='ConceptZeroShot', text=text, **shared)).eval()
    load_pretrained(model, pretrained[2], prefix='')
    points = torch.randn(3, 128, 3)
    names = ('chair', 'lamp', 'boat')
    model.set_classes(names)
    net = MODELS.build(PRETRAIN.model).eval()
    net.load_state_dict(
        torch.load(pretrained[2], weights_only=False)['state_dict'])
    rows = net(dict(points=points), make_samples(3), mode='predict')
    expected = torch.stack([
        torch.cosine_similarity(
            row['embedding'][None], model.class_features) for row in rows])
    with torch.no_grad():
        torch.testing.assert_close(model(dict(points=points)), expected)


@MODELS.register_module(force=True)
class WideTextTeacher(StubTextTeacher):
    """As wide as the image teacher of the toy."""

    def __init__(self):
        BaseTeacher.__init__(self, seeded(torch.nn.Linear(4, 24), 0), 24)


def test_parts_of_rooms_learn_from_the_frame_that_shows_them(
        tmp_path, mmdet3d_scope):
    cfg = config('toy/concept_rooms_toy.py')
    cfg.train_dataloader.dataset.data_root = str(tmp_path / 'rooms')
    cfg.train_dataloader.dataset.pipeline[3].root = str(
        tmp_path / 'rooms/posed_images')
    cfg.train_dataloader.dataset.rooms = dict(
        num_train=6, num_val=1, num_points=6000, frames=3)
    cfg.merge_from_dict(
        dict(
            model=dict(
                backbone=dict(STUDENT), extractor=SETTINGS['model'][
                    'extractor']),
            train_dataloader=dict(batch_size=6),
            train_cfg=dict(max_epochs=12),
            default_hooks=dict(checkpoint=dict(interval=12)),
            optim_wrapper=dict(optimizer=dict(lr=2e-3))))
    curve = Curve()
    runner = train(cfg, tmp_path / 'run', curve)
    assert curve.fell(0.95, num=3), list(curve.losses.values())
    assert runner.model.standardizers['pictures'].count == 6
