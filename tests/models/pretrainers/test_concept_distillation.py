"""Concept distillation: shapes, what trains, what it can learn, alarms."""

import copy

import pytest
import torch
import torch.nn.functional as F

from mmkd3d.models.pretrainers.concept import retrieval, usage
from mmkd3d.registry import MODELS
from tests.models.stub_teachers import StubDenseTeacher, cloud, make_samples

TARGETS = dict(
    type='mmkd3d.ConceptTargets',
    teacher=dict(type='mmkd3d.StubDenseTeacher'),
    views=dict(
        type='mmkd3d.RenderedViews', renderer=dict(type='mmkd3d.ViewRenderer', num_views=4, size=48)
    ),
    num_regions=3,
)
BACKBONE = dict(
    type='mmkd3d.PointTransformer',
    embed_dims=24,
    depth=2,
    num_heads=2,
    num_groups=8,
    group_size=8,
    patch_dims=(8, 16),
    drop_path_rate=0.0,
    with_cls_token=False,
)
EXTRACTOR = dict(type='mmkd3d.ConceptExtractor', embed_dims=24, num_concepts=16, num_heads=2)
CONFIG = dict(
    type='mmkd3d.ConceptDistillation',
    backbone=BACKBONE,
    extractor=EXTRACTOR,
    targets=dict(concepts=TARGETS),
    loss_global=dict(type='mmkd3d.ContrastiveAlignLoss'),
    loss_concept=dict(type='mmkd3d.MatchedConceptLoss'),
)
REBUILD = dict(
    masker=dict(type='mmkd3d.RandomMasker', ratio=0.6),
    decoder=dict(type='mmkd3d.MaskedDecoder', embed_dims=24, depth=1, num_heads=2),
    reconstruct=dict(type='mmkd3d.ChamferLoss'),
)


def concept(fit=True, **changes):
    cfg = copy.deepcopy(CONFIG)
    for name, change in changes.items():
        old = cfg.get(name)
        merge = isinstance(old, dict) and isinstance(change, dict)
        cfg[name] = {**old, **change} if merge else change
    model = MODELS.build(cfg)
    if fit and model.to_fit():
        model.fit_targets(model.target(shapes(16), None).flatten(0, 1))
    return model


def look(model, points):
    """Targets as the student gets them."""
    return model.normalize(model.target(points, None))


def with_targets(**changes):
    return dict(concepts=dict(TARGETS, **changes))


def shapes(num, points=512, channels=3):
    return torch.stack(
        [
            torch.randn(points, channels, generator=torch.Generator().manual_seed(i))
            for i in range(num)
        ]
    )


@pytest.mark.parametrize(
    'B, N, c, M, V',
    [(1, 512, 0, 1, 1), (3, 1024, 3, 16, 4), (3, 512, 3, 16, 1), (1, 1024, 0, 1, 4)],
)
def test_shapes_are_those_of_the_paper_s_notation(B, N, c, M, V):
    model = concept(extractor=dict(num_concepts=M), targets=with_targets(num_views=V))
    points = shapes(B, N, 3 + c)
    out = model(dict(points=points))
    assert out['tokens'].shape == (B, 8, 24)
    assert out['centers'].shape == (B, 8, 3)
    assert out['concepts'].shape == (B, M, 24)
    assert out['embedding'].shape == (B, 5)
    seen = look(model, points)
    assert seen.shape == (B, V, 4, 5)
    assert model.choose(seen).shape == (B, V * 4, 5)
    torch.testing.assert_close(seen.norm(dim=-1), torch.ones(B, V, 4))
    losses = model(dict(points=points), mode='loss')
    assert all(v.ndim == 0 and v.isfinite() for v in losses.values())
    said = model.conceive(model.encode(points)).said
    assert said.shape == (B, M, 5)


def test_the_order_of_the_points_does_not_matter():
    model = concept().eval()
    points = shapes(2)
    # farthest point sampling starts at the first point
    order = torch.cat([torch.zeros(1, dtype=int), 1 + torch.randperm(511)])
    with torch.no_grad():
        a, b = (model(dict(points=p))['embedding'] for p in (points, points[:, order]))
    torch.testing.assert_close(a, b, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    'change',
    [dict(), REBUILD, dict(masker=dict(type='mmkd3d.RandomMasker', ratio=0.3)), dict(head_dims=12)],
    ids=['default', 'rebuild', 'drop', 'mlp'],
)
def test_every_parameter_is_trained_and_nothing_of_the_teacher(change):
    model = concept(**change)
    total, _ = model.parse_losses(model(dict(points=shapes(4)), None, mode='loss'))
    total.backward()
    lacking = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not lacking
    teacher = model.target.teacher.net
    assert not any(p.requires_grad or p.grad is not None for p in teacher.parameters())
    assert not any(k.startswith('targets') for k in model.state_dict())


