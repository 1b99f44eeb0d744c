"""Image networks of timm as teachers."""

import math
from collections import OrderedDict
from typing import NamedTuple

import timm
import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.checkpoints import load_pretrained, read_checkpoint, state_dict_of
from mmkd3d.checkpoints.keymap import Rule, rename
from mmkd3d.checkpoints.maps.teachers import IMG_IN21K
from mmkd3d.registry import MODELS

from .base import ImageTeacher, check_weights, randomize, report_weights, weights_error
from .references import check_reference
from .saliency import activation_energy, class_attention, inputs_of, to_map, why_no_attention
from .token_transformer import TokenTransformer

PRE_LOGITS_FILE = 'jx_vit_base_patch16_224_in21k-e5005f0a.pth'


@MODELS.register_module()
class TimmTeacher(ImageTeacher):
    """An image network of timm, with weights from a local file.

    Supports ViT, DeiT, BEiT, hybrids of ResNet and ViT, MLP-Mixer, ResMLP and
    other models with a patch embedding and a sequence of ``blocks``, as well
    as convolutional networks, whose ``tokens`` are the pixels of the last map.

    Image size, mean and standard deviation are those that timm lists for the
    model.

    Args:
        model_name: Name in timm with its tag: ``'vit_base_patch16_384.
            augreg_in21k_ft_in1k'``.
        checkpoint: ``.safetensors`` or ``.pth`` file with the weights. None
            lets timm find them in its cache or on the hub.
        pre_logits: Use the original ViT of ImageNet-21k
            (``'vit_base_patch16_224.orig_in21k'``) with its last layer:
            ``global`` is tanh(linear(class token)), in (-1, 1). The layer was
            removed after timm 0.4.5; its weights are only in the old file
            ``jx_vit_base_patch16_224_in21k-e5005f0a.pth``, of which all keys
            except the classifier must match.
        random_weights: Use random weights, for control runs.
        model_kwargs: More arguments of ``timm.create_model``.
        reference: See :func:`~.references.check_reference`.
        options: ``mean``, ``std``, ``channel_order``, ``saliency`` and
            ``keep_weights`` of :class:`ImageTeacher`.

    Raises:
        FileNotFoundError: The weights are missing, or those of another model.
        ValueError: The model has neither a sequence of tokens nor a feature
            map (B, C, H, W), or the weights belong to another preprocessing.
    """

    def __init__(
        self,
        model_name: str,
        checkpoint: str | None = None,
        *,
        pre_logits: bool = False,
        random_weights: bool = False,
        model_kwargs: dict | None = None,
        reference: str | bool = True,
        **options,
    ):
        check_weights(
            checkpoint,
            model_name,
            PRE_LOGITS_FILE if pre_logits else f'model.safetensors of {model_name}',
        )
        kwargs = dict(model_kwargs or {})
        if checkpoint is not None and not pre_logits:
            # timm loads strictly only if the number of classes agrees.
            kwargs['num_classes'] = num_classes(model_name, checkpoint)
            kwargs['pretrained_cfg_overlay'] = dict(
                kwargs.get('pretrained_cfg_overlay', {}),
                file=str(checkpoint),
                num_classes=kwargs['num_classes'],
            )
        try:
            # Random weights are reproducible and leave the global state alone.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                net = timm.create_model(
                    model_name, pretrained=not random_weights and not pre_logits, **kwargs
                )
        except (OSError, RuntimeError) as error:
            raise weights_error(checkpoint, model_name, error) from error
        net.reset_classifier(0)
        if pre_logits:
            add_pre_logits(net, model_name)
            if not random_weights:
                load_with_pre_logits(net, checkpoint)
        data = timm.data.resolve_model_data_config(net)
        embed = getattr(net, 'patch_embed', getattr(net, 'stem', None))
        size = getattr(embed, 'img_size', None) or data['input_size'][1:]
        found = shapes(net.eval(), size, model_name)
        if random_weights and not found.gives_map:
            # A reset would shrink a convolutional network's features to about 1e-9; it
            # keeps what timm has drawn.
            randomize(net)
        super().__init__(
            net,
            found.embed_dims,
            global_dims=found.global_dims,
            size=size,
            own_statistics=(data['mean'], data['std']),
            no_attention=why_no_attention(
                getattr(net, 'blocks', ()), getattr(net, 'cls_token', None) is not None
            ),
            **options,
        )
        self.model_name, self.grid_size = model_name, found.grid_size
        self.gives_map = found.gives_map
        hub = net.pretrained_cfg.get('hf_hub_id') or net.pretrained_cfg.get('url')
        report_weights(self, checkpoint or f'{hub} (timm)', not random_weights)
        check_reference(self, reference)

    @torch.no_grad()
    def forward_pixels(self, pixels: Tensor) -> dict:
        """See :class:`ImageTeacher`."""
        x = self.features(pixels)
        return {
            'global': self.net.forward_head(x),
            'tokens': tokens_of(self.net, x),
            'grid_size': self.grid_size,
        }

    @torch.no_grad()
    def forward_dense_pixels(self, pixels: Tensor) -> dict:
        """See :class:`ImageTeacher`.

        Activations are the last map, or the inputs of the last norm of a
        transformer, since its outputs have nearly equal energy.
        """
        if self.gives_map:
            x = self.features(pixels)
            return self.dense(x, x.float(), activation_energy(x))
        attention = self.saliency == 'attention'
        watched = self.net.blocks[-1] if attention else self.net.norm
        with inputs_of(watched) as inputs:
            x = self.net.forward_features(pixels)
        if attention:
            saliency = class_attention(watched, inputs[0])
            saliency = saliency[:, self.net.num_prefix_tokens :]
            saliency = saliency.unflatten(1, self.grid_size)
        else:
            saliency = activation_energy(self.as_map(inputs[0]))
        return self.dense(x, self.as_map(x).float(), saliency)

    def features(self, pixels: Tensor) -> Tensor:
        """Features of the network; convolutions are faster in channels-last order."""
        if self.gives_map:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        return self.net.forward_features(pixels)

    def dense(self, x: Tensor, feats: Tensor, saliency: Tensor) -> dict:
        """Result of ``forward_dense`` for features ``x`` of the network."""
        return {'feats': feats, 'saliency': saliency, 'global': self.net.forward_head(x)}

    def as_map(self, x: Tensor) -> Tensor:
        """Patches of a transformer's tokens (B, P + L, C) as (B, C, h, w)."""
        return to_map(tokens_of(self.net, x), self.grid_size)

    def token_transformer(self) -> TokenTransformer:
        """See :class:`BaseTeacher`; ``ValueError`` for unknown blocks."""
        if not hasattr(self.net, 'norm') or not hasattr(self.net, 'blocks'):
            raise ValueError(
                f'{self.model_name} is not a transformer of the ViT family: '
                'it has no blocks to run on tokens.'
            )
        return TokenTransformer(
            self.net.blocks, self.net.norm, self.embed_dims, pre=getattr(self.net, 'norm_pre', None)
        )


