"""Image towers of CLIP as teachers."""

import torch
from timm.layers import to_2tuple
from torch import Tensor

from mmkd3d.registry import MODELS

from .image_teacher import ImageTeacher
from .open_clip_models import create_clip
from .open_clip_towers import ViTTower, find_tower
from .references import check_reference
from .token_transformer import TokenTransformer


@MODELS.register_module()
class OpenClipTeacher(ImageTeacher):
    """The image tower of a CLIP model of open_clip, a ViT or a ResNet.

    Needs the extra ``clip`` (``pip install "mmkd3d[clip]"``). Only the image
    tower is kept. Tokens are those after the last norm of the ViT, with the
    width of the transformer; of a ResNet, the pixels of its last map. Size,
    mean and standard deviation are the model's own.

    Args:
        model_name: open_clip's name. The activation is part of it: the
            weights of OpenAI belong to ``'ViT-B-16-quickgelu'``, and
            ``'ViT-B-16'`` has GELU.
        checkpoint: See :func:`~.open_clip_models.create_clip`.
        pretrained: open_clip's tag of the weights, without a checkpoint.
        projection: Take the class token of a ViT, ``global``, and the maps
            of ``forward_dense`` into the space shared with language. Without
            it they are tokens after the last norm, and pixels of the last map
            of a ResNet, whose ``global`` is in that space in any case.
        random_weights: The control: no pretrained weights at all.
        model_kwargs: More arguments of ``open_clip.create_model``.
        reference: See :func:`~.references.check_reference`.
        options: ``mean``, ``std``, ``channel_order``, ``saliency`` and
            ``keep_weights`` of :class:`ImageTeacher`.

    Raises:
        FileNotFoundError: No weights, or not those of this model.
        ValueError: The image tower is neither a ViT with a class token nor
            a ResNet, or the weights do not belong to what is around them.
    """

    def __init__(
        self,
        model_name: str,
        checkpoint: str | None = None,
        *,
        pretrained: str = 'openai',
        projection: bool = False,
        random_weights: bool = False,
        model_kwargs: dict | None = None,
        reference: str | bool = True,
        **options,
    ):
        net = create_clip(
            model_name,
            checkpoint,
            pretrained=pretrained,
            random_weights=random_weights,
            **(model_kwargs or {}),
        ).visual
        tower = find_tower(net, model_name, projection)
        preprocess = net.preprocess_cfg
        super().__init__(
            net,
            tower.embed_dims,
            global_dims=tower.global_dims,
            dense_dims=tower.dense_dims,
            size=to_2tuple(net.image_size),
            own_statistics=(preprocess['mean'], preprocess['std']),
            no_attention=tower.no_attention,
            **options,
        )
        self.model_name, self.tower = model_name, tower
        check_reference(self, reference)

    @torch.no_grad()
    def forward_pixels(self, pixels: Tensor) -> dict:
        """See :class:`ImageTeacher`."""
        return self.tower.forward(pixels)

    @torch.no_grad()
    def forward_dense_pixels(self, pixels: Tensor) -> dict:
        """See :class:`ImageTeacher`."""
        return self.tower.forward_dense(pixels, attention=self.saliency == 'attention')

    def token_transformer(self) -> TokenTransformer:
        """See :class:`BaseTeacher`; ``ValueError`` for unknown blocks."""
        if not isinstance(self.tower, ViTTower):
            raise ValueError(
                f'The image tower of {self.model_name} is a ResNet: it has no '
                'blocks to run on tokens. Choose a ViT, such as '
                'ViT-B-16-quickgelu.'
            )
        return self.tower.transformer
