"""Concept distillation: shapes, gradients, targets, monitors and errors."""

import copy

import pytest
import torch
import torch.nn.functional as F

from mmkd3d.models.losses.align import retrieval_accuracy
from mmkd3d.models.losses.matched import Matched, concept_usage
from mmkd3d.models.targets.standardizer import fit_targets, unfitted
from mmkd3d.registry import MODELS
from tests.models.small_m2ae import student
from tests.models.steps import SMALL, check_step, losses_of
from tests.models.stub_teachers import DENSE, StubDenseTeacher, cloud, make_samples

TARGET = dict(
    type='mmkd3d.ConceptTargets',
    teacher=dict(type='mmkd3d.StubDenseTeacher'),
    views=dict(
        type='mmkd3d.RenderedViews', renderer=dict(type='mmkd3d.ViewRenderer', num_views=4, size=48)
    ),
    num_regions=3,
)
SIZES = dict(SMALL, num_heads=2, num_groups=8, drop_path_rate=0.0)
CONFIG = dict(
    type='mmkd3d.ConceptDistillation',
    backbone=dict(type='mmkd3d.PointTransformer', with_cls_token=False, **SIZES),
    extractor=dict(type='mmkd3d.ConceptExtractor', embed_dims=24, num_concepts=16, num_heads=2),
    target=TARGET,
    losses=dict(
        embedding=dict(type='mmkd3d.ContrastiveAlignLoss'),
        concept=dict(type='mmkd3d.MatchedConceptLoss'),
    ),
)
REBUILD = dict(
    masker=dict(type='mmkd3d.RandomMasker', ratio=0.6),
    decoder=dict(type='mmkd3d.MaskedDecoder', embed_dims=24, depth=1, num_heads=2),
    losses=dict(chamfer=dict(type='mmkd3d.ChamferLoss')),
)
DROP = dict(masker=dict(type='mmkd3d.RandomMasker', ratio=0.3))
PROTOTYPES = dict(type='mmkd3d.PrototypeKLLoss', dims=5, num_prototypes=8)
RECON = dict(type='mmkd3d.ReConTransformer', **SIZES)
GUIDED = dict(type='mmkd3d.SaliencyMasker', ratio=0.5, target=DENSE)
ASKED = dict(query_source='teacher', teacher_dims=5)


def concept(fit=True, new_backbone=None, **changes):
    """Small model; dicts in ``changes`` are merged into those of CONFIG."""
    cfg = copy.deepcopy(CONFIG)
    for name, change in changes.items():
        old = cfg.get(name)
        merge = isinstance(old, dict) and isinstance(change, dict)
        cfg[name] = {**old, **change} if merge else change
    model = MODELS.build(dict(cfg, backbone=new_backbone) if new_backbone else cfg)
    if fit and unfitted(model):
        fit_targets(model, model.target(shapes(16), None).flatten(0, 1))
    return model


def look(model, points):
    """Standardised targets, as used in training."""
    return model.standardizers(model.target(points, None))


def only(name):
    return dict(losses=dict.fromkeys({'embedding', 'concept'} - {name}))


def embedding_loss(**loss):
    return dict(losses=dict(embedding=loss))


def shapes(num, points=512, channels=3):
    seeds = (torch.Generator().manual_seed(i) for i in range(num))
    return torch.stack([torch.randn(points, channels, generator=g) for g in seeds])


CHANGES = dict(
    default={},
    global_alone=only('embedding'),
    concepts_alone=only('concept'),
    mlp_heads=dict(head_dims=12),
    dropped=DROP,
    rebuilt=REBUILD,
    guided=dict(masker=GUIDED),
    asked=dict(extractor=ASKED),
    prototypes=dict(losses=dict(concept=dict(type='mmkd3d.MatchedConceptLoss', loss=PROTOTYPES))),
    cosine=embedding_loss(type='mmkd3d.CosineLoss'),
    smooth=embedding_loss(type='mmkd3d.SmoothL1Loss'),
    embedding_prototypes=embedding_loss(**PROTOTYPES),
    soft=embedding_loss(type='mmkd3d.ContrastiveAlignLoss', mode='soft'),
    class_token=dict(backbone=dict(with_cls_token=True)),
    pyramid=dict(new_backbone=student()),
    pyramid_dropped=dict(new_backbone=student(), **DROP),
    recon=dict(new_backbone=RECON),
)
SETUPS = {name: lambda change=change: concept(**change) for name, change in CHANGES.items()}


