"""Loss between soft assignments to prototypes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS

from ..targets.standardizer import FittedModule


@MODELS.register_module()
class PrototypeKLLoss(FittedModule):
    """KL divergence between the soft assignments of targets and predictions to prototypes.

    With P prototypes, the K-means centres of the normalised targets::

        q(x) = softmax(cos(x, prototypes) / temperature)
        loss = KL(q(target) || q(pred)),  averaged over all tokens

    Never computed in half precision.

    Args:
        dims: Width of predictions and targets, D.
        num_prototypes: P.
        temperature: Temperature of the softmax.
        seed: Seed of K-means.
        loss_weight: Factor of the loss.

    Attributes:
        prototypes: Buffer (P, D) of unit vectors.
    """

    def __init__(
        self,
        dims: int,
        num_prototypes: int = 256,
        *,
        temperature: float = 0.1,
        seed: int = 0,
        loss_weight: float = 1.0,
    ):
        super().__init__(dims, min_count=num_prototypes)
        if temperature <= 0:
            raise ValueError(f'temperature must be positive, got {temperature}.')
        self.temperature = temperature
        self.seed = seed
        self.loss_weight = loss_weight
        self.register_buffer('prototypes', torch.zeros(num_prototypes, dims))

    def fit_buffers(self, feats: Tensor) -> None:
        """Fit the prototypes to targets, standardised as for the loss."""
        from sklearn.cluster import MiniBatchKMeans

        kmeans = MiniBatchKMeans(len(self.prototypes), n_init=3, random_state=self.seed)
        kmeans.fit(F.normalize(feats.float(), dim=-1).cpu().numpy())
        centers = torch.from_numpy(kmeans.cluster_centers_)
        self.prototypes.copy_(F.normalize(centers, dim=-1))

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Compare ``pred`` (..., D) with ``target`` (..., D).

        Raises:
            RuntimeError: It is not fitted.
        """
        self.require_fit()
        with torch.autocast(pred.device.type, enabled=False):
            q_pred, q_target = (self.assign(x).flatten(0, -2) for x in (pred, target))
            loss = F.kl_div(q_pred, q_target, reduction='batchmean', log_target=True)
            return self.loss_weight * loss

    def assign(self, feats: Tensor) -> Tensor:
        """Log probabilities (..., P) of ``feats`` (..., D)."""
        exact = torch.promote_types(feats.dtype, torch.float32)
        feats = F.normalize(feats.to(exact), dim=-1)
        cosine = feats @ self.prototypes.to(exact).T
        return (cosine / self.temperature).log_softmax(-1)
