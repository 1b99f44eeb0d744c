"""Statistics of what the teacher says, before training begins."""

import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from mmengine.dist import broadcast, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from mmkd3d.models.targets.standardizer import fit_targets, unfitted
from mmkd3d.registry import HOOKS


@HOOKS.register_module()
class FitTargetsHook(Hook):
    """Fit the standardisation of targets to the training set (DC-6).

    Before the first iteration, unless a checkpoint brought the statistics.
    With a cache they are those of all its features; else the teacher is shown
    samples spread over the training set, not augmented. The mean cosine of
    two targets is logged: near 1, all that the teacher says is alike.

    Args:
        max_samples: Of the training set, that the teacher is shown or that
            are read from the cache.
        batch_size: Samples shown at a time, in all their views.
    """

    priority = 'VERY_HIGH'  # before hooks that look at the first losses

    def __init__(self, max_samples: int = 4096, batch_size: int = 32):
        self.max_samples = max_samples
        self.batch_size = batch_size

    def before_train(self, runner) -> None:
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        if not hasattr(model, 'standardizers'):
            raise AttributeError(
                'FitTargetsHook fits the targets of a ConceptDistillation, '
                f'and {type(model).__name__} has none to fit: remove the '
                'hook.'
            )
        parts = unfitted(model)
        # A run that goes on, or starts with statistics, has seen them.
        if not parts and (runner.iter or len(model.standardizers)):
            return
        if is_main_process():
            # the run itself draws what it would draw without this
            with torch.random.fork_rng():
                feats = self._gather(runner, model)
            fit_targets(model, feats)
            as_given, fitted = (mean_cosine(x[:, 0]) for x in (feats, model.standardizers(feats)))
            runner.logger.info(
                f'Statistics of {len(feats)} pictures and of regions in them. '
                f'Mean cosine of two pictures {as_given:.3f} as the teacher '
                f'gives them, {fitted:.3f} as targets.'
            )
        for part in parts:
            for buffer in part.buffers():
                broadcast(buffer)

    def _gather(self, runner, model) -> Tensor:
        """Features (n, 1 + K, D) of pictures of the training set."""
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
    """At most so many places, evenly spread over a length."""
    count = min(length, most)
    return torch.linspace(0, length - 1, count).round().long().tolist()


def mean_cosine(feats: Tensor) -> float:
    """Of all pairs of different rows of (n, D)."""
    n = len(feats)
    total = F.normalize(feats.double(), dim=-1).sum(0).square().sum()
    return float((total - n) / (n * (n - 1)))