@pytest.mark.parametrize('name', SETUPS)
def test_every_setup_trains_all_its_parameters_and_no_teacher(name):
    model = SETUPS[name]()
    losses = check_step(model, shapes(3, 128))
    contrastive = 'Align' in type(model.loss_global).__name__
    assert ('scale' in losses) == contrastive
    teacher = model.target.teacher.net
    assert not any(p.requires_grad or p.grad is not None for p in teacher.parameters())
    assert not any(k.startswith('target') for k in model.state_dict())


@pytest.mark.parametrize('B, N, c, M, V', [(1, 512, 0, 1, 1), (3, 1024, 3, 16, 4)])
def test_shapes_are_those_of_the_paper_s_notation(B, N, c, M, V):
    model = concept(extractor=dict(num_concepts=M), target=dict(num_views=V))
    points = shapes(B, N, 3 + c)
    out = model(dict(points=points))
    assert out['tokens'].shape == (B, 8, 24)
    assert out['centers'].shape == (B, 8, 3)
    assert out['concepts'].shape == (B, M, 24)
    assert out['embedding'].shape == (B, 5)
    seen = look(model, points)
    assert seen.shape == (B, V, 4, 5)
    torch.testing.assert_close(seen.norm(dim=-1), torch.ones(B, V, 4))
    losses = losses_of(model, points)
    assert all(v.ndim == 0 and v.isfinite() for v in losses.values())
    assert model.head_concept(out['concepts']).shape == (B, M, 5)


def test_a_stopped_gradient_needs_another_loss():
    with pytest.raises(ValueError, match='no loss trains the student'):
        concept(extractor=dict(detach_tokens=True))
    model = concept(extractor=dict(detach_tokens=True), **REBUILD)
    losses = losses_of(model, shapes(4))
    (losses['loss_embedding'] + losses['loss_concept']).backward(retain_graph=True)
    assert all(p.grad is None for p in model.backbone.parameters())
    losses['loss_chamfer'].backward()
    assert any(p.grad is not None for p in model.backbone.parameters())


FEW = dict(type='mmkd3d.RandomMasker', ratio=0.1)
TEXT = dict(teacher=dict(type='mmkd3d.StubTextTeacher'))
COSINE = dict(concept=dict(type='mmkd3d.CosineLoss'))


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(slots='parts'), "slots is one of .*got 'parts'"),
        (dict(slots='regions', target=dict(num_regions=0)), 'num_regions > 0'),
        (dict(standardize=True), "standardize is one of .*'kind'.*got True"),
        (dict(losses=dict(embedding=None, concept=None)), 'Nothing to learn'),
        (dict(losses=REBUILD['losses']), 'give a decoder and a masker'),
        (dict(REBUILD, new_backbone=student()), 'PointM2AE is hierarchical'),
        (dict(REBUILD, masker=FEW), 'none of 8 tokens: .* higher ratio'),
        (dict(losses=COSINE), 'MatchedConceptLoss.*got CosineLoss'),
        (dict(extractor=dict(embed_dims=12)), 'width 24.*embed_dims=12'),
        (dict(target=dict(num_views=5)), 'num_views=5 of the 4'),
        (dict(target=dict(num_regions=-1)), 'num_regions must be at least 0.*got -1'),
        (dict(target=TEXT, fit=True), 'StubTextTeacher can ?not'),
    ],
)
def test_parts_that_do_not_fit_are_named(change, message):
    with pytest.raises((ValueError, NotImplementedError), match=message):
        concept(**{'fit': False, **change})


def test_regions_need_a_teacher_whose_tokens_lie_beside_its_global_feature(monkeypatch):
    init = StubDenseTeacher.__init__

    def narrow(self, *args, **kwargs):
        init(self, *args, **kwargs)
        self.global_dims = 7

    monkeypatch.setattr(StubDenseTeacher, '__init__', narrow)
    with pytest.raises(ValueError, match='7 dimensions and its tokens 5'):
        concept(fit=False)


def test_training_is_refused_without_statistics():
    model = concept(fit=False)
    with pytest.raises(RuntimeError, match='FitTargetsHook'):
        losses_of(model, shapes(2))
    assert len(unfitted(model)) == 2
    assert not unfitted(concept(fit=False, standardize=None))


