"""What concept distillation makes of odd clouds, pictures and settings."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from torch.utils.data import DataLoader

from mmkd3d.engine.hooks.fit_targets import FitTargetsHook
from mmkd3d.models.pretrainers.base import BasePretrainer
from mmkd3d.registry import MODELS
from mmkd3d.visualization.commands import draw_pretraining
from tests.models.pretrainers.test_concept_distillation import (
    BACKBONE,
    CONFIG,
    REBUILD,
    concept,
    shapes,
    with_targets,
)
from tests.models.small_m2ae import student
from tests.models.stub_teachers import DENSE, make_samples
from tests.models.two_ranks import on_two_ranks, train
from tests.runs import train as run
from tests.training.test_concept_training import PRETRAIN, SETTINGS, STUDENT, config

DROP = dict(masker=dict(type='mmkd3d.RandomMasker', ratio=0.3))
PLAIN = {k: v for k, v in BACKBONE.items() if k != 'with_cls_token'}
PROTOTYPES = dict(type='mmkd3d.PrototypeKLLoss', dims=5, num_prototypes=8)
ASKED = dict(query_source='teacher', teacher_dims=5)


def of_student(backbone, fit=True, **changes):
    """The method with another student, not merged with the usual one."""
    cfg = copy.deepcopy({**CONFIG, 'backbone': backbone, **changes})
    model = MODELS.build(cfg)
    if fit:
        model.fit_targets(model.target(shapes(16), None).flatten(0, 1))
    return model


SETUPS = dict(
    default=concept,
    global_alone=lambda: concept(loss_concept=None),
    concepts_alone=lambda: concept(loss_global=None),
    dropped=lambda: concept(**DROP),
    rebuilt=lambda: concept(**REBUILD),
    detached=lambda: concept(extractor=dict(detach_tokens=True), **REBUILD),
    guided=lambda: concept(masker=dict(type='mmkd3d.SaliencyMasker', ratio=0.5, target=DENSE)),
    asked=lambda: concept(extractor=ASKED),
    prototypes=lambda: concept(loss_concept=dict(loss=PROTOTYPES)),
    cosine=lambda: of_student(BACKBONE, loss_global=dict(type='mmkd3d.CosineLoss')),
    class_token=lambda: concept(backbone=dict(with_cls_token=True)),
    pyramid=lambda: of_student(student()),
    pyramid_dropped=lambda: of_student(student(), **DROP),
    recon=lambda: of_student(dict(PLAIN, type='mmkd3d.ReConTransformer')),
)


def check_step(model, points, samples=None):
    """Losses and gradients are finite, and no parameter is without one."""
    losses = model(dict(points=points), samples, mode='loss')
    assert all(v.isfinite() for v in losses.values()), losses
    total, _ = model.parse_losses(losses)
    total.backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
    return losses


@pytest.mark.parametrize('make', SETUPS.values(), ids=SETUPS)
def test_every_setup_trains_all_that_it_has(make):
    check_step(make(), shapes(3, 128))


@pytest.mark.parametrize(
    'points',
    [
        shapes(1, 128),
        shapes(3, 128, 6),
        shapes(3, 8),
        shapes(3, 128) * 0,
        shapes(1, 128).expand(3, -1, -1),
        shapes(3, 128) + 1e4,
    ],
    ids=['one cloud', 'with colours', 'a patch', 'origin', 'equal', 'far'],
)
def test_odd_clouds_train(points):
    check_step(concept(), points)


@pytest.mark.parametrize('value', [torch.nan, torch.inf])
@pytest.mark.parametrize('make', [concept, SETUPS['global_alone']], ids=['both', 'global alone'])
def test_points_that_are_not_finite_are_told(make, value):
    model, points = make(), shapes(3, 128)
    points[1, 40, 0] = value
    with pytest.raises(ValueError, match='Cloud 1 .* not finite'):
        model(dict(points=points), None, mode='loss')


def test_a_masked_pyramid_gives_the_visible_tokens_at_their_places():
    model = of_student(student(), **DROP).eval()
    points = shapes(3, 128)
    out = model.encode(points)
    pyramid = model.backbone.group(points)
    whole = model.backbone.encode(pyramid, out.mask)['levels'][-1]
    for i, hidden in enumerate(out.mask):
        assert hidden.sum() == 2  # 0.3 of 8
        torch.testing.assert_close(out.tokens[i], whole[i, ~hidden])
        torch.testing.assert_close(out.centers[i], pyramid[-1].centers[i, ~hidden])
    assert model.encode(points, whole=True).tokens.shape == (3, 8, 24)


def test_patches_of_a_pyramid_are_not_rebuilt():
    with pytest.raises(ValueError, match='PointM2AE has a pyramid of them'):
        of_student(student(), **REBUILD)


def test_without_a_global_loss_nobody_is_given_an_untrained_embedding():
    model = concept(loss_global=None).eval()
    assert not any('head_global' in key for key in model.state_dict())
    points = dict(points=shapes(2, 128))
    assert model(points)['embedding'] is None
    rows = model(points, make_samples(2), mode='predict')
    assert [set(row) for row in rows] == [{'input'}] * 2
    alone = concept(loss_concept=None)
    assert not any('head_concept' in key for key in alone.state_dict())
    assert alone.eval()(points)['embedding'].shape == (2, 5)


@pytest.mark.parametrize(
    'loss',
    [
        dict(type='mmkd3d.SmoothL1Loss'),
        dict(type='mmkd3d.L2Loss'),
        PROTOTYPES,
        dict(type='mmkd3d.ContrastiveAlignLoss', mode='soft'),
    ],
    ids=lambda loss: loss['type'],
)
def test_other_losses_of_the_whole_cloud(loss):
    losses = check_step(of_student(BACKBONE, loss_global=loss), shapes(3, 128))
    assert ('scale' in losses) == ('Align' in loss['type'])


def test_the_target_of_the_cloud_is_the_direction_of_its_mean_picture():
    model = of_student(BACKBONE, loss_global=dict(type='mmkd3d.L2Loss')).eval()
    points = shapes(3, 128)
    z = model(dict(points=points))['embedding']
    seen = model.normalize(model.target(points, None))
    expected = 0.0
    for i in range(3):
        mean = sum(seen[i, v, 0] for v in range(4)) / 4
        expected += (z[i] - mean / mean.norm()).square().mean() / 3
    losses = model(dict(points=points), None, mode='loss')
    torch.testing.assert_close(losses['loss_global'], expected)


GIVEN = dict(views=dict(type='mmkd3d.RenderedViews', num_views=2))


def pictures(i, size=24, views=2, alpha=None):
    generator = torch.Generator().manual_seed(i)
    images = torch.rand(views, 3, size, size, generator=generator)
    if alpha is None:
        return images
    return torch.cat([images, torch.full((views, 1, size, size), float(alpha))], 1)


@pytest.mark.parametrize('standardize', ['kind', 'all', None])
def test_regions_that_are_missing_are_counted(standardize):
    """Pictures that are transparent everywhere have none."""
    model = concept(fit=False, standardize=standardize, targets=with_targets(**GIVEN))
    samples = make_samples(8, image=lambda i: pictures(i, alpha=i % 4 > 0))
    points = shapes(8, 128)
    model.fit_targets(model.target(points, samples).flatten(0, 1))
    losses = check_step(model, points, samples)
    assert losses['regions_found'] == 3 * 6 / 8


@pytest.mark.parametrize(
    'image, message',
    [
        (
            lambda i: pictures(i, size=24 + i),
            r'\(2, 3, 24, 24\) for s0 and \(2, 3'
            r', 25, 25\) for s1.*AugmentRendering',
        ),
        (lambda i: pictures(i, views=4), r'num_views=2.*got \(4, 3, 24, 24\)'),
        (lambda i: pictures(i)[0], r'num_views=2.*got \(1, 3, 24, 24\)'),
        (lambda i: pictures(i) if i else None, '1 of 3 samples have no image: s0'),
        (lambda i: None, 'have no image'),
    ],
)
def test_pictures_that_do_not_fit_are_named(image, message):
    model = concept(fit=False, targets=with_targets(**GIVEN))
    with pytest.raises(ValueError, match=message):
        model(dict(points=shapes(3, 128)), make_samples(3, image=image), mode='loss')


@pytest.mark.parametrize(
    'options, error, message',
    [
        (dict(num_regions=-1), ValueError, 'num_regions must be at least 0.*got -1'),
        (dict(images_at_once=0), ValueError, 'images_at_once at least 1.*and 0'),
        (dict(num_views=0), ValueError, 'num_views=0 of the 4'),
        (
            dict(teacher=dict(type='mmkd3d.StubImageTeacher')),
            ValueError,
            '5 dimensions and its tokens 4',
        ),
        (
            dict(teacher=dict(type='mmkd3d.StubTextTeacher')),
            NotImplementedError,
            'StubTextTeacher can not make maps of images: choose',
        ),
    ],
)
def test_targets_that_do_not_fit_are_named(options, error, message):
    with pytest.raises(error, match=message):
        concept(targets=with_targets(**options))


def test_a_teacher_without_maps_teaches_whole_pictures():
    model = concept(
        targets=with_targets(num_regions=0, teacher=dict(type='mmkd3d.StubImageTeacher'))
    )
    losses = check_step(model, shapes(3, 128))
    assert 'regions_found' not in losses
    assert list(model.standardizers) == ['pictures']


def test_statistics_of_another_kind_are_not_taken_over():
    models = {kind: concept(standardize=kind) for kind in ('kind', 'all')}
    for kind, other in (('kind', 'all'), ('all', 'kind')):
        model = concept(standardize=kind, fit=False)
        model.load_state_dict(models[other].state_dict(), strict=False)
        assert len(model.to_fit()) == len(model.standardizers)


def test_a_student_of_point_mae_goes_on_with_concepts(tmp_path):
    """From its whole checkpoint; the statistics are fitted all the same."""
    cfg = config('toy/point-mae_toy.py')
    cfg.merge_from_dict(
        dict(
            model=dict(backbone=STUDENT, decoder=dict(embed_dims=32, depth=1, num_heads=2)),
            train_dataloader=SETTINGS['train_dataloader'],
            train_cfg=dict(max_epochs=1),
        )
    )
    run(cfg, tmp_path / 'mae')
    cfg = copy.deepcopy(PRETRAIN)
    cfg.merge_from_dict(
        dict(
            train_cfg=dict(max_epochs=1),
            optim_wrapper=dict(accumulative_counts=2, optimizer=dict(lr=0.0)),
        )
    )
    cfg.param_scheduler = []
    path = tmp_path / 'mae/epoch_1.pth'
    model = run(cfg, tmp_path / 'concept', load_from=str(path)).model
    assert not model.to_fit()
    saved = torch.load(path, weights_only=False)['state_dict']
    for name, weight in model.backbone.named_parameters():
        torch.testing.assert_close(weight.data, saved[f'backbone.{name}'])
    cfg.dump(tmp_path / 'config.py')
    drawn = draw_pretraining(
        str(tmp_path / 'config.py'), str(tmp_path / 'concept/epoch_1.pth'), tmp_path / 'out', num=2
    )
    assert drawn and all(path.stat().st_size for path in drawn)


def test_students_that_have_no_features_to_probe_say_so():
    model = BasePretrainer()
    model.backbone = torch.nn.Identity()
    with pytest.raises(ValueError, match='Identity has no extract_feat'):
        model.extract_feat(shapes(1))


def fit_and_train(rank, name):
    """Fit on rank 0, which alone can see its data; then two steps."""
    torch.manual_seed(0)
    model = SETUPS[name]()
    for part in model.modules():
        if hasattr(part, 'fit'):
            part.count.zero_()
    data = [
        dict(inputs=dict(points=row), data_samples=sample)
        for row, sample in zip(shapes(16, 128), make_samples(16))
    ]
    said = []
    FitTargetsHook().before_train(
        SimpleNamespace(
            model=MMDistributedDataParallel(model),
            logger=SimpleNamespace(info=said.append),
            train_loop=SimpleNamespace(dataloader=DataLoader([None] if rank else data)),
        )
    )
    assert bool(said) == (rank == 0) and not model.to_fit()
    batches = []
    for step in range(2):
        generator = torch.Generator().manual_seed(2 * step + rank)
        batches.append(
            dict(
                inputs=dict(points=[*torch.randn(4, 128, 3, generator=generator)]),
                data_samples=make_samples(4),
            )
        )
    buffers = torch.cat(
        [b.double().flatten() for m in model.modules() if hasattr(m, 'fit') for b in m.buffers()]
    )
    return (*train(model, batches), buffers)


ON_RANKS = (
    'default',
    'global_alone',
    'concepts_alone',
    'rebuilt',
    'asked',
    'pyramid',
    'pyramid_dropped',
)


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    return on_two_ranks(
        tmp_path_factory.mktemp('ranks'), fit_and_train, {name: name for name in ON_RANKS}
    )


@pytest.mark.slow
@pytest.mark.parametrize('name', ON_RANKS)
def test_two_processes_fit_once_and_train_alike(ranks, name):
    results = [rank[name] for rank in ranks]
    assert not any(isinstance(result, str) for result in results), results
    (_, moved, weights, statistics), (_, _, others, theirs) = results
    assert moved and weights.isfinite().all() and len(statistics)
    assert torch.equal(weights, others)
    assert torch.equal(statistics, theirs)
