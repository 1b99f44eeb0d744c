"""Downstream training from a student of concept distillation."""

import copy

import pytest
import torch
from mmengine.registry import init_default_scope

import mmkd3d
from mmkd3d.checkpoints import load_pretrained
from mmkd3d.models.teachers.base import BaseTeacher
from mmkd3d.registry import MODELS
from tests.concept_runs import (
    PRETRAIN,
    SETTINGS,
    STUDENT,
    config,
    mmdet3d_scope,  # noqa: F401
    pretrained,  # noqa: F401
)
from tests.models.stub_teachers import StubTextTeacher, make_samples, seeded
from tests.runs import (
    FINETUNE,
    HIDDEN,
    SHAPES,
    Curve,
    Filled,
    check_filled,
    predictions,
    start_from,
    train,
)


def downstream(name, checkpoint, head, **model):
    """Finetuning config with toy shapes of two categories."""
    cfg = config(f'concept/benchmarks/{name}.py')
    cfg.train_dataloader = copy.deepcopy(SHAPES.train_dataloader)
    for key in [k for k in cfg if k.startswith(('val_', 'test_'))]:
        cfg.pop(key)
    cfg.merge_from_dict(
        dict(
            FINETUNE,
            model=dict(
                backbone=dict(STUDENT, **start_from(checkpoint)), head=dict(HIDDEN, **head), **model
            ),
            train_cfg=dict(max_epochs=35, val_interval=100),
            param_scheduler=dict(warmup=0),
            optim_wrapper=dict(optimizer=dict(lr=2e-3)),
        )
    )
    return cfg


@pytest.mark.parametrize('concepts', [True, False])
def test_a_classifier_reads_tokens_and_concepts(pretrained, tmp_path, concepts):
    head = dict(in_channels=32, num_classes=2)
    extractor = dict(
        extractor=dict(embed_dims=32, num_heads=2, num_concepts=8, **start_from(pretrained[2]))
    )
    cfg = downstream(
        'cls_concept-pointvit-s_1xb32-300e_modelnet40', pretrained[2], head, **extractor
    )
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
            backbone=dict(PRETRAIN.model.backbone, **start_from(pretrained[2])),
            extractor=dict(PRETRAIN.model.extractor, **start_from(pretrained[2])),
            head=dict(type='ClsHead', in_channels=32, num_classes=2, pooling=('concept',)),
        )
    )
    model.init_weights()
    check_filled(model.backbone, pretrained[2])
    saved = torch.load(pretrained[2], weights_only=False)['state_dict']
    for key, value in model.extractor.state_dict().items():
        assert torch.equal(value, saved[f'extractor.{key}'])
    points = torch.randn(2, 128, 3)
    pooled = model.head.pool(model.eval().extract(points))
    net = MODELS.build(PRETRAIN.model).eval()
    net.load_state_dict(saved)
    torch.testing.assert_close(pooled, net(dict(points=points))['concepts'].mean(1))
    with pytest.raises(ValueError, match="'side'.*remove the extractor"):
        MODELS.build(
            dict(
                type='PointClassifier',
                backbone=PRETRAIN.model.backbone,
                extractor=PRETRAIN.model.extractor,
                transfer_type='side',
                head=dict(type='ClsHead', in_channels=32, num_classes=2),
            )
        )


@pytest.mark.parametrize(
    'name',
    ['partseg_act-pointvit-s_1xb16-300e_shapenetpart', 'semseg_act-pointvit-s_1xb32-60e_s3dis'],
)
def test_segmentors_load_the_exported_student_strictly(pretrained, tmp_path, name):
    out = mmkd3d.export_backbone(pretrained[2], tmp_path / 'student.pth')
    cfg = config(f'act/benchmarks/{name}.py')
    if cfg.default_scope == 'mmdet3d':
        pytest.importorskip('mmdet3d')
    init_default_scope(cfg.default_scope)
    backbone = {**cfg.model.backbone, **STUDENT, 'out_indices': (0, 1, 1), **start_from(out)}
    head = 'decode_head' if 'decode_head' in cfg.model else 'head'
    model = MODELS.build(
        {**cfg.model, 'backbone': backbone, head: {**cfg.model[head], 'in_channels': 32}}
    )
    model.init_weights()
    check_filled(model.backbone, pretrained[2])