def test_statistics_are_of_each_kind_or_of_all():
    feats = torch.randn(50, 4, 5) + torch.tensor([9.0, 0, 0, 0])[:, None]
    by_kind, of_all = concept(fit=False), concept(fit=False, standardize='all')
    for model in (by_kind, of_all):
        fit_targets(model, feats)
    pictures, regions = by_kind.standardizers.values()
    torch.testing.assert_close(pictures.mean, feats[:, 0].mean(0))
    torch.testing.assert_close(regions.mean, feats[:, 1:].mean((0, 1)))
    torch.testing.assert_close(of_all.standardizers['all'].mean, feats.mean((0, 1)))
    # with a single mean, image features stay in a cone
    cone = [
        F.cosine_similarity(*model.standardizers(feats)[:2, 0], dim=-1)
        for model in (of_all, by_kind)
    ]
    assert cone[0] > 0.9 > cone[1]
    other = concept(fit=False)
    other.load_state_dict(by_kind.state_dict())
    assert not unfitted(other)
    assert torch.equal(other.standardizers(feats), by_kind.standardizers(feats))
    other = concept(fit=False, standardize='all')
    other.load_state_dict(by_kind.state_dict(), strict=False)
    assert len(unfitted(other)) == 1


@pytest.mark.parametrize('slots, size', [('both', 16), ('global', 4), ('regions', 12)])
def test_slots_are_pictures_regions_or_both(slots, size, monkeypatch):
    model, found = concept(slots=slots), []
    monkeypatch.setattr(
        model.extractor, 'forward', lambda *args: found.append(args[2]) or torch.zeros(2, 16, 24)
    )
    model.loss(shapes(2), None)
    target = look(model, shapes(2))  # (B, 4 views, 1 + 3, D)
    kept = dict(both=target, regions=target[:, :, 1:]).get(slots, target[:, :, :1])
    assert found[0].shape == (2, size, 5) and torch.equal(found[0], kept.flatten(1, 2))


def test_predictions_are_in_the_space_of_the_teacher():
    model = concept().eval()
    points = shapes(3)
    rows = model(dict(points=points), make_samples(3), mode='predict')
    embedding = model(dict(points=points))['embedding']
    standardizer = model.standardizers['pictures']
    for row, z in zip(rows, embedding):
        torch.testing.assert_close(row['embedding'], z * standardizer.std + standardizer.mean)
        assert row['input'].shape == (512, 3)
    assert not rows[0]['embedding'].requires_grad
    model = concept(**only('concept')).eval()
    assert not any('head_global' in key for key in model.state_dict())
    assert model(dict(points=points))['embedding'] is None
    rows = model(dict(points=points), make_samples(3), mode='predict')
    assert [set(row) for row in rows] == [{'input'}] * 3


def test_monitors_against_loops():
    embedding, pictures = torch.randn(2, 9, 4)
    hits = 0
    for i in range(9):
        cos = [F.cosine_similarity(embedding[i], p, dim=0) for p in pictures]
        hits += int(max(range(9), key=lambda j: cos[j]) == i)
    assert retrieval_accuracy(embedding, pictures) == pytest.approx(hits / 9)
    # all slots equally often; always the same slot; half of the concepts never matched
    concepts = torch.arange(3).expand(3, 3)
    slots = (torch.arange(3) + torch.arange(3)[:, None]) % 3
    even, same = (Matched(None, None, concepts, s) for s in (slots, slots[:1].expand(3, 3)))
    assert concept_usage(even, 3, 3) == pytest.approx(1)
    assert concept_usage(same, 3, 3) == 0
    assert concept_usage(even, 6, 3) == pytest.approx(0.5)


def test_the_teacher_may_ask_the_questions():
    """One query per target; without images, the learned queries are the fallback."""
    model = concept(extractor=ASKED)
    assert all(v.isfinite() for v in losses_of(model, shapes(4)).values())
    assert model(dict(points=shapes(4)))['concepts'].shape == (4, 16, 24)
    with pytest.raises(ValueError, match='num_concepts'):
        losses_of(concept(extractor=dict(ASKED, num_concepts=7)), shapes(4))


def test_depth_projection_needs_nothing_but_the_cloud():
    projector = dict(type='mmkd3d.AxisProjector', size=48)
    views = dict(type='mmkd3d.DepthProjection', projector=projector)
    model = concept(target=dict(views=views))
    points = shapes(3)
    assert look(model, points).shape == (3, 3, 4, 5)
    assert not torch.equal(look(model, points[..., [1, 0, 2]]), look(model, points))
    with pytest.raises(ValueError, match='DepthProjection gives random views'):
        concept(target=dict(views=views, cache='nowhere'))


