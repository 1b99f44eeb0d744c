"""Image towers of CLIP as teachers."""
from typing import Optional, Union

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS

from .image_teacher import ImageTeacher
from .open_clip_models import create_clip, import_open_clip
from .references import check_reference
from .token_transformer import TokenTransformer


@MODELS.register_module()
class OpenClipTeacher(ImageTeacher):
    """The vision transformer of a CLIP model of open_clip.

    Needs the extra ``clip`` (``pip install "mmkd3d[clip]"``). Only the image
    tower is kept. Tokens are those after its last norm, with the width of the
    transformer. Size, mean and standard deviation are the model's own.

    Args:
        model_name: open_clip's name. The activation is part of it: the
            weights of OpenAI belong to ``'ViT-B-16-quickgelu'``, and
            ``'ViT-B-16'`` has GELU.
        checkpoint: See :func:`~.open_clip_models.create_clip`.
        pretrained: open_clip's tag of the weights, without a checkpoint.
        projection: Take ``global`` into the space shared with language; else
            it is the class token after the last norm.
        random_weights: The control: no pretrained weights at all.
        model_kwargs: More arguments of ``open_clip.create_model``.
        reference: See :func:`~.references.check_reference`.
        options: ``mean``, ``std``, ``channel_order`` and ``keep_weights`` of
            :class:`ImageTeacher`.

    Raises:
        FileNotFoundError: No weights, or not those of this model.
        ValueError: The image tower is not a ViT with a class token, or the
            weights do not belong to what is around them.
    """

    def __init__(self,
                 model_name: str,
                 checkpoint: Optional[str] = None,
                 *,
                 pretrained: str = 'openai',
                 projection: bool = False,
                 random_weights: bool = False,
                 model_kwargs: Optional[dict] = None,
                 reference: Union[str, bool] = True,
                 **options):
        net = create_clip(
            model_name,
            checkpoint,
            pretrained=pretrained,
            random_weights=random_weights,
            **(model_kwargs or {})).visual
        check_vit(net, model_name)
        preprocess = net.preprocess_cfg
        super().__init__(
            net,
            net.transformer.width,
            global_dims=net.output_dim if projection else None,
            size=net.image_size,
            own_statistics=(preprocess['mean'], preprocess['std']),
            **options)
        self.projection = projection
        check_reference(self, reference)

    @torch.no_grad()
    def forward_pixels(self, pixels: Tensor) -> dict:
        """See :class:`ImageTeacher`."""
        out = self.net.forward_intermediates(
            pixels,
            indices=1,
            normalize_intermediates=True,
            intermediates_only=True,
            output_fmt='NLC',
            output_extra_tokens=True)
        feats = out['image_intermediates_prefix'][0][:, 0]
        return {
            'global': feats @ self.net.proj if self.projection else feats,
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


def check_vit(net: nn.Module, model_name: str) -> None:
    """``ValueError`` if an image tower is no ViT with a class token."""
    plain = (
        isinstance(net, import_open_clip().transformer.VisionTransformer)
        and net.attn_pool is None and net.pool_type == 'tok')
    if not plain:
        raise ValueError(
            f'The image tower of {model_name}, {type(net).__name__}, is not a '
            'ViT with a class token, such as ViT-B-16-quickgelu. For a tower '
            'that open_clip takes from timm use TimmTeacher.')
