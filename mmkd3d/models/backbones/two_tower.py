"""Two students for ReCon's ablation without shared blocks."""

from collections.abc import Sequence

from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.patches import Patches
from .base import BasePointBackbone


@MODELS.register_module()
class TwoTower(BasePointBackbone):
    """A tower for local tokens and one for global tokens (ReCon, section 3).

    Both read the same patches; in pretraining only the first has a mask.

    Args:
        masked: Config of the tower whose local tokens are used, a
            :class:`PointTransformer`.
        contrast: Config of the tower whose global tokens are used, a
            :class:`ReConTransformer` with plain blocks.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` or None.
    """

    num_towers = 2

    def __init__(self, *, masked: dict, contrast: dict, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.masked = MODELS.build(masked)
        self.contrast = MODELS.build(contrast)
        for name in ('embed_dims', 'in_channels'):
            of_both = getattr(self.masked, name), getattr(self.contrast, name)
            if of_both[0] != of_both[1]:
                raise ValueError(
                    f'Both towers must have the same {name}, got {of_both[0]} and {of_both[1]}.'
                )
        self.embed_dims = self.masked.embed_dims
        self.in_channels = self.masked.in_channels
        self.group = self.masked.group

    @property
    def global_names(self) -> tuple:
        """Names of the global tokens."""
        return self.contrast.global_names

    def random_init(self) -> None:
        """Initialise both towers."""
        self.masked.random_init()
        self.contrast.random_init()

    def encode(
        self, patches: Patches, mask: Tensor | None = None, raw_indices: Sequence[int] = ()
    ) -> dict:
        """Local tokens of the visible patches, global tokens of all."""
        of_all = self.contrast.encode(patches)
        return dict(
            self.masked.encode(patches, mask, raw_indices),
            global_tokens=of_all['global_tokens'],
            raw_global_tokens=of_all['raw_global_tokens'],
        )

    def truncate(self, layer: int) -> None:
        """Remove the blocks after ``layer`` of the tower of local tokens."""
        self.masked.truncate(layer)

    def get_layer_depth(self, name: str, prefix: str = '') -> tuple[int, int]:
        """Depth of a parameter, see :class:`BasePointBackbone`."""
        tower, _, name = name.removeprefix(prefix).partition('.')
        return getattr(self, tower).get_layer_depth(name)
