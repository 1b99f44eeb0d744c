"""Optimizer wrapper that steps twice per batch."""

from mmengine.optim import OptimWrapper

from mmkd3d.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class RepeatStepOptimWrapper(OptimWrapper):
    """Step, clip the gradient, and step again.

    ACT's published segmentation code updates the weights twice per batch,
    first with the raw and then with the clipped gradient (section 9.1), so
    weight decay is applied twice, too. Use this wrapper only to reproduce its
    numbers. It takes the arguments of mmengine's ``OptimWrapper``.
    """

    def step(self, **kwargs) -> None:
        """Update the weights with the raw gradient, then with the clipped one."""
        self.optimizer.step(**kwargs)
        super().step(**kwargs)