class Shapes(NamedTuple):
    """Shapes of the outputs of a network.

    Attributes:
        embed_dims: Width of the tokens.
        global_dims: Width of the global feature.
        grid_size: Rows and columns of tokens.
        gives_map: Whether the network returns a map (B, C, H, W).
    """

    embed_dims: int
    global_dims: int
    grid_size: tuple[int, int]
    gives_map: bool


@torch.no_grad()
def shapes(net: nn.Module, size: tuple[int, int], model_name: str) -> Shapes:
    """Output shapes of ``net``, from a forward pass of one image."""
    x = net.forward_features(torch.zeros(1, 3, *size))
    embed = getattr(net, 'patch_embed', getattr(net, 'stem', None))
    gives_map = x.ndim == 4 and x.shape[1] == net.num_features
    known = gives_map or (x.ndim == 3 and hasattr(net, 'blocks'))
    grid_size = x.shape[2:] if gives_map else getattr(embed, 'grid_size', ())
    tokens = tokens_of(net, x)
    if not known or tokens.shape[1] != math.prod(grid_size):
        raise ValueError(
            f'{model_name} gives features of shape {tuple(x.shape)}; a '
            'teacher needs tokens (B, L, C) of a transformer of the ViT '
            'family or the map (B, C, H, W) of a convolutional network.'
        )
    return Shapes(tokens.shape[2], net.forward_head(x).shape[1], tuple(grid_size), gives_map)


def tokens_of(net: nn.Module, x: Tensor) -> Tensor:
    """Tokens (B, L, C) in raster order from the features of ``net``."""
    if x.ndim == 4:
        return x.flatten(2).transpose(1, 2)
    # Mixers have neither a class token nor this attribute.
    return x[:, getattr(net, 'num_prefix_tokens', 0) :]


def num_classes(model_name: str, checkpoint: str) -> int:
    """Number of classes of a checkpoint; 0 without a classifier."""
    cfg = timm.get_pretrained_cfg(model_name, allow_unregistered=True)
    names = cfg.classifier if cfg else None
    names = (names,) if isinstance(names, str) else names or ()
    state = state_dict_of(read_checkpoint(checkpoint))
    rows = [len(state[f'{n}.weight']) for n in names if f'{n}.weight' in state]
    return rows[0] if rows else 0


def add_pre_logits(net: nn.Module, model_name: str) -> None:
    """Replace the classifier by the layer that timm has removed."""
    if getattr(net, 'global_pool', None) != 'token' or not hasattr(net, 'fc_norm'):
        raise ValueError(
            f'{model_name} is not a ViT whose head reads the class token: '
            'pre_logits=True is for models like vit_base_patch16_224.orig_in21k.'
        )
    dims = net.num_features
    net.head = nn.Sequential(OrderedDict(fc=nn.Linear(dims, dims), act=nn.Tanh()))


def load_with_pre_logits(net: nn.Module, checkpoint: str | None) -> None:
    """Load all weights from a file of timm 0.4.5, else raise an error."""
    if checkpoint is None:
        raise FileNotFoundError(
            'timm offers no file with the layer of pre_logits=True: give '
            f'checkpoint=FILE, such as {PRE_LOGITS_FILE}, or random_weights=True for a '
            'control run.'
        )
    state = state_dict_of(read_checkpoint(checkpoint))
    if not any(key.startswith('pre_logits.') for key in state):
        raise ValueError(
            f'{checkpoint} has no weights pre_logits.*: expected a file such as '
            f'{PRE_LOGITS_FILE}. Current files of timm, such as augreg, have no such '
            'layer: use them with pre_logits=False.'
        )
    rules = (*IMG_IN21K, Rule('head.', None))
    renamed, _, unknown = rename(state, rules)
    if unknown:
        raise ValueError(
            f'{checkpoint} is not a file such as {PRE_LOGITS_FILE}: it has '
            f'{len(unknown)} unknown keys, {", ".join(unknown[:5])}.'
        )
    load_pretrained(net, renamed, prefix='')
