"""3DETR's encoder, plain and masked, and its layers."""

import pytest
import torch
import torch.nn as nn

from mmkd3d.models.detectors.detr_layers import DecoderLayer, EncoderLayer, attend
from mmkd3d.models.detectors.three_detr_encoder import PatchPointNet, ThreeDETREncoder
from mmkd3d.registry import MODELS
from tests.models.pretrainers.test_act import act, cloud
from tests.models.pretrainers.test_concept_distillation import REBUILD, concept, shapes
from tests.models.pretrainers.test_pretrainers import STUDENT

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


def test_attention_is_that_of_torch():
    attention = nn.MultiheadAttention(16, 4, batch_first=True).eval()
    nn.init.normal_(attention.in_proj_bias)
    query, key, value = torch.randn(3, 2, 9, 16)
    allowed = torch.rand(2, 9, 9) < 0.4
    allowed |= torch.eye(9, dtype=torch.bool)
    expected, _ = attention(query, key, value, attn_mask=~allowed.repeat_interleave(4, 0))
    got = attend(attention, query, key, value, allowed)
    torch.testing.assert_close(got, expected)
    assert not torch.allclose(got, attend(attention, query, key, value))


def test_dropout_is_on_the_weights_of_the_attention_in_training_alone():
    attention = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
    x = torch.randn(1, 5, 8)
    assert not torch.equal(attend(attention, x, x, x), attend(attention, x, x, x))
    attention.eval()
    assert torch.equal(attend(attention, x, x, x), attend(attention, x, x, x))


def test_layers_without_positions_are_those_of_torch():
    x, memory = torch.randn(2, 6, 8), torch.randn(2, 9, 8)
    layer = EncoderLayer(8, 2, 12, 0.1).eval()
    torch.testing.assert_close(layer(x), nn.TransformerEncoderLayer.forward(layer, x))
    layer = DecoderLayer(8, 2, 12, 0.1).eval()
    torch.testing.assert_close(
        layer(x, torch.zeros_like(x), memory, memory),
        nn.TransformerDecoderLayer.forward(layer, x, memory),
    )


def test_positions_reach_queries_and_keys_but_no_values():
    """With one token the weights are 1, wherever it stands."""
    layer = EncoderLayer(8, 2, 12, 0.0).eval()
    x, pos = torch.randn(2, 1, 1, 8)
    torch.testing.assert_close(layer(x, pos), layer(x))
    x, pos = torch.randn(2, 1, 5, 8)
    assert not torch.allclose(layer(x, pos), layer(x))


def test_the_pointnet_is_a_set_abstraction_in_units_of_its_radius():
    net = PatchPointNet((6, 5), radius=0.25, feature_channels=2)
    patches = torch.randn(2, 3, 4, 5)
    expected = patches.clone()
    expected[..., :3] /= 0.25
    x = expected.permute(0, 3, 1, 2)  # as convolutions want it
    for layer, norm in ((net.mlp[0], net.mlp[1]), (net.mlp[3], net.mlp[4])):
        x = torch.einsum('oc,bcgk->bogk', layer.weight, x)
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        x = (x - mean[:, None, None]) / (var + norm.eps).sqrt()[:, None, None]
        x = x.relu()
    torch.testing.assert_close(net(patches), x.amax(3).transpose(1, 2))
    with pytest.raises(ValueError, match='reads 5 channels, got patches of 3'):
        net(patches[..., :3])


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
    """The mask that each block got, and the output for the points."""
    seen = []
    for block in model.blocks:
        block.register_forward_pre_hook(lambda _, args: seen.append(args[2]))
    return seen, model(points)


def naive_mask(centers, radius):
    mask = torch.zeros(len(centers), *[centers.shape[1]] * 2).bool()
    for b, scene in enumerate(centers.tolist()):
        for i, x in enumerate(scene):
            for j, y in enumerate(scene):
                dist = sum((p - q) ** 2 for p, q in zip(x, y)) ** 0.5
                mask[b, i, j] = dist < radius
    return mask


def test_the_masked_encoder_lets_tokens_see_what_is_near():
    points = room()
    model = encoder(mask_radii=RADII)
    seen, out = seen_masks(model, points)
    first = model.group(points).centers
    assert seen[0].shape == (2, 32, 32) and seen[1].shape == (2, 16, 16)
    for mask, centers, radius in zip(seen, (first, out['centers'], out['centers']), RADII):
        assert torch.equal(mask, naive_mask(centers, radius))
        assert 0.03 < mask.float().mean() < 0.9


