"""Replacement for ``mmcv._ext``, the compiled part of mmcv.

mmdet3d imports ``mmcv.ops``, which fails without ``mmcv._ext``. Two changes
make it work on any machine:

- an :class:`~mmkd3d.ops.dispatch.Extension` replaces ``mmcv._ext``, or
  wraps the compiled one;
- the few Python wrappers of mmcv that require CUDA, even for CPU tensors, are
  replaced, and those of :mod:`mmkd3d.ops.mmcv_layers`, which are faster.

Both happen while ``mmcv._ext`` is imported (:mod:`mmkd3d.import_hooks`), before
anything can import a name from ``mmcv.ops``.
"""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor

from .dispatch import Extension, mode, require_compiled
from .mmcv_kernels import KERNELS
from .mmcv_layers import convolve, group_rows


def make_stand_in() -> Extension:
    """Module to import as ``mmcv._ext`` if there is no compiled one.

    Raises:
        ImportError: If ``MMKD3D_OPS=mmcv`` forbids it.
    """
    if mode() == 'mmcv':
        raise require_compiled()
    stand_in = Extension(KERNELS)
    # Needed by the environment reports of mmengine and mmcv.
    stand_in.get_compiler_version = _no_compiler
    stand_in.get_compiling_cuda_version = _no_compiler
    return stand_in


def _no_compiler() -> str:
    return 'none (operators of mmkd3d)'


def wrap_compiled(compiled: ModuleType) -> None:
    """Use our operators where the compiled mmcv has no kernel.

    Args:
        compiled: The compiled ``mmcv._ext``, just imported or earlier.
    """
    extension = Extension(KERNELS, compiled)
    sys.modules['mmcv._ext'] = extension
    _rebind(compiled, extension)  # every ``ext_module`` of mmcv.ops
    replace_wrappers()


def replace_wrappers() -> None:
    """Replace the wrappers of mmcv that only work with CUDA, or are slow without."""
    sample = importlib.import_module('mmcv.ops.furthest_point_sample')
    sample.FurthestPointSampling.forward = staticmethod(_sample(sample))
    knn = importlib.import_module('mmcv.ops.knn')
    knn.KNN.forward = staticmethod(_knn(knn))
    group_rows(importlib.import_module('mmcv.ops.group_points').GroupingOperation)
    convolve(importlib.import_module('mmcv.cnn.bricks.conv_module').ConvModule)
    boxes = importlib.import_module('mmcv.ops.points_in_boxes')
    for original in (boxes.points_in_boxes_part, boxes.points_in_boxes_all):
        _rebind(original, _points_in_boxes(boxes, original))


def _sample(module: ModuleType) -> Callable:

    def forward(ctx, points: Tensor, num_points: int) -> Tensor:
        """Furthest point sampling, (B, N, 3) -> (B, num_points) int32."""
        b, n = points.shape[:2]
        points = points.contiguous()
        out = points.new_empty((b, num_points), dtype=torch.int32)
        temp = points.new_full((b, n), 1e10, dtype=torch.float32)
        module.ext_module.furthest_point_sampling_forward(points, temp, out, b=b, n=n, m=num_points)
        ctx.mark_non_differentiable(out)
        return out

    return forward


def _knn(module: ModuleType) -> Callable:
    on_cuda = module.KNN.forward

    def forward(
        ctx, k: int, xyz: Tensor, center_xyz: Tensor | None = None, transposed: bool = False
    ) -> Tensor:
        """Indices of the nearest points, (B, k, M) int32."""
        if xyz.is_cuda:
            return on_cuda(ctx, k, xyz, center_xyz, transposed)
        if not 0 < k < 100:
            raise ValueError(f'knn needs 0 < k < 100, got {k}')
        center_xyz = xyz if center_xyz is None else center_xyz
        if transposed:
            xyz, center_xyz = xyz.mT, center_xyz.mT
        xyz, center_xyz = xyz.contiguous(), center_xyz.contiguous()
        b, m = center_xyz.shape[:2]
        idx = xyz.new_zeros((b, m, k), dtype=torch.int32)
        dist = xyz.new_zeros((b, m, k), dtype=torch.float32)
        module.ext_module.knn_forward(
            xyz, center_xyz, idx, dist, b=b, n=xyz.shape[1], m=m, nsample=k
        )
        idx = idx.mT.contiguous()
        ctx.mark_non_differentiable(idx)
        return idx

    return forward


def _points_in_boxes(module: ModuleType, on_cuda: Callable) -> Callable:
    kernel = f'{on_cuda.__name__}_forward'
    per_box = on_cuda.__name__ == 'points_in_boxes_all'

    def points_in_boxes(points: Tensor, boxes: Tensor) -> Tensor:
        if points.is_cuda:
            return on_cuda(points, boxes)
        b, n = points.shape[:2]
        if boxes.shape[0] != b or boxes.shape[2] != 7 or points.shape[2] != 3:
            raise ValueError(
                f'{on_cuda.__name__} needs points (B, N, 3) and boxes '
                f'(B, T, 7), got {tuple(points.shape)} and '
                f'{tuple(boxes.shape)}'
            )
        shape, empty = ((b, n, boxes.shape[1]), 0) if per_box else ((b, n), -1)
        out = points.new_full(shape, empty, dtype=torch.int32)
        getattr(module.ext_module, kernel)(boxes.contiguous(), points.contiguous(), out)
        return out

    points_in_boxes.__name__ = on_cuda.__name__
    points_in_boxes.__doc__ = on_cuda.__doc__
    return points_in_boxes


def _rebind(original: object, replacement: object) -> None:
    """Replace an object under all names that modules bind it to."""
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, '__dict__', {}).items()):
            if value is original and module is not replacement:
                setattr(module, name, replacement)
