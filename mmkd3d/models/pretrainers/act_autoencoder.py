"""ACT, stage I: an autoencoder of clouds around a frozen transformer."""

from typing import NamedTuple

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.dgcnn import DGCNN
from ..layers.folding import Folded, FoldingDecoder
from ..layers.patches import PatchEmbed, Patches, PatchGroup
from ..layers.quantizer import GumbelQuantizer, perplexity, uniform_kl
from .base import BasePretrainer


class Encoded(NamedTuple):
    """What the autoencoder makes of patches.

    Attributes:
        logits: (B, G, number of codes).
        codes: (B, G, C) what was read from the codebook.
        tokens: (B, G, C) after the transformer; ``codes`` where there is none.
        feats: (B, G, D) after the second graph network: stage II's target.
    """

    logits: Tensor
    codes: Tensor
    tokens: Tensor
    feats: Tensor


@MODELS.register_module()
class ACTAutoencoder(BasePretrainer):
    """Cross-modal 3D autoencoder (ACT, section 3.2), the teacher of stage II.

    A discrete autoencoder whose middle is a transformer that was pretrained
    on images or text, is frozen, and learns to read patches by its prompts.
    Without ``transformer`` it is Point-BERT's plain discrete autoencoder.

    Args:
        num_groups: Patches per cloud, G.
        group_size: Points per patch, K; a multiple of 4.
        radius, fps_rule: See :class:`PatchGroup`; those of the student.
        patch_dims: Widths of the first MLP of :class:`PatchEmbed`.
        encoder_dims: Width of the patch embedding.
        token_dims: Width of the codes, C.
        decoder_dims: Width of the target features, D.
        num_codes: Size of the codebook.
        code_std: Standard deviation of the initial codes.
        logit_gain: Initial gain of the last norm before the codebook: how
            far logits stand out of the Gumbel noise. Published is 1, as is
            ``code_std``; short runs need more of both, and a temperature that
            starts as high, or patches never come to choose codes.
        edge_dims: Widths of both graph networks, see :class:`DGCNN`.
        folding_dims: Widths of the coarse and the folding MLP, see
            :class:`FoldingDecoder`.
        transformer: Arguments of :class:`PromptedTransformer`, or None.
        loss: Config of the loss between patches.
        kl_weight: Of the KL divergence, until a hook sets it.
        data_preprocessor: See :class:`BasePretrainer`.
        init_cfg: As in mmengine.
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
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.embed_dims = decoder_dims
        self.group = PatchGroup(num_groups, group_size, radius=radius, fps_rule=fps_rule)
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
        self.chamfer = MODELS.build(loss or dict(type='mmkd3d.ChamferLoss', norm='l1'))
        self.kl_weight = kl_weight

    def encode(
        self, patches: Patches, *, hard: bool = False, noise: Tensor | None = None
    ) -> Encoded:
        """From patches to target features.

        Args:
            patches: From ``group``.
            hard, noise: See :class:`GumbelQuantizer`.
        """
        # (B, G, 4), for both networks
        graph = self.graph_encoder.graph(patches.centers)
        tokens = self.patch_embed(patches.points)  # (B, G, E)
        logits = self.graph_encoder(tokens, graph)  # (B, G, num_codes)
        codes = self.quantizer(logits, hard=hard, noise=noise)  # (B, G, C)
        tokens = codes
        if self.transformer is not None:
            tokens = self.transformer(codes, patches.centers)  # (B, G, C)
        feats = self.graph_decoder(tokens, graph)  # (B, G, D)
        return Encoded(logits, codes, tokens, feats)

    def reconstruction_loss(self, patches: Patches, folded: Folded) -> Tensor:
        """Chamfer distances of the coarse and the fine points of patches."""
        target = patches.points.flatten(0, 1)  # (BG, K, 3)
        return sum(self.chamfer(points.flatten(0, 1), target) for points in folded)

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Reconstruction and codebook losses, and how the codes are used."""
        patches = self.group(points[..., :3].contiguous())
        encoded = self.encode(patches)
        folded = self.decoder(encoded.feats)
        counts = self.quantizer.count(encoded.logits)
        return dict(
            loss_recon=self.reconstruction_loss(patches, folded),
            loss_kl=self.kl_weight * uniform_kl(encoded.logits),
            code_perplexity=perplexity(counts),
            temperature=points.new_tensor(self.quantizer.temperature),
        )

    def predict(
        self, points: Tensor, data_samples: list | None, noise: Tensor | None = None
    ) -> list:
        """Reconstruct from hard codes: ``input``, ``coarse``, ``pred``.

        Whole clouds: the points of all patches, which overlap, so that there
        are G K of them.
        """
        points = points[..., :3].contiguous()
        patches = self.group(points)
        encoded = self.encode(patches, hard=True, noise=noise)
        folded = self.decoder(encoded.feats)
        centers = patches.centers[:, :, None]
        coarse = (folded.coarse + centers).flatten(1, 2)
        fine = (folded.fine + centers).flatten(1, 2)
        return [
            dict(input=cloud, coarse=rough, pred=pred)
            for cloud, rough, pred in zip(points.cpu(), coarse.cpu(), fine.cpu())
        ]

    def extract_feat(self, points: Tensor, level: str = 'global') -> Tensor:
        """Target features for probes, from the most likely codes.

        Args:
            points: (B, N, 3+F).
            level: ``'token'``: (B, G, D); ``'global'``: (B, 2D), their mean
                and maximum.
        """
        if level not in ('global', 'token'):
            raise ValueError(f"level is 'global' or 'token', got {level!r}.")
        patches = self.group(points[..., :3].contiguous())
        zero = points.new_zeros(1).expand(*patches.centers.shape[:2], len(self.quantizer.codebook))
        feats = self.encode(patches, hard=True, noise=zero).feats
        if level == 'token':
            return feats
        return torch.cat([feats.mean(dim=1), feats.amax(dim=1)], dim=-1)
