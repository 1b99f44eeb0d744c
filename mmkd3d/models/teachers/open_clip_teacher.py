"""Image towers of CLIP models of open_clip as teachers."""

import json
import pickle
import zipfile
from pathlib import Path
from types import ModuleType

import torch
import torch.nn as nn
from timm.layers import to_2tuple
from torch import Tensor

from mmkd3d.registry import MODELS
from mmkd3d.utils.hashes import file_digest

from .base import ImageTeacher, check_weights, report_weights, weights_error
from .references import check_reference
from .saliency import activation_energy, class_attention, query_attention, to_map
from .token_transformer import TokenTransformer


@MODELS.register_module()
class OpenClipTeacher(ImageTeacher):
    """The image tower, a ViT or a ResNet, of a CLIP model of open_clip.

    Needs ``pip install "mmkd3d[clip]"``. Tokens are those after the last norm
    of a ViT, with the width of the transformer, or the pixels of the last map
    of a ResNet. Size, mean and standard deviation are those of the model.

    Args:
        model_name: Name in open_clip. It includes the activation: the weights
            of OpenAI belong to ``'ViT-B-16-quickgelu'``, while ``'ViT-B-16'``
            uses GELU.
        checkpoint: See :func:`create_clip`.
        pretrained: open_clip's tag of the weights, without a checkpoint.
        projection: Project ``global`` of a ViT and the maps of
            ``forward_dense`` to the space shared with language. Else they are
            tokens after the last norm, or pixels of the last map of a ResNet.
            ``global`` of a ResNet is always in the shared space.
        random_weights: Use random weights, for control runs.
        model_kwargs: More arguments of ``open_clip.create_model``.
        reference: See :func:`~.references.check_reference`.
        options: ``mean``, ``std``, ``channel_order``, ``saliency`` and
            ``keep_weights`` of :class:`ImageTeacher`.

    Raises:
        FileNotFoundError: The weights are missing, or those of another model.
        ValueError: The image tower is neither a ViT with a class token nor a
            ResNet, or the weights belong to another preprocessing or
            activation.
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
        super().__init__(
            net,
            tower.embed_dims,
            global_dims=tower.global_dims,
            dense_dims=tower.dense_dims,
            size=to_2tuple(net.image_size),
            own_statistics=(net.preprocess_cfg['mean'], net.preprocess_cfg['std']),
            **options,
        )
        self.model_name, self.tower = model_name, tower
        report_weights(
            self, checkpoint or f'{model_name} {pretrained} (open_clip)', not random_weights
        )
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
        """See :class:`BaseTeacher`; ``ValueError`` for a ResNet."""
        if not isinstance(self.tower, ViTTower):
            raise ValueError(
                f'The image tower of {self.model_name} is a ResNet: it has no blocks to '
                'run on tokens. Choose a ViT, such as ViT-B-16-quickgelu.'
            )
        return self.tower.transformer


class ViTTower:
    """A vision transformer with a class token.

    Args:
        net: open_clip's ``VisionTransformer``.
        projection: Project outputs to the space shared with language.

    Attributes:
        embed_dims: D, width of the tokens.
        global_dims: Dg, width of ``global``.
        dense_dims: D', width of the maps.
    """

    def __init__(self, net: nn.Module, projection: bool):
        self.net, self.projection = net, projection
        self.embed_dims = net.transformer.width
        self.global_dims = self.dense_dims = net.output_dim if projection else self.embed_dims
        blocks = net.transformer.resblocks
        # open_clip's attention copies its weights for every image under autocast.
        self.transformer = TokenTransformer(blocks, net.ln_post, self.embed_dims, pre=net.ln_pre)

    def embed(self, pixels: Tensor) -> Tensor:
        """Class token and patches with positions, (B, 1 + L, D)."""
        x = self.net.conv1(pixels).flatten(2).transpose(1, 2)
        first = self.net.class_embedding.to(x.dtype).expand(len(x), 1, -1)
        x = torch.cat([first, x], dim=1)
        return x + self.net.positional_embedding.to(x.dtype)

    def forward(self, pixels: Tensor) -> dict:
        """See :meth:`BaseTeacher.forward`."""
        x = self.transformer(self.embed(pixels))
        return {
            'global': self.project(x[:, 0]),
            'tokens': x[:, 1:],
            'grid_size': self.net.grid_size,
        }

    def forward_dense(self, pixels: Tensor, attention: bool) -> dict:
        """See :meth:`BaseTeacher.forward_dense`.

        Args:
            pixels: (B, 3, H, W).
            attention: Use the attention of the class token in the last block
                as saliency. Else the energy of the inputs of the last norm,
                since its outputs have nearly equal energy.
        """
        x = self.transformer.pre(self.embed(pixels))
        last = len(self.transformer.blocks) - 1
        for index in range(last):
            x = self.transformer.run_block(index, x)
        if attention:
            saliency = class_attention(self.transformer.blocks[last], x)
            saliency = saliency[:, 1:].unflatten(1, self.net.grid_size)
        x = self.transformer.run_block(last, x)
        if not attention:
            saliency = activation_energy(to_map(x[:, 1:], self.net.grid_size))
        x = self.project(self.transformer.norm(x))
        return {
            'feats': to_map(x[:, 1:], self.net.grid_size).float(),
            'saliency': saliency,
            'global': x[:, 0],
        }

    def project(self, feats: Tensor) -> Tensor:
        return feats @ self.net.proj if self.projection else feats


class ResNetTower:
    """A ResNet with an attention pool.

    ``global`` is the output of the pool, in the space shared with language.
    With ``projection``, each pixel of a map goes through the value and output
    projections of the pool, without positions, as in MaskCLIP (Zhou et al.,
    ECCV 2022).

    Args:
        net: open_clip's ``ModifiedResNet``.
        projection: Project the maps to the space shared with language.

    Attributes: see :class:`ViTTower`.
    """

    def __init__(self, net: nn.Module, projection: bool):
        self.net, self.projection = net, projection
        self.embed_dims = net.attnpool.v_proj.in_features
        self.global_dims = net.output_dim
        self.dense_dims = net.output_dim if projection else self.embed_dims

    def forward(self, pixels: Tensor) -> dict:
        """See :meth:`BaseTeacher.forward`."""
        last_map = self.last_map(pixels)
        return {
            'global': self.net.attnpool(last_map),
            'tokens': last_map.flatten(2).transpose(1, 2),
            'grid_size': tuple(last_map.shape[2:]),
        }

    def forward_dense(self, pixels: Tensor, attention: bool) -> dict:
        """See :meth:`BaseTeacher.forward_dense`.

        Args:
            pixels: (B, 3, H, W).
            attention: Use the attention of the pool as saliency, else the
                energy of the last map.
        """
        last_map = self.last_map(pixels)
        saliency = self.pool_attention if attention else activation_energy
        feats = self.project(last_map) if self.projection else last_map
        return {
            'feats': feats.float(),
            'saliency': saliency(last_map),
            'global': self.net.attnpool(last_map),
        }

    def last_map(self, pixels: Tensor) -> Tensor:
        out = self.net.forward_intermediates(pixels, indices=1, intermediates_only=True)
        return out['image_intermediates'][0]

    def project(self, feature_map: Tensor) -> Tensor:
        """Project a map (B, D, h, w) to the joint space, (B, Dg, h, w)."""
        pool = self.net.attnpool
        return pool.c_proj(pool.v_proj(feature_map.movedim(1, 3))).movedim(3, 1)

    def pool_attention(self, feature_map: Tensor) -> Tensor:
        """Attention of the pool, whose query is the mean, (B, h, w).

        Averaged over the heads, without the part of the mean itself.
        """
        pool, heads = self.net.attnpool, (self.net.attnpool.num_heads, -1)
        tokens = feature_map.flatten(2).transpose(1, 2)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1)
        tokens = tokens + pool.positional_embedding.to(tokens.dtype)
        q = pool.q_proj(tokens[:, :1]).unflatten(2, heads).transpose(1, 2)
        k = pool.k_proj(tokens).unflatten(2, heads).transpose(1, 2)
        attention = query_attention(q, k)[:, 1:]
        return attention.unflatten(1, feature_map.shape[2:])


def find_tower(net: nn.Module, model_name: str, projection: bool) -> ViTTower | ResNetTower:
    """Wrap an image tower; ``ValueError`` for an unknown architecture."""
    open_clip = import_open_clip()
    if isinstance(net, open_clip.modified_resnet.ModifiedResNet):
        return ResNetTower(net, projection)
    plain = (
        isinstance(net, open_clip.transformer.VisionTransformer)
        and net.attn_pool is None
        and net.pool_type == 'tok'
    )
    if not plain:
        raise ValueError(
            f'The image tower of {model_name}, {type(net).__name__}, is '
            'neither a ViT with a class token, such as ViT-B-16-quickgelu, '
            'nor a ResNet, such as RN50-quickgelu. For a tower that open_clip '
            'takes from timm use TimmTeacher.'
        )
    return ViTTower(net, projection)


def create_clip(
    model_name: str,
    checkpoint: str | None = None,
    *,
    pretrained: str = 'openai',
    random_weights: bool = False,
    **kwargs,
) -> nn.Module:
    """Build both towers of a model and load their weights strictly.

    Args:
        model_name: Name in open_clip.
        checkpoint: ``.safetensors`` or ``.pt`` file with the weights of both
            towers, with the keys of open_clip, or a TorchScript archive as
            published by OpenAI. None lets open_clip find the weights of
            ``pretrained`` in its cache or on the hub.
        pretrained: open_clip's tag of the weights, without a checkpoint.
        random_weights: Use random weights, the same in every run.
        kwargs: More arguments of ``open_clip.create_model``.

    Raises:
        FileNotFoundError: The weights are missing, or those of another model.
        ValueError: The weights are known to need another activation.
    """
    open_clip = import_open_clip()
    check_weights(checkpoint, model_name, published_file(model_name, checkpoint))
    source = None if random_weights else str(checkpoint or pretrained)
    if source is not None:
        check_activation(model_name, source, kwargs)
    published = checkpoint is not None and is_torchscript(checkpoint)
    try:
        # Random weights are reproducible and leave the global state alone.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = open_clip.create_model(model_name, None if published else source, **kwargs)
        if published:
            load_torchscript(model, checkpoint)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise weights_error(source, model_name, error) from error
    return model


def published_file(model_name: str, checkpoint: str | None) -> str:
    """The file to download for a path: OpenAI's own, or one in open_clip's format."""
    url = import_open_clip().get_pretrained_url(model_name.replace('/', '-'), 'openai')
    if url and Path(checkpoint or '').suffix == '.pt':
        return url
    return f'open_clip_model.safetensors of {model_name}'


def import_open_clip() -> ModuleType:
    """Import open_clip; the ``ImportError`` says how to install it."""
    try:
        import open_clip
    except ImportError as error:
        raise ImportError(
            'CLIP teachers need the package open_clip: pip install "mmkd3d[clip]"'
        ) from error
    return open_clip


def model_config(model_name: str, kwargs: dict) -> dict:
    """open_clip's config of a model, updated with arguments of ``create_model``.

    Empty for unknown names.
    """
    known = import_open_clip().get_model_config(model_name.replace('/', '-'))
    return dict(known or {}, **kwargs)


def check_activation(model_name: str, source: str, kwargs: dict) -> None:
    """Raise ``ValueError`` if weights and model use different activations.

    The activation of weights is known for open_clip's tags, for files next to
    an ``open_clip_config.json`` as on the hub, and for OpenAI's own files.
    """
    open_clip = import_open_clip()
    config = model_config(model_name, kwargs)
    quick = bool(config.get('force_quick_gelu') or config.get('quick_gelu'))
    tag = open_clip.get_pretrained_cfg(model_name.replace('/', '-'), source)
    described = Path(source).with_name('open_clip_config.json')
    if tag:
        wanted = bool(tag.get('quick_gelu', source == 'openai'))
    elif Path(source).is_file() and described.is_file():
        described = json.loads(described.read_text())
        wanted = bool(described['model_cfg'].get('quick_gelu'))
    elif not quick and Path(source).is_file() and is_torchscript(source):
        wanted = file_digest(source) in openai_checksums()
    else:
        return
    if wanted != quick:
        names = ('GELU', 'QuickGELU')
        model = f'{model_name}-quickgelu' if wanted else model_name.removesuffix('-quickgelu')
        raise ValueError(
            f'The weights {source} were trained with {names[wanted]}, and {model_name} '
            f'has {names[quick]}: features would be wrong without an error. Take {model}.'
        )


def openai_checksums() -> set[str]:
    """SHA-256 of OpenAI's files, which are part of their URLs."""
    open_clip = import_open_clip()
    urls = (
        open_clip.get_pretrained_url(name, 'openai') or ''
        for name in open_clip.list_openai_models()
    )
    return {url.split('/')[-2] for url in urls if 'openaipublic' in url}


def is_torchscript(path: str) -> bool:
    """Whether a file is a TorchScript archive, which open_clip refuses."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.split('/')[1:] == ['constants.pkl'] for name in archive.namelist())


def load_torchscript(model: nn.Module, path: str) -> None:
    """Load both towers from an archive as published by OpenAI."""
    state = torch.jit.load(path, map_location='cpu').state_dict()
    for name in ('input_resolution', 'context_length', 'vocab_size'):
        state.pop(name, None)
    if hasattr(model, 'text'):
        state = import_open_clip().model.convert_to_custom_text_state_dict(state)
    model.load_state_dict(state)
