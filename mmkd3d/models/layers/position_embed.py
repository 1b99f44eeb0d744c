"""Position embedding of a student, of objects and of scenes."""

import torch.nn as nn
from torch import Tensor

from .transformer import position_mlp

POS_SCALES = ('scene', 'metric', None)


class PositionEmbed(nn.Sequential):
    """MLP over the centres of patches, which says how it reads them.

    Objects lie in the unit sphere; the centres of a room range over several
    metres, which the MLP of a student of objects has never seen. The choices
    for scenes, in the order in which to try them (detection, section 8.3):

    1. ``'scene'``: centres are shifted to the middle of the scene and divided
       by half its largest extent: the range of the pretraining.
    2. ``'metric'``: centres as they are, as published for objects. In scenes,
       give the MLP a larger learning rate than the rest of the student
       (``paramwise_cfg=dict(custom_keys={'backbone.pos_embed': ...})``).
    3. None: no position and no parameters, as in 3DETR's encoder. A student
       that had one is loaded with ``allow_unexpected=['pos_embed']``.

    This is about where patches are. How large their points look to the
    student is another question, that of ``group_scale``: a group of 32 of
    40,000 points has the extent in metres that one of an object has in units
    of the sphere, so that factor stays 1 where this is ``'scene'``.

    Args:
        embed_dims: Width of the tokens, C.
        hidden_dims: Width of the hidden layer.
        scale: One of the above.

    Raises:
        ValueError: Another ``scale``.
    """

    def __init__(self, embed_dims: int, hidden_dims: int = 128, *, scale: str | None = 'metric'):
        if scale not in POS_SCALES:
            raise ValueError(f'pos_scale is one of {POS_SCALES}, got {scale!r}.')
        super().__init__(*(position_mlp(embed_dims, hidden_dims) if scale else ()))
        self.embed_dims = embed_dims
        self.scale = scale

    def place(self, centers: Tensor, cloud: Tensor | None = None) -> Tensor:
        """What is read of centres (B, G, 3) of a cloud: (B, G, 3).

        Args:
            centers: In the coordinates of the input.
            cloud: (B, N, 3), by which a scene is measured; default the
                centres.
        """
        return to_unit_cube(centers, cloud) if self.scale == 'scene' else centers

    def forward(self, places: Tensor) -> Tensor:
        """Embed what ``place`` gave, (B, G, 3) -> (B, G, C)."""
        if self.scale is None:
            return places.new_zeros(*places.shape[:2], self.embed_dims)
        return super().forward(places)

    def extra_repr(self) -> str:
        return f'scale={self.scale!r}'


def to_unit_cube(centers: Tensor, cloud: Tensor | None = None) -> Tensor:
    """Centres (B, G, 3) as seen from the middle of a cloud (B, N, 3).

    The cloud, by default the centres themselves, lies within [-1, 1].
    """
    cloud = centers if cloud is None else cloud
    low = cloud.amin(dim=1, keepdim=True)
    high = cloud.amax(dim=1, keepdim=True)
    half = (high - low).amax(dim=2, keepdim=True).clamp(min=1e-6) / 2
    return (centers - (low + high) / 2) / half
