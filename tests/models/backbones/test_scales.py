"""Scale of positions (``pos_scale``) and of patches (``group_scale``) for scenes."""

import pytest
import torch

from mmkd3d.registry import MODELS
from tests.models.steps import SMALL

from ..small_m2ae import clouds, student

PLAIN = dict(SMALL, num_groups=8, group_size=4, drop_path_rate=0.0, fps_rule='mmcv')
TOWER = dict(PLAIN, type='mmkd3d.ReConTransformer')


def two_tower(**kwargs):
    return dict(
        type='mmkd3d.TwoTower',
        masked=dict(TOWER, global_tokens=(), **kwargs),
        contrast=dict(TOWER, global_tokens=('cls',), plain_blocks=True, **kwargs),
    )


STUDENTS = dict(
    PointTransformer=lambda **k: dict(PLAIN, type='mmkd3d.PointTransformer', **k),
    ReConTransformer=lambda **k: dict(TOWER, **k),
    TwoTower=two_tower,
    PointM2AE=lambda **k: student(fps_rule='mmcv', **k),
)


@pytest.fixture(params=STUDENTS)
def build(request):
    def function(**kwargs):
        torch.manual_seed(0)
        net = MODELS.build(STUDENTS[request.param](**kwargs)).eval()
        for parameter in net.parameters():
            if parameter.ndim == 2:  # initial weights make all tokens nearly equal
                parameter.data *= 10
        return net

    return function


def out_of(net, centers, points):
    """Tokens of patches with moved centres and unchanged local points."""
    patches = net.group(points)
    if isinstance(patches, list):
        patches = [p._replace(centers=centers(p.centers)) for p in patches]
    else:
        patches = patches._replace(centers=centers(patches.centers))
    return net.encode(patches)['tokens']


@torch.no_grad()
def test_scene_positions_do_not_know_where_and_how_large_a_scene_is(build):
    points = clouds()
    shift = torch.tensor([8.0, -4.0, 2.0])
    same, moved, larger = (lambda c: c, lambda c: c + shift, lambda c: 4 * c)
    net = build(pos_scale='scene')
    expected = out_of(net, same, points)
    for change in (moved, larger):
        torch.testing.assert_close(out_of(net, change, points), expected, atol=1e-4, rtol=1e-4)
    metric = build()  # the default
    expected = out_of(metric, same, points)
    for change in (moved, larger):
        assert (out_of(metric, change, points) - expected).abs().max() > 1e-3


@torch.no_grad()
def test_without_positions_tokens_are_told_apart_by_their_patches_alone(build):
    net, points = build(pos_scale=None), clouds()
    assert not any('pos_embed' in name for name, _ in net.named_parameters())
    expected = out_of(net, lambda c: c, points)
    assert torch.equal(out_of(net, lambda c: 9 * c.flip(1), points), expected)
    patches = net.group(points)
    if isinstance(patches, list):
        return  # cannot be permuted: levels index each other
    order = torch.randperm(patches.centers.shape[1])
    moved = type(patches)(*(x[:, order] for x in patches))
    torch.testing.assert_close(net.encode(moved)['tokens'], expected[:, order], atol=1e-5, rtol=0)


@torch.no_grad()
def test_group_scale_is_a_factor_on_local_coordinates_alone(build):
    points = clouds()
    net, plain = build(group_scale=4.0), build()
    patches = plain.group(points)
    found = net.encode(patches)['tokens']
    assert not torch.allclose(found, plain.encode(patches)['tokens'], atol=0.01)
    if isinstance(patches, list):
        patches[0] = patches[0]._replace(points=4 * patches[0].points)
    else:
        patches = patches._replace(points=4 * patches.points)
    assert torch.equal(found, plain.encode(patches)['tokens'])


def test_group_scale_leaves_colours_alone():
    net = MODELS.build(STUDENTS['PointTransformer'](in_channels=6, group_scale=4.0)).eval()
    torch.nn.init.normal_(net.patch_embed.features.weight)
    points = torch.cat([clouds(), torch.rand(3, 96, 3)], dim=2)
    patches = net.group(points)
    found = net.encode(patches)['tokens']
    net.patch_embed.scale = 1.0
    factor = torch.tensor([4.0, 4, 4, 1, 1, 1])
    patches = patches._replace(points=patches.points * factor)
    assert torch.equal(found, net.encode(patches)['tokens'])


def test_another_scale_is_an_error(build):
    with pytest.raises(ValueError, match="pos_scale is one of.*got 'room'"):
        build(pos_scale='room')


@torch.no_grad()
def test_ball_queries_at_every_level_stay_within_their_radii():
    radii = (0.6, 0.9, 1.2)
    net = MODELS.build(student(group_radii=radii, fps_rule='mmcv')).eval()
    source = points = clouds()
    for radius, level in zip(radii, net.group(points)):
        near = torch.stack([s[i] for s, i in zip(source, level.point_idx)])
        distance = (near - level.centers[:, :, None]).norm(dim=-1)
        assert distance.max() < radius
        source = level.centers
    with pytest.raises(ValueError, match='radii must have one value for each level'):
        MODELS.build(student(group_radii=radii[:2]))
