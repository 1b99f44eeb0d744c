"""Image transformers of timm as teachers."""
from pathlib import Path
from typing import Optional

import timm
import torch
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS

from .base import BaseTeacher, randomize
from .token_transformer import TokenTransformer


@MODELS.register_module()
class TimmTeacher(BaseTeacher):
    """A transformer of timm for images, with weights from a local file.

    ViT, DeiT, BEiT, hybrids of ResNet and ViT, MLP-Mixer and ResMLP, and what
    else in timm keeps its ``blocks`` in a row behind a patch embedding.

    The teacher owns its preprocessing: the size is that of the model, mean and
    standard deviation are those that timm lists for it.

    Args:
        model_name: timm's name, with its tag: ``'vit_base_patch16_384.
            augreg_in21k_ft_in1k'``.
        checkpoint: ``.safetensors`` or ``.pth`` file with the weights. None
            asks timm to find them in its cache or on the hub.
        random_weights: The control: no pretrained weights at all.
        model_kwargs: More arguments of ``timm.create_model``.
    """

    def __init__(self,
                 model_name: str,
                 checkpoint: Optional[str] = None,
                 *,
                 random_weights: bool = False,
                 model_kwargs: Optional[dict] = None):
        if checkpoint is not None and not Path(checkpoint).is_file():
            raise FileNotFoundError(
                f'No weights of {model_name} at {checkpoint}. Download '
                'model.safetensors of that timm model on a machine with '
                'network and put it there.')
        kwargs = dict(model_kwargs or {}, num_classes=0)
        if checkpoint is not None:
            kwargs['pretrained_cfg_overlay'] = dict(file=str(checkpoint))
        try:
            net = timm.create_model(
                model_name, pretrained=not random_weights, **kwargs)
        except (OSError, RuntimeError) as error:
            raise FileNotFoundError(
                f'The weights of {model_name} could not be loaded from '
                f'{checkpoint or "the cache or the hub"}: {error}. Offline, '
                'give checkpoint=FILE of exactly this model; for a control, '
                'random_weights=True.') from error
        embed = getattr(net, 'patch_embed', getattr(net, 'stem', None))
        if embed is None or not hasattr(net, 'blocks'):
            raise ValueError(
                f'{model_name} is not a transformer of the ViT family: it '
                'has no blocks to run on tokens.')
        super().__init__(
            randomize(net) if random_weights else net, net.num_features)
        data = timm.data.resolve_model_data_config(net)
        self.size = tuple(embed.img_size)
        self.grid_size = tuple(embed.grid_size)
        for name in ('mean', 'std'):
            self.register_buffer(
                name,
                torch.tensor(data[name]).view(1, 3, 1, 1),
                persistent=False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> dict:
        """See :class:`BaseTeacher`; images are resized to ``self.size``."""
        if images.shape[-2:] != self.size:
            images = F.interpolate(
                images, self.size, mode='bicubic', antialias=True)
        x = self.net.forward_features((images - self.mean) / self.std)
        return {
            'global': self.net.forward_head(x),
            # A mixer has neither a class token nor this attribute.
            'tokens': x[:, getattr(self.net, 'num_prefix_tokens', 0):],
            'grid_size': self.grid_size
        }

    @torch.no_grad()
    def forward_tokens(self, tokens: Tensor) -> Tensor:
        """Run blocks and norms; no class token, no image positions."""
        return self.token_transformer()(tokens)

    def token_transformer(self) -> TokenTransformer:
        """See :class:`BaseTeacher`; ``ValueError`` for unknown blocks."""
        return TokenTransformer(
            self.net.blocks,
            self.net.norm,
            self.embed_dims,
            pre=getattr(self.net, 'norm_pre', None))
