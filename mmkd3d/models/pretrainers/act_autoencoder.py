"""ACT, stage I: an autoencoder of point clouds around a frozen transformer."""

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.dgcnn import DGCNN
from ..layers.folding import FoldingDecoder
from ..layers.patches import PatchEmbed, Patches, PatchGroup
from ..layers.quantizer import GumbelQuantizer, perplexity, uniform_kl
from .base import BasePretrainer, coordinates


@MODELS.register_module()
class ACTAutoencoder(BasePretrainer):
    """Cross-modal 3D autoencoder (ACT, section 3.2), the teacher of stage II.

    A discrete autoencoder around a frozen transformer that was pretrained on images or text, and
    is adapted to patches by learned prompts. Without ``transformer`` it is Point-BERT's discrete
    autoencoder. Nothing is masked.

    Args:
        num_groups: Patches per cloud, G.
        group_size: Points per patch, K; a multiple of 4.
        radius, fps_rule: See :class:`PatchGroup`; use those of the student.
        patch_dims: Widths of the first MLP of :class:`PatchEmbed`.
        encoder_dims: Width of the patch embedding.
        token_dims: Width of the codes, C.
        decoder_dims: Width of the target features, D.
        num_codes: Size of the codebook.
        code_std: Standard deviation of the initial codes.
        logit_gain: Initial gain of the last norm before the codebook, which sets how far logits
            exceed the Gumbel noise. 1 as published, as is ``code_std``. Short runs need larger
            values of both, and an equally large initial temperature, or the codes stay unused.
        edge_dims: Widths of both graph networks, see :class:`DGCNN`.
        folding_dims: Widths of the coarse and the folding MLP, see
            :class:`FoldingDecoder`.
        transformer: Arguments of :class:`PromptedTransformer`, or None.
        loss: Config of the loss between patches; default the Chamfer distance ``'l1'``.
        kl_weight: Weight of the KL divergence, until a hook sets it.
        kwargs: Of :class:`BasePretrainer`.
    """

    def __init__(
        self,
        *,
        num_groups: int = 64,
        group_size: int = 32,
        radius: float | None = None,
        fps_rule: str = 'pointnet2',
        patch_dims: tuple = (128, 256),
        encoder_dims: int = 384,
        token_dims: int = 384,
        decoder_dims: int = 384,
        num_codes: int = 8192,
        code_std: float = 1.0,
        logit_gain: float = 1.0,
        edge_dims: tuple = (128, 256, 512, 512, 1024),
        folding_dims: tuple = (1024, 512),
        transformer: dict | None = None,
        loss: dict | None = None,
        kl_weight: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.embed_dims = decoder_dims
        self.patch_group = PatchGroup(num_groups, group_size, radius=radius, fps_rule=fps_rule)
        self.patch_embed = PatchEmbed(encoder_dims, local_dims=patch_dims)
        self.graph_encoder = DGCNN(encoder_dims, num_codes, edge_dims=edge_dims)
        nn.init.constant_(self.graph_encoder.norm.weight, logit_gain)
        self.quantizer = GumbelQuantizer(num_codes, token_dims, code_std=code_std)
        self.transformer = None
        if transformer is not None:
            self.transformer = MODELS.build(
                dict(type='mmkd3d.PromptedTransformer', embed_dims=token_dims, **transformer)
            )
        self.graph_decoder = DGCNN(token_dims, decoder_dims, edge_dims=edge_dims)
        coarse_dims, hidden_dims = folding_dims
        self.decoder = FoldingDecoder(
            decoder_dims, group_size, coarse_dims=coarse_dims, hidden_dims=hidden_dims
        )
        self.loss_fn = MODELS.build(loss or dict(type='mmkd3d.ChamferLoss', norm='l1'))
        self.kl_weight = kl_weight

    def group(self, points: Tensor) -> Patches:
        """Cut clouds (B, N, 3+F) into B x G patches of coordinates."""
        return self.patch_group(coordinates(points))

    def forward_encoder(
        self, patches: Patches, *, hard: bool = False, noise: Tensor | None = None
    ) -> dict:
        """Encode patches.

        Args:
            patches: B x G patches.
            hard, noise: See :class:`GumbelQuantizer`.

        Returns:
            dict: ``logits`` (B, G, number of codes); ``codes`` (B, G, C), read from the codebook;
            ``tokens`` (B, G, C) after the transformer; ``feats`` (B, G, D) after the second graph
            network, the target of stage II.
        """
        graph = self.graph_encoder.graph(patches.centers)  # (B, G, 4)
        tokens = self.patch_embed(patches.points)  # (B, G, E)
        logits = self.graph_encoder(tokens, graph)  # (B, G, number of codes)
        tokens = codes = self.quantizer(logits, hard=hard, noise=noise)  # (B, G, C)
        if self.transformer is not None:
            tokens = self.transformer(codes, patches.centers)  # (B, G, C)
        feats = self.graph_decoder(tokens, graph)  # (B, G, D)
        return dict(logits=logits, codes=codes, tokens=tokens, feats=feats)

    def forward_decoder(self, feats: dict) -> tuple[Tensor, Tensor]:
        """Coarse points (B, G, K / 4, 3) and fine points (B, G, K, 3) of all patches."""
        return self.decoder(feats['feats'])

    def forward_target(self, patches: Patches) -> Tensor:
        """Points (BG, K, 3) of all patches, relative to their centres."""
        return patches.points.flatten(0, 1)

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Reconstruction and codebook losses; monitors of the use of the codes."""
        patches = self.group(points)  # (B, G, K, 3)
        target = self.forward_target(patches)  # (BG, K, 3)
        feats = self.forward_encoder(patches)  # feats (B, G, D)
        preds = self.forward_decoder(feats)  # (B, G, K / 4, 3) and (B, G, K, 3)
        counts = self.quantizer.count(feats['logits'])
        return dict(
            loss_recon=sum(self.loss_fn(pred.flatten(0, 1), target) for pred in preds),
            loss_kl=self.kl_weight * uniform_kl(feats['logits']),
            code_perplexity=perplexity(counts),
            temperature=points.new_full((), self.quantizer.temperature),
        )

    def predict(
        self, points: Tensor, data_samples: list | None, noise: Tensor | None = None
    ) -> list:
        """Reconstruct clouds from hard codes: ``input``, ``coarse`` and ``pred`` points.

        The reconstructed points are those of all patches, which overlap.
        """
        patches = self.group(points)
        feats = self.forward_encoder(patches, hard=True, noise=noise)
        centers = patches.centers[:, :, None]
        coarse, fine = ((pred + centers).flatten(1, 2) for pred in self.forward_decoder(feats))
        return [
            dict(input=cloud, coarse=rough, pred=pred)
            for cloud, rough, pred in zip(points[..., :3].cpu(), coarse.cpu(), fine.cpu())
        ]

    def extract_feat(self, points: Tensor, level: str = 'global') -> Tensor:
        """Extract target features for probes, from the most likely codes.

        Args:
            points: (B, N, 3+F).
            level: ``'token'``: (B, G, D); ``'global'``: (B, 2D), their mean and maximum.
        """
        if level not in ('global', 'token'):
            raise ValueError(f"level is 'global' or 'token', got {level!r}.")
        patches = self.group(points)
        zero = points.new_zeros(1).expand(*patches.centers.shape[:2], len(self.quantizer.codebook))
        feats = self.forward_encoder(patches, hard=True, noise=zero)['feats']
        if level == 'token':
            return feats
        return torch.cat([feats.mean(dim=1), feats.amax(dim=1)], dim=-1)
