"""Classification head, and the neck for mmdetection3d's heads."""

import pytest
import torch

from mmkd3d.models.backbones.point_transformer import PointTransformer
from mmkd3d.models.backbones.recon_transformer import ReConTransformer
from mmkd3d.models.heads.classification import ClsHead
from mmkd3d.models.necks.tokens_to_seeds import TokensToSeeds
from tests.models.steps import SMALL

STUDENT = dict(SMALL, depth=4, fps_rule='mmcv', out_indices=(1, 3))


@pytest.fixture(scope='module')
def feats():
    torch.manual_seed(0)
    return PointTransformer(**STUDENT).eval()(torch.randn(2, 128, 3) * 3)


def test_pooling_is_the_concatenation_in_the_order_named(feats):
    tokens, cls = feats['tokens'], feats['cls_token']
    pooled = ClsHead(24, 5, pooling=('max', 'cls', 'mean')).pool(feats)
    torch.testing.assert_close(pooled, torch.cat([tokens.amax(1), cls, tokens.mean(1)], 1))
    # as in the published two-tower code
    pooled = ClsHead(24, 5, pooling=('max', 'cls'), skip_tokens=2).pool(feats)
    torch.testing.assert_close(pooled, torch.cat([tokens[:, 2:].amax(1), cls], 1))
    linear = ClsHead(24, 5, hidden_dims=())
    assert sum(p.numel() for p in linear.parameters()) == 48 * 5 + 5
    assert linear(feats).shape == (2, 5)


def test_pooling_takes_any_global_token_of_the_student():
    torch.manual_seed(0)
    sizes = {k: v for k, v in STUDENT.items() if k != 'out_indices'}
    student = ReConTransformer(**sizes, global_tokens=('cls', 'audio')).eval()
    feats = student(torch.randn(2, 128, 3) * 3)
    own, pooled = (
        feats['global_tokens'],
        ClsHead(24, 5, pooling=('audio', 'max', 'cls')).pool(feats),
    )
    expected = torch.cat([own['audio'], feats['tokens'].amax(1), own['cls']], 1)
    torch.testing.assert_close(pooled, expected)
    with pytest.raises(ValueError, match="'audio', 'cls', 'max', 'mean'"):
        ClsHead(24, 5, pooling=('text',)).pool(feats)


def test_features_and_labels_that_do_not_fit_are_named(feats):
    for label in (5, -1):
        with pytest.raises(ValueError, match='num_classes=5'):
            ClsHead(24, 5).loss(feats, torch.tensor([0, label]))
    with pytest.raises(ValueError, match='with_cls_token=True'):
        ClsHead(24, 5).pool(dict(feats, cls_token=None))
    with pytest.raises(ValueError, match=r"\['img'\].* \['cls', 'max', 'mean'\]"):
        ClsHead(24, 5, pooling=('cls', 'img')).pool(feats)
    with pytest.raises(ValueError, match='at least one'):
        ClsHead(24, 5, pooling=())
    assert TokensToSeeds(24, 32, num_levels=2)(feats)
    with pytest.raises(ValueError, match='num_levels=3'):
        TokensToSeeds(24, 32, num_levels=3)(feats)


@pytest.mark.parametrize('num_seeds', [None, 16, 40, 128])
def test_seeds_are_points_of_the_input(feats, num_seeds):
    out = TokensToSeeds(24, 32, num_seeds=num_seeds).eval()(feats)
    S = num_seeds or 16
    index = out['fp_indices'][-1]
    assert index.dtype == torch.long and index.shape == (2, S)
    picked = torch.stack([p[i] for p, i in zip(feats['points'], index)])
    assert torch.equal(out['fp_xyz'][-1], picked)
    assert out['fp_features'][-1].shape == (2, 32, S)
    # the same output for heads that take tokens
    assert torch.equal(out['centers'], picked)
    assert torch.equal(out['tokens'].mT, out['fp_features'][-1])


def test_seeds_at_centers_keep_the_features_of_their_token(feats):
    # Farthest point sampling is nested: the first seeds are the centres.
    neck = TokensToSeeds(24, 32, num_seeds=40).eval()
    few = TokensToSeeds(24, 32).eval()
    few.load_state_dict(neck.state_dict())
    a = neck(feats)['fp_features'][-1][..., :16]
    torch.testing.assert_close(a, few(feats)['fp_features'][-1], atol=1e-3, rtol=0)
