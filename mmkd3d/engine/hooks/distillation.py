"""Distil a teacher into a module of any detector or segmentor of mmdet3d."""

import inspect
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
import torch.nn as nn
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.utils import apply_to
from torch import Tensor

from mmkd3d.checkpoints.loading import check_weights
from mmkd3d.models.distillation import find_module, make_projector, not_called, saved_widths
from mmkd3d.registry import HOOKS, MODELS
from mmkd3d.utils.distributed import unwrap_model
from mmkd3d.utils.rng import isolate_torch_rng
from mmkd3d.utils.samples import stack_padded


@HOOKS.register_module()
class DistillationHook(Hook):
    """Distil image or text features into a module of the trained model.

    In training the output of the module (the student) is read as points with
    features. A projector maps these to the width of the target, and a loss
    compares them with the targets of the same points, where these are
    visible. The loss is added to those of the model as ``loss_NAME``; the
    fraction of visible points is logged as ``NAME_visible``.

    The model does not change: its checkpoint loads without the hook, and runs
    with and without the hook can resume from each other. The projector has an
    optimizer of the same type as the model, with the base settings (learning
    rate, ...) and the gradient clipping of the run; both are saved in
    ``checkpoint['distillation'][NAME]``. With ``loss_weight=0`` the model
    trains bit by bit as without the hook: random numbers of the hook depend
    only on seed, process and iteration.

    Works with every model whose ``forward(inputs, data_samples, mode)`` gets
    ``inputs['points']`` and returns a dict for ``mode='loss'``.

    Args:
        target: Config of a target of points, such as :class:`PointTarget` or
            :class:`LabelTexts`: ``(points, data_samples, at) -> feats,
            visible``.
        student: Name of the module, such as ``'backbone'``.
        frames: Arguments of :class:`LoadPosedFrames`, which is appended to
            the pipeline of the training data.
        loss: Config of ``(pred (n, D), target (n, D)) -> scalar``.
        until: Fraction of training after which the loss is dropped.
        adapter: Config of the reader of the output of the module; default
            :class:`StudentFeatures`.
        projector: ``dict(hidden=(256, ))`` adds hidden layers of these widths.
        name: Of the loss; must be unique among hooks.

    Raises:
        ValueError: ``until`` outside (0, 1]. When training begins: no such
            module, several optimizers, or a resumed projector of other
            widths.
    """

    def __init__(
        self,
        target: dict,
        student: str = 'backbone',
        *,
        frames: dict | None = None,
        loss: dict | None = None,
        until: float = 1.0,
        adapter: dict | None = None,
        projector: dict | None = None,
        name: str = 'distill',
    ):
        if not 0 < until <= 1:
            raise ValueError(f'until is a fraction of training in (0, 1], got {until}.')
        self.target_cfg = target
        self.student = student
        self.frames = frames
        self.loss = MODELS.build(loss or dict(type='mmkd3d.CosineLoss'))
        self.until = until
        self.adapter = MODELS.build(adapter or dict(type='mmkd3d.StudentFeatures'))
        self.hidden = tuple((projector or {}).get('hidden', ()))
        self.name = name
        self.projector: nn.Sequential | None = None  # built with the first features
        self._resumed = None
        self._active = False
        self._output = None

    def before_train(self, runner) -> None:
        wrapper = runner.optim_wrapper
        if isinstance(wrapper, OptimWrapperDict) or not isinstance(wrapper, OptimWrapper):
            raise ValueError(
                'DistillationHook needs a run with one OptimWrapper or AmpOptimWrapper, got '
                f'{type(wrapper).__name__}.'
            )
        model = unwrap_model(runner.model)
        device = next(model.parameters()).device
        student = find_module(model, self.student)
        if self.frames is not None:
            self._load_frames(runner, model)
        with isolate_torch_rng(self._seed(runner, 0), device):
            self.target = MODELS.build(self.target_cfg).to(device)
        if hasattr(self.target, 'set_classes'):
            metainfo = getattr(runner.train_dataloader.dataset, 'metainfo', {})
            self.target.set_classes(metainfo.get('classes'))
        self._handles = [
            student.register_forward_hook(self._keep),
            model.register_forward_hook(partial(self._add_loss, runner), with_kwargs=True),
            wrapper.optimizer.register_step_post_hook(lambda *_: self._step(wrapper)),
        ]
        # load_from without resume starts a new projector.
        if self._resumed is not None and runner.iter > 0:
            self._resume(runner, self._resumed, device)

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        self._active = runner.iter < round(self.until * runner.max_iters)

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        self._active = False
        if self.projector is not None and runner.optim_wrapper.should_update():
            self.optimizer.zero_grad()

    def after_train(self, runner) -> None:
        for handle in self._handles:
            handle.remove()

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        if self.projector is not None:
            state = dict(
                projector=self.projector.state_dict(), optimizer=self.optimizer.state_dict()
            )
            state = apply_to(state, torch.is_tensor, Tensor.cpu)
            checkpoint.setdefault('distillation', {})[self.name] = state

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        self._resumed = checkpoint.get('distillation', {}).get(self.name)

    def _keep(self, module: nn.Module, args: tuple, output: Any) -> None:
        if self._active:
            self._output = output

    def _add_loss(
        self, runner, model: nn.Module, args: tuple, kwargs: dict, losses: Any
    ) -> dict | None:
        """Forward hook of the model: add the loss to its losses."""
        if not self._active:
            return None
        call = inspect.signature(model.forward).bind(*args, **kwargs).arguments
        if call.get('mode') != 'loss':
            return None
        output, self._output = self._output, None
        if output is None:
            raise not_called(model, self.student)
        # With weight 0 even gradients of zero would change the model: weight
        # decay applies to parameters that have a gradient.
        no_weight = getattr(self.loss, 'loss_weight', 1) == 0
        with torch.no_grad() if no_weight else nullcontext():
            own = self._distill(runner, output, **call)
        if own.keys() & losses.keys():
            raise ValueError(
                f'{type(model).__name__} already has a loss loss_{self.name}: give the hook '
                'another name.'
            )
        return {**losses, **own}

    def _distill(self, runner, output: Any, inputs: dict, data_samples: list, **kwargs) -> dict:
        """The loss, and the fraction of visible points."""
        points = stack_padded(inputs['points'])
        device = points.device
        with torch.autocast(device.type, enabled=False):
            xyz, feats = self.adapter(output, points)
            with isolate_torch_rng(self._seed(runner, runner.iter + 1), device):
                target, visible = self.target(points, data_samples, xyz)
            width = feats.shape[-1]
            if self.projector is None:
                self._build_projector(runner, width, device)
            elif width != self.projector[0].in_features:
                raise ValueError(
                    f'The features of the student have width {width}, the projector '
                    f'{self.name!r} expects {self.projector[0].in_features}: the checkpoint '
                    'belongs to another student, or the width of its output changes.'
                )
            pred = self.projector(feats[visible])
            # Without visible points the projector still gets a gradient of 0.
            loss = self.loss(pred, target[visible]) if len(pred) else pred.sum()
        return {f'loss_{self.name}': loss, f'{self.name}_visible': visible.float().mean()}

    def _build_projector(self, runner, width: int, device: torch.device) -> None:
        """Build the projector and its optimizer."""
        with isolate_torch_rng(self._seed(runner, 0), device):
            projector = make_projector((width, *self.hidden, self.target.dims))
        self.projector = projector.to(device)
        settings = base_settings(runner.optim_wrapper)
        kind = type(runner.optim_wrapper.optimizer)
        self.optimizer = kind(self.projector.parameters(), lr=settings['lr'])

    def _step(self, wrapper: OptimWrapper) -> None:
        """Update the projector; called by each step of the optimizer of the run."""
        params = [] if self.projector is None else list(self.projector.parameters())
        if not params or params[0].grad is None:
            return
        for param in params:
            all_reduce(param.grad, 'mean')
        self.optimizer.param_groups[0].update(base_settings(wrapper))
        scaler = getattr(wrapper, 'loss_scaler', None)
        if wrapper.clip_grad_kwargs:
            if scaler is not None:
                scaler.unscale_(self.optimizer)
            wrapper.clip_func(params, **wrapper.clip_grad_kwargs)
        if scaler is None:
            self.optimizer.step()
        else:
            scaler.step(self.optimizer)

    def _resume(self, runner, saved: dict, device: torch.device) -> None:
        """Restore the projector and its optimizer; see ``before_save_checkpoint``."""
        width, *widths = saved_widths(saved['projector'])
        wanted = [*self.hidden, self.target.dims]
        if widths != wanted:
            raise ValueError(
                f'The projector {self.name!r} of the checkpoint maps width {width} to '
                f'{widths}, expected {wanted}; the last one is the width of the target. '
                'Resume with the same target and projector, or use load_from without '
                'resume.'
            )
        self._build_projector(runner, width, device)
        where = f'The projector {self.name!r} of the checkpoint'
        check_weights(saved['projector'], self.projector.state_dict(), where)
        self.projector.load_state_dict(saved['projector'])
        self.optimizer.load_state_dict(saved['optimizer'])

    def _load_frames(self, runner, model: nn.Module) -> None:
        """Append ``LoadPosedFrames`` to the training data."""
        from mmkd3d.datasets.transforms.frames import add_to_datasets

        if len(getattr(model.data_preprocessor, 'augments', ())):
            raise ValueError(
                'The data preprocessor of the model augments the clouds, which changes no '
                'camera poses: augment in the pipeline instead.'
            )
        loader = runner.train_dataloader
        if hasattr(runner.train_loop, 'dataloader_iterator') and loader.num_workers:
            raise ValueError(
                f'The workers of {type(runner.train_loop).__name__} have already started '
                "with the old pipeline: put dict(type='mmkd3d.LoadPosedFrames', ...) at the "
                'end of the train pipeline instead of frames=..., or set num_workers=0.'
            )
        add_to_datasets(loader.dataset, dict(type='mmkd3d.LoadPosedFrames', **self.frames))

    @staticmethod
    def _seed(runner, step: int) -> int:
        """Seed of an iteration, counted from 1; step 0 is equal in all processes."""
        rank = runner.rank if step else 0
        index = step * runner.world_size + rank
        return ((runner.seed or 0) + 15_485_863 * (index + 1)) % 2**63


def base_settings(wrapper: OptimWrapper) -> dict:
    """Settings of the optimizer without ``paramwise_cfg``, as scheduled."""
    # mmengine also schedules base_param_settings if there are several groups.
    base = wrapper.base_param_settings or wrapper.optimizer.param_groups[0]
    return {key: value for key, value in base.items() if key != 'params'}
