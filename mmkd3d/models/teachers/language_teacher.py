"""What the teachers of language share."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .base import BaseTeacher
from .references import SENTENCE


class LanguageTeacher(BaseTeacher):
    """A transformer that embeds sentences.

    Args:
        net: The network; frozen and set to eval mode here.
        embed_dims: Width of its outputs, D.
        normalize: Give embeddings unit length.
        kwargs: Of :class:`BaseTeacher`.
    """

    def __init__(self, net: nn.Module, embed_dims: int, *, normalize: bool, **kwargs):
        super().__init__(net, embed_dims, **kwargs)
        self.normalize = normalize

    @torch.no_grad()
    def encode_text(self, sentences: Sequence[str]) -> Tensor:
        """See :class:`BaseTeacher`.

        Raises:
            ValueError: ``sentences`` is a single string.
        """
        if isinstance(sentences, str):
            raise ValueError(
                f'encode_text takes a list of sentences, got {sentences!r}: put it in a list.'
            )
        feats = self.embed(list(sentences))
        return F.normalize(feats, dim=-1) if self.normalize else feats

    def embed(self, sentences: list[str]) -> Tensor:
        """Embed sentences as (len(sentences), D), as the network does."""
        raise NotImplementedError

    @torch.no_grad()
    def reference_feature(self) -> Tensor:
        """Of the reference sentence, of unit length."""
        return F.normalize(self.embed([SENTENCE])[0], dim=-1)
