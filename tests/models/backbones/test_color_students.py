"""Students and heads with colour input."""

import pytest
import torch
from mmengine.structures import BaseDataElement

from mmkd3d.checkpoints import load_pretrained
from mmkd3d.models.layers.patches import PatchEmbed, PatchGroup
from mmkd3d.registry import MODELS
from tests.models import small_m2ae
from tests.models.segmentors.test_segmentors import BACKBONE, RECON

STUDENTS = dict(
    plain=BACKBONE,
    cls=dict(BACKBONE, with_cls_token=True),
    recon=RECON,
    m2ae=small_m2ae.student(fps_rule='mmcv'),
    towers=dict(type='mmkd3d.TwoTower', masked=BACKBONE, contrast=dict(RECON, plain_blocks=True)),
)
ADDED = dict(
    plain=['patch_embed.features.'],
    cls=['patch_embed.features.'],
    recon=['patch_embed.features.'],
    m2ae=['embeds.0.features.'],
    towers=['masked.patch_embed.features.', 'contrast.patch_embed.features.'],
)
HEADS = dict(
    plain=dict(
        type='mmkd3d.PointSegHead',
        in_channels=24,
        num_levels=2,
        propagation_dims=(40, 32),
        hidden_dims=(20, 12),
    ),
    m2ae=dict(
        type='mmkd3d.PyramidSegHead',
        in_channels=small_m2ae.DIMS[-3:],
        propagation_dims=(40, 32),
        hidden_dims=(20, 12),
    ),
)
HEADS['recon'] = dict(HEADS['plain'], with_global=True)
each = pytest.mark.parametrize('name', STUDENTS)


def student(name, in_channels):
    cfg = STUDENTS[name]
    if name == 'towers':
        cfg = dict(
            cfg,
            **{
                tower: dict(cfg[tower], in_channels=in_channels) for tower in ('masked', 'contrast')
            },
        )
    else:
        cfg = dict(cfg, in_channels=in_channels)
    return MODELS.build(cfg)


def clouds(B=2, N=96):
    return torch.cat([torch.randn(B, N, 3), torch.rand(B, N, 3)], dim=2)


def same(one, two):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[k], two[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(map(same, one, two))
    return one == two


@each
@pytest.mark.parametrize('training', [False, True])
def test_a_pretrained_student_gives_the_same_tokens_at_first(name, training):
    plain, colored = student(name, 3), student(name, 6)
    for parameter in plain.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    saved = {f'backbone.{k}': v for k, v in plain.state_dict().items()}
    with pytest.raises(ValueError, match='missing: .*features.weight'):
        load_pretrained(colored, dict(state_dict=saved))
    report = load_pretrained(colored, dict(state_dict=saved), allow_missing=ADDED[name])
    assert report.missing == [f'{key}weight' for key in sorted(ADDED[name])]
    points = clouds()
    outputs = [net.train(training)(points) for net in (plain, colored)]
    features = [out.pop('features') for out in outputs]
    assert same(*outputs)
    assert features[0].shape == (2, 96, 0)
    assert torch.equal(features[1], points[..., 3:])
    plain.eval(), colored.eval()
    for level in ('global', 'token', 'point'):
        assert torch.equal(plain.extract_feat(points, level), colored.extract_feat(points, level))


@each
def test_the_colour_is_learned(name):
    """Colour weights start at 0 and get a gradient; once non-zero, tokens depend on colour."""
    net, points = student(name, 6), clouds()
    ((key, weight),) = [(k, p) for k, p in net.named_parameters() if 'features' in k][:1]
    net(points)['tokens'].pow(3).sum().backward()
    assert not weight.any() and weight.grad.abs().max() > 0
    torch.nn.init.normal_(weight, std=100)  # the running statistics are not those of the data yet
    net.eval()
    other = points.clone()
    other[..., 3:] = 1 - other[..., 3:]
    assert not torch.allclose(net(points)['tokens'], net(other)['tokens'])


@each
def test_a_student_of_coordinates_does_not_read_colour(name):
    net, points = student(name, 3).eval(), clouds()
    assert same(net(points), net(points[..., :3]))


@pytest.mark.parametrize('radius', [None, 0.7])
def test_features_are_those_of_the_points_of_a_patch(radius):
    points = clouds()
    group = PatchGroup(8, 5, radius=radius)
    patches, plain = group(points), group(points[..., :3])
    assert torch.equal(patches.points[..., :3], plain.points)
    for b in range(2):
        for g in range(8):
            for k in range(5):
                place = patches.point_idx[b, g, k]
                assert torch.equal(patches.points[b, g, k, 3:], points[b, place, 3:])


def test_the_first_layer_is_that_of_six_channels():
    embed = PatchEmbed(8, feature_channels=3, local_dims=(4, 6)).eval()
    torch.nn.init.normal_(embed.features.weight)
    whole = PatchEmbed(8, 6, local_dims=(4, 6)).eval()
    state = embed.state_dict()
    state['first.0.weight'] = torch.cat(
        [state['first.0.weight'], state.pop('features.weight')], dim=1
    )
    whole.load_state_dict(state)
    patches = torch.randn(2, 3, 5, 6)
    torch.testing.assert_close(embed(patches), whole(patches))


def scene_batch(per_point):
    """Clouds with equal coordinates; labels depend on the red value of points or clouds."""
    points = clouds(8, 64)
    points[..., :3] = points[:1, :, :3]
    if not per_point:
        points[..., 3:] = points[:, :1, 3:]
    labels = (points[..., 3] > 0.5).long()
    return points, [BaseDataElement(gt_parts=label) for label in labels]


def train_on_colour(name, in_channels, point_channels, per_point):
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='mmkd3d.PointSegmentor',
            backbone=dict(STUDENTS[name], in_channels=in_channels),
            head=dict(HEADS[name], num_classes=2, dropout=0.0, point_channels=point_channels),
        )
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        points, samples = scene_batch(per_point)
        losses = model(dict(points=points), samples, mode='loss')
        optimizer.zero_grad()
        losses['loss_seg'].backward()
        optimizer.step()
    accuracy = []
    with torch.no_grad():
        for _ in range(5):  # in training mode: batch norm over 8 clouds
            points, samples = scene_batch(per_point)
            losses = model(dict(points=points), samples, mode='loss')
            accuracy.append(losses['accuracy'])
    return torch.stack(accuracy).mean()


