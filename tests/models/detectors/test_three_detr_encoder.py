"""Encoder of 3DETR, plain and masked, and its layers."""

import pytest
import torch
import torch.nn as nn

from mmkd3d.models.detectors.detr_layers import DecoderLayer, EncoderLayer, attend
from mmkd3d.models.detectors.three_detr_encoder import PatchPointNet, ThreeDETREncoder
from mmkd3d.registry import MODELS
from tests.models.pretrainers.test_act import act
from tests.models.pretrainers.test_concept_distillation import REBUILD, concept, shapes
from tests.models.pretrainers.test_pretrainers import STUDENT
from tests.models.steps import check_step, cloud, fall_of_loss

SMALL = dict(
    embed_dims=16,
    depth=3,
    num_heads=2,
    ffn_dims=8,
    num_groups=32,
    group_size=8,
    radius=0.3,
    fps_rule='mmcv',
)
RADII = (0.5, 0.7, 1.2)


def room(B=2, N=256, channels=3):
    points = torch.rand(B, N, channels)
    points[..., :3] *= torch.tensor([3.0, 2.0, 1.0])
    return points


def encoder(**kwargs):
    return ThreeDETREncoder(**dict(SMALL, **kwargs)).eval()


def test_attention_is_that_of_torch_with_dropout_in_training_alone():
    attention = nn.MultiheadAttention(16, 4, dropout=0.5, batch_first=True).eval()
    nn.init.normal_(attention.in_proj_bias)
    query, key, value = torch.randn(3, 2, 9, 16)
    allowed = torch.rand(2, 9, 9) < 0.4
    allowed |= torch.eye(9, dtype=torch.bool)
    expected, _ = attention(query, key, value, attn_mask=~allowed.repeat_interleave(4, 0))
    got = attend(attention, query, key, value, allowed)
    torch.testing.assert_close(got, expected)
    whole = attend(attention, query, key, value)
    assert not torch.allclose(got, whole)
    assert torch.equal(attend(attention, query, key, value), whole)
    attention.train()
    assert not torch.equal(*(attend(attention, query, key, value) for _ in range(2)))


def test_layers_without_positions_are_those_of_torch():
    x, memory = torch.randn(2, 6, 8), torch.randn(2, 9, 8)
    layer = EncoderLayer(8, 2, 12, 0.1).eval()
    torch.testing.assert_close(layer(x), nn.TransformerEncoderLayer.forward(layer, x))
    # positions are added to queries and keys, not to values: a single token has weight 1
    one, pos = torch.randn(2, 1, 1, 8)
    torch.testing.assert_close(layer(one, pos), layer(one))
    assert not torch.allclose(layer(x, torch.randn(x.shape)), layer(x))
    layer = DecoderLayer(8, 2, 12, 0.1).eval()
    expected = nn.TransformerDecoderLayer.forward(layer, x, memory)
    torch.testing.assert_close(layer(x, torch.zeros_like(x), memory, memory), expected)


def test_it_knows_positions_from_patches_alone_unless_told():
    points = room()
    shifted = points + torch.tensor([5.0, -3.0, 1.0])
    for with_pos in (False, True):
        model = encoder(with_pos=with_pos)
        a, b = (model(x)['tokens'] for x in (points, shifted))
        assert torch.allclose(a, b, atol=1e-4) is not with_pos
    scene = encoder(with_pos=True, pos_scale='scene')
    a, b = (scene(x)['tokens'] for x in (points, shifted))
    torch.testing.assert_close(a, b, atol=1e-4, rtol=0)


def seen_masks(model, points):
    """Masks passed to the blocks, and the output for ``points``."""
    seen = []
    for block in model.blocks:
        block.register_forward_pre_hook(lambda _, args: seen.append(args[2]))
    return seen, model(points)


def test_the_masked_encoder_lets_tokens_see_what_is_near():
    points = room()
    model = encoder(mask_radii=RADII, with_pos=True)
    seen, out = seen_masks(model, points)
    first = model.group(points).centers
    for mask, centers, radius in zip(seen, (first, out['centers'], out['centers']), RADII):
        gaps = (centers[:, :, None] - centers[:, None]).square().sum(-1).sqrt()
        assert torch.equal(mask, gaps < radius)
        assert 0.03 < mask.float().mean() < 0.9
    for radii, count in (((), 32), (RADII, 16)):  # tokens are at input points
        kept = encoder(mask_radii=radii)(points)
        assert kept['tokens'].shape == (2, count, 16)
        for b in range(2):
            assert torch.equal(points[b, kept['center_idx'][b]], kept['centers'][b])
        assert len(kept['center_idx'][0].unique()) == count
    expected = list(seen)
    with torch.autocast('cpu', torch.bfloat16):
        seen, out = seen_masks(model, points)
    assert all(map(torch.equal, seen[-3:], expected))
    assert out['centers'].dtype == torch.float32 and out['tokens'].isfinite().all()


def test_a_block_without_neighbours_sees_itself_alone():
    """This occurs with the published first radius, 0.16 m, for 2,048 tokens in a room."""
    model = encoder(mask_radii=(1e-3, 10.0, 10.0))
    points = room()
    patches = model.group(points)
    before = model.encode(patches, raw_indices=(0,))['raw'][0]
    spoiled = patches.points.clone()
    spoiled[:, 1:] += 1
    after = model.encode(patches._replace(points=spoiled), raw_indices=(0,))['raw'][0]
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.allclose(before[:, 1:], after[:, 1:])


