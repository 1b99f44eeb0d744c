"""Student features: points with features from the outputs of modules."""

import pytest
import torch
import torch.nn as nn
from mmengine.model import BaseModel

from mmkd3d.models.distillation import StudentFeatures, find_module, read_student
from mmkd3d.registry import MODELS
from mmkd3d.utils.samples import stack_padded

B, N, M, C = 2, 12, 5, 4
POINTS = torch.rand(B, N, 6)
XYZ, FEATS = torch.rand(B, M, 3), torch.rand(B, M, C)
COARSE = torch.rand(B, 2, 3), torch.rand(B, C, 2)
ALL = torch.rand(B, N, C)


SA = dict(sa_xyz=[XYZ, COARSE[0]], sa_features=[FEATS.mT, COARSE[1]])
FP = dict(fp_xyz=[COARSE[0], XYZ], fp_features=[COARSE[1], FEATS.mT])


@pytest.mark.parametrize(
    'output, kind, level',
    [
        (dict(FP, sa_xyz=[COARSE[0]], sa_features=[COARSE[1]]), 'fp', -1),
        (SA, 'sa', 0),
        (dict(tokens=FEATS, centers=XYZ, points=POINTS), 'tokens', -1),
        (ALL.mT, 'channels_first', -1),
        (ALL, 'channels_last', -1),
    ],
)
def test_each_kind_is_found_out_and_read(output, kind, level):
    want = (POINTS[..., :3], ALL) if kind.startswith('channels') else (XYZ, FEATS)
    for asked in (None, kind):
        got = StudentFeatures(asked, level)(output, POINTS)
        assert torch.equal(got.xyz, want[0])
        assert torch.equal(got.feats, want[1])


def test_the_outputs_of_pointnet2_and_our_students_are_known():
    pytest.importorskip('mmdet3d')
    from mmdet3d.models import PointNet2SASSG

    sizes = dict(sa_channels=((8, 8), (8, 8)), fp_channels=((8, 6),))
    balls = dict(num_points=(8, 4), radius=(0.5, 1.0), num_samples=(4, 4))
    net = PointNet2SASSG(in_channels=3, **balls, **sizes)
    points = torch.rand(B, 32, 3)
    output = net(points)
    xyz, feats = StudentFeatures()(output, points)
    assert torch.equal(xyz, output['sa_xyz'][1]) and feats.shape == (B, 8, 6)
    # each position is an input point
    same = (xyz[:, :, None] == points[:, None]).all(-1)
    assert same.any(-1).all()
    coarse = StudentFeatures('sa')(output, points)
    assert coarse.xyz.shape == (B, 4, 3) and coarse.feats.shape == (B, 4, 8)
    sizes = dict(embed_dims=12, depth=1, num_heads=2, num_groups=6, group_size=4)
    student = MODELS.build(dict(type='PointTransformer', **sizes))
    tokens = StudentFeatures()(student(points), points)
    assert tokens.xyz.shape == (B, 6, 3) and tokens.feats.shape == (B, 6, 12)


def test_features_are_float32_with_a_gradient():
    feats = ALL.bfloat16().requires_grad_()
    got = StudentFeatures()(feats, POINTS).feats
    assert got.dtype == torch.float32
    got.sum().backward()
    assert feats.grad.dtype == torch.bfloat16


@pytest.mark.parametrize(
    'output, kind, match',
    [
        (torch.rand(B, 7, C), None, r'a tensor \(2, 7, 4\) for points \(2, 12'),
        (torch.rand(B, N, N), None, 'kind=None'),
        (dict(logits=FEATS), None, r'a dict \(logits: a tensor \(2, 5, 4\)\)'),
        ([FEATS, 1], None, r'\[a tensor \(2, 5, 4\), a int\]'),
        (dict(tokens=FEATS, centers=XYZ), 'fp', "kind='fp'"),
        (dict(tokens=FEATS, centers=COARSE[0]), None, 'Supported are dicts with'),
        (dict(sa_xyz=[XYZ], sa_features=[None]), None, 'sa_features: .a NoneType'),
        (ALL, 'tokens', "kind='tokens'"),
    ],
)
def test_what_is_not_known_is_described(output, kind, match):
    with pytest.raises(ValueError, match=match):
        StudentFeatures(kind)(output, POINTS)
    with pytest.raises(ValueError, match="one of .*'fp'.*got 'voxels'"):
        StudentFeatures('voxels')


def test_padding_repeats_a_cloud():
    clouds = [torch.rand(5, 4), torch.rand(2, 4), torch.rand(3, 4)]
    got = stack_padded(clouds)
    for cloud, padded in zip(clouds, got):
        assert len(padded) == 5
        for i, row in enumerate(padded):
            assert torch.equal(row, cloud[i % len(cloud)])
    assert stack_padded(POINTS) is POINTS
    with pytest.raises(ValueError, match=r'empty: sizes \[5, 0\]'):
        stack_padded([clouds[0], torch.rand(0, 4)])


class Net(BaseModel):
    def __init__(self):
        super().__init__()
        self.stem, self.spare = nn.Linear(3, 4), nn.Linear(3, 4)
        self.head = nn.ModuleDict(dict(one=nn.Linear(4, 4)))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        self.head['one'](self.stem(inputs['points']))
        raise RuntimeError('went too far')


def test_names_have_dots_and_near_ones_are_told():
    net = Net()
    assert find_module(net, 'head.one') is net.head['one']
    with pytest.raises(ValueError, match='Did you mean head.one'):
        find_module(net, 'head.on')


def test_a_module_is_read_without_what_comes_after_it():
    net, points = Net(), torch.rand(2, 5, 3)
    data = dict(inputs=dict(points=points), data_samples=None)
    got = read_student(net, 'stem', StudentFeatures(), data)
    assert torch.equal(got.feats, net.stem(points))
    assert not net.stem._forward_hooks
    with pytest.raises(RuntimeError, match='too far'):
        read_student(net, 'spare', StudentFeatures(), data)
    net.forward = lambda *args, **kwargs: None
    with pytest.raises(ValueError, match="does not call its module 'spare'"):
        read_student(net, 'spare', StudentFeatures(), data)


def test_levels_become_tokens():
    """Tokens are the last set abstraction level or the seeds, nothing else."""
    output = dict(
        sa_xyz=[torch.randn(2, 8, 3), torch.randn(2, 4, 3)],
        sa_features=[torch.randn(2, 5, 8), torch.randn(2, 6, 4)],
        fp_xyz=[torch.randn(2, 4, 3)],
        fp_features=[torch.randn(2, 6, 4)],
    )
    points = torch.randn(2, 16, 4)
    for level in ('sa', 'fp'):
        adapter = MODELS.build(
            dict(type='mmkd3d.SeedsToTokens', in_channels=6, embed_dims=10, level=level)
        )
        tokens, centers = adapter(output, points)
        assert torch.equal(centers, output[f'{level}_xyz'][-1])
        expected = adapter.project(adapter.norm(output[f'{level}_features'][-1].transpose(1, 2)))
        torch.testing.assert_close(tokens, expected)
    with pytest.raises(ValueError, match="kind='fp'. found no point features"):
        adapter(dict(tokens=points, centers=points), points)
    with pytest.raises(ValueError, match="level must be one of .*got 'up'"):
        MODELS.build(dict(type='mmkd3d.SeedsToTokens', level='up'))
