"""Warn when a distillation collapses."""

from collections import defaultdict, deque

import torch
from mmengine.hooks import Hook

from mmkd3d.registry import HOOKS

ALARMS = dict(
    token_std='The student has collapsed: its tokens are all alike. Lower the '
    'learning rate, increase the weight of the contrast, and check the targets.',
    matched_cos='The targets are all alike, so that their mean solves the loss, or the '
    'student sees its targets. Standardise the targets, and check the images.',
    concept_usage='Only few concepts are matched, or each always with the same slot. Use '
    'fewer concepts, or more targets per cloud.',
)


@HOOKS.register_module()
class CollapseAlarmHook(Hook):
    """Warn when the monitors of a distillation indicate a collapse.

    A loss may fall although nothing is learned. The hook checks those of
    these monitors that the model returns beside its losses:

    - ``token_std``, standard deviation of the tokens of the student, about 1
      for diverse tokens and small if all are alike;
    - ``matched_cos``, cosine of matched predictions and targets: if it is near
      1 while ``retrieval_top1`` (if logged) is low, all targets are alike;
    - ``concept_usage`` in [0, 1], how evenly concepts are matched with slots:
      small if few concepts are used, or each always has the same slot.

    Each monitor gives one warning per run, based on its mean over the last
    iterations.

    Args:
        interval: Iterations between two checks.
        window: Iterations in the mean; no check before that many.
        min_token_std: Warn below this ``token_std``.
        max_matched_cos: Warn above this ``matched_cos``.
        max_retrieval: Above this ``retrieval_top1`` targets are distinct, and
            a large ``matched_cos`` is fine.
        min_usage: Warn below this ``concept_usage``.

    Raises:
        ValueError: ``interval`` or ``window`` below 1; in the first
            iteration, if the model logs none of the three monitors.
    """

    priority = 'LOW'

    def __init__(
        self,
        *,
        interval: int = 50,
        window: int = 50,
        min_token_std: float = 0.05,
        max_matched_cos: float = 0.98,
        max_retrieval: float = 0.5,
        min_usage: float = 0.1,
    ):
        if min(interval, window) < 1:
            raise ValueError(f'interval and window are at least 1, got {interval} and {window}.')
        self.interval = interval
        self.min_token_std = min_token_std
        self.max_matched_cos = max_matched_cos
        self.max_retrieval = max_retrieval
        self.min_usage = min_usage
        self._values = defaultdict(lambda: deque(maxlen=window))

    def before_train(self, runner) -> None:
        self._values.clear()
        self._warned, self._is_first = set(), True

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        outputs = outputs or {}
        if self._is_first and not outputs.keys() & ALARMS.keys():
            raise ValueError(
                f'CollapseAlarmHook needs one of {", ".join(ALARMS)}, but the model logs '
                f'{", ".join(outputs) or "nothing"}: remove the hook, or return one of them '
                'beside the losses.'
            )
        self._is_first = False
        for name in (*ALARMS, 'retrieval_top1'):
            if name in outputs:  # kept on the device to avoid synchronisation
                value = torch.as_tensor(outputs[name]).detach().float().mean()
                self._values[name].append(value)
        if self.every_n_train_iters(runner, self.interval):
            self._check(runner)

    def _check(self, runner) -> None:
        means = {
            name: torch.stack(tuple(values)).mean().item()
            for name, values in self._values.items()
            if len(values) == values.maxlen
        }
        for name in self._failing(means):
            if name not in self._warned:
                self._warned.add(name)
                runner.logger.warning(
                    f'{name} is {means[name]:.3g} on average over '
                    f'{self._values[name].maxlen} iterations. {ALARMS[name]}'
                )

    def _failing(self, means: dict) -> list[str]:
        """Monitors whose mean is beyond its limit."""
        all_alike = means.get('retrieval_top1', 0.0) <= self.max_retrieval
        limits = dict(
            token_std=means.get('token_std', torch.inf) < self.min_token_std,
            matched_cos=means.get('matched_cos', 0.0) > self.max_matched_cos and all_alike,
            concept_usage=means.get('concept_usage', 1.0) < self.min_usage,
        )
        return [name for name, failed in limits.items() if failed]
