"""Pretrained transformers without embedding and head, for other tokens."""

from collections.abc import Iterable, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class TokenTransformer(nn.Module):
    """The blocks of a pretrained transformer, to run on other tokens.

    The blocks are the original modules, which keeps the keys of their weights.
    Supported are:

    - timm's VisionTransformer: ViT, DeiT, distilled DeiT, the ViT blocks of
      hybrids;
    - timm's BEiT, without the relative position biases, which belong to the
      grid of an image;
    - timm's MLP-Mixer and ResMLP, with a fixed length of the sequence;
    - open_clip's ViT towers;
    - encoders of ``transformers`` like BERT and RoBERTa.

    The blocks are always in eval mode. Gradients flow to the tokens; the owner
    has to freeze the weights.

    Args:
        blocks: The pretrained blocks, all of one type.
        norm: The norm after the last block, or None.
        embed_dims: W, width of the tokens.
        pre: Layer before the first block (CLIP's ``ln_pre``), or None.

    Attributes:
        num_tokens: Required length of the sequence including prompts; None
            for any length.

    Raises:
        ValueError: Blocks of an unknown type.
    """

    def __init__(
        self,
        blocks: Iterable[nn.Module],
        norm: nn.Module | None,
        embed_dims: int,
        *,
        pre: nn.Module | None = None,
    ):
        super().__init__()
        self.pre = nn.Identity() if pre is None else pre
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.Identity() if norm is None else norm
        self.embed_dims = embed_dims
        self._family = find_family(self.blocks)
        self.num_tokens = self._family.num_tokens(self.blocks[0])
        self.eval()

    def train(self, mode: bool = True):
        """Stay in eval mode."""
        return super().train(False)

    def run_block(self, index: int, x: Tensor, prompts: Tensor | None = None) -> Tensor:
        """Run one block on tokens with prompts in front of them.

        The outputs of the prompts are not computed, since deep prompting
        replaces them before the next block.

        Args:
            index: Of the block.
            x: (B, L, W) tokens.
            prompts: (B, P, W), or (1, P, W) for all samples, or None.

        Returns:
            (B, L, W) outputs of ``x`` in ``cat([prompts, x])``.

        Raises:
            ValueError: P + L is not ``num_tokens``.
        """
        if self.num_tokens is not None:
            length = x.shape[1] + (0 if prompts is None else prompts.shape[1])
            if length != self.num_tokens:
                raise ValueError(
                    f'{type(self.blocks[index]).__name__} mixes exactly '
                    f'{self.num_tokens} tokens, got {length}: use '
                    f'{self.num_tokens - x.shape[1]} prompts with '
                    f'{x.shape[1]} tokens.'
                )
        return self._family(self.blocks[index], x, prompts)

    def forward(self, x: Tensor) -> Tensor:
        """Run ``pre``, all blocks and ``norm``: (B, L, W) -> (B, L, W)."""
        x = self.pre(x)
        for index in range(len(self.blocks)):
            x = self.run_block(index, x)
        return self.norm(x)


class AttentionFamily:
    """Blocks with attention between tokens.

    Only keys and values of the prompts are computed, and only once if all
    samples share the prompts.

    Attributes:
        leaves_out: Part of the attention of an image that is not run here, or
            None.
    """

    leaves_out = None

    def __call__(self, block: nn.Module, x: Tensor, prompts: Tensor | None) -> Tensor:
        q, k, v = self.project(block, self.attended(block, x))
        if prompts is not None:
            front = self.project(block, self.attended(block, prompts), first=1)
            k, v = (
                torch.cat([extra.expand(len(x), -1, -1, -1), own], dim=2)
                for extra, own in zip(front, (k, v))
            )
        out = F.scaled_dot_product_attention(q, k, v)  # (B, heads, L, W/heads)
        return self.finish(block, x, out.transpose(1, 2).flatten(2))

    def check(self, block: nn.Module) -> None:
        """Raise ``ValueError`` if the block has unsupported parts."""

    def num_tokens(self, block: nn.Module) -> int | None:
        return None

    def attended(self, block: nn.Module, x: Tensor) -> Tensor:
        """Inputs of the attention of the block, (B, L, W)."""
        raise NotImplementedError

    def project(self, block: nn.Module, x: Tensor, first: int = 0) -> Sequence[Tensor]:
        """Queries, keys and values of x, each (B, heads, L, W / heads).

        ``first=1`` skips the queries.
        """
        raise NotImplementedError

    def finish(self, block: nn.Module, x: Tensor, out: Tensor) -> Tensor:
        """The rest of the block after attention outputs ``out`` (B, L, W)."""
        raise NotImplementedError


def project_packed(
    x: Tensor, weight: Tensor, bias: Tensor | None, num_heads: int, first: int
) -> Sequence[Tensor]:
    """:meth:`AttentionFamily.project` with one matrix (3 * W, W)."""
    start = first * len(weight) // 3
    out = F.linear(x, weight[start:], None if bias is None else bias[start:])
    out = out.unflatten(-1, (3 - first, num_heads, -1))
    return out.permute(2, 0, 3, 1, 4).unbind()


