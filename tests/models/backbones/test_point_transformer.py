"""Plain student (PointTransformer)."""

import pytest
import torch

from mmkd3d.models.backbones.point_transformer import PointTransformer
from mmkd3d.models.layers.transformer import to_unit_cube
from tests.models.steps import SMALL

PLAIN = dict(SMALL, depth=3, num_groups=8, group_size=4, drop_path_rate=0.0)


def cloud(B=2, N=64, seed=0):
    return torch.randn(B, N, 3, generator=torch.Generator().manual_seed(seed))


def test_the_output_does_not_depend_on_the_order_of_later_points():
    # Sampling starts at the first point; the order of the others is free.
    model = PointTransformer(**PLAIN).eval()
    points = cloud()
    order = torch.cat([torch.zeros(1).long(), 1 + torch.randperm(63)])
    a, b = model(points)['tokens'], model(points[:, order])['tokens']
    torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_masked_patches_do_not_reach_the_visible_tokens():
    model = PointTransformer(**PLAIN).eval()
    patches = model.group(cloud())
    mask = torch.zeros(2, 8, dtype=torch.bool)
    mask[:, ::2] = True
    before = model.encode(patches, mask)['tokens']
    spoiled = patches._replace(
        points=torch.where(mask[..., None, None], 9.0, patches.points),
        centers=torch.where(mask[..., None], 9.0, patches.centers),
    )
    after = model.encode(spoiled, mask)['tokens']
    assert torch.equal(before, after)


def test_features_of_all_levels_have_their_documented_shapes():
    model = PointTransformer(**PLAIN).eval()
    points = torch.cat([cloud(), torch.rand(2, 64, 3)], dim=-1)
    assert model.extract_feat(points, 'global').shape == (2, 48)
    assert model.extract_feat(points, 'token').shape == (2, 8, 24)
    assert model.extract_feat(points, 'point').shape == (2, 64, 24)
    with pytest.raises(ValueError, match="'pixel'"):
        model.extract_feat(points, 'pixel')


@pytest.mark.parametrize('layer', [0, 1, 2, -3])
def test_a_student_that_was_cut_gives_what_its_block_gave(layer):
    points = cloud()
    whole = PointTransformer(**PLAIN, out_indices=(layer % 3,)).eval()
    cut = PointTransformer(**PLAIN, out_indices=(2,)).eval()
    cut.load_state_dict(whole.state_dict())
    cut.truncate(layer)
    (level,) = whole(points)['levels']
    assert torch.equal(cut.extract_feat(points, 'token'), level)
    with pytest.raises(ValueError, match='no layer 7: .* has [123] blocks'):
        cut.truncate(7)


def test_features_of_points_are_given_anywhere():
    model = PointTransformer(**PLAIN).eval()
    points, places = cloud(), cloud(N=5, seed=1)

    def feats(at=None):
        return model.extract_feat(points, 'point', at=at)

    assert torch.equal(feats(points), feats())
    assert torch.equal(feats(torch.cat([places, points], dim=1))[:, :5], feats(places))
    tokens = model.extract_feat(points, 'token')
    torch.testing.assert_close(feats(model(points)['centers']), tokens, atol=1e-4, rtol=0)


def test_centers_are_points_of_the_input_that_scene_positions_do_not_show():
    model = PointTransformer(**PLAIN, fps_rule='mmcv', pos_scale='scene').eval()
    points = cloud()
    a, b = model(points), model(points + 3)
    torch.testing.assert_close(a['tokens'], b['tokens'], atol=1e-4, rtol=0)
    assert to_unit_cube(points * 5).abs().max() <= 1 + 1e-6
    picked = torch.stack([p[i] for p, i in zip(points, a['center_idx'])])
    assert torch.equal(picked, a['centers'])


def test_layer_depth_grows_from_the_embedding_to_the_norm():
    model = PointTransformer(**PLAIN)
    depth = {n: model.get_layer_depth(n)[0] for n, _ in model.named_parameters()}
    assert depth['patch_embed.first.0.weight'] == depth['cls_token'] == 0
    assert [depth[f'blocks.{i}.attn.qkv.weight'] for i in range(3)] == [1, 2, 3]
    assert depth['norm.weight'] == 4 == model.get_layer_depth('norm.weight')[1] - 1


def test_pretrained_init_cfg_is_strict(tmp_path):
    source = PointTransformer(**PLAIN)
    path = tmp_path / 'student.pth'
    state = {f'backbone.{k}': v for k, v in source.state_dict().items()}
    torch.save(dict(state_dict=state), path)
    init = dict(init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    model = PointTransformer(**PLAIN, **init)
    model.init_weights()
    for key, value in model.state_dict().items():
        assert torch.equal(value, source.state_dict()[key]), key
    with pytest.raises(ValueError, match='cls_token 1'):
        PointTransformer(**dict(PLAIN, embed_dims=48), **init).init_weights()
