"""The learning-rate schedule of the published pretraining codes."""

import math

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler

from mmkd3d.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(LRSchedulerMixin, _ParamScheduler):
    """Linear warm-up, then a cosine that the warm-up does not shift.

    With b the learning rate of the optimizer, W = ``warmup``, T = ``period``
    and step t (epochs, or iterations with ``by_epoch=False``)::

        t < W:  warmup_lr + t (b - warmup_lr) / W
        else:   min_lr + (b - min_lr) (1 + cos(pi min(t, T) / T)) / 2

    The published codes (ACT, ReCon, I2P-MAE, Point-MAE) step timm's scheduler
    after an epoch with the number of that epoch, so epoch e runs with
    t = max(e - 1, 0): that is ``lag=1``, the default. 3DETR's steps after each
    iteration and is on time (detection, section 5): ``lag=0`` and, with all
    numbers in epochs, mmengine's ``convert_to_iter_based=True``.

    Args:
        optimizer: mmengine's optimizer wrapper, given by the runner.
        period: T, in epochs or iterations.
        warmup: W.
        min_lr: Floor of the cosine.
        warmup_lr: Where the warm-up starts.
        lag: Steps by which the schedule runs late.
        by_epoch: Whether a step is an epoch.
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
        """From numbers of epochs, one that steps after each iteration."""
        end = end if end == INF else end * epoch_length
        return cls(
            *args,
            period=period * epoch_length,
            warmup=warmup * epoch_length,
            lag=lag * epoch_length,
            begin=begin * epoch_length,
            end=end,
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
