"""Probe a student while it is pretrained."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from mmengine.dist import barrier
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmkd3d.datasets.identity import identify
from mmkd3d.evaluation.features import extract_features
from mmkd3d.evaluation.held_out import HeldOut
from mmkd3d.evaluation.protocols import Probes
from mmkd3d.models.pretrainers.base import BasePretrainer
from mmkd3d.registry import DATASETS, HOOKS
from mmkd3d.utils.rng import all_own_draws


@HOOKS.register_module()
class LinearProbeHook(Hook):
    """Log how well simple classifiers do on the features of the student.

    Every ``interval`` epochs, and after the last one, both data sets go
    through the student in eval mode. The accuracies in percent are scalars of
    the message hub and the visualizer, ``probe/svm`` and ``probe/knn``, and a
    line of the log. The training does not notice: modes and random numbers
    are what they were. Of several processes the first one computes, and the
    others wait.

    Do not choose a checkpoint by what is measured on the shapes of the final
    test: name other shapes here, then.

    Args:
        train_dataset: Config of the labelled shapes that probes learn from.
        test_dataset: Config of those that they are tested on.
        interval: Epochs between two probes.
        methods: Of ``'svm'``, ``'logistic'``, ``'knn'`` and ``'retrieval'``.
        C: Of the SVM; None: by cross-validation.
        k: Of k-NN; None: by cross-validation.
        few_labels: Numbers of labels per class, as ``probe/5-label``.
        pooling: See :func:`extract_features`.
        batch_size: Clouds at a time.
        allow_shared_shapes: Do not look whether test shapes are trained on.

    Raises:
        ValueError: ``interval`` below 1 or an unknown method. When training
            begins: no pretraining, or test shapes that are learned from.
    """

    priority = 'LOW'

    def __init__(
        self,
        train_dataset: dict,
        test_dataset: dict,
        *,
        interval: int = 10,
        methods: Sequence[str] = ('svm', 'knn'),
        C: float | None = None,
        k: int | None = None,
        few_labels: Sequence[int] = (),
        pooling: str = 'global',
        batch_size: int = 32,
        allow_shared_shapes: bool = False,
    ):
        if interval < 1:
            raise ValueError(f'interval is 1 epoch or more, got {interval}.')
        self.configs = train_dataset, test_dataset
        self.interval = interval
        self.probes = Probes(methods=methods, C=C, k=k, few_labels=few_labels)
        self.pooling = pooling
        self.batch_size = batch_size
        self.allow_shared_shapes = allow_shared_shapes

    def before_train(self, runner) -> None:
        model = unwrapped(runner.model)
        if not isinstance(model, BasePretrainer):
            raise ValueError(
                'LinearProbeHook probes the student of a pretraining, got a '
                f'{type(model).__name__}: remove the hook.'
            )
        if runner.rank:
            return
        with all_own_draws(0, device_of(model)):
            self.datasets = [DATASETS.build(cfg) for cfg in self.configs]
            if not self.allow_shared_shapes:
                self._check_held_out(runner.train_dataloader.dataset)

    def after_train_epoch(self, runner) -> None:
        if not (self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner)):
            return
        if runner.rank == 0:
            self._log(runner, self.probe(unwrapped(runner.model)))
        barrier()

    def probe(self, model: nn.Module) -> list:
        """The results; the model and all generators are left as they were."""
        modes = {module: module.training for module in model.modules()}
        try:
            with all_own_draws(0, device_of(model)):
                train, test = (
                    extract_features(
                        model,
                        dataset,
                        batch_size=self.batch_size,
                        pooling=self.pooling,
                        progress=False,
                    )
                    for dataset in self.datasets
                )
                return [*self.probes.fixed(train, test), *self.probes.drawn(train, test, 0)]
        finally:
            for module, training in modes.items():
                module.training = training

    @staticmethod
    def _log(runner, results: Sequence) -> None:
        scalars = {}
        for result in results:
            for metric, value in result.metrics.items():
                name = result.key if metric == 'accuracy' else (f'{result.key}_{metric}')
                scalars[f'probe/{name}'] = value
        runner.message_hub.update_scalars(scalars)
        runner.visualizer.add_scalars(scalars, step=runner.epoch + 1)
        runner.logger.info(
            f'Probes after epoch {runner.epoch + 1}: ' + '; '.join(map(str, results))
        )

    def _check_held_out(self, pretraining) -> None:
        learned, tested = map(identify, self.datasets)
        held_out = HeldOut(tested)
        held_out.compare(learned, 'the training half of the probe')
        held_out.compare(identify(pretraining), 'the pretraining data')


def unwrapped(model: nn.Module) -> nn.Module:
    """The model within what holds processes together."""
    return model.module if is_model_wrapper(model) else model


def device_of(model: nn.Module) -> torch.device:
    """Where the weights are."""
    return next(model.parameters()).device