def test_export_names_a_file_without_student(pretrained, tmp_path):
    state = torch.load(pretrained[2], weights_only=False)['state_dict']
    torch.save({k: v for k, v in state.items() if 'backbone' not in k}, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match="no keys under 'backbone.'.*head_"):
        mmkd3d.export_backbone(tmp_path / 'other.pth', tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()
    out = mmkd3d.export_backbone(pretrained[2], tmp_path / 'out.pth')
    plain = torch.load(out, weights_only=True)
    assert plain['state_dict'].keys() == {
        k.removeprefix('backbone.') for k in state if 'backbone.' in k
    }


@pytest.mark.slow
def test_pointnet2_goes_into_stock_votenet(tmp_path, mmdet3d_scope):
    settings = {k: v for k, v in SETTINGS.items() if k != 'train_cfg'}
    cfg = config('concept/concept_pointnet2_1xb16-5k_psb.py', **settings)
    toy = copy.deepcopy(PRETRAIN)
    cfg.train_dataloader = toy.train_dataloader
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler')
    cfg.train_dataloader.dataset.pipeline = [
        dict(type='mmkd3d.KeepViewPoints'),
        dict(type='mmkd3d.NormalizePoints'),
        dict(type='mmkd3d.ToDepthCoordinates', height=False),
        dict(type='mmkd3d.PackPoints'),
    ]
    cfg.model.target = toy.model.target
    for key in STUDENT:
        cfg.model.backbone.pop(key)
    cfg.model.backbone.pop('drop_path_rate')
    cfg.model.backbone.update(num_points=(64, 32, 16, 16), num_samples=(8, 8, 8, 8))
    cfg.model.adapter.embed_dims = 32
    cfg.train_cfg.max_iters = 8
    cfg.default_hooks.checkpoint.interval = 8
    runner = train(cfg, tmp_path / 'run')
    model = runner.model
    fixed = [n for n, p in model.named_parameters() if not p.requires_grad]
    assert fixed and all('FP_modules' in name for name in fixed)
    out = mmkd3d.export_backbone(tmp_path / 'run' / 'iter_8.pth', tmp_path / 'student.pth')
    stock = config('scannet_small/votenet_pointnet2_1xb2-60e_scannet-small.py')
    init_default_scope('mmdet3d')
    stock.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(out))
    votenet = MODELS.build(stock.model)
    assert type(votenet.backbone).__module__.startswith('mmdet3d.')
    keys = votenet.backbone.load_state_dict(torch.load(out)['state_dict'], strict=True)
    assert not keys.missing_keys and not keys.unexpected_keys
    for p in votenet.backbone.parameters():
        torch.nn.init.zeros_(p)
    votenet.backbone.init_weights()
    for (name, a), b in zip(
        votenet.backbone.state_dict().items(), model.backbone.state_dict().values()
    ):
        assert torch.equal(a, b), name


def test_the_student_is_asked_by_class_names(pretrained):
    """The embedding matches the pretraining model's, in the teacher's feature space."""
    init_default_scope('mmkd3d')
    text = dict(
        type='TextTarget', prompts=['a {}', 'the {}'], teacher=dict(type='mmkd3d.StubTextTeacher')
    )
    shared = {k: PRETRAIN.model[k] for k in ('backbone', 'extractor')}
    with pytest.raises(ValueError, match='does not fit'):  # text width is 6 instead of 24
        load_pretrained(
            MODELS.build(dict(type='ConceptZeroShot', text=text, **shared)),
            pretrained[2],
            prefix='',
        )
    text.update(teacher=dict(type='mmkd3d.WideTextTeacher'))
    model = MODELS.build(dict(type='ConceptZeroShot', text=text, **shared)).eval()
    load_pretrained(model, pretrained[2], prefix='')
    points = torch.randn(3, 128, 3)
    names = ('chair', 'lamp', 'boat')
    model.set_classes(names)
    net = MODELS.build(PRETRAIN.model).eval()
    net.load_state_dict(torch.load(pretrained[2], weights_only=False)['state_dict'])
    rows = net(dict(points=points), make_samples(3), mode='predict')
    expected = torch.stack(
        [torch.cosine_similarity(row['embedding'][None], model.class_features) for row in rows]
    )
    with torch.no_grad():
        torch.testing.assert_close(model(dict(points=points)), expected)


@MODELS.register_module(force=True)
class WideTextTeacher(StubTextTeacher):
    """Text teacher with the width of the toy's image teacher."""

    def __init__(self):
        BaseTeacher.__init__(self, seeded(torch.nn.Linear(4, 24), 0), 24)