def test_distances_are_computed_once_for_each_number_of_tokens(monkeypatch):
    from mmkd3d.models.detectors import three_detr_encoder

    counts = []
    distances = three_detr_encoder.distances

    def count(centers):
        counts.append(centers.shape[1])
        return distances(centers)

    monkeypatch.setattr(three_detr_encoder, 'distances', count)
    encoder(mask_radii=RADII)(room())
    assert counts == [32, 16]


def test_tokens_that_are_kept_are_points_of_the_input():
    points = room()
    for radii, count in (((), 32), (RADII, 16)):
        out = encoder(mask_radii=radii)(points)
        assert out['tokens'].shape == (2, count, 16)
        for b in range(2):
            picked = points[b, out['center_idx'][b]]
            assert torch.equal(picked, out['centers'][b])
        assert len(out['center_idx'][0].unique()) == count


def test_masks_and_places_stay_exact_under_autocast():
    points = room()
    model = encoder(mask_radii=RADII, with_pos=True)
    expected, _ = seen_masks(model, points)
    expected = list(expected)
    with torch.autocast('cpu', torch.bfloat16):
        seen, out = seen_masks(model, points)
    assert all(map(torch.equal, seen[-3:], expected))
    assert out['centers'].dtype == torch.float32
    assert out['tokens'].isfinite().all()


def test_a_block_without_neighbours_sees_itself_alone():
    """The published first radius, 0.16 m, in a room of 2,048 tokens."""
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
    with pytest.raises(ValueError, match='in_channels=6, got points of 3 channels'):
        model(points[..., :3])


@pytest.mark.parametrize('radii', [(), RADII])
@pytest.mark.parametrize('layer', [0, 1, -1])
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


def test_one_radius_for_each_block():
    with pytest.raises(ValueError, match=r'depth=3 .*\(0.16, 0.64\)'):
        encoder(mask_radii=(0.16, 0.64))


def point_mae(**kwargs):
    backbone = dict(SMALL, type='mmkd3d.ThreeDETREncoder', **kwargs)
    return MODELS.build(
        dict(
            type='mmkd3d.PointMAE',
            backbone=backbone,
            decoder=dict(type='mmkd3d.MaskedDecoder', embed_dims=16, depth=1, num_heads=2),
            masker=dict(type='mmkd3d.RandomMasker', ratio=0.75),
            loss=dict(type='mmkd3d.ChamferLoss'),
        )
    )


def test_it_is_pretrained_with_masked_patches():
    model = point_mae(with_pos=True, with_norm=True)
    model.init_weights()
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    points, losses = room(), []
    for _ in range(20):
        torch.manual_seed(0)  # the same patches are masked
        loss = model(dict(points=points), mode='loss')['loss_chamfer']
        optimizer.zero_grad()
        loss.backward()
        lacking = [n for n, p in model.named_parameters() if p.grad is None]
        assert not lacking
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def assert_trained(model, losses):
    """The gradient reaches all that is trained."""
    model.parse_losses(losses)[0].backward()
    assert not [
        name
        for name, p in model.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.any())
    ]


def test_it_is_a_student_of_act():
    size = {k: STUDENT[k] for k in ('embed_dims', 'num_groups', 'group_size')}
    student = dict(
        dict(SMALL, **size), type='mmkd3d.ThreeDETREncoder', with_pos=True, with_norm=True
    )
    model = act(backbone=student)
    assert_trained(model, model(dict(points=cloud()), mode='loss'))
    with pytest.raises(ValueError, match='with_cls_token=True'):
        act(backbone=student, shallow_layer=0)


def test_it_is_a_student_of_concept_distillation():
    student = dict(
        dict(SMALL, embed_dims=24), type='mmkd3d.ThreeDETREncoder', with_pos=True, with_norm=True
    )
    for more in ({}, REBUILD):
        model = concept(new_backbone=student, **more)
        assert_trained(model, model(dict(points=shapes(4)), mode='loss'))


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


def test_a_masked_encoder_is_not_pretrained_with_masked_patches():
    model = point_mae(mask_radii=RADII)
    with pytest.raises(ValueError, match=r'3DETR-m.*mask_radii=\(\)'):
        model(dict(points=room()), mode='loss')


def test_pretraining_ends_as_an_encoder_of_a_detector(tmp_path):
    model = point_mae(with_pos=True, with_norm=True)
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
