"""Teacher of ACT's second stage: the autoencoder of the first."""

import torch
from torch import Tensor

from mmkd3d.checkpoints import load_pretrained
from mmkd3d.datasets.readers import existing
from mmkd3d.registry import MODELS

from ..layers.patches import Patches
from .base import BaseTeacher, report_weights


@MODELS.register_module()
class ACTTeacher(BaseTeacher):
    """A frozen :class:`ACTAutoencoder` that encodes patches.

    Args:
        autoencoder: Config of the autoencoder.
        checkpoint: Of stage I, ours or published, or of stage II with its
            teacher.
        train_mode: Follow the owner into train mode: BatchNorm uses batch
            statistics and prompts are dropped out, but nothing is trained.
            The published students were trained like this; default is eval
            mode.
        random_weights: Load no checkpoint, for control runs or if the
            checkpoint of the owner contains the weights.
        keep_weights: See :class:`BaseTeacher`.
        trust: See :func:`mmkd3d.checkpoints.read_checkpoint`.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: Neither ``checkpoint`` nor ``random_weights`` is given, or both are.
    """

    def __init__(
        self,
        autoencoder: dict,
        checkpoint: str | None = None,
        *,
        train_mode: bool = False,
        random_weights: bool = False,
        keep_weights: bool = False,
        trust: bool = False,
    ):
        if (checkpoint is None) != random_weights:
            raise ValueError(
                'ACTTeacher needs the checkpoint of a stage I run, or '
                f'random_weights=True; got checkpoint={checkpoint!r} and '
                f'random_weights={random_weights}.'
            )
        if checkpoint is not None:
            existing(
                checkpoint,
                'it holds the autoencoder of stage I',
                'Train an act-autoencoder config first, or set teacher.checkpoint.',
            )
        net = MODELS.build(autoencoder)
        if checkpoint is not None:
            load_pretrained(net, checkpoint, prefix='teacher.net.', trust=trust)
        super().__init__(net, net.embed_dims, keep_weights=keep_weights)
        self.train_mode = train_mode
        self.num_codes = len(net.quantizer.codebook)
        if random_weights:  # else load_pretrained has reported
            report_weights(self, None, trained=False)

    def train(self, mode: bool = True) -> 'ACTTeacher':
        """Set the mode; applies to the autoencoder if ``train_mode`` is set."""
        self.net.train(mode and self.train_mode)
        return super().train(mode)

    @torch.no_grad()
    def forward_patches(self, patches: Patches, noise: Tensor | None = None) -> Tensor:
        """Features of all patches, each from one hard code.

        Args:
            patches: B clouds of G patches.
            noise: (B, G, num_codes) Gumbel noise; None draws it.

        Returns:
            (B, G, D), not normalised.
        """
        return self.net.forward_encoder(patches, hard=True, noise=noise)['feats'].float()
