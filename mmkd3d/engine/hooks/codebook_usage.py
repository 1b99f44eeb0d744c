"""Watch whether a codebook is used or has collapsed."""

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmkd3d.models.layers.quantizer import perplexity
from mmkd3d.registry import HOOKS


@HOOKS.register_module()
class CodebookUsageHook(Hook):
    """Log perplexity and dead codes of an epoch; warn of a collapse.

    A code is dead if it was nowhere the most likely one. The numbers are
    logged as ``codebook/perplexity`` and ``codebook/dead_share`` with the
    iterations of the next epoch, and at once as a line of the log.

    Args:
        min_share: Below this share of effective codes, the perplexity, the
            codebook has collapsed, also if rare codes still live. Of an epoch
            with few patches at most ``patches / codes`` can be used, and
            ``min_share`` is of that.
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
                f'{text}. It has collapsed: the codes tell patches hardly '
                'apart. Raise the weight of the KL loss or let it start '
                'earlier, slow the decay of the temperature, or use fewer '
                'codes.'
            )
        else:
            runner.logger.info(text)

    @staticmethod
    def _usage(runner) -> torch.Tensor:
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        if not hasattr(model, 'quantizer'):
            raise AttributeError(
                'CodebookUsageHook watches a quantizer, and '
                f'{type(model).__name__} has none: remove the hook.'
            )
        return model.quantizer.usage
