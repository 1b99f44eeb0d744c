"""Difficult clouds for operators, and distances rounded as in the kernels."""

import random

import numpy as np
import torch

from mmkd3d.ops import batch_norm, boxes, compiled, neighbors, pooled_norm, pooling, sampling


def random_cloud(num_clouds, num_points, seed=0):
    """Random points (B, N, 3) in a unit cube around the origin."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(num_clouds, num_points, 3, generator=generator) - 0.5


def tied_cloud(num_clouds, num_points, seed=0):
    """Points (B, N, 3) on a coarse grid, with duplicates and exactly equal distances."""
    return (random_cloud(num_clouds, num_points, seed) * 4).round() / 4


CLOUDS = dict(random=random_cloud, tied=tied_cloud)


def squared_distance(a, b):
    """Squared distance of two float32 points, summed in the order of the kernels."""
    dx, dy, dz = (np.float32(q) - np.float32(p) for p, q in zip(a, b))
    return (dx * dx + dy * dy) + dz * dz


def sampled(number, *lists):
    """``number`` combinations of the lists' values that cover each value at least once."""
    rng = random.Random(0)
    columns = []
    for values in lists:
        values = list(values)
        assert number >= len(values)
        column = [values[i % len(values)] for i in range(number)]
        rng.shuffle(column)
        columns.append(column)
    return list(zip(*columns))


def choose_form(monkeypatch, form):
    """Run searches in PyTorch, in compiled loops, or in these over several threads."""
    if form == 'torch':
        monkeypatch.setattr(compiled, 'kernels', lambda: None)
    elif form == 'threads':
        share = compiled.in_threads
        monkeypatch.setattr(torch, 'get_num_threads', lambda: 3)
        for module in (batch_norm, boxes, neighbors, pooled_norm, pooling, sampling):
            monkeypatch.setattr(
                module, 'in_threads', lambda run, count, least: share(run, count, 1)
            )


FORMS = ['torch', 'loops', 'threads']
