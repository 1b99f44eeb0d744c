"""Concept extractor: attention, and no leak of queries into concepts."""

import pytest
import torch

from mmkd3d.models.layers.concept_extractor import ConceptLayer
from mmkd3d.registry import MODELS

DIMS, TEACHER_DIMS = 24, 10


def extractor(seed=0, **kwargs):
    """Small extractor with weights large enough for positions to matter."""
    torch.manual_seed(seed)
    cfg = dict(num_concepts=5, num_heads=3) | kwargs
    if cfg.get('query_source') == 'teacher':
        cfg.setdefault('teacher_dims', TEACHER_DIMS)
    model = MODELS.build(dict(type='mmkd3d.ConceptExtractor', embed_dims=DIMS, **cfg))
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model


def teacher_extractor(**kwargs):
    return extractor(query_source='teacher', **kwargs)


def clouds(B=3, G=7, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(B, G, DIMS, generator=generator), torch.rand(B, G, 3, generator=generator))


def questions(B=3, M=5, seed=2, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(B, M, TEACHER_DIMS, generator=generator)


@pytest.mark.parametrize('B, M, num_layers', [(1, 1, 1), (1, 16, 2), (3, 5, 4)])
def test_every_cloud_gets_its_concepts(B, M, num_layers):
    model = extractor(num_concepts=M, num_layers=num_layers)
    concepts = model(*clouds(B))
    assert concepts.shape == (B, M, DIMS)
    alone = model(*(x[-1:] for x in clouds(B)))
    torch.testing.assert_close(concepts[-1:], alone, rtol=1e-5, atol=1e-5)
    if M > 1:
        assert concepts.std(1).min() > 0.01


def test_the_order_of_the_tokens_does_not_matter():
    for model in (extractor(), teacher_extractor()):
        tokens, centers = clouds()
        order = torch.randperm(tokens.shape[1])
        model.eval()
        expected = model(tokens, centers, questions())
        got = model(tokens[:, order], centers[:, order], questions())
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)
        moved = model(tokens[:, order], centers, questions())
        assert (moved - expected).abs().max() > 1e-2


def attention(layer, q, k, v):
    """Attention for one cloud, head by head, from the weights."""
    weights = zip((q, k, v), layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3))
    parts = [(x @ w.T + b).chunk(layer.num_heads, 1) for x, w, b in weights]
    heads = [(q @ k.T / q.shape[1] ** 0.5).softmax(1) @ v for q, k, v in zip(*parts)]
    return layer.out_proj(torch.cat(heads, 1))


@pytest.mark.parametrize('residual', [True, False])
def test_a_layer_is_that_of_the_formula(residual):
    torch.manual_seed(0)
    layer = ConceptLayer(DIMS, 3, residual=residual)
    for parameter in layer.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    queries, tokens, pos = (torch.randn(2, n, DIMS) for n in (4, 7, 7))
    got = layer(queries, tokens, pos)
    for q, t, p, result in zip(queries, tokens, pos, got):
        x = layer.norm1(q)
        q = q + attention(layer.self_attn, x, x, x)
        values = layer.norm_tokens(t)
        found = attention(layer.cross_attn, layer.norm2(q), values + p, values)
        q = q + found if residual else found
        expected = q + layer.mlp(layer.norm3(q))
        torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)


def test_positions_steer_and_are_not_content():
    """With equal tokens, positions have no effect."""
    model = extractor()
    tokens, centers = clouds()
    alike = tokens[:, :1].expand_as(tokens)
    torch.testing.assert_close(model(alike, centers), model(alike, 5 * centers.roll(1, 0)))
    assert not torch.allclose(model(tokens, centers), model(tokens, 5 * centers.roll(1, 0)))


@pytest.mark.parametrize(
    'num_layers, train, scale', [(1, True, 1.0), (1, False, 1e3), (2, True, 1e3), (4, False, 1.0)]
)
def test_the_question_does_not_leak_into_the_answer(num_layers, train, scale):
    """T5: with zero tokens, concepts do not depend on the teacher."""
    model = teacher_extractor(num_layers=num_layers).train(train)
    tokens, centers = clouds()
    answers, told = [], []
    for seed in (2, 3):
        seen = questions(seed=seed, scale=scale).requires_grad_()
        answers.append(model(torch.zeros_like(tokens), centers, seen))
        told.append(model(tokens, centers, seen))
    torch.testing.assert_close(*answers, rtol=0, atol=1e-5)
    if num_layers == 1:  # All queries get the same result.
        assert (answers[0] - answers[0][:, :1]).abs().max() < 1e-5
    assert (told[0] - told[1]).abs().max() > 0.05


