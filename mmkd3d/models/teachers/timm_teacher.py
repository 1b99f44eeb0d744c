"""Image transformers of timm as teachers."""
from typing import Optional

import timm
import torch
from torch import Tensor

from mmkd3d.registry import MODELS

from .base import randomize
from .image_teacher import ImageTeacher, check_weights, weights_error
from .token_transformer import TokenTransformer


@MODELS.register_module()
class TimmTeacher(ImageTeacher):
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
        check_weights(checkpoint, model_name, 'model.safetensors')
        kwargs = dict(model_kwargs or {}, num_classes=0)
        if checkpoint is not None:
            kwargs['pretrained_cfg_overlay'] = dict(file=str(checkpoint))
        try:
            net = timm.create_model(
                model_name, pretrained=not random_weights, **kwargs)
        except (OSError, RuntimeError) as error:
            raise weights_error(checkpoint, model_name, error) from error
        embed = getattr(net, 'patch_embed', getattr(net, 'stem', None))
        if embed is None or not hasattr(net, 'blocks'):
            raise ValueError(
                f'{model_name} is not a transformer of the ViT family: it '
                'has no blocks to run on tokens.')
        data = timm.data.resolve_model_data_config(net)
        super().__init__(
            randomize(net) if random_weights else net,
            net.num_features,
            size=embed.img_size,
            mean=data['mean'],
            std=data['std'])
        self.grid_size = tuple(embed.grid_size)

    @torch.no_grad()
    def forward(self, images: Tensor) -> dict:
        """See :class:`BaseTeacher`; images are resized to ``self.size``."""
        x = self.net.forward_features(self.prepare(images))
        return {
            'global': self.net.forward_head(x),
            # A mixer has neither a class token nor this attribute.
            'tokens': x[:, getattr(self.net, 'num_prefix_tokens', 0):],
            'grid_size': self.grid_size
        }

    def token_transformer(self) -> TokenTransformer:
        """See :class:`BaseTeacher`; ``ValueError`` for unknown blocks."""
        return TokenTransformer(
            self.net.blocks,
            self.net.norm,
            self.embed_dims,
            pre=getattr(self.net, 'norm_pre', None))
