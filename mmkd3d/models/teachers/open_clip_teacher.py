"""Image towers of CLIP as teachers."""
from typing import Optional

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS

from .image_teacher import ImageTeacher, check_weights, weights_error
from .token_transformer import TokenTransformer


@MODELS.register_module()
class OpenClipTeacher(ImageTeacher):
    """The vision transformer of a CLIP model of open_clip.

    Needs the extra ``clip`` (``pip install "mmkd3d[clip]"``). Only the image
    tower is kept, up to its last norm: features have the width of the
    transformer, not that of the space shared with language. Size, mean and
    standard deviation are the model's own.

    Args:
        model_name: open_clip's name. The activation is part of it: the
            weights of OpenAI belong to ``'ViT-B-16-quickgelu'``, and
            ``'ViT-B-16'``, which has GELU, would take them without an error.
        checkpoint: ``.safetensors`` or ``.pt`` file with the weights of both
            towers, keys as in open_clip. None asks open_clip to find those of
            ``pretrained`` in its cache or on the hub.
        pretrained: open_clip's tag of the weights, without a checkpoint.
        random_weights: The control: no pretrained weights at all.
        model_kwargs: More arguments of ``open_clip.create_model``.

    Raises:
        FileNotFoundError: No weights, or not those of this model.
        ValueError: The image tower is not a ViT with a class token.
    """

    def __init__(self,
                 model_name: str,
                 checkpoint: Optional[str] = None,
                 *,
                 pretrained: str = 'openai',
                 random_weights: bool = False,
                 model_kwargs: Optional[dict] = None):
        check_weights(checkpoint, model_name, 'open_clip_model.safetensors')
        source = None if random_weights else str(checkpoint or pretrained)
        net = create_tower(model_name, source, **(model_kwargs or {}))
        super().__init__(
            net,
            net.transformer.width,
            size=net.image_size,
            mean=net.preprocess_cfg['mean'],
            std=net.preprocess_cfg['std'])

    @torch.no_grad()
    def forward(self, images: Tensor) -> dict:
        """See :class:`BaseTeacher`; images are resized to ``self.size``."""
        out = self.net.forward_intermediates(
            self.prepare(images),
            indices=1,
            normalize_intermediates=True,
            intermediates_only=True,
            output_fmt='NLC',
            output_extra_tokens=True)
        return {
            'global': out['image_intermediates_prefix'][0][:, 0],
            'tokens': out['image_intermediates'][0],
            'grid_size': self.net.grid_size
        }

    def token_transformer(self) -> TokenTransformer:
        """See :class:`BaseTeacher`; ``ValueError`` for unknown blocks."""
        return TokenTransformer(
            self.net.transformer.resblocks,
            self.net.ln_post,
            self.embed_dims,
            pre=self.net.ln_pre)


def create_tower(model_name: str, source: Optional[str],
                 **kwargs) -> nn.Module:
    """Image tower with the weights of a file or tag; None: random ones."""
    try:
        import open_clip
    except ImportError as error:
        raise ImportError('OpenClipTeacher needs the package open_clip: '
                          'pip install "mmkd3d[clip]"') from error
    try:
        # Random weights are the same every time, and nobody else's change.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = open_clip.create_model(model_name, source, **kwargs).visual
    except (OSError, RuntimeError) as error:
        raise weights_error(source, model_name, error) from error
    plain = (
        isinstance(net, open_clip.transformer.VisionTransformer)
        and net.attn_pool is None and net.pool_type == 'tok')
    if not plain:
        raise ValueError(
            f'The image tower of {model_name}, {type(net).__name__}, is not a '
            'ViT with a class token, such as ViT-B-16-quickgelu. For a tower '
            'that open_clip takes from timm use TimmTeacher.')
    return net
