"""What a module of a model gives, as places in space with features."""

import difflib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn as nn
from mmengine.model import is_model_wrapper
from torch import Tensor

from mmkd3d.registry import MODELS


class Places(NamedTuple):
    """Positions (B, M, 3) and what a student says of them, (B, M, C)."""

    xyz: Tensor
    feats: Tensor


def stack_padded(items: Sequence[Tensor]) -> Tensor:
    """Stack (N_i, ...) to (B, N, ...), N the largest of all N_i.

    Where one is smaller it is repeated from its start, so that of a cloud no
    point is in a new place.
    """
    if isinstance(items, Tensor):
        return items
    sizes = [len(item) for item in items]
    if 0 in sizes:
        raise ValueError(f'A cloud of the batch is empty: sizes {sizes}.')
    return torch.stack(
        [
            item[torch.arange(max(sizes), device=item.device) % size] if size < max(sizes) else item
            for item, size in zip(items, sizes)
        ]
    )


def find_module(model: nn.Module, name: str) -> nn.Module:
    """A part of a model by its name with dots, as in its state dict.

    Raises:
        ValueError: There is none; the nearest names are listed.
    """
    model = model.module if is_model_wrapper(model) else model
    modules = dict(model.named_modules())
    if name in modules:
        return modules[name]
    near = difflib.get_close_matches(name, modules, n=5, cutoff=0.5)
    near = near or [child for child, _ in model.named_children()]
    raise ValueError(
        f'{type(model).__name__} has no module {name!r}. The nearest names: {", ".join(near)}.'
    )


class _Reached(Exception):
    """A module has given its output."""


def read_student(model: nn.Module, name: str, adapter: Callable, data: dict) -> Places:
    """What a module gives for a batch; what comes after it is not run.

    Args:
        model: Of mmdet3d or ours.
        name: Of the module.
        adapter: Such as :class:`StudentPlaces`.
        data: What the data preprocessor returned.

    Raises:
        ValueError: The module is not there, or is not called.
    """

    def stop(module, args, output):
        raise _Reached(output)

    handle = find_module(model, name).register_forward_hook(stop)
    try:
        model(**data, mode='tensor')
    except _Reached as reached:
        (output,) = reached.args
        return adapter(output, stack_padded(data['inputs']['points']))
    finally:
        handle.remove()
    raise ValueError(not_called(model, name))


def not_called(model: nn.Module, name: str) -> str:
    """For messages."""
    return (
        f'{type(model).__name__} does not call its module {name!r}: name '
        "another one. Of mmdet3d's heads, which call their forward in "
        'passing by, name a part instead, such as '
        "'decode_head.pre_seg_conv'."
    )


# Where positions and features are in a dictionary of each kind, and whether
# channels come before places.
DICTS = dict(
    fp=('fp_xyz', 'fp_features', True),
    sa=('sa_xyz', 'sa_features', True),
    tokens=('centers', 'tokens', False),
)
TENSORS = ('channels_first', 'channels_last')


@MODELS.register_module()
class StudentPlaces:
    """Adapter: the output of a module as places with features.

    Known kinds:

    - ``'fp'``: a dict with ``fp_xyz`` (B, M, 3) and ``fp_features`` (B, C, M),
      as of PointNet++ and of :class:`TokensToSeeds`;
    - ``'sa'``: with ``sa_xyz`` and ``sa_features`` alike;
    - ``'tokens'``: with ``centers`` (B, M, 3) and ``tokens`` (B, M, C), as of
      our students;
    - ``'channels_first'``, ``'channels_last'``: a tensor (B, C, N) or
      (B, N, C) with a feature for each input point, as of a decode head.

    For what else a module may give, register a class whose objects are called
    like this one's.

    Args:
        kind: One of these; None finds it out.
        level: Which of a list of levels is read; the last one of PointNet++'s
            ``fp_features`` is its finest.

    Raises:
        ValueError: An unknown kind.
    """

    def __init__(self, kind: str | None = None, level: int = -1):
        if kind not in (None, *DICTS, *TENSORS):
            raise ValueError(f'kind is one of {(*DICTS, *TENSORS)}, got {kind!r}.')
        self.kind = kind
        self.level = level

    def __call__(self, output: Any, points: Tensor) -> Places:
        """Read an output.

        Args:
            output: What the module returned.
            points: (B, N, 3+F), the input of the model.

        Raises:
            ValueError: It is of no known kind, or not of the one asked for.
        """
        kind = self.kind or _kind(output, points)
        if kind in DICTS and isinstance(output, dict):
            keys = DICTS[kind][:2]
            xyz, feats = (self._level(output.get(key)) for key in keys)
            first = DICTS[kind][2]
        elif kind in TENSORS and isinstance(output, Tensor):
            xyz, feats = points[..., :3], output
            first = kind == 'channels_first'
        else:
            xyz = feats = first = None
        if feats is not None and feats.ndim == 3:
            feats = feats.mT if first else feats
        if feats is None or xyz is None or feats.shape[:2] != xyz.shape[:2]:
            asked = f'As {self.kind!r}' if self.kind else 'By itself'
            raise ValueError(
                f'{asked}, StudentPlaces reads no places in '
                f'{describe(output)} for points {tuple(points.shape)}. It '
                'knows dicts with fp_xyz and fp_features, sa_xyz and '
                'sa_features, or centers and tokens, and tensors (B, C, N) or '
                '(B, N, C) for N points. Name another student module, choose '
                "with adapter=dict(type='mmkd3d.StudentPlaces', kind=..., "
                'level=...), or register an adapter of your own.'
            )
        return Places(xyz.float(), feats.float())

    def _level(self, value: Any) -> Tensor | None:
        if isinstance(value, (list, tuple)):
            value = value[self.level]
        return value


def _kind(output: Any, points: Tensor) -> str | None:
    """What an output is; None: none of them, or two at a time."""
    if isinstance(output, dict):
        return next(
            (kind for kind, (xyz, feats, _) in DICTS.items() if xyz in output and feats in output),
            None,
        )
    if not isinstance(output, Tensor) or output.ndim != 3:
        return None
    fits = [size == points.shape[1] for size in output.shape[1:]]
    if sum(fits) != 1:
        return None
    return 'channels_last' if fits[0] else 'channels_first'


def describe(output: Any) -> str:
    """Types and shapes, for messages."""
    if isinstance(output, Tensor):
        return f'a tensor {tuple(output.shape)}'
    if isinstance(output, dict):
        inside = (f'{k}: {describe(v)}' for k, v in output.items())
        return f'a dict ({", ".join(inside)})'
    if isinstance(output, (list, tuple)):
        return f'[{", ".join(map(describe, output))}]'
    return f'a {type(output).__name__}'
