"""I2P-MAE: an image teacher guides the mask and provides targets."""

from collections.abc import Sequence

import torch.nn as nn
from torch import Tensor

from mmkd3d.ops import gather
from mmkd3d.registry import MODELS

from ..layers.patches import Patches
from ..layers.pyramid import VisibleTokens
from ..targets.dense import ViewFeatures
from .base import coordinates
from .m2ae import M2AE


@MODELS.register_module()
class I2PMAE(M2AE):
    """Image-to-point masked autoencoder (I2P-MAE, CVPR 2023).

    A frozen image teacher sees depth images of the cloud. Salient patches are more likely to stay
    visible. The student predicts the teacher's features at the points of the visible patches, and
    as in :class:`M2AE` the points of the masked ones.

    Differs from the published code: the teacher is in no checkpoint, and only the features that
    are compared are computed.

    Args:
        backbone: See :class:`M2AE`.
        target: Config of a :class:`DenseTarget`, the features and saliency of points.
        losses: Configs of ``chamfer``, a loss between point clouds, and ``semantic``, a loss
            between features; without the latter (None) the teacher only guides the mask.
        standardize: Standardise each channel of the teacher's feature maps over the batch. Not
            published. Features of a scale far from 1 are learned slowly without it.
        kwargs: ``decoder``, ``masker`` and others of :class:`M2AE`. The masker receives the
            saliency of the patches; :class:`SaliencyMasker` uses it.
    """

    def __init__(
        self, backbone: dict, *, target: dict, losses: dict, standardize: bool = False, **kwargs
    ):
        super().__init__(backbone, losses=losses, **kwargs)
        self.target = MODELS.build(target)
        self.loss_semantic = self.to_feats = self.standardize = None
        if losses.get('semantic'):
            if standardize:
                self.standardize = nn.BatchNorm2d(self.target.map_dims, affine=False)
            self.loss_semantic = MODELS.build(losses['semantic'])
            self.to_feats = nn.Linear(self.decoder.embed_dims, self.group_size * self.target.dims)

    def forward_teacher(self, points: Tensor, data_samples: list | None = None) -> ViewFeatures:
        """Feature and saliency maps of the views of points (B, N, 3+F).

        A cache of the teacher looks them up by the data samples.
        """
        maps = self.target.forward_views(coordinates(points), data_samples)
        if self.standardize is None:
            return maps
        feats = self.standardize(maps.feats.flatten(0, 1))
        return maps._replace(feats=feats.view_as(maps.feats))

    def draw_mask(
        self, points: Tensor, patches: Sequence[Patches], maps: ViewFeatures | None = None
    ) -> Tensor:
        """Draw a mask (B, G) of the top level, guided by the saliency of its patches.

        Args:
            points: (B, N, 3+F).
            patches: Of all levels.
            maps: From :meth:`forward_teacher`; None computes them.
        """
        if maps is None:
            maps = self.target.forward_views(coordinates(points))
        centers = patches[-1].centers
        return self.masker(centers, scores=self.target.saliency_at(maps, centers))

    def forward_semantic(
        self, points: Tensor, patches: Sequence[Patches], masked: Tensor, maps: ViewFeatures
    ) -> Tensor:
        """Teacher features (L, K, D) at the points of the L visible patches of ``self.level``.

        Args:
            points: (B, N, 3+F).
            patches: Of all levels.
            masked: (B, G) bool of ``self.level``.
            maps: From :meth:`forward_teacher`.
        """
        below = patches[self.level - 1].centers if self.level else coordinates(points)
        visible = VisibleTokens.of(masked)
        idx = visible.take(patches[self.level].point_idx)  # (B, V, K)
        feats = self.target.features_at(maps, gather(below, idx.flatten(1)))  # (B, VK, D)
        return feats.unflatten(1, idx.shape[1:])[visible.valid]

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Chamfer distance of the masked patches, feature loss of the visible ones."""
        patches = self.group(points)  # of each level (B, G, K, 3)
        maps = self.forward_teacher(points, data_samples)  # V views (B, V, D, h, w)
        mask = self.draw_mask(points, patches, maps)  # (B, G) of the top level
        feats = self.forward_encoder(patches, mask)  # levels (B, G, C) each
        tokens = self.forward_decoder(feats, patches, mask)  # (B, G, C) of self.level
        masked = feats['masks'][self.level]  # (B, G)
        target = self.forward_target(patches, masked)  # (L, K, 3)
        pred = self.to_points(tokens[masked])  # (L, K, 3)
        losses = dict(loss_chamfer=self.loss_chamfer(pred, target))
        if self.loss_semantic is not None:
            target = self.forward_semantic(points, patches, masked, maps)  # (L, K, VD)
            pred = self.to_feats(tokens[~masked]).view_as(target)  # (L, K, VD)
            losses['loss_semantic'] = self.loss_semantic(pred, target)
        return losses
