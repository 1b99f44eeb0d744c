"""Base classes of the teachers: frozen networks that are not part of the student."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

from ..layers.patches import Patches
from .saliency import choose_saliency


class BaseTeacher(nn.Module):
    """A frozen pretrained network.

    The network moves between devices with its owner, but it is not a
    registered child: state dicts, optimizers and DDP buckets do not contain
    its weights, and ``train()`` of the owner has no effect on it. A state
    dict that contains weights under ``net.`` loads them.

    Subclasses implement the methods of their modality: ``forward(images)``
    and ``forward_dense(images)`` for images, ``encode_text(sentences)`` for
    text, ``forward_patches`` for patches of clouds, ``forward_tokens`` to run
    a transformer on tokens of another modality, ``token_transformer`` to use
    that transformer in a method.

    Args:
        net: The network; frozen and set to eval mode.
        embed_dims: D, width of the outputs.
        global_dims: Dg, width of the global feature of an image; default D.
        dense_dims: D', width of the features of ``forward_dense``; default D.
        keep_weights: Save the weights in state dicts, for self-contained
            checkpoints.

    Attributes:
        num_codes: Size of the codebook of a teacher of patches; else None.

    Raises:
        ValueError: A weight of the network is NaN or infinite.
    """

    hides_net = True  # for the account of keys in mmkd3d.checkpoints
    num_codes: int | None = None

    def __init__(
        self,
        net: nn.Module,
        embed_dims: int,
        *,
        global_dims: int | None = None,
        dense_dims: int | None = None,
        keep_weights: bool = False,
    ):
        super().__init__()
        check_finite(net)
        net.requires_grad_(False).eval()
        # nn.Module does not register modules inside a tuple.
        self._holder = (net,)
        self.embed_dims = embed_dims
        self.global_dims = embed_dims if global_dims is None else global_dims
        self.dense_dims = embed_dims if dense_dims is None else dense_dims
        self.keep_weights = keep_weights

    @property
    def net(self) -> nn.Module:
        """The frozen network."""
        return self._holder[0]

    def _apply(self, fn, recurse: bool = True):
        self.net._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.keep_weights:
            self.net.state_dict(
                destination=destination, prefix=prefix + 'net.', keep_vars=keep_vars
            )

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        start = prefix + 'net.'
        hidden = {
            key.removeprefix(start): state_dict.pop(key)
            for key in list(state_dict)
            if key.startswith(start)
        }
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        if hidden or self.keep_weights:
            account = self.net.load_state_dict(hidden, strict=False)
            missing_keys += [start + key for key in account.missing_keys]
            unexpected_keys += [start + key for key in account.unexpected_keys]

    def forward(self, images: Tensor) -> dict:
        """Features of images (B, 3, H, W) with values in [0, 1].

        Returns:
            dict: ``global`` (B, Dg), ``tokens`` (B, L, D) in raster order and
            ``grid_size`` (rows, columns) with L = rows * columns.
        """
        raise NotImplementedError(self._cannot('read images'))

    def forward_dense(self, images: Tensor) -> dict:
        """Feature and saliency maps of images.

        Args:
            images: (B, 3, H, W) with values in [0, 1].

        Returns:
            dict: ``feats`` (B, D', h, w) float; ``saliency`` (B, h, w) float,
            not negative, with a sum of at most 1 over an image; ``global``
            (B, Dg) as in ``forward``.
        """
        raise NotImplementedError(self._cannot('make maps of images'))

    def encode_text(self, sentences: Sequence[str]) -> Tensor:
        """Embed sentences as (len(sentences), D).

        Normalised if the teacher was built with ``normalize=True``.
        """
        raise NotImplementedError(self._cannot('read text'))

    def forward_patches(self, patches: Patches, noise: Tensor | None = None) -> Tensor:
        """Features (B, G, D) of patches; ``noise`` replaces random numbers."""
        raise NotImplementedError(self._cannot('read patches'))

    def forward_tokens(self, tokens: Tensor) -> Tensor:
        """Run the transformer on tokens (B, L, D) of another modality."""
        raise NotImplementedError(self._cannot('run on tokens'))

    def token_transformer(self) -> nn.Module:
        """The transformer without embedding and head.

        Returns:
            TokenTransformer: Shares its weights with ``net``.
        """
        raise NotImplementedError(self._cannot('lend its transformer'))

    def reference_feature(self) -> Tensor:
        """Feature (D,) of a fixed input, used to detect mismatched weights.

        It does not depend on the options of a teacher; see
        :mod:`.references`.
        """
        raise NotImplementedError(self._cannot('be checked'))

    def _cannot(self, what: str) -> str:
        return f'{type(self).__name__} cannot {what}: choose another teacher for this method.'

    def extra_repr(self) -> str:
        size = sum(p.numel() for p in self.net.parameters())
        return f'{type(self.net).__name__}, {size / 1e6:.1f} M frozen weights'


@torch.no_grad()
def randomize(net: nn.Module, seed: int = 0) -> nn.Module:
    """Reset every layer of ``net`` to random weights, for control runs.

    Calls ``reset_parameters`` of the layers in order, with a fixed seed and
    without a change of the global random state.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in net.modules():
            if hasattr(module, 'reset_parameters'):
                module.reset_parameters()
    return net


CHANNEL_ORDERS = ('rgb', 'bgr')


class ImageTeacher(BaseTeacher):
    """An image network with its preprocessing.

    Args:
        net: The network; frozen and set to eval mode.
        embed_dims: D, width of the outputs.
        size: (height, width) of the input images.
        own_statistics: Mean and standard deviation per channel that belong to
            the weights, for images in [0, 1]; default ``mean`` and ``std``.
        mean: Replaces the mean of the model.
        std: Replaces the standard deviation of the model.
        channel_order: ``'rgb'``, or ``'bgr'`` to reverse the channels of the
            RGB input; ``mean`` and ``std`` apply to the reversed channels.
        saliency: Of ``forward_dense``. ``'attention'``: attention of the class
            token to each patch in the last block, averaged over the heads and
            not renormalised. ``'activation'``: mean square of the activations
            of each patch, normalised to sum to 1. ``'auto'``: attention if
            available, else activation.
        no_attention: Why attention is not available; None if it is.
        kwargs: Of :class:`BaseTeacher`.

    Attributes:
        reference_size: (height, width) of the reference image; None is
            ``size``.
    """

    reference_size: tuple[int, int] | None = None

    def __init__(
        self,
        net: nn.Module,
        embed_dims: int,
        *,
        size: Sequence[int],
        own_statistics: Sequence[Sequence[float]] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        channel_order: str = 'rgb',
        saliency: str = 'auto',
        no_attention: str | None = None,
        **kwargs,
    ):
        super().__init__(net, embed_dims, **kwargs)
        if channel_order not in CHANNEL_ORDERS:
            raise ValueError(
                f'channel_order is one of {", ".join(CHANNEL_ORDERS)}, got {channel_order!r}.'
            )
        self.size = tuple(size)
        self.channel_order = channel_order
        self.saliency = choose_saliency(saliency, no_attention)
        own_mean, own_std = own_statistics or (mean, std)
        for name, values in (
            ('mean', own_mean if mean is None else mean),
            ('std', own_std if std is None else std),
            ('own_mean', own_mean),
            ('own_std', own_std),
        ):
            self.register_buffer(name, per_channel(values, name), persistent=False)

    def prepare(self, images: Tensor) -> Tensor:
        """Resize and standardise images (B, 3, H, W) in [0, 1]."""
        if images.shape[-2:] != self.size:
            images = F.interpolate(images, self.size, mode='bicubic', antialias=True)
        if self.channel_order == 'bgr':
            images = images.flip(1)
        return (images - self.mean) / self.std

    def forward(self, images: Tensor) -> dict:
        """See :class:`BaseTeacher`; images are resized to ``self.size``."""
        return self.forward_pixels(self.prepare(images))

    def forward_pixels(self, pixels: Tensor) -> dict:
        """``forward`` without ``prepare``."""
        raise NotImplementedError

    def forward_dense(self, images: Tensor) -> dict:
        """See :class:`BaseTeacher`; images are resized to ``self.size``."""
        return self.forward_dense_pixels(self.prepare(images))

    def forward_dense_pixels(self, pixels: Tensor) -> dict:
        """``forward_dense`` without ``prepare``."""
        raise NotImplementedError

    @torch.no_grad()
    def forward_tokens(self, tokens: Tensor) -> Tensor:
        """Run the blocks of a ViT, without class token and positions."""
        return self.token_transformer()(tokens)

    def reference_feature(self) -> Tensor:
        """Mean of the tokens of the reference image.

        Always uses the statistics that belong to the weights and RGB order.
        """
        image = reference_image(self.reference_size or self.size).to(self.own_mean.device)
        pixels = (image - self.own_mean) / self.own_std
        return self.forward_pixels(pixels)['tokens'].mean(1)[0]


def check_finite(net: nn.Module) -> None:
    """Raise ``ValueError`` if a weight of a network is NaN or infinite."""
    for name, value in net.named_parameters():
        if not torch.isfinite(value).all():
            raise ValueError(
                f'The weights {name} of the teacher {type(net).__name__} are NaN or infinite: '
                'their file is damaged, get it again.'
            )


def per_channel(values: Sequence[float] | None, name: str) -> Tensor:
    """Convert three numbers to (1, 3, 1, 1); else raise ``ValueError``."""
    given = torch.tensor([] if values is None else values)
    if given.shape != (3,) or (name.endswith('std') and given.min() <= 0):
        raise ValueError(f'{name} needs one number per channel, above 0 for std; got {values}.')
    return given.float().view(1, 3, 1, 1)


def report_weights(teacher: BaseTeacher, source: str | Path | None, trained: bool = True) -> None:
    """Log what a teacher has loaded, as is done for students.

    Args:
        teacher: Ready to use.
        source: File, folder or name of the weights; None if unknown.
        trained: False for random weights.
    """
    state = teacher.net.state_dict()
    kind = f'{type(teacher).__name__} ({type(teacher.net).__name__})'
    size = f'{len(state)} tensors, {sum(x.numel() for x in state.values()) / 1e6:.1f} M numbers'
    text = f'Loaded {source} -> {kind}: {size}' if trained else f'{kind} has random weights: {size}'
    print_log(text, 'current')


def check_weights(checkpoint: str | None, model_name: str, published: str) -> None:
    """Raise ``FileNotFoundError`` if a checkpoint is given and missing."""
    if checkpoint is not None and not Path(checkpoint).is_file():
        raise FileNotFoundError(
            f'No weights of {model_name} at {checkpoint}. Download {published} and put it there.'
        )


def weights_error(source: str | None, model_name: str, error: Exception) -> FileNotFoundError:
    """The error for weights that did not load."""
    return FileNotFoundError(
        f'The weights of {model_name} could not be loaded from '
        f'{source or "the cache or the hub"}: {error}. Offline, give '
        'checkpoint=FILE of exactly this model; for a control, '
        'random_weights=True.'
    )


def reference_image(size: Sequence[int]) -> Tensor:
    """An image (1, 3, height, width) in [0, 1]: two ramps, a pattern."""
    y, x = torch.meshgrid(*((torch.arange(n) + 0.5) / n for n in size), indexing='ij')
    waves = (6 * torch.pi * x).sin() * (4 * torch.pi * y).cos()
    return torch.stack([x, y, 0.5 + 0.5 * waves])[None]
