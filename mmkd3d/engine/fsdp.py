"""Fully sharded training: weights, gradients and optimizer state are split over the processes."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import mmengine
import torch
import torch.distributed as dist
import torch.nn as nn
from mmengine._strategy import DDPStrategy
from mmengine.device import get_device
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner.checkpoint import save_checkpoint

from mmkd3d.registry import STRATEGIES

WHOLE = ('DistillationHook', 'LinearProbeHook', 'PreciseBNHook')  # call parts, or add parameters
BLOCKS = ('Block', 'ResidualAttentionBlock', 'BertLayer')  # of timm, CLIP and transformers


@STRATEGIES.register_module()
class FSDPStrategy(DDPStrategy):
    """Split a model over the processes with PyTorch's ``fully_shard``, on GPUs or CPUs.

    Use it with ``runner_type='FlexibleRunner'`` and the launcher of a distributed run. Losses
    and weights are those of ``DistributedDataParallel``. Checkpoints are those of any other
    training, so they are resumed by any number of processes, with this strategy or without.

    mmengine's own ``FSDPStrategy`` clips gradients by the norm of a shard, takes each shard for
    a 1-D parameter in ``flat_decay_mult``, and runs on GPUs only.

    Args:
        blocks: Names of the classes, or of their bases, that are gathered one at a time, in the
            model and in its frozen teachers. The rest of the model is split as a whole; the rest
            of a teacher is not split.
        kwargs: Of mmengine's ``DDPStrategy``.

    Raises:
        ImportError: torch is older than 2.6.
        ValueError: No part of the model is one of ``blocks``, it has several optimizers, or
            the run has one process without a launcher.
    """

    def __init__(self, *, blocks: Sequence[str] = BLOCKS, **kwargs):
        super().__init__(**kwargs)
        self.blocks = frozenset(blocks)

    def _setup_distributed(self, launcher: str = 'pytorch', backend: str = 'nccl', **kwargs):
        backend = backend if torch.cuda.is_available() else 'gloo'
        super()._setup_distributed(launcher, backend, **kwargs)

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        try:
            from torch.distributed.fsdp import fully_shard
        except ImportError as error:
            raise ImportError(
                f'FSDPStrategy needs torch 2.6, this is {torch.__version__}.'
            ) from error
        if not any(map(self._is_block, model.modules())):
            raise ValueError(
                f'FSDPStrategy: no part of {type(model).__name__} is a '
                f'{" or ".join(sorted(self.blocks))}. Set strategy.blocks to its large classes.'
            )
        if not dist.is_initialized():
            raise ValueError(
                'FSDPStrategy splits a model over several processes: start them with '
                'tools/dist_train.sh, or give --launcher.'
            )
        model = self.convert_model(model.to(get_device()))
        mesh = dist.init_device_mesh(torch.device(get_device()).type, (dist.get_world_size(),))
        teachers = [m.net for m in model.modules() if getattr(m, 'hides_net', False)]
        for root in (model, *teachers):
            for module in root.modules():
                if self._is_block(module):
                    fully_shard(module, mesh=mesh)
        return fully_shard(model, mesh=mesh)

    def check_hooks(self, hooks: Sequence[Hook]) -> None:
        """Refuse hooks that need a model that is not split.

        Raises:
            ValueError: There is one.
        """
        found = [type(hook).__name__ for hook in hooks if type(hook).__name__ in WHOLE]
        if found:
            raise ValueError(
                f'{found[0]} does not work with FSDPStrategy: leave out the hook, or train with '
                'the default runner.'
            )

    def _is_block(self, module: nn.Module) -> bool:
        return not self.blocks.isdisjoint(kind.__name__ for kind in type(module).__mro__)

    def build_optim_wrapper(self, optim_wrapper: Any, model: nn.Module | None = None):
        wrapper = super().build_optim_wrapper(optim_wrapper, model)
        if not isinstance(wrapper, OptimWrapper):
            raise ValueError(f'FSDPStrategy takes one optimizer, got {type(wrapper).__name__}.')
        if wrapper.clip_grad_kwargs and wrapper.clip_func is nn.utils.clip_grad_norm_:
            wrapper.clip_func = _clip  # the norm that is logged is of all shards
        return wrapper

    def model_state_dict(self) -> dict:
        """The whole weights, on the CPU; all processes call this."""
        return whole(self.model.state_dict())

    def optim_state_dict(self) -> dict:
        """The whole state of the optimizer, on the CPU; all processes call this."""
        return whole(super().optim_state_dict())

    def load_checkpoint(self, filename: str, **kwargs) -> dict:
        """Load on the CPU: a GPU may not hold all."""
        return super().load_checkpoint(filename, **{**kwargs, 'map_location': 'cpu'})

    def load_model_state_dict(self, state_dict: dict, **kwargs) -> None:
        """Load whole weights."""
        own = self.model.state_dict()
        state = {k: split(v, own[k]) if k in own else v for k, v in state_dict.items()}
        super().load_model_state_dict(state, **kwargs)

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Load the whole state of an optimizer."""
        parameters = [p for g in self.optim_wrapper.optimizer.param_groups for p in g['params']]
        state = {
            number: {key: split(value, parameters[number]) for key, value in values.items()}
            for number, values in state_dict['state'].items()
        }
        super().load_optim_state_dict({**state_dict, 'state': state})

    def save_checkpoint(
        self,
        filename: str,
        *,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        extra_ckpt: dict | None = None,
        callback: Callable | None = None,
    ) -> None:
        """Save one file as other trainings do; all processes call this."""
        checkpoint = dict(extra_ckpt or {}, state_dict=self.model_state_dict())
        if save_optimizer and hasattr(self, 'optim_wrapper'):
            checkpoint['optimizer'] = self.optim_state_dict()
        if save_param_scheduler and hasattr(self, 'param_schedulers'):
            checkpoint['param_schedulers'] = self.scheduler_state_dict()
        checkpoint.setdefault('meta', {}).update(
            seed=self.seed,
            time=time.strftime('%Y%m%d_%H%M%S', time.localtime()),
            mmengine=mmengine.__version__,
        )
        if callback is not None:
            callback(checkpoint)
        if is_main_process():
            save_checkpoint(checkpoint, filename, backend_args=dict(backend='mmkd3d.atomic'))


def _clip(parameters: Sequence[nn.Parameter], **kwargs) -> torch.Tensor:
    return whole(nn.utils.clip_grad_norm_(parameters, **kwargs))


def whole(value: Any) -> Any:
    """Replace the split tensors in dicts and lists by whole ones on the CPU."""
    if isinstance(value, dict):
        return type(value)((key, whole(inner)) for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return type(value)(map(whole, value))
    if hasattr(value, 'full_tensor'):  # a DTensor, whose import takes a while
        return value.full_tensor().cpu()
    return value


def split(value: Any, like: Any) -> Any:
    """Split a whole tensor as another one, if that is split and has the same shape."""
    if isinstance(like, nn.Parameter):
        like = like.data
    if not hasattr(like, 'full_tensor') or not torch.is_tensor(value):
        return value
    if value.shape != like.shape:
        return value  # a number of steps, or weights that are told not to fit
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
