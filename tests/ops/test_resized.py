"""Sampling of resized maps against resizing them in full."""

import pytest
import torch
from torch.nn import functional as F

from mmkd3d.ops import sample_resized
from tests.helpers import rejects


def pixels_of(B, V, M, size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(side, (B, V, M), generator=generator) for side in size], -1)


def enlarge(maps, pixels, size):
    """Resize full maps (B, V, C, h, w) and pick values (B, M, V, C) at pixels."""
    whole = F.interpolate(maps.flatten(0, 1), size, mode='bicubic').unflatten(0, maps.shape[:2])
    picked = [
        torch.stack([whole[b, v, :, i, j] for i, j in pixels[b, v]])
        for b in range(len(pixels))
        for v in range(pixels.shape[1])
    ]
    return torch.stack(picked).unflatten(0, pixels.shape[:2]).transpose(1, 2)


@pytest.mark.parametrize(
    'own, size',
    [
        ((14, 14), (224, 224)),
        ((7, 5), (40, 33)),  # non-integer factors
        ((1, 1), (8, 8)),
        ((3, 2), (3, 2)),
        ((12, 9), (5, 4)),  # downsampling
    ],
)
def test_values_are_those_of_resized_maps(own, size):
    maps = torch.randn(2, 3, 4, *own)
    pixels = pixels_of(2, 3, 30, size)
    corners = torch.tensor([[0, 0], [size[0] - 1, size[1] - 1], [0, 1]])
    pixels[:, :, :3] = corners.clamp(max=torch.tensor(size) - 1)
    values = sample_resized(maps, pixels, size)
    assert values.shape == (2, 30, 3, 4) and values.dtype == torch.float32
    torch.testing.assert_close(values, enlarge(maps, pixels, size), atol=1e-5, rtol=0)


def test_gradients_are_those_of_resized_maps():
    maps = torch.randn(2, 2, 3, 6, 6, requires_grad=True)
    pixels = pixels_of(2, 2, 20, (24, 24))
    weight = torch.randn(2, 20, 2, 3)
    slopes = [
        torch.autograd.grad((f(maps, pixels, (24, 24)) * weight).sum(), maps)[0]
        for f in (sample_resized, enlarge)
    ]
    torch.testing.assert_close(*slopes, atol=1e-5, rtol=1e-5)


def test_maps_of_half_precision_are_read_in_float32():
    maps, pixels = torch.randn(1, 1, 3, 5, 5), pixels_of(1, 1, 9, (20, 20))
    expected = sample_resized(maps.bfloat16().float(), pixels, 20)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(sample_resized(maps.bfloat16(), pixels, 20), expected)


def test_wrong_shapes_and_pixels_are_errors():
    for maps, pixels in (
        ((2, 4, 5, 5), (2, 3, 9, 2)),
        ((2, 3, 4, 5, 5), (2, 9, 2)),
        ((2, 3, 4, 5, 5), (2, 1, 9, 2)),
        ((2, 3, 4, 5, 5), (2, 3, 9, 3)),
    ):
        rejects('needs maps', sample_resized, torch.zeros(maps), torch.zeros(pixels).long(), 20)
    maps = torch.zeros(1, 1, 2, 5, 5)
    for pixel in ([-1, 0], [20, 0], [0, 30]):
        pixels = torch.tensor([[[pixel]]])
        rejects(r'resized to \(20, 30\)', sample_resized, maps, pixels, (20, 30))
    values = sample_resized(maps, torch.zeros(1, 1, 0, 2).long(), 20)
    assert values.shape == (1, 0, 1, 2)
