"""Stub teachers, a stub renderer and samples that are easy to compute by hand."""

import zlib

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.structures import BaseDataElement

from mmkd3d.models.teachers.base import BaseTeacher
from mmkd3d.models.views.rendered_views import Projection
from mmkd3d.registry import MODELS


def seeded(net: nn.Module, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for parameter in net.parameters():
            nn.init.normal_(parameter)
    return net


@MODELS.register_module(force=True)
class StubImageTeacher(BaseTeacher):
    """Linear layer on the mean colour; ``images`` counts the input images."""

    images = 0

    def __init__(self, seed=0, gain=1.0, checkpoint=None):
        super().__init__(seeded(nn.Linear(3, 5), seed), 4)
        self.global_dims = 5
        self.gain = gain

    def forward(self, images):
        type(self).images += len(images)
        return {'global': self.gain * self.net(images.mean((2, 3)))}


@MODELS.register_module(force=True)
class StubDenseTeacher(BaseTeacher):
    """Linear layer on the mean colours of 6 x 6 cells; bright cells are salient.

    ``images`` counts the input images.
    """

    images = 0

    def __init__(self, seed=0):
        super().__init__(seeded(nn.Linear(3, 5), seed), 5)

    @torch.no_grad()
    def forward_dense(self, images):
        type(self).images += len(images)
        fields = F.adaptive_avg_pool2d(images, 6)
        feats = self.net(fields.movedim(1, -1)).movedim(-1, 1)
        saliency = fields.mean(1).square()
        return {
            'feats': feats,
            'saliency': saliency / saliency.sum((1, 2), True),
            'global': feats.mean((2, 3)),
        }


@MODELS.register_module(force=True)
class StubTextTeacher(BaseTeacher):
    """Feature from the checksum of a sentence; ``sentences`` lists the inputs."""

    sentences = []

    def __init__(self, seed=0):
        super().__init__(seeded(nn.Linear(4, 6), seed), 6)

    @torch.no_grad()
    def encode_text(self, sentences):
        self.sentences.extend(sentences)
        numbers = [zlib.crc32(s.encode()) for s in sentences]
        bytes_ = [[n >> k & 255 for k in (0, 8, 16, 24)] for n in numbers]
        return self.net(torch.tensor(bytes_, dtype=torch.float32) / 255)


@MODELS.register_module(force=True)
class StubRenderer(nn.Module):
    """V images of constant colour, which depends on the cloud and the view."""

    def __init__(self, num_views=3, random=False):
        super().__init__()
        self.num_views, self.random = num_views, random

    def project(self, points, view_idx=None):
        turns = torch.arange(1.0, self.num_views + 1)[:, None, None]
        if view_idx is not None:
            turns = turns[view_idx]  # (B, W, 1, 1)
        colour = (points[:, None] * turns).sin().abs().mean(2)  # (B, V, 3)
        return Projection(colour, None, torch.zeros(*colour.shape[:2], 4, 4))

    def forward(self, points, view_idx=None):
        return self.paint(self.project(points, view_idx))

    def paint(self, projection):
        return projection.uv[..., None, None].expand(-1, -1, -1, 4, 4)


IMAGE = dict(type='StubImageTeacher')
DENSE = dict(
    type='mmkd3d.DenseTarget',
    teacher=dict(type='mmkd3d.StubDenseTeacher'),
    projector=dict(type='mmkd3d.AxisProjector', size=48),
)
TEXT = dict(type='StubTextTeacher')
RENDERER = dict(type='StubRenderer')
PROMPTS = ['{}', 'a {}.', 'a model of {} with {}']


def make_samples(num=4, *, begin=0, **fields):
    """Samples with ids, categories and ``fields``, given as functions of the index."""
    samples = []
    for i in range(begin, begin + num):
        sample = BaseDataElement(metainfo=dict(sample_id=f's{i}', category=f'class {i % 3}'))
        for name, value in fields.items():
            value = value(i)
            if isinstance(value, str):
                sample.set_metainfo({name: value})
            elif value is not None:
                sample.set_field(value, name)
        samples.append(sample)
    return samples


def cloud(i):
    generator = torch.Generator().manual_seed(i)
    return torch.randn(20, 3, generator=generator)


def picture(i):
    generator = torch.Generator().manual_seed(i)
    return torch.rand(3, 4, 4, generator=generator)
