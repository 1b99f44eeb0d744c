"""Teach any detector or segmentor of mmdet3d beside its own training."""

import inspect
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
import torch.nn as nn
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmkd3d.models.distillation.student import find_module, not_called, stack_padded
from mmkd3d.models.views.base import BasePairs
from mmkd3d.registry import HOOKS, MODELS
from mmkd3d.utils.rng import own_draws

from ..distillation.projector import SideProjector
from ..optim.added_group import only_optimizer


@HOOKS.register_module()
class DistillationHook(Hook):
    """Distil image or text features into a module of the model that trains.

    In training, what the module gives (the student) is read as places in
    space with features. A projector leads these to the width of the teacher,
    and a loss compares them with what the teacher says of the same places, as
    far as it sees them. The loss joins those of the model as ``loss_NAME``,
    the share of places that are seen is logged as ``NAME_seen``.

    The model is not changed: its checkpoint loads without the hook, and a run
    without the hook can resume from it. The projector is trained by the
    optimizer of the run, at its base learning rate, and is kept in
    ``checkpoint['distillation'][NAME]``. With ``loss_weight=0`` the model
    trains, bit by bit, as if the hook were not there: what the hook draws
    comes from seeds of its own, of the run, the process and the iteration.

    Works with every model whose ``forward(inputs, data_samples, mode)`` gets
    ``inputs['points']``, and whose mode ``'loss'`` returns a dictionary.

    Args:
        teacher: Config of a teacher; None if the pairs need none.
        student: Name of the module, such as ``'backbone'``.
        pairs: Config of a provider of pictures (:class:`PosedFrames`,
            :class:`RenderedViews`, :class:`DepthProjection`), or of a target
            that is asked in their stead, such as :class:`LabelTexts`.
        frames: Arguments of :class:`LoadPosedFrames`, which is then appended
            to the pipeline of the training data.
        loss: Config of ``(pred (n, D), target (n, D)) -> scalar``.
        until: Share of training after which there is no such loss any more.
        adapter: Config of what reads the output of the module; None:
            :class:`StudentPlaces`.
        projector: ``dict(hidden=(256, ))`` puts layers of these widths before
            the last one.
        name: Of the loss; several hooks need several names.
        target: Further arguments of :class:`PlaceTarget`, which asks the
            teacher about pictures: ``precision``, ``images_at_once``.

    Raises:
        ValueError: ``until`` outside (0, 1]. When training begins: no such
            module, several optimizers, or a resumed projector of other
            widths.
    """

    def __init__(
        self,
        teacher: dict | None = None,
        student: str = 'backbone',
        *,
        pairs: dict,
        frames: dict | None = None,
        loss: dict | None = None,
        until: float = 1.0,
        adapter: dict | None = None,
        projector: dict | None = None,
        name: str = 'distill',
        target: dict | None = None,
    ):
        if not 0 < until <= 1:
            raise ValueError(f'until is a share of training in (0, 1], got {until}.')
        self.teacher_cfg = teacher
        self.student = student
        self.pairs_cfg = pairs
        self.target_cfg = target or {}
        self.frames = frames
        self.loss = MODELS.build(loss or dict(type='mmkd3d.CosineLoss'))
        self.until = until
        self.adapter = MODELS.build(adapter or dict(type='mmkd3d.StudentPlaces'))
        self.hidden = tuple((projector or {}).get('hidden', ()))
        self.name = name
        self.projector: SideProjector | None = None
        self._resumed = None
        self._active = False
        self._output = None

    def before_train(self, runner) -> None:
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        device = next(model.parameters()).device
        only_optimizer(runner)
        student = find_module(model, self.student)
        if self.frames is not None:
            self._load_frames(runner, model)
        with own_draws(self._seed(runner, 0), device):
            self.target = self._build_target().to(device)
        if hasattr(self.target, 'set_classes'):
            metainfo = getattr(runner.train_dataloader.dataset, 'metainfo', {})
            self.target.set_classes(metainfo.get('classes'))
        self.projector = SideProjector(
            self.name, (*self.hidden, self.target.dims), self._seed(runner, 0)
        )
        # After load_from alone a run starts anew, and so does the projector.
        if self._resumed is not None and runner.iter > 0:
            self.projector.resume(runner, self._resumed, device)
        self._handles = [
            student.register_forward_hook(self._keep),
            model.register_forward_hook(partial(self._add_loss, runner), with_kwargs=True),
        ]

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        self._active = runner.iter < round(self.until * runner.max_iters)

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        self._active = False

    def after_train(self, runner) -> None:
        for handle in self._handles:
            handle.remove()

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        if self.projector is not None:
            self.projector.save(runner, checkpoint)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        self._resumed = checkpoint.get('distillation', {}).get(self.name)

    def _build_target(self) -> nn.Module:
        """What is asked for features of places."""
        teacher = {} if self.teacher_cfg is None else dict(teacher=self.teacher_cfg)
        kind = MODELS.get(self.pairs_cfg['type'])
        if not (inspect.isclass(kind) and issubclass(kind, BasePairs)):
            return MODELS.build(dict(self.pairs_cfg, **teacher))
        if not teacher:
            raise ValueError(
                f'{kind.__name__} gives pictures, which only a teacher can read: name one.'
            )
        return MODELS.build(
            dict(type='mmkd3d.PlaceTarget', pairs=self.pairs_cfg, **teacher, **self.target_cfg)
        )

    def _load_frames(self, runner, model: nn.Module) -> None:
        """Append the loading of frames to the training data."""
        from mmkd3d.datasets.transforms.frames import add_to_datasets

        if len(getattr(model.data_preprocessor, 'augments', ())):
            raise ValueError(
                'The data preprocessor of the model augments the clouds, of '
                'which the cameras of their frames do not know: augment in '
                'the pipeline instead.'
            )
        loader = runner.train_dataloader
        if hasattr(runner.train_loop, 'dataloader_iterator') and loader.num_workers:
            raise ValueError(
                f'The workers of {type(runner.train_loop).__name__} are '
                'already at work with the pipeline as it is: write '
                "dict(type='mmkd3d.LoadPosedFrames', ...) at the end of the "
                'train pipeline instead of frames=..., or set num_workers=0.'
            )
        add_to_datasets(loader.dataset, dict(type='mmkd3d.LoadPosedFrames', **self.frames))

    def _keep(self, module: nn.Module, args: tuple, output: Any) -> None:
        if self._active:
            self._output = output

    def _add_loss(
        self, runner, model: nn.Module, args: tuple, kwargs: dict, losses: Any
    ) -> dict | None:
        """Losses of a call of the model, with the own one."""
        if not self._active:
            return None
        call = inspect.signature(model.forward).bind(*args, **kwargs).arguments
        if call.get('mode') != 'loss':
            return None
        output, self._output = self._output, None
        if output is None:
            raise ValueError(not_called(model, self.student))
        # With weight 0 the projector must not count in the norm of all
        # gradients either, by which they are clipped.
        watches = getattr(self.loss, 'loss_weight', 1) == 0
        with torch.no_grad() if watches else nullcontext():
            found = self._distill(runner, output, **call)
        if found.keys() & losses.keys():
            raise ValueError(
                f'{type(model).__name__} already has a loss '
                f'loss_{self.name}: give the hook another name.'
            )
        return {**losses, **found}

    def _distill(self, runner, output: Any, inputs: dict, data_samples: list, **kwargs) -> dict:
        """The loss, and the share of places that the teacher sees."""
        points = stack_padded(inputs['points'])
        device = points.device
        with torch.autocast(device.type, enabled=False):
            places = self.adapter(output, points)
            with own_draws(self._seed(runner, runner.iter + 1), device):
                target, seen = self.target(points, data_samples, places.xyz)
            pred = self.projector(runner, places.feats[seen])
            # Without places all processes still go the same way back.
            loss = self.loss(pred, target[seen]) if len(pred) else pred.sum()
        return {f'loss_{self.name}': loss, f'{self.name}_seen': seen.float().mean()}

    @staticmethod
    def _seed(runner, step: int) -> int:
        """Of an iteration, counted from 1; step 0 is alike everywhere."""
        rank = runner.rank if step else 0
        place = step * runner.world_size + rank
        return ((runner.seed or 0) + 15_485_863 * (place + 1)) % 2**63
