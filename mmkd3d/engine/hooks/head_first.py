"""Train the head before the backbone."""

from mmengine.hooks import Hook

from mmkd3d.registry import HOOKS
from mmkd3d.utils.distributed import unwrap_model


@HOOKS.register_module()
class HeadFirstHook(Hook):
    """Freeze ``model.backbone`` for the first steps (linear probing, then finetuning).

    A new head gives random gradients, which destroy what a pretrained backbone knows before the
    head has learned to use it (Kumar et al., ICLR 2022). The backbone gets no gradient until then;
    its BatchNorm layers go on collecting statistics.

    Args:
        iters: Number of steps in which only the other parts are trained.

    Raises:
        ValueError: ``iters`` is below 1; or several processes train without
            ``find_unused_parameters=True`` in the config.
    """

    def __init__(self, iters: int):
        if iters < 1:
            raise ValueError(f'iters must be at least 1, got {iters}.')
        self.iters = iters
        self.frozen = []

    def before_train(self, runner) -> None:
        # DDP waits for the gradient of each parameter that had one when it was made
        if not getattr(runner.model, 'find_unused_parameters', True):
            raise ValueError(
                'HeadFirstHook leaves parameters without gradients: set '
                'find_unused_parameters=True in the config.'
            )

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter < self.iters and not self.frozen:
            backbone = unwrap_model(runner.model).backbone
            self.frozen = [p for p in backbone.parameters() if p.requires_grad]
            for parameter in self.frozen:
                parameter.requires_grad_(False)
        elif runner.iter >= self.iters and self.frozen:
            for parameter in self.frozen:
                parameter.requires_grad_(True)
            self.frozen = []
