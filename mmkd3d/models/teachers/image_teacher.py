"""What the teachers of images share."""
from pathlib import Path
from typing import Optional, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .base import BaseTeacher


class ImageTeacher(BaseTeacher):
    """A transformer for images, which owns its preprocessing.

    Args:
        net: The network; frozen and set to eval mode here.
        embed_dims: Width of its outputs, D.
        size: (height, width) of the images it reads.
        mean: Of the channels, for images in [0, 1].
        std: Of the channels.
    """

    def __init__(self, net: nn.Module, embed_dims: int, *,
                 size: Sequence[int], mean: Sequence[float],
                 std: Sequence[float]):
        super().__init__(net, embed_dims)
        self.size = tuple(size)
        for name, values in (('mean', mean), ('std', std)):
            self.register_buffer(
                name,
                torch.tensor(values).view(1, 3, 1, 1),
                persistent=False)

    def prepare(self, images: Tensor) -> Tensor:
        """Resize images (B, 3, H, W) in [0, 1] and standardise them."""
        if images.shape[-2:] != self.size:
            images = F.interpolate(
                images, self.size, mode='bicubic', antialias=True)
        return (images - self.mean) / self.std

    @torch.no_grad()
    def forward_tokens(self, tokens: Tensor) -> Tensor:
        """Run blocks and norms; no class token, no image positions."""
        return self.token_transformer()(tokens)


def check_weights(checkpoint: Optional[str], model_name: str,
                  published: str) -> None:
    """``FileNotFoundError`` if a checkpoint is asked for and not there."""
    if checkpoint is not None and not Path(checkpoint).is_file():
        raise FileNotFoundError(
            f'No weights of {model_name} at {checkpoint}. Download '
            f'{published} of that model on a machine with network and put it '
            'there.')


def weights_error(source: Optional[str], model_name: str,
                  error: Exception) -> FileNotFoundError:
    """What to say when the weights of a model did not load."""
    return FileNotFoundError(
        f'The weights of {model_name} could not be loaded from '
        f'{source or "the cache or the hub"}: {error}. Offline, give '
        'checkpoint=FILE of exactly this model; for a control, '
        'random_weights=True.')
