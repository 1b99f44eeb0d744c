"""The contract of a teacher: frozen, and not part of the student."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

from ..layers.patches import Patches


class BaseTeacher(nn.Module):
    """A frozen pretrained network.

    It follows its owner from device to device, but it is not a registered
    child: its weights are in no state dict, no optimizer, no DDP bucket, and
    ``train()`` of the owner does not reach it. A state dict that holds them
    all the same, under ``net.``, fills them.

    A teacher implements what its family can do: ``forward(images)`` and
    ``forward_dense(images)`` for images, ``encode_text(sentences)`` for
    language, ``forward_patches`` for the patches of clouds,
    ``forward_tokens(tokens)`` for a transformer that can be run on the tokens
    of another modality, ``token_transformer()`` to lend that transformer to a
    method.

    Args:
        net: The network; frozen and set to eval mode here.
        embed_dims: Width of its outputs, D.
        global_dims: Width Dg of the feature of a whole image; default D.
        dense_dims: Width D' of the features of ``forward_dense``; default D.
        keep_weights: Write the weights into state dicts after all, for files
            that stand on their own.
    """

    hides_net = True  # for the account of keys in mmkd3d.checkpoints

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
        # In a tuple, nn.Module does not see it and does not register it.
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
        """A feature and a saliency of each place of images (B, 3, H, W).

        Args:
            images: With values in [0, 1].

        Returns:
            dict: ``feats`` (B, D', h, w); ``saliency`` (B, h, w), not
            negative, of a sum of at most 1 over an image; ``global`` (B, Dg),
            as of ``forward``. The first two are float.
        """
        raise NotImplementedError(self._cannot('make maps of images'))

    def encode_text(self, sentences: Sequence[str]) -> Tensor:
        """Embed sentences as (len(sentences), D).

        Of unit length where the teacher was built with ``normalize=True``.
        """
        raise NotImplementedError(self._cannot('read text'))

    def forward_patches(self, patches: Patches, noise: Tensor | None = None) -> Tensor:
        """Features (B, G, D) of the patches of clouds; noise: of a choice."""
        raise NotImplementedError(self._cannot('read patches'))

    def forward_tokens(self, tokens: Tensor) -> Tensor:
        """Run the transformer on foreign tokens (B, L, D) -> (B, L, D)."""
        raise NotImplementedError(self._cannot('run on tokens'))

    def token_transformer(self) -> nn.Module:
        """The transformer without embedding and head, for foreign tokens.

        Returns:
            TokenTransformer: It shares its weights with ``net``.
        """
        raise NotImplementedError(self._cannot('lend its transformer'))

    def reference_feature(self) -> Tensor:
        """Feature (D,) of a fixed input, by which a mix-up shows.

        It depends on the weights and on what has to belong to them, not on
        the options of a teacher; see :mod:`.references`.
        """
        raise NotImplementedError(self._cannot('be checked'))

    def _cannot(self, what: str) -> str:
        return f'{type(self).__name__} can not {what}: choose another teacher for this method.'

    def extra_repr(self) -> str:
        size = sum(p.numel() for p in self.net.parameters())
        return f'{type(self.net).__name__}, {size / 1e6:.1f} M frozen weights'


@torch.no_grad()
def randomize(net: nn.Module, seed: int = 0) -> nn.Module:
    """Give every layer of ``net`` fresh random weights: the control teacher.

    Layers are reset by their own ``reset_parameters``, in order, with one
    seed; the global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in net.modules():
            if hasattr(module, 'reset_parameters'):
                module.reset_parameters()
    return net