def test_a_stopped_gradient_needs_something_else_to_learn_from():
    with pytest.raises(ValueError, match='as random as it is'):
        concept(extractor=dict(detach_tokens=True))
    model = concept(extractor=dict(detach_tokens=True), **REBUILD)
    losses = model(dict(points=shapes(4)), None, mode='loss')
    (losses['loss_global'] + losses['loss_concept']).backward(retain_graph=True)
    assert all(p.grad is None for p in model.backbone.parameters())
    losses['loss_chamfer'].backward()
    assert any(p.grad is not None for p in model.backbone.parameters())


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(targets=dict(images=TARGETS)), "'concepts', got"),
        (dict(slots='parts'), "slots is one of .*got 'parts'"),
        (dict(slots='regions', targets=with_targets(num_regions=0)), 'num_regions > 0'),
        (dict(standardize=True), "standardize is one of .*'kind'.*got True"),
        (dict(loss_global=None, loss_concept=None), 'Nothing to learn'),
        (dict(reconstruct=REBUILD['reconstruct']), 'give a masker'),
        (dict(REBUILD, decoder=None), 'give a masker and a decoder'),
        (dict(REBUILD, masker=dict(type='mmkd3d.RandomMasker', ratio=0.1)), 'masks none of 8'),
        (
            dict(loss_concept=dict(type='mmkd3d.CosineLoss')),
            "type='MatchedConceptLoss', loss=.*got CosineLoss",
        ),
        (dict(extractor=dict(embed_dims=12)), 'width 24.*embed_dims=12'),
        (dict(targets=with_targets(num_views=5)), 'num_views=5 of the 4'),
    ],
)
def test_parts_that_do_not_fit_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        concept(fit=False, **change)


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
        model(dict(points=shapes(2)), None, mode='loss')
    assert len(model.to_fit()) == 2
    assert not concept(fit=False, standardize=None).to_fit()


def test_statistics_are_of_each_kind_or_of_all():
    feats = torch.randn(50, 4, 5) + torch.tensor([9.0, 0, 0, 0])[:, None]
    by_kind, of_all = concept(fit=False), concept(fit=False, standardize='all')
    for model in (by_kind, of_all):
        model.fit_targets(feats)
    pictures, regions = by_kind.standardizers.values()
    torch.testing.assert_close(pictures.mean, feats[:, 0].mean(0))
    torch.testing.assert_close(regions.mean, feats[:, 1:].mean((0, 1)))
    torch.testing.assert_close(of_all.standardizers['all'].mean, feats.mean((0, 1)))
    # with one mean for all, pictures stay in a cone
    cone = [
        F.cosine_similarity(*model.normalize(feats)[:2, 0], dim=-1) for model in (of_all, by_kind)
    ]
    assert cone[0] > 0.9 > cone[1]
    other = concept(fit=False)
    other.load_state_dict(by_kind.state_dict())
    assert not other.to_fit()
    assert torch.equal(other.normalize(feats), by_kind.normalize(feats))


def test_slots_are_pictures_regions_or_both():
    seen = torch.arange(2 * 3 * 4.0).view(2, 3, 4)[..., None]
    for slots, size in (('both', 12), ('global', 3), ('regions', 9)):
        chosen = concept(slots=slots).choose(seen)
        assert chosen.shape == (2, size, 1)
        whole = seen[:, :, 0].flatten(1)
        kept = [v in chosen[0].flatten() for v in whole[0]]
        assert all(kept) if slots != 'regions' else not any(kept)


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


def test_monitors_against_loops():
    embedding, pictures = torch.randn(2, 9, 4)
    hits = 0
    for i in range(9):
        cos = [F.cosine_similarity(embedding[i], p, dim=0) for p in pictures]
        hits += int(max(range(9), key=lambda j: cos[j]) == i)
    assert retrieval(embedding, pictures) == pytest.approx(hits / 9)
    # each concept evenly with every slot; always the same; one not at all
    concepts = torch.arange(3).expand(3, 3)
    slots = (torch.arange(3) + torch.arange(3)[:, None]) % 3
    assert usage(concepts, slots, 3, 3) == pytest.approx(1)
    assert usage(concepts, slots[:1].expand(3, 3), 3, 3) == 0
    assert usage(concepts, slots, 6, 3) == pytest.approx(0.5)


def test_the_teacher_may_ask_the_questions():
    """Then as many as there are targets, and without images the own ones."""
    extractor = dict(query_source='teacher', teacher_dims=5)
    model = concept(extractor=extractor)
    losses = model(dict(points=shapes(4)), None, mode='loss')
    assert all(v.isfinite() for v in losses.values())
    assert model(dict(points=shapes(4)))['concepts'].shape == (4, 16, 24)
    with pytest.raises(ValueError, match='num_concepts'):
        concept(extractor=dict(extractor, num_concepts=7))(
            dict(points=shapes(4)), None, mode='loss'
        )


def test_samples_bring_pictures():
    views = dict(type='mmkd3d.RenderedViews', num_views=2)
    model = concept(targets=with_targets(views=views), fit=False)

    def picture(i):
        generator = torch.Generator().manual_seed(i)
        return torch.rand(2, 4, 24, 24, generator=generator)

    samples = make_samples(6, image=picture)
    model.fit_targets(model.target(shapes(6), samples).flatten(0, 1))
    losses = model(dict(points=shapes(6)), samples, mode='loss')
    assert losses['loss_global'].isfinite()
    with pytest.raises(ValueError, match='have no image'):
        model(dict(points=shapes(2)), make_samples(2, view_points=cloud), mode='loss')


def test_depth_projection_needs_nothing_but_the_cloud():
    views = dict(
        type='mmkd3d.DepthProjection', projector=dict(type='mmkd3d.AxisProjector', size=48)
    )
    model = concept(targets=with_targets(views=views))
    points = shapes(3)
    assert look(model, points).shape == (3, 3, 4, 5)
    turned = points[..., [1, 0, 2]]
    assert not torch.equal(look(model, turned), look(model, points))
    with pytest.raises(ValueError, match='DepthProjection gives random views'):
        concept(targets=with_targets(views=views, cache='nowhere'))


def test_autocast_changes_little():
    model = concept()
    points = shapes(4)
    exact = model(dict(points=points), None, mode='loss')
    with torch.autocast('cpu', torch.bfloat16):
        half = model(dict(points=points), None, mode='loss')
    for name in ('loss_global', 'loss_concept'):
        assert half[name].dtype == torch.float32
        torch.testing.assert_close(half[name], exact[name], atol=1e-2, rtol=0)