def test_autocast_changes_little():
    model, points = concept(), shapes(4)
    exact = losses_of(model, points)
    with torch.autocast('cpu', torch.bfloat16):
        half = losses_of(model, points)
    for name in ('loss_embedding', 'loss_concept'):
        assert half[name].dtype == torch.float32
        torch.testing.assert_close(half[name], exact[name], atol=1e-2, rtol=0)


@pytest.mark.parametrize(
    'points',
    [shapes(1, 128), shapes(3, 8), shapes(3, 128) * 0, shapes(3, 128) + 1e4],
    ids=['one cloud', 'a patch', 'origin', 'far'],
)
def test_odd_clouds_train(points):
    check_step(concept(), points)


def test_points_that_are_not_finite_are_an_error():
    points = shapes(3, 128)
    points[1, 40, 0] = torch.nan
    with pytest.raises(ValueError, match='Cloud 1 .* not finite'):
        losses_of(concept(), points)


def test_a_masked_pyramid_gives_the_visible_tokens_with_their_centres():
    model = concept(new_backbone=student(), **DROP).eval()
    points = shapes(3, 128)
    pyramid = model.group(points)
    mask = model.draw_mask(points, pyramid)
    feats = model.forward_encoder(pyramid, mask)
    whole = model.backbone.encode(pyramid, mask)['levels'][-1]
    for i, hidden in enumerate(mask):
        assert hidden.sum() == 2  # 0.3 of 8
        torch.testing.assert_close(feats['tokens'][i], whole[i, ~hidden])
        torch.testing.assert_close(feats['centers'][i], pyramid[-1].centers[i, ~hidden])
    assert model(dict(points=points))['tokens'].shape == (3, 8, 24)


def test_the_target_of_the_embedding_is_the_direction_of_the_mean_picture():
    model = concept(losses=dict(embedding=dict(type='mmkd3d.L2Loss'))).eval()
    points = shapes(3, 128)
    z, target = model(dict(points=points))['embedding'], look(model, points)
    expected = 0.0
    for i in range(3):
        mean = sum(target[i, v, 0] for v in range(4)) / 4
        expected += (z[i] - mean / mean.norm()).square().mean() / 3
    torch.testing.assert_close(losses_of(model, points)['loss_embedding'], expected)


GIVEN = dict(views=dict(type='mmkd3d.RenderedViews', num_views=2))


def pictures(i, size=24, views=2, alpha=None):
    generator = torch.Generator().manual_seed(i)
    images = torch.rand(views, 3, size, size, generator=generator)
    if alpha is None:
        return images
    return torch.cat([images, torch.full((views, 1, size, size), float(alpha))], 1)


@pytest.mark.parametrize('standardize', ['kind', 'all', None])
def test_samples_bring_pictures_and_missing_regions_are_counted(standardize):
    """Fully transparent images have no regions."""
    model = concept(fit=False, standardize=standardize, target=GIVEN)
    samples = make_samples(8, image=lambda i: pictures(i, alpha=i % 4 > 0))
    points = shapes(8, 128)
    fit_targets(model, model.target(points, samples).flatten(0, 1))
    losses = check_step(model, points, samples)
    assert losses['regions_found'] == 3 * 6 / 8


@pytest.mark.parametrize(
    'fields, message',
    [
        (
            dict(image=lambda i: pictures(i, size=24 + i)),
            r'\(2, 3, 24, 24\) for s0 .*\(2, 3, 25, 25\) for s1',
        ),
        (dict(image=lambda i: pictures(i, views=4)), r'num_views=2.*got \(4, 3, 24, 24\)'),
        (dict(image=lambda i: pictures(i) if i else None), '1 of 3 samples have no image: s0'),
        (dict(view_points=cloud), 'samples have no image .s0, s1'),
    ],
)
def test_pictures_that_do_not_fit_are_named(fields, message):
    model = concept(fit=False, target=GIVEN)
    with pytest.raises(ValueError, match=message):
        losses_of(model, shapes(3, 128), make_samples(3, **fields))


def test_a_teacher_without_maps_teaches_whole_pictures():
    model = concept(target=dict(num_regions=0, teacher=dict(type='mmkd3d.StubImageTeacher')))
    losses = check_step(model, shapes(3, 128))
    assert 'regions_found' not in losses
    assert list(model.standardizers) == ['pictures']
