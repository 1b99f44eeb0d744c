"""The optimizer that steps twice, as published for segmentation."""

from mmengine.optim import OptimWrapper

from mmkd3d.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class RepeatStepOptimWrapper(OptimWrapper):
    """Two updates with each gradient, the first one before it is clipped.

    The published segmentation of ACT was trained in this way (section 9.1):
    backward, step, clip, step. That is two updates, and two decays, per
    batch. Here to reproduce its numbers; ``OptimWrapper`` is the default.

    Args: Those of mmengine's ``OptimWrapper``.
    """

    def step(self, **kwargs) -> None:
        """Step, clip, step again."""
        self.optimizer.step(**kwargs)
        super().step(**kwargs)