class TimmViT(AttentionFamily):
    """timm's VisionTransformer: layer scale and norms are optional."""

    def check(self, block):
        attn = block.attn
        if type(attn).__name__ != 'Attention' or getattr(attn, 'gate', None):
            raise ValueError(
                f'{type(attn).__name__} is more than the plain attention of a ViT '
                '(it has positions or gates): choose a teacher with plain attention.'
            )

    def attended(self, block, x):
        return block.norm1(x)

    def project(self, block, x, first=0):
        attn = block.attn
        *q, k, v = project_packed(x, attn.qkv.weight, attn.qkv.bias, attn.num_heads, first)
        return [attn.q_norm(t) for t in q] + [attn.k_norm(k), v]

    def finish(self, block, x, out):
        # timm 1.0.0 has no norm inside its attention yet.
        out = getattr(block.attn, 'norm', nn.Identity())(out)
        x = x + block.ls1(block.attn.proj(out))
        return x + block.ls2(block.mlp(block.norm2(x)))


class TimmBEiT(AttentionFamily):
    """timm's BEiT: bias of queries and values only, gammas, no positions."""

    leaves_out = 'relative position biases'

    def attended(self, block, x):
        return block.norm1(x)

    def project(self, block, x, first=0):
        attn = block.attn
        bias = None if attn.q_bias is None else torch.cat((attn.q_bias, attn.k_bias, attn.v_bias))
        return project_packed(x, attn.qkv.weight, bias, attn.num_heads, first)

    def finish(self, block, x, out):
        gammas = (block.gamma_1, block.gamma_2)
        scale_1, scale_2 = (1 if g is None else g for g in gammas)
        x = x + scale_1 * block.attn.proj(out)
        return x + scale_2 * block.mlp(block.norm2(x))


class OpenClipViT(AttentionFamily):
    """open_clip's residual blocks around ``nn.MultiheadAttention``."""

    def attended(self, block, x):
        return block.ln_1(x)

    def project(self, block, x, first=0):
        attn = block.attn
        return project_packed(x, attn.in_proj_weight, attn.in_proj_bias, attn.num_heads, first)

    def finish(self, block, x, out):
        x = x + block.ls_1(block.attn.out_proj(out))
        return x + block.ls_2(block.mlp(block.ln_2(x)))


class Bert(AttentionFamily):
    """BERT and RoBERTa: the norms follow the residual sums."""

    def check(self, block):
        if block.is_decoder:
            raise ValueError(
                f'This {type(block).__name__} is a decoder with causal attention: '
                'choose an encoder.'
            )

    def attended(self, block, x):
        return x

    def project(self, block, x, first=0):
        attn = block.attention.self
        heads = (attn.num_attention_heads, -1)
        return [
            layer(x).unflatten(-1, heads).transpose(1, 2)
            for layer in (attn.query, attn.key, attn.value)[first:]
        ]

    def finish(self, block, x, out):
        return block.feed_forward_chunk(block.attention.output(out, x))


class MixerFamily:
    """Blocks with fixed weights between the positions of the sequence."""

    def __call__(self, block: nn.Module, x: Tensor, prompts: Tensor | None) -> Tensor:
        length = x.shape[1]
        if prompts is not None:
            x = torch.cat([prompts.expand(len(x), -1, -1), x], dim=1)
        mixed = self.mix(block, block.norm1(x).transpose(1, 2))  # (B, W, P+L)
        x = (x + mixed.transpose(1, 2))[:, -length:]
        return x + self.channels(block, block.norm2(x))

    def check(self, block: nn.Module) -> None:
        """These blocks have no optional parts."""


class Mixer(MixerFamily):
    def num_tokens(self, block):
        return block.mlp_tokens.fc1.in_features

    def mix(self, block, x):
        return block.mlp_tokens(x)

    def channels(self, block, x):
        return block.mlp_channels(x)


class ResMLP(MixerFamily):
    def num_tokens(self, block):
        return block.linear_tokens.in_features

    def mix(self, block, x):
        return block.ls1[:, None] * block.linear_tokens(x)

    def channels(self, block, x):
        return block.ls2 * block.mlp_channels(x)


# By name: optional packages are not imported, and subclasses, whose forward
# may differ, do not match.
FAMILIES = {
    'timm.models.vision_transformer.Block': TimmViT(),
    'timm.models.beit.Block': TimmBEiT(),
    'timm.models.mlp_mixer.MixerBlock': Mixer(),
    'timm.models.mlp_mixer.ResBlock': ResMLP(),
    'open_clip.transformer.ResidualAttentionBlock': OpenClipViT(),
    'transformers.models.bert.modeling_bert.BertLayer': Bert(),
    'transformers.models.roberta.modeling_roberta.RobertaLayer': Bert(),
}


def find_family(blocks: Sequence[nn.Module]):
    """The family of blocks; ``ValueError`` if it is unknown."""
    names = {f'{type(block).__module__}.{type(block).__qualname__}' for block in blocks}
    if len(names) != 1 or not names <= set(FAMILIES):
        raise ValueError(
            f'Blocks of type {", ".join(sorted(names)) or "none"} are not supported: '
            f'expected blocks of one type out of {", ".join(FAMILIES)}.'
        )
    family = FAMILIES[names.pop()]
    for block in blocks:
        family.check(block)
    return family
