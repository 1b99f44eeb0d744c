"""The contract of a teacher: a frozen network that is not part of the student."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
import torch.nn as nn
from torch import Tensor

from ..layers.patches import Patches

PRECISIONS = dict(fp32=None, bf16=torch.bfloat16, fp16=torch.float16)


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
        return f'{type(self).__name__} can not {what}: choose another teacher for this method.'

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


def check_precision(precision: str) -> None:
    """Raise ``ValueError`` for an unknown precision."""
    if precision not in PRECISIONS:
        raise ValueError(f'precision is one of {", ".join(PRECISIONS)}, got {precision!r}.')


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Autocast to a precision; ``'fp32'`` disables a surrounding autocast."""
    dtype = PRECISIONS[precision]
    return torch.autocast(device.type, dtype, enabled=dtype is not None)