def leak(model):
    """Difference between the concepts of two sets of queries, with zero tokens."""
    tokens, centers = clouds()
    nothing = torch.zeros_like(tokens)
    one, other = (model(nothing, centers, questions(seed=seed)) for seed in (2, 3))
    return (one.float() - other.float()).abs().max()


def test_the_question_would_leak_with_a_residual_but_not_under_autocast():
    model = teacher_extractor()
    with torch.autocast('cpu', torch.bfloat16):
        assert leak(model.train()) < 0.05
    model.eval().layers[0].residual = True
    assert leak(model) > 0.5


def test_the_question_is_heard_through_the_attention_alone():
    model = teacher_extractor().eval()
    tokens, centers = clouds()
    alike = tokens[:, :1].expand_as(tokens)
    sizes = []
    for x in (tokens, alike):
        seen = questions().requires_grad_()
        weights = torch.randn(3, 5, DIMS, generator=torch.Generator().manual_seed(0))
        (model(x, centers, seen) * weights).sum().backward()
        sizes.append(seen.grad.abs().max().item())
    assert sizes[0] > 1e-2 and sizes[1] < 1e-5


@pytest.mark.parametrize('share', [0.0, 0.5, 1.0])
def test_some_questions_are_left_out_in_training(share):
    model = teacher_extractor(num_concepts=50, drop_queries=share)
    seen = questions(M=50)
    asked = model.make_queries(3, seen)
    learned = (asked == model.queries).all(2)
    given = (asked == model.to_queries(seen)).all(2)
    assert (learned ^ given).all()
    assert abs(learned.float().mean() - share) < 0.15 * (0 < share < 1) + 1e-9
    assert torch.equal(model.eval().make_queries(3, seen), model.to_queries(seen))
    assert torch.equal(model(*clouds()), model(*clouds(), None))  # Fallback to learned queries.


def test_learned_questions_ignore_the_teacher():
    model = extractor()
    assert torch.equal(model(*clouds()), model(*clouds(), questions()))
    assert model.to_queries is None
    fresh = MODELS.build(dict(type='mmkd3d.ConceptExtractor'))
    assert fresh.queries.shape == (16, 384)
    assert 0.015 < fresh.queries.std() < 0.025
    size = sum(p.numel() for p in fresh.parameters())
    assert 4.5e6 < size < 5e6  # Spec, section 5: 4.7 M parameters.


@pytest.mark.parametrize('source', ['learned', 'teacher'])
def test_gradient_reaches_everything_but_tokens_that_are_detached(source):
    model = extractor(query_source=source)
    tokens, centers = clouds()
    tokens.requires_grad_()
    torch.manual_seed(0)  # selects the dropped queries
    out = model(tokens, centers, questions())
    (out**3).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().max() > 0, name
    assert tokens.grad.abs().amax((0, 2)).min() > 0
    tokens.grad, model.detach_tokens = None, True
    torch.manual_seed(0)
    detached = model(tokens, centers, questions())
    (detached**3).sum().backward()
    assert tokens.grad is None and torch.equal(detached, out)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(query_source='student'), "learned.*teacher.*'student'"),
        (dict(query_source='teacher', teacher_dims=None), 'needs teacher_dims'),
        (dict(num_layers=0), 'at least 1.*got 0'),
        (dict(num_concepts=0), 'at least 1.*got 2 and 0'),
        (dict(query_source='teacher', drop_queries=2.0), 'drop_queries must be.*got 2'),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        extractor(**options)


def test_questions_of_another_shape_are_refused():
    model = teacher_extractor()
    for seen in (questions(M=4), questions(B=2), questions()[..., :3]):
        for train in (True, False):
            with pytest.raises(ValueError, match=r'must be \(3, 5, 10\), got'):
                model.train(train)(*clouds(), seen)
