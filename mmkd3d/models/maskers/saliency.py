"""Masker guided by the saliency of an image teacher."""

import torch
from torch import Tensor

from mmkd3d.registry import MODELS, TASK_UTILS

from .base import BaseMasker


@TASK_UTILS.register_module()
class SaliencyMasker(BaseMasker):
    """Draw the visible patches by their scores (I2P-MAE, section 3.2; spec 7).

    The visible patches are drawn one after the other, without replacement, with the probabilities
    ``softmax(scores / temperature)``. The scores are given, or are the saliency of the patches
    for the teacher of ``target``.

    As published (temperature 1, no standardisation), the guidance is weak: the attention of a
    teacher sums to at most 1 over an image, so all patches are almost equally probable. With
    ``standardize=True``, which is not published, a patch whose score is one standard deviation
    higher is e times as probable.

    Args:
        ratio: Share of masked patches, 0 <= ratio < 1.
        target: Config of a :class:`DenseTarget`; not needed if scores are always given.
        temperature: Positive; the smaller, the more likely the patches with the highest scores
            stay visible.
        standardize: Standardise the scores of each cloud.

    Raises:
        ValueError: The temperature is not positive.
    """

    def __init__(
        self,
        ratio: float,
        target: dict | None = None,
        *,
        temperature: float = 1.0,
        standardize: bool = False,
    ):
        super().__init__(ratio)
        if not temperature > 0:
            raise ValueError(f'temperature must be positive, got {temperature}.')
        self.target = MODELS.build(target) if target else None
        self.temperature, self.standardize = temperature, standardize

    def order(self, centers, points, scores, generator):
        if scores is None:
            scores = self.saliency(centers, points)
        check_scores(scores, centers)
        noise = torch.empty(centers.shape[:2], device=centers.device).exponential_(
            generator=generator
        )
        return self.rank(scores, noise)

    def saliency(self, centers: Tensor, points: Tensor | None) -> Tensor:
        """Saliency (B, G) of the patches for the teacher of ``target``."""
        if self.target is None or points is None:
            raise ValueError(
                'SaliencyMasker needs scores of the patches, or a target and the points: give '
                "target=dict(type='DenseTarget', teacher=...)."
            )
        return self.target.saliency_at(self.target.forward_views(points), centers)

    def rank(self, scores: Tensor, noise: Tensor) -> Tensor:
        """Return numbers (B, G); the patches with the largest stay visible.

        They are log(p / e), with the probability p of a patch and its noise e. If e ~ Exp(1),
        their order is a draw without replacement.

        Args:
            scores: (B, G).
            noise: (B, G), positive.
        """
        scores = scores.float()
        scores = scores - scores.mean(1, keepdim=True)
        if self.standardize:
            deviation = scores.square().mean(1, keepdim=True).sqrt()
            scores = scores / deviation.where(deviation > 0, 1)
        return scores / self.temperature - noise.log()

    def extra_repr(self) -> str:
        return (
            f'{super().extra_repr()}, temperature={self.temperature}, '
            f'standardize={self.standardize}'
        )


def check_scores(scores: Tensor, centers: Tensor) -> None:
    """Raise ``ValueError`` unless there is a finite score for every patch."""
    if scores.shape != centers.shape[:2]:
        raise ValueError(
            f'scores must be {tuple(centers.shape[:2])}, one for each patch, got '
            f'{tuple(scores.shape)}.'
        )
    finite = scores.isfinite().all(1)
    if finite.is_cuda:  # reading it would wait for the GPU
        torch._assert_async(finite.all(), 'The saliency of a cloud is not finite.')
    elif not finite.all():
        odd = (~finite).nonzero().flatten().tolist()
        raise ValueError(
            f'The saliency of the clouds {odd} of the batch is not finite: check for points that '
            "are not finite, or set precision='bf16' or 'fp32' for the teacher."
        )
