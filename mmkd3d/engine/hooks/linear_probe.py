"""Evaluate a backbone with simple classifiers during pretraining."""

from collections.abc import Sequence

import torch.nn as nn
from mmengine.dist import barrier
from mmengine.hooks import Hook

from mmkd3d.datasets.identity import identify
from mmkd3d.evaluation.features import extract_features
from mmkd3d.evaluation.held_out import HeldOut
from mmkd3d.evaluation.protocols import Probes
from mmkd3d.models.pretrainers.base import BasePretrainer
from mmkd3d.registry import DATASETS, HOOKS
from mmkd3d.utils.distributed import unwrap_model
from mmkd3d.utils.rng import isolate_rng


@HOOKS.register_module()
class LinearProbeHook(Hook):
    """Evaluate features of the backbone during pretraining.

    Every ``interval`` epochs and after the last one, features of both data
    sets are extracted in eval mode and classified. The accuracies, in
    percent, are logged as ``probe/svm``, ``probe/knn`` and so on. Training is
    not affected: modes and random states are restored. With several
    processes only rank 0 evaluates, and the others wait.

    Do not select a checkpoint by the accuracy on the final test set: hold out
    other shapes for this hook.

    Args:
        train_dataset: Config of the labelled data set to train the probes on.
        test_dataset: Config of the labelled data set to test them on.
        interval: Number of epochs between two evaluations.
        methods: Any of ``'svm'``, ``'logistic'``, ``'knn'``, ``'retrieval'``.
        C: Regularisation of the SVM; None selects it by cross-validation.
        k: Number of neighbours of k-NN; None selects it by cross-validation.
        few_labels: Numbers of labels per class to train on, logged as
            ``probe/5-label`` and so on.
        pooling: See :func:`~mmkd3d.evaluation.features.extract_features`.
        batch_size: Number of clouds per batch.
        allow_shared_shapes: Skip the check that no test shape is trained on.

    Raises:
        ValueError: ``interval`` is below 1 or a method is unknown; before
            training: the model is not a pretrainer, or test shapes also occur
            in ``train_dataset`` or the pretraining data.
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
            raise ValueError(f'interval must be at least 1 epoch, got {interval}.')
        self.configs = train_dataset, test_dataset
        self.interval = interval
        self.probes = Probes(methods=methods, C=C, k=k, few_labels=few_labels)
        self.pooling = pooling
        self.batch_size = batch_size
        self.allow_shared_shapes = allow_shared_shapes

    def before_train(self, runner) -> None:
        model = unwrap_model(runner.model)
        if not isinstance(model, BasePretrainer):
            raise ValueError(
                'LinearProbeHook evaluates the backbone of a pretrainer, got a '
                f'{type(model).__name__}: remove the hook.'
            )
        if runner.rank:
            return
        with isolate_rng(0, _device(model)):
            self.datasets = [DATASETS.build(cfg) for cfg in self.configs]
            if not self.allow_shared_shapes:
                self._check_held_out(runner.train_dataloader.dataset)

    def after_train_epoch(self, runner) -> None:
        if not (self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner)):
            return
        if runner.rank == 0:
            self._log(runner, self.probe(unwrap_model(runner.model)))
        barrier()

    def probe(self, model: nn.Module) -> list:
        """Return the results; restore training modes and random states afterwards."""
        modes = {module: module.training for module in model.modules()}
        try:
            with isolate_rng(0, _device(model)):
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
                name = result.key if metric == 'accuracy' else f'{result.key}_{metric}'
                scalars[f'probe/{name}'] = value
        runner.message_hub.update_scalars(scalars)
        runner.visualizer.add_scalars(scalars, step=runner.epoch + 1)
        runner.logger.info(
            f'Probes after epoch {runner.epoch + 1}: ' + '; '.join(map(str, results))
        )

    def _check_held_out(self, pretraining) -> None:
        train, test = map(identify, self.datasets)
        held_out = HeldOut(test)
        held_out.compare(train, 'the training split of the probe')
        held_out.compare(identify(pretraining), 'the pretraining data')


def _device(model: nn.Module):
    return next(model.parameters()).device
