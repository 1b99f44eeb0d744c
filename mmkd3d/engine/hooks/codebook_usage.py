"""Monitor the usage of a codebook."""

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook

from mmkd3d.models.layers.quantizer import perplexity
from mmkd3d.registry import HOOKS
from mmkd3d.utils.distributed import unwrap_model


@HOOKS.register_module()
class CodebookUsageHook(Hook):
    """Log perplexity and dead codes after each epoch; warn if the codebook collapses.

    A code is dead if it was never the most likely one. The values are logged
    as ``codebook/perplexity`` and ``codebook/dead_share``, and printed.

    Args:
        min_share: Warn if the perplexity is below this fraction of the number
            of codes, or of the number of patches in the epoch if there are
            fewer patches than codes.

    Raises:
        AttributeError: The model has no ``quantizer``.
    """

    def __init__(self, min_share: float = 0.05):
        self.min_share = min_share

    def before_train_epoch(self, runner) -> None:
        self._usage(runner).zero_()

    def after_train_epoch(self, runner) -> None:
        usage = self._usage(runner)
        all_reduce(usage)
        num_codes, patches = len(usage), int(usage.sum())
        live = int((usage > 0).sum())
        effective = float(perplexity(usage))
        runner.message_hub.update_scalar('train/codebook/perplexity', effective)
        runner.message_hub.update_scalar('train/codebook/dead_share', 1 - live / num_codes)
        text = (
            f'Codebook: {live} of {num_codes} codes used by {patches} '
            f'patches, perplexity {effective:.1f}'
        )
        if effective < self.min_share * min(num_codes, patches):
            runner.logger.warning(
                f'{text}. The codebook has collapsed. Increase the weight of the KL loss or '
                'start it earlier, anneal the temperature more slowly, or use fewer codes.'
            )
        else:
            runner.logger.info(text)

    @staticmethod
    def _usage(runner) -> torch.Tensor:
        model = unwrap_model(runner.model)
        if not hasattr(model, 'quantizer'):
            raise AttributeError(
                'CodebookUsageHook needs a model with a quantizer, got '
                f'{type(model).__name__}: remove the hook.'
            )
        return model.quantizer.usage
