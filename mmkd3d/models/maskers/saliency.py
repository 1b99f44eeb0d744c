"""Keep visible what an image teacher looks at."""

import torch
from torch import Tensor

from mmkd3d.registry import MODELS, TASK_UTILS

from .base import BaseMasker


@TASK_UTILS.register_module()
class SaliencyMasker(BaseMasker):
    """Draw the visible patches by their scores (I2P-MAE, section 3.2; spec 7).

    The visible patches are drawn one after the other, without replacement,
    with the probabilities ``softmax(scores / temperature)``. The scores are
    given, or they are what the teacher of ``target`` looks at.

    As published (temperature 1, scores as they are) the attention of a
    teacher guides hardly: its values over a picture sum to 1 at most, so that
    the most and the least salient patch are nearly as probable. With
    ``standardize=True``, which is ours, a patch whose score is one deviation
    higher is e times as probable.

    Args:
        ratio: Share of patches that is masked, 0 <= ratio < 1.
        target: Config of a :class:`DenseTarget`; not needed where the scores
            are always given.
        temperature: Above 0; the smaller, the surer the patches with the
            highest scores stay visible.
        standardize: Bring the scores of each cloud to mean 0 and deviation 1.

    Raises:
        ValueError: A temperature that is not above 0.
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
            raise ValueError(f'SaliencyMasker: temperature must be above 0, got {temperature}.')
        self.target = MODELS.build(target) if target else None
        self.temperature, self.standardize = temperature, standardize

    def order(self, centers, points, scores, generator):
        if scores is None:
            scores = self.look(centers, points)
        check_scores(scores, centers)
        noise = torch.empty(centers.shape[:2], device=centers.device).exponential_(
            generator=generator
        )
        return self.rank(scores, noise)

    def look(self, centers: Tensor, points: Tensor | None) -> Tensor:
        """Saliency (B, G) of the patches, by the own target."""
        if self.target is None or points is None:
            raise ValueError(
                'SaliencyMasker needs the scores of the patches, or a target '
                "and the points that it looks at: give target=dict(type='"
                "DenseTarget', teacher=...)."
            )
        return self.target.saliency_at(self.target.forward_views(points), centers)

    def rank(self, scores: Tensor, noise: Tensor) -> Tensor:
        """(B, G) numbers; the patches with the largest stay visible.

        The logarithm of p / e, where p is the probability of a patch and e
        its noise: its order is a draw without replacement if e ~ Exp(1).

        Args:
            scores: (B, G).
            noise: (B, G), above 0.
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
    """``ValueError`` unless there is a finite score for every patch."""
    if scores.shape != centers.shape[:2]:
        raise ValueError(
            f'SaliencyMasker needs scores {tuple(centers.shape[:2])}, one for '
            f'each patch, got {tuple(scores.shape)}.'
        )
    finite = scores.isfinite().all(1)
    if not finite.all():
        odd = (~finite).nonzero().flatten().tolist()
        raise ValueError(
            f'The saliency of the clouds {odd} of the batch is not finite. '
            'Look for points that are not finite, or for a teacher that '
            "overflows in half precision (precision='bf16' or 'fp32')."
        )