def test_colours_are_read_after_the_coordinates():
    points = room(channels=6)
    model = encoder(in_channels=6)
    grey = torch.cat([points[..., :3], torch.zeros(2, 256, 3)], dim=2)
    assert not torch.allclose(model(points)['tokens'], model(grey)['tokens'])


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match='in_channels=6, got points of 3 channels'):
        encoder(in_channels=6)(room())
    with pytest.raises(ValueError, match='reads 5 channels, got patches of 3'):
        PatchPointNet((6, 5), radius=0.25, feature_channels=2)(torch.randn(2, 3, 4, 3))
    with pytest.raises(ValueError, match=r'depth=3 .*\(0.16, 0.64\)'):
        encoder(mask_radii=(0.16, 0.64))
    with pytest.raises(ValueError, match=r'3DETR-m.*mask_radii=\(\)'):
        point_mae(mask_radii=RADII)(dict(points=room()), mode='loss')
    with pytest.raises(ValueError, match='with_cls_token=True'):
        act(backbone=student(24), shallow_layer=0)


@pytest.mark.parametrize('layer, radii', [(0, RADII), (1, ()), (-1, RADII)])
def test_a_student_that_was_cut_gives_what_its_block_gave(layer, radii):
    points = room()
    model = encoder(mask_radii=radii)
    patches = model.group(points)
    (expected,) = model.encode(patches, raw_indices=(layer % 3,))['raw']
    model.truncate(layer)
    assert torch.equal(model(points)['tokens'], expected)
    assert len(model.blocks) == layer % 3 + 1
    with pytest.raises(ValueError, match='no layer 7'):
        model.truncate(7)


def test_layers_for_their_learning_rates():
    model = encoder(mask_radii=RADII, with_pos=True, with_norm=True)
    found = {}
    for name, _ in model.named_parameters(prefix='backbone'):
        layer, count = model.get_layer_depth(name, 'backbone.')
        assert count == 5
        found.setdefault(name.split('.')[1], set()).add(layer)
    assert found == dict(pre_encoder={0}, pos_embed={0}, blocks={1, 2, 3}, downsample={1}, norm={4})


def test_features_for_probes():
    model, points = encoder(mask_radii=RADII), room()
    assert model.extract_feat(points).shape == (2, 32)
    assert model.extract_feat(points, 'token').shape == (2, 16, 16)
    assert model.extract_feat(points, 'point').shape == (2, 256, 16)


def student(embed_dims=16, **kwargs):
    parts = dict(type='mmkd3d.ThreeDETREncoder', with_pos=True, with_norm=True)
    return dict(SMALL, **parts, embed_dims=embed_dims) | kwargs


def point_mae(**kwargs):
    return MODELS.build(
        dict(
            type='mmkd3d.PointMAE',
            backbone=student(**kwargs),
            decoder=dict(type='mmkd3d.MaskedDecoder', embed_dims=16, depth=1, num_heads=2),
            masker=dict(type='mmkd3d.RandomMasker', ratio=0.75),
            loss=dict(type='mmkd3d.ChamferLoss'),
        )
    )


def test_it_is_pretrained_with_masked_patches():
    model = point_mae()
    model.init_weights()
    check_step(model, room())
    assert fall_of_loss(model, room(), steps=15, lr=5e-3) < 0.8


def test_it_is_a_student_of_act_and_of_concept_distillation():
    sizes = {k: STUDENT[k] for k in ('embed_dims', 'num_groups', 'group_size')}
    check_step(act(backbone=student(**sizes)), cloud(), all_reached=True)
    for more in ({}, REBUILD):
        check_step(concept(new_backbone=student(24), **more), shapes(4), all_reached=True)


def test_masked_patches_count_in_the_norms_and_nowhere_else():
    points = room()
    model = encoder(with_pos=True, with_norm=True, dropout=0.0)
    patches = model.group(points)
    mask = torch.zeros(2, 32, dtype=torch.bool)
    mask[:, ::2] = True
    statistics = []
    for hidden in (None, mask):
        fresh = encoder(with_pos=True, with_norm=True).train()
        fresh.load_state_dict(model.state_dict())
        fresh.encode(patches, hidden)
        statistics.append(fresh.pre_encoder.mlp[1].running_mean)
    assert torch.equal(*statistics)
    before = model.encode(patches, mask)
    spoiled = patches._replace(points=torch.where(mask[..., None, None], 9.0, patches.points))
    after = model.encode(spoiled, mask)
    assert torch.equal(before['tokens'], after['tokens'])
    assert torch.equal(before['centers'], patches.centers[:, 1::2])


def test_pretraining_ends_as_an_encoder_of_a_detector(tmp_path):
    model = point_mae()
    path = tmp_path / 'pretrained.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    init = dict(type='Pretrained', checkpoint=str(path))
    plain = ThreeDETREncoder(**SMALL, init_cfg=init)
    with pytest.raises(ValueError, match='unexpected: '):
        plain.init_weights()
    plain = ThreeDETREncoder(**SMALL, init_cfg=dict(init, allow_unexpected=['pos_embed.', 'norm.']))
    plain.init_weights()
    state = model.backbone.state_dict()
    assert plain.state_dict().keys() < state.keys()
    for key, value in plain.state_dict().items():
        assert torch.equal(value, state[key])
