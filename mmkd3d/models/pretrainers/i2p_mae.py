"""I2P-MAE: what to see and what to learn, from a teacher of images."""

from collections.abc import Sequence

import torch.nn as nn
from torch import Tensor

from mmkd3d.ops import gather
from mmkd3d.registry import MODELS

from ..layers.patches import Patches
from ..layers.pyramid import VisibleTokens
from ..targets.dense import ViewFeatures
from .m2ae import M2AE, Decoded


@MODELS.register_module()
class I2PMAE(M2AE):
    """Image-to-point masked autoencoder (I2P-MAE, CVPR 2023).

    A frozen image teacher looks at views of the cloud. Where it looks closest
    patches are likely to stay visible; and of the points of the visible
    patches the student predicts the teacher's features, beside the points of
    the masked ones.

    Differs from the published code: the teacher is in no checkpoint and only
    asked for what is compared.

    Args:
        backbone: See :class:`M2AE`.
        target: Config of a target with features and saliency of points, such
            as :class:`DenseTarget`.
        masker: Config of a masker, which is given the saliency of the
            patches: :class:`SaliencyMasker` uses it.
        semantic_loss: Config of the loss between features; None: the teacher
            guides the mask alone.
        standardize: Bring each channel of the teacher's maps to mean 0 and
            variance 1, by the statistics of the batch. Ours; without it,
            features of a scale far from 1 are learned slowly.
        kwargs: Of :class:`M2AE`.
    """

    def __init__(
        self,
        backbone: dict,
        *,
        target: dict,
        semantic_loss: dict | None,
        standardize: bool = False,
        **kwargs,
    ):
        super().__init__(backbone, **kwargs)
        self.target = MODELS.build(target)
        self.semantic = self.to_feats = self.standardize = None
        if semantic_loss:
            if standardize:
                self.standardize = nn.BatchNorm2d(self.target.map_dims, affine=False)
            self.semantic = MODELS.build(semantic_loss)
            self.to_feats = nn.Linear(self.decoder.embed_dims, self.group_size * self.target.dims)

    def see(self, points: Tensor) -> ViewFeatures:
        """What the teacher makes of points (B, N, 3)."""
        seen = self.target.forward_views(points)
        if self.standardize is None:
            return seen
        feats = self.standardize(seen.feats.flatten(0, 1))
        return seen._replace(feats=feats.view_as(seen.feats))

    def guided_mask(self, seen: ViewFeatures, patches: Sequence[Patches]) -> Tensor:
        """(B, G) bool of the top level, True = masked."""
        centers = patches[-1].centers
        return self.masker(centers, scores=self.target.saliency_at(seen, centers))

    def draw_mask(self, points: Tensor, patches: Sequence[Patches]) -> Tensor:
        return self.guided_mask(self.target.forward_views(points), patches)

    def targets(
        self, seen: ViewFeatures, points: Tensor, patches: Sequence[Patches], visible: VisibleTokens
    ) -> Tensor:
        """Features (L, K, D) of the points of the L visible patches.

        Args:
            seen: What the teacher saw.
            points: (B, N, 3).
            patches: Of all levels.
            visible: Patches of the level where features are predicted.
        """
        level = self.level
        source = patches[level - 1].centers if level else points
        idx = visible.take(patches[level].point_idx)  # (B, V, K)
        feats = self.target.features_at(seen, gather(source, idx.flatten(1)))  # (B, VK, D)
        return feats.unflatten(1, idx.shape[1:])[visible.valid]

    def semantic_losses(self, out: Decoded, targets: Tensor) -> dict:
        """The loss of the features (L, K, D) of the L visible patches."""
        pred = self.to_feats(out.tokens[~out.mask])
        return dict(loss_semantic=self.semantic(pred.view(targets.shape), targets))

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Chamfer distance at masked patches, features at visible ones."""
        points = points[..., :3].contiguous()
        patches = self.backbone.group(points)
        seen = self.see(points)
        out = self.decode(patches, self.guided_mask(seen, patches))
        losses = self.losses(out)
        if self.semantic is not None:
            visible = VisibleTokens.of(out.mask)
            targets = self.targets(seen, points, patches, visible)
            losses |= self.semantic_losses(out, targets)
        return losses
