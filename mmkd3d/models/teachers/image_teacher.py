"""Base class of image teachers."""

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
    """An image network with its preprocessing.

    Args:
        net: The network; frozen and set to eval mode.
        embed_dims: D, width of the outputs.
        size: (height, width) of the input images.
        own_statistics: Mean and standard deviation per channel that belong to
            the weights, for images in [0, 1]; default ``mean`` and ``std``.
        mean: Replaces the mean of the model.
        std: Replaces the standard deviation of the model.
        channel_order: ``'rgb'``, or ``'bgr'`` to reverse the channels of the
            RGB input; ``mean`` and ``std`` apply to the reversed channels.
        saliency: Of ``forward_dense``. ``'attention'``: attention of the class
            token to each patch in the last block, averaged over the heads and
            not renormalised. ``'activation'``: mean square of the activations
            of each patch, normalised to sum to 1. ``'auto'``: attention if
            available, else activation.
        no_attention: Why attention is not available; None if it is.
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
        """Resize and standardise images (B, 3, H, W) in [0, 1]."""
        if images.shape[-2:] != self.size:
            images = F.interpolate(images, self.size, mode='bicubic', antialias=True)
        if self.channel_order == 'bgr':
            images = images.flip(1)
        return (images - self.mean) / self.std

    def forward(self, images: Tensor) -> dict:
        """See :class:`BaseTeacher`; images are resized to ``self.size``."""
        return self.forward_pixels(self.prepare(images))

    def forward_pixels(self, pixels: Tensor) -> dict:
        """``forward`` without ``prepare``."""
        raise NotImplementedError

    def forward_dense(self, images: Tensor) -> dict:
        """See :class:`BaseTeacher`; images are resized to ``self.size``."""
        return self.forward_dense_pixels(self.prepare(images))

    def forward_dense_pixels(self, pixels: Tensor) -> dict:
        """``forward_dense`` without ``prepare``."""
        raise NotImplementedError

    @torch.no_grad()
    def forward_tokens(self, tokens: Tensor) -> Tensor:
        """Run the blocks of a ViT, without class token and positions."""
        return self.token_transformer()(tokens)

    def reference_feature(self) -> Tensor:
        """Mean of the tokens of the reference image.

        Always uses the statistics that belong to the weights and RGB order.
        """
        image = reference_image(self.size).to(self.own_mean.device)
        pixels = (image - self.own_mean) / self.own_std
        return self.forward_pixels(pixels)['tokens'].mean(1)[0]


def per_channel(values: Sequence[float] | None, name: str) -> Tensor:
    """Convert three numbers to (1, 3, 1, 1); else raise ``ValueError``."""
    given = torch.tensor([] if values is None else values)
    if given.shape != (3,) or (name.endswith('std') and given.min() <= 0):
        raise ValueError(f'{name} needs one number per channel, above 0 for std; got {values}.')
    return given.float().view(1, 3, 1, 1)


def check_weights(checkpoint: str | None, model_name: str, published: str) -> None:
    """Raise ``FileNotFoundError`` if a checkpoint is given and missing."""
    if checkpoint is not None and not Path(checkpoint).is_file():
        raise FileNotFoundError(
            f'No weights of {model_name} at {checkpoint}. Download {published} of that '
            'model and put it there.'
        )


def weights_error(source: str | None, model_name: str, error: Exception) -> FileNotFoundError:
    """The error for weights that did not load."""
    return FileNotFoundError(
        f'The weights of {model_name} could not be loaded from '
        f'{source or "the cache or the hub"}: {error}. Offline, give '
        'checkpoint=FILE of exactly this model; for a control, '
        'random_weights=True.'
    )
