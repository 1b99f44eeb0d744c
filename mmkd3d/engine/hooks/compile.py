"""Compile the transformer blocks of student and teachers."""

import os
import shutil
import time
from collections.abc import Iterator

import torch
import torch.nn as nn
from mmengine.hooks import Hook
from timm.models.vision_transformer import Block

from mmkd3d.models.teachers.base import BaseTeacher
from mmkd3d.models.teachers.token_transformer import FAMILIES, TokenTransformer
from mmkd3d.registry import HOOKS
from mmkd3d.utils.distributed import unwrap_model

COMPILERS = ('g++', 'clang++', 'c++')
BLOCKS = 64  # with rates of their own, as those of stochastic depth


@HOOKS.register_module()
class CompileHook(Hook):
    """Compile the transformer blocks of student and teachers with ``torch.compile``.

    The blocks are compiled in place: names of weights, checkpoints, and
    resuming are as without the hook. Inside the compiled blocks random
    numbers differ from those without, so dropout and stochastic depth change
    the curve. The first step takes a minute or more, which is logged. Shapes
    are fixed: use ``drop_last=True``, and students whose number of visible
    tokens is the same in every step (not Point-M2AE's).

    The blocks through which ACT's teacher runs tokens of another modality are
    not compiled.

    Args:
        backend: Of ``torch.compile``.

    Raises:
        ValueError: There is no C++ compiler, which ``'inductor'`` needs, or
            the model has no transformer blocks.
    """

    priority = 'VERY_HIGH'

    def __init__(self, backend: str = 'inductor'):
        self.backend = backend
        self._steps = 0

    def before_train(self, runner) -> None:
        compiler = os.environ.get('CXX')
        if self.backend == 'inductor' and not any(map(shutil.which, [compiler or '', *COMPILERS])):
            raise ValueError(
                f'CompileHook found no C++ compiler ({", ".join(COMPILERS)}, or $CXX): install '
                'one, or remove the hook.'
            )
        blocks = [*find_blocks(unwrap_model(runner.model))]
        if not blocks:
            raise ValueError(
                f'CompileHook found no transformer blocks in {type(runner.model).__name__}: '
                'remove the hook.'
            )
        config = torch._dynamo.config
        name = 'recompile_limit' if hasattr(config, 'recompile_limit') else 'cache_size_limit'
        setattr(config, name, max(BLOCKS, getattr(config, name)))
        for block in blocks:
            block.compile(backend=self.backend, dynamic=False)
        runner.logger.info(f'{len(blocks)} transformer blocks are compiled in the first step')

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        self._start = time.perf_counter()

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        self._steps += 1
        if self._steps <= 2:
            seconds, what = time.perf_counter() - self._start, ('compiling', 'compiled')
            runner.logger.info(f'Step {self._steps}, {what[self._steps - 1]}: {seconds:.1f} s')


def find_blocks(model: nn.Module) -> Iterator[nn.Module]:
    """Transformer blocks of a model and of the teachers in it."""
    for module in model.modules():
        kind = f'{type(module).__module__}.{type(module).__qualname__}'
        if isinstance(module, Block) or kind in FAMILIES:
            yield module
        # A TokenTransformer reads the weights of its blocks and does not call them.
        if isinstance(module, BaseTeacher) and not isinstance(module.net, TokenTransformer):
            yield from find_blocks(module.net)
