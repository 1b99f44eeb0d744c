"""Features of a module of any model, and projectors to a teacher."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.checkpoints import load_pretrained, read_checkpoint
from mmkd3d.registry import MODELS
from mmkd3d.utils.distributed import unwrap_model
from mmkd3d.utils.samples import stack_padded

# Keys of positions and features of each kind of dictionary, and whether the
# channels come before the points.
DICTS = dict(
    fp=('fp_xyz', 'fp_features', True),
    sa=('sa_xyz', 'sa_features', True),
    tokens=('centers', 'tokens', False),
)
TENSORS = ('channels_first', 'channels_last')


class PointFeatures(NamedTuple):
    """Points xyz (B, M, 3) with features feats (B, M, C)."""

    xyz: Tensor
    feats: Tensor


@MODELS.register_module()
class StudentFeatures:
    """Adapter that reads the output of a module as points with features.

    Supported kinds of outputs:

    - ``'fp'``: a dict with ``fp_xyz`` (B, M, 3) and ``fp_features`` (B, C, M),
      as of PointNet++ and of :class:`TokensToSeeds`;
    - ``'sa'``: the same with ``sa_xyz`` and ``sa_features``;
    - ``'tokens'``: a dict with ``centers`` (B, M, 3) and ``tokens``
      (B, M, C), as of our students;
    - ``'channels_first'``, ``'channels_last'``: a tensor (B, C, N) or
      (B, N, C) with a feature of each input point, as of a decode head.

    For other outputs register a class with the same ``__call__``.

    Args:
        kind: One of these; None detects it.
        level: Index into lists of levels; the last level of PointNet++'s
            ``fp_features`` is the finest.

    Raises:
        ValueError: An unknown kind.
    """

    def __init__(self, kind: str | None = None, level: int = -1):
        if kind not in (None, *DICTS, *TENSORS):
            raise ValueError(f'kind is one of {(*DICTS, *TENSORS)}, got {kind!r}.')
        self.kind = kind
        self.level = level

    def __call__(self, output: Any, points: Tensor) -> PointFeatures:
        """Read an output.

        Args:
            output: Of the module.
            points: (B, N, 3+F), the input of the model.

        Raises:
            ValueError: An unknown output, or another than ``kind``.
        """
        kind = self.kind or _detect(output, points)
        xyz = feats = first = None
        if kind in DICTS and isinstance(output, dict):
            *keys, first = DICTS[kind]
            xyz, feats = (
                value[self.level] if isinstance(value, (list, tuple)) else value
                for value in map(output.get, keys)
            )
        elif kind in TENSORS and isinstance(output, Tensor):
            xyz, feats, first = points[..., :3], output, kind == 'channels_first'
        if feats is not None and feats.ndim == 3:
            feats = feats.mT if first else feats
        if feats is None or xyz is None or feats.shape[:2] != xyz.shape[:2]:
            raise ValueError(
                f'StudentFeatures(kind={self.kind!r}) found no point features in '
                f'{describe_output(output)} for points {tuple(points.shape)}. Supported are '
                'dicts with fp_xyz and fp_features, sa_xyz and sa_features, or centers and '
                'tokens, and tensors (B, C, N) or (B, N, C) for N points. Name another '
                "student module, choose with adapter=dict(type='mmkd3d.StudentFeatures', "
                'kind=..., level=...), or register your own adapter.'
            )
        return PointFeatures(xyz.float(), feats.float())


def _detect(output: Any, points: Tensor) -> str | None:
    """The kind of an output; None if it is unknown or ambiguous."""
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


def describe_output(output: Any) -> str:
    """Types and shapes of an output, for messages."""
    if isinstance(output, Tensor):
        return f'a tensor {tuple(output.shape)}'
    if isinstance(output, dict):
        return f'a dict ({", ".join(f"{k}: {describe_output(v)}" for k, v in output.items())})'
    if isinstance(output, (list, tuple)):
        return f'[{", ".join(map(describe_output, output))}]'
    return f'a {type(output).__name__}'


def find_module(model: nn.Module, name: str) -> nn.Module:
    """A part of a model by its dotted name.

    Raises:
        ValueError: No such module; suggests similar names.
    """
    model = unwrap_model(model)
    modules = dict(model.named_modules())
    if name in modules:
        return modules[name]
    near = difflib.get_close_matches(name, modules, n=5, cutoff=0.5)
    near = near or [child for child, _ in model.named_children()]
    raise ValueError(
        f'{type(model).__name__} has no module {name!r}. Did you mean {", ".join(near)}?'
    )


def not_called(model: nn.Module, name: str) -> ValueError:
    """The error for a module that took no part in a forward pass."""
    return ValueError(
        f'{type(model).__name__} does not call its module {name!r}: name another one. The '
        'heads of mmdet3d bypass their own __call__, so name a part of them, such as '
        "'decode_head.pre_seg_conv'."
    )


class _StopForward(Exception):
    """Carries the output of a module."""


def read_student(model: nn.Module, name: str, adapter: Callable, data: dict) -> PointFeatures:
    """Features of a module for a batch; stops the forward pass behind it.

    Args:
        model: Of mmdet3d or ours.
        name: Of the module.
        adapter: Such as :class:`StudentFeatures`.
        data: From the data preprocessor.

    Raises:
        ValueError: No such module, or it is not called.
    """

    def stop(module, args, output):
        raise _StopForward(output)

    handle = find_module(model, name).register_forward_hook(stop)
    try:
        model(**data, mode='tensor')
    except _StopForward as stopped:
        (output,) = stopped.args
        return adapter(output, stack_padded(data['inputs']['points']))
    finally:
        handle.remove()
    raise not_called(model, name)


def make_projector(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers between the given widths, with GELU in between."""
    layers = []
    for width, to in zip(widths[:-1], widths[1:]):
        layers += [nn.Linear(width, to), nn.GELU()]
    return nn.Sequential(*layers[:-1])


def saved_widths(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    """The widths of the projector of a state dict."""
    weights = [v for key, v in state.items() if key.endswith('weight')]
    return (weights[0].shape[1], *(len(weight) for weight in weights))


def load_projector(checkpoint: str | Path, name: str = 'distill') -> nn.Sequential:
    """The projector of a :class:`DistillationHook` from a checkpoint.

    Args:
        checkpoint: File of a run with the hook.
        name: Of the hook.

    Raises:
        ValueError: The checkpoint has no projector of this name, or one that
            no training wrote.
    """
    hooks = read_checkpoint(checkpoint).get('distillation') or {}
    saved = hooks.get(name) if isinstance(hooks, Mapping) else None
    state = saved.get('projector') if isinstance(saved, Mapping) else None
    weights = [v for k, v in state.items() if k.endswith('weight')] if state else []
    if not weights or not all(torch.is_tensor(v) and v.ndim == 2 for v in weights):
        raise ValueError(
            f'{checkpoint} has no projector {name!r}, only {sorted(hooks)}: use the '
            'checkpoint of a run with a DistillationHook of this name.'
        )
    projector = make_projector(saved_widths(state))
    load_pretrained(projector, state, prefix='', name=checkpoint)
    return projector.eval()
