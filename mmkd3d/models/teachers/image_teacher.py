"""What the teachers of images share."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .base import BaseTeacher
from .references import reference_image
from .saliency import choose_saliency

CHANNEL_ORDERS = ('rgb', 'bgr')


class ImageTeacher(BaseTeacher):
    """A network for images, which owns its preprocessing.

    Args:
        net: The network; frozen and set to eval mode here.
        embed_dims: Width of its outputs, D.
        size: (height, width) of the images it reads.
        own_statistics: Mean and standard deviation that belong to the
            weights, of the channels of images in [0, 1]; default: the two
            that follow.
        mean: In place of the model's own.
        std: In place of the model's own.
        channel_order: ``'rgb'``, or ``'bgr'`` to hand the network the
            channels of its (RGB) images in reverse; ``mean`` and ``std`` are
            for what the network gets.
        saliency: Of ``forward_dense``. ``'attention'``: how much the class
            token attends to each patch in the last block, averaged over the
            heads, not renormalised. ``'activation'``: the mean square of the
            activations of each place, normalised to sum to 1. ``'auto'``: the
            former where it can be had, else the latter.
        no_attention: Why the former can not be had; None if it can.
        kwargs: Of :class:`BaseTeacher`.
    """

    def __init__(
        self,
        net: nn.Module,
        embed_dims: int,
        *,
        size: Sequence[int],
        own_statistics: Sequence[Sequence[float]] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        channel_order: str = 'rgb',
        saliency: str = 'auto',
        no_attention: str | None = None,
        **kwargs,
    ):
        super().__init__(net, embed_dims, **kwargs)
        if channel_order not in CHANNEL_ORDERS:
            raise ValueError(
                f'channel_order is one of {", ".join(CHANNEL_ORDERS)}, got {channel_order!r}.'
            )
        self.size = tuple(size)
        self.channel_order = channel_order
        self.saliency = choose_saliency(saliency, no_attention)
        own_mean, own_std = own_statistics or (mean, std)
        for name, values in (
            ('mean', own_mean if mean is None else mean),
            ('std', own_std if std is None else std),
            ('own_mean', own_mean),
            ('own_std', own_std),
        ):
            self.register_buffer(name, per_channel(values, name), persistent=False)

    def prepare(self, images: Tensor) -> Tensor:
        """Resize images (B, 3, H, W) in [0, 1] and standardise them."""
        if images.shape[-2:] != self.size:
            images = F.interpolate(images, self.size, mode='bicubic', antialias=True)
        if self.channel_order == 'bgr':
            images = images.flip(1)
        return (images - self.mean) / self.std

    def forward(self, images: Tensor) -> dict:
        """See :class:`BaseTeacher`; images are resized to ``self.size``."""
        return self.forward_pixels(self.prepare(images))

    def forward_pixels(self, pixels: Tensor) -> dict:
        """What ``forward`` returns, from what ``prepare`` returns."""
        raise NotImplementedError

    def forward_dense(self, images: Tensor) -> dict:
        """See :class:`BaseTeacher`; images are resized to ``self.size``."""
        return self.forward_dense_pixels(self.prepare(images))

    def forward_dense_pixels(self, pixels: Tensor) -> dict:
        """What ``forward_dense`` returns, from what ``prepare`` returns."""
        raise NotImplementedError

    @torch.no_grad()
    def forward_tokens(self, tokens: Tensor) -> Tensor:
        """Run the blocks of a ViT; no class token, no image positions."""
        return self.token_transformer()(tokens)

    def reference_feature(self) -> Tensor:
        """Mean of the tokens of the reference image.

        Standardised as belongs to the weights: other statistics and another
        order of the channels, if asked for, are meant.
        """
        image = reference_image(self.size).to(self.own_mean.device)
        pixels = (image - self.own_mean) / self.own_std
        return self.forward_pixels(pixels)['tokens'].mean(1)[0]


def per_channel(values: Sequence[float] | None, name: str) -> Tensor:
    """Three numbers as (1, 3, 1, 1); ``ValueError`` for anything else."""
    given = torch.tensor([] if values is None else values)
    if given.shape != (3,) or (name.endswith('std') and given.min() <= 0):
        raise ValueError(
            f'{name} is one number per channel, above 0 where it divides; got {values}.'
        )
    return given.float().view(1, 3, 1, 1)


def check_weights(checkpoint: str | None, model_name: str, published: str) -> None:
    """``FileNotFoundError`` if a checkpoint is asked for and not there."""
    if checkpoint is not None and not Path(checkpoint).is_file():
        raise FileNotFoundError(
            f'No weights of {model_name} at {checkpoint}. Download '
            f'{published} of that model on a machine with network and put it '
            'there.'
        )


def weights_error(source: str | None, model_name: str, error: Exception) -> FileNotFoundError:
    """What to say when the weights of a model did not load."""
    return FileNotFoundError(
        f'The weights of {model_name} could not be loaded from '
        f'{source or "the cache or the hub"}: {error}. Offline, give '
        'checkpoint=FILE of exactly this model; for a control, '
        'random_weights=True.'
    )