@pytest.mark.parametrize('name', HEADS)
def test_labels_of_points_that_only_colour_tells(name):
    """The head's point input separates the classes; coordinates alone do not."""
    assert train_on_colour(name, 6, 6, per_point=True) > 0.9
    assert train_on_colour(name, 3, 3, per_point=True) < 0.6


@pytest.mark.parametrize('name', HEADS)
def test_labels_of_clouds_that_only_colour_tells(name):
    """Colour reaches the head through the student's tokens only."""
    assert train_on_colour(name, 6, 3, per_point=False) > 0.8


@each
def test_points_without_colour_are_refused(name):
    with pytest.raises(ValueError, match='in_channels=6, got points of 3 channels.*use_dim'):
        student(name, 6)(clouds()[..., :3])


@each
def test_colours_up_to_255_are_refused(name):
    points = clouds()
    points[..., 3:] *= 255
    with pytest.raises(ValueError, match='got 25.*divide colours by 255'):
        student(name, 6)(points)
    student(name, 3)(points)  # ignores colours


def test_a_head_of_colours_needs_a_student_of_colours():
    head = MODELS.build(dict(HEADS['plain'], num_classes=2, point_channels=6))
    with pytest.raises(ValueError, match='point_channels=6, the backbone in_channels=3'):
        head(student('plain', 3)(clouds()))


def test_coloured_students_are_not_pretrained():
    model = MODELS.build(
        dict(
            type='mmkd3d.PointMAE',
            backbone=dict(BACKBONE, in_channels=6),
            decoder=dict(type='mmkd3d.MaskedDecoder', embed_dims=24, depth=1, num_heads=3),
            masker=dict(type='mmkd3d.RandomMasker', ratio=0.5),
            loss=dict(type='mmkd3d.ChamferLoss'),
        )
    )
    with pytest.raises(ValueError, match='Pretraining uses coordinates only'):
        model(dict(points=clouds()), mode='loss')


def test_towers_read_the_same():
    cfg = STUDENTS['towers']
    with pytest.raises(ValueError, match='in_channels, got 6 and 3'):
        MODELS.build(dict(cfg, masked=dict(cfg['masked'], in_channels=6)))
