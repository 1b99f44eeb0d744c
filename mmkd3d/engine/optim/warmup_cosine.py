"""Learning-rate schedule of ACT, ReCon, I2P-MAE, Point-MAE and 3DETR."""

import math

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler

from mmkd3d.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(LRSchedulerMixin, _ParamScheduler):
    """Cosine decay whose first steps are replaced by a linear warmup.

    Unlike mmengine's ``LinearLR`` followed by ``CosineAnnealingLR``, the
    cosine starts at step 0, not after the warmup. With base rate b, W =
    ``warmup``, T = ``period`` and step t (epochs, or iterations with
    ``by_epoch=False``)::

        t < W:  warmup_lr + t (b - warmup_lr) / W
        else:   min_lr + (b - min_lr) (1 + cos(pi min(t, T) / T)) / 2

    ACT, ReCon, I2P-MAE and Point-MAE call timm's scheduler at the end of each
    epoch with the number of that epoch, so epoch e runs with t = max(e - 1, 0).
    ``lag=1``, the default, reproduces this. 3DETR steps after each iteration
    without a lag (detection, section 5): use ``lag=0`` and mmengine's
    ``convert_to_iter_based=True``, with all numbers in epochs.

    Args:
        optimizer: mmengine's optimizer wrapper, passed by the runner.
        period: Length of the cosine T, in steps.
        warmup: Length of the warmup W, in steps.
        min_lr: Final learning rate.
        warmup_lr: Learning rate at the start of the warmup.
        lag: Number of steps by which the schedule is delayed.
        by_epoch: Whether one step is an epoch or an iteration.

    Raises:
        ValueError: ``warmup`` is negative or not shorter than ``period``.
    """

    def __init__(
        self,
        optimizer,
        *,
        period: int,
        warmup: int = 10,
        min_lr: float = 1e-6,
        warmup_lr: float = 1e-6,
        lag: int = 1,
        **kwargs,
    ):
        if not 0 <= warmup < period:
            raise ValueError(f'warmup must lie in [0, period={period}), got {warmup}.')
        self.period = period
        self.warmup = warmup
        self.min_lr = min_lr
        self.warmup_lr = warmup_lr
        self.lag = lag
        super().__init__(optimizer, **kwargs)

    @classmethod
    def build_iter_from_epoch(
        cls,
        *args,
        period: int,
        epoch_length: int,
        warmup: int = 10,
        lag: int = 1,
        begin: int = 0,
        end: int = INF,
        by_epoch: bool = True,
        **kwargs,
    ) -> 'WarmupCosineLR':
        """Build a schedule that steps by iteration from lengths in epochs."""
        return cls(
            *args,
            period=period * epoch_length,
            warmup=warmup * epoch_length,
            lag=lag * epoch_length,
            begin=begin * epoch_length,
            end=end if end == INF else end * epoch_length,
            by_epoch=False,
            **kwargs,
        )

    def _get_value(self) -> list:
        t = max(self.last_step - self.lag, 0)
        if t < self.warmup:
            return [
                self.warmup_lr + t * (base - self.warmup_lr) / self.warmup
                for base in self.base_values
            ]
        half = (1 + math.cos(math.pi * min(t / self.period, 1))) / 2
        return [self.min_lr + (base - self.min_lr) * half for base in self.base_values]
