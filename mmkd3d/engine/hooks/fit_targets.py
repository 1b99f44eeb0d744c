"""Fit the standardisation of targets before training begins."""

import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from mmengine.dist import broadcast, is_main_process
from mmengine.hooks import Hook
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from mmkd3d.models.targets.standardizer import fit_targets, unfitted
from mmkd3d.registry import HOOKS
from mmkd3d.utils.distributed import unwrap_model


@HOOKS.register_module()
class FitTargetsHook(Hook):
    """Fit the standardisation of targets to the training set (DC-6).

    Runs before the first iteration, unless a checkpoint contains the
    statistics. Uses features of samples evenly spread over the training set,
    from the cache of the target or, without augmentation, from its teacher.
    Logs the mean cosine of two targets: near 1 all targets are alike.

    Args:
        max_samples: Maximum number of samples.
        batch_size: Samples per forward pass of the teacher, in all views.
    """

    priority = 'VERY_HIGH'  # before hooks that look at the first losses

    def __init__(self, max_samples: int = 4096, batch_size: int = 32):
        self.max_samples = max_samples
        self.batch_size = batch_size

    def before_train(self, runner) -> None:
        model = unwrap_model(runner.model)
        if not hasattr(model, 'standardizers'):
            raise AttributeError(
                'FitTargetsHook is for ConceptDistillation, but '
                f'{type(model).__name__} has no standardizers: remove the hook.'
            )
        parts = unfitted(model)
        # A resumed run, or a checkpoint, has the statistics.
        if not parts and (runner.iter or len(model.standardizers)):
            return
        if is_main_process():
            # leave the random numbers of the run unchanged
            with torch.random.fork_rng():
                feats = self._gather(runner, model)
            fit_targets(model, feats)
            raw, fitted = (mean_cosine(x[:, 0]) for x in (feats, model.standardizers(feats)))
            runner.logger.info(
                f'Statistics of {len(feats)} views and their regions. Mean cosine of the '
                f'features of two views {raw:.3f}, standardised {fitted:.3f}.'
            )
        for part in parts:
            for buffer in part.buffers():
                broadcast(buffer)

    def _gather(self, runner, model) -> Tensor:
        """Features (n, 1 + K, D) of views of the training set."""
        training = runner.train_loop.dataloader
        dataset = training.dataset
        target, device = model.target, next(model.parameters()).device
        if target.cache is not None:
            rows = spread(len(target.cache.keys), self.max_samples)
            feats = torch.from_numpy(target.cache.features[rows]).float()
            return feats.flatten(0, 1).to(device)
        chosen = Subset(dataset, spread(len(dataset), self.max_samples))
        loader = DataLoader(
            chosen, self.batch_size, num_workers=training.num_workers, collate_fn=pseudo_collate
        )
        feats = []
        for batch in loader:
            data = model.data_preprocessor(batch)
            feats.append(
                target.features(data['inputs']['points'], data['data_samples']).flatten(0, 1)
            )
        return torch.cat(feats)


def spread(length: int, most: int) -> list[int]:
    """At most ``most`` indices, evenly spread over a length."""
    count = min(length, most)
    return torch.linspace(0, length - 1, count).round().long().tolist()


def mean_cosine(feats: Tensor) -> float:
    """Mean cosine of all pairs of different rows of (n, D)."""
    n = len(feats)
    total = F.normalize(feats.double(), dim=-1).sum(0).square().sum()
    return float((total - n) / (n * (n - 1)))
