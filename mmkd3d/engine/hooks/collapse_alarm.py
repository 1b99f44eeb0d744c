"""Watch whether a distillation has collapsed."""

from collections import defaultdict, deque

import torch
from mmengine.hooks import Hook

from mmkd3d.registry import HOOKS

ALARMS = dict(
    token_std='The student has collapsed: its tokens are all alike. Lower the '
    'learning rate, give the contrast more weight, and look at the targets.',
    matched_cos='The targets are all alike, so that their mean solves the '
    'loss, or the answer leaks into the question. Standardise the targets, '
    'and look at the pictures.',
    concept_usage='Few concepts do all the work, or each takes the same slot '
    'in every cloud. Use fewer concepts, or more targets for each cloud.',
)


@HOOKS.register_module()
class CollapseAlarmHook(Hook):
    """Warn when what a model logs of a distillation says that it fails.

    A loss may fall while nothing is learned. Three monitors tell, of those
    that the model returns beside its losses:

    - ``token_std``, how much the student's tokens differ, about 1 where they
      spread: all of them become alike;
    - ``matched_cos``, the cosine of matched predictions and targets: near 1
      while ``retrieval_top1``, if it is logged, finds few shapes, targets are
      alike;
    - ``concept_usage``, how evenly concepts are matched with the slots, in
      [0, 1]: few do all the work, or each always takes the same slot.

    Each alarm is one warning of the log in a run. What is judged is the mean
    of the last iterations.

    Args:
        interval: Iterations between two looks.
        window: Number of iterations in a mean; before, nothing is judged.
        min_token_std: Alarm below it.
        max_matched_cos: Alarm above it.
        max_retrieval: Where ``retrieval_top1``, a share, is above, targets
            are told apart, and a large ``matched_cos`` is a success.
        min_usage: Alarm where ``concept_usage`` is below.

    Raises:
        ValueError: ``interval`` or ``window`` below 1, or in the first
            iteration: the model logs none of the three.
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
        self._seen = defaultdict(lambda: deque(maxlen=window))

    def before_train(self, runner) -> None:
        self._seen.clear()
        self._quiet, self._is_first = set(), True

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        outputs = outputs or {}
        if self._is_first and not outputs.keys() & ALARMS.keys():
            raise ValueError(
                'CollapseAlarmHook watches '
                f'{", ".join(ALARMS)}, and the model logs none of them '
                f'but {", ".join(outputs) or "nothing"}: remove the hook, or '
                'return one of them beside the losses.'
            )
        self._is_first = False
        for name in (*ALARMS, 'retrieval_top1'):
            if name in outputs:  # Kept on the device: nothing waits for it.
                value = torch.as_tensor(outputs[name]).detach().float().mean()
                self._seen[name].append(value)
        if self.every_n_train_iters(runner, self.interval):
            self._look(runner)

    def _look(self, runner) -> None:
        means = {
            name: torch.stack(tuple(values)).mean().item()
            for name, values in self._seen.items()
            if len(values) == values.maxlen
        }
        for name in self._failing(means):
            if name not in self._quiet:
                self._quiet.add(name)
                runner.logger.warning(
                    f'{name} is {means[name]:.3g} on average over '
                    f'{self._seen[name].maxlen} iterations. {ALARMS[name]}'
                )

    def _failing(self, means: dict) -> list[str]:
        """Which of the monitors that have a mean are beyond their limit."""
        is_cone = means.get('retrieval_top1', 0.0) <= self.max_retrieval
        limits = dict(
            token_std=means.get('token_std', torch.inf) < self.min_token_std,
            matched_cos=means.get('matched_cos', 0.0) > self.max_matched_cos and is_cone,
            concept_usage=means.get('concept_usage', 1.0) < self.min_usage,
        )
        return [name for name, is_beyond in limits.items() if is_beyond]
