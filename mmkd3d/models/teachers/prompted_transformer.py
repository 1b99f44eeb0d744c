"""Prompt tuning of a frozen transformer of another modality over patches."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS
from mmkd3d.utils.hashes import frozen_fingerprint

from ..layers.transformer import position_mlp
from .base import BaseTeacher
from .precision import autocast, check_precision, choose_precision


class FrozenTransformer(BaseTeacher):
    """A transformer without embedding and head."""

    def reference_feature(self) -> Tensor:
        """Mean of the outputs for fixed tokens."""
        length, device = self.net.num_tokens or 64, next(self.net.parameters()).device
        tokens = torch.arange(length * self.embed_dims, device=device).sin()
        return self.net(tokens.view(1, length, -1)).mean(1)[0]


@MODELS.register_module()
class PromptedTransformer(nn.Module):
    """Visual prompt tuning of a frozen transformer over patches (ACT, 3.2).

    Prompts precede the patches. With deep prompts (VPT-Deep) every block has
    its own prompts with position embeddings, and their outputs are discarded.
    Only prompts, positions and the two projections are trained.

    Unlike in the published code, the projections get a gradient without
    prompts; CLIP's blocks attend over tokens, also with deep prompts; language
    transformers support deep prompts; BEiT runs without its position bias; the
    frozen blocks are always in eval mode.

    ``fingerprint``, a hash of the frozen weights, is saved in checkpoints:
    loading one into another transformer raises an error.

    Args:
        embed_dims: C, width of the patches.
        teacher: Config of a teacher with a ``token_transformer``.
        num_prompts: P, prompts in front of the patches.
        deep_prompts: Whether each block has its own prompts.
        prompt_dropout: Dropout rate of the prompts.
        precision: Of the frozen blocks: ``'fp32'``, ``'bf16'``, ``'fp16'``, or
            ``'auto'``, see :func:`choose_precision`.
        keep_teacher: Save the frozen weights in checkpoints.
    """

    def __init__(
        self,
        embed_dims: int,
        teacher: dict,
        *,
        num_prompts: int = 64,
        deep_prompts: bool = True,
        prompt_dropout: float = 0.1,
        precision: str = 'auto',
        keep_teacher: bool = False,
    ):
        super().__init__()
        check_precision(precision)
        net = MODELS.build(teacher).token_transformer()
        self.frozen = FrozenTransformer(net, net.embed_dims, keep_weights=keep_teacher)
        self.num_prompts = num_prompts
        self.deep_prompts = deep_prompts and num_prompts > 0
        self.prompt_dropout = prompt_dropout
        self.precision = precision
        width, depth = net.embed_dims, len(net.blocks)
        if num_prompts:
            self.prompt_token = _prompts(1, num_prompts, width)
            self.prompt_pos = _prompts(1, num_prompts, width)
        if self.deep_prompts:
            self.deep_prompt_tokens = _prompts(depth - 1, num_prompts, width)
            self.deep_prompt_pos = _prompts(depth - 1, num_prompts, width)
        self.pos_embed = position_mlp(width)
        self.proj_pre = nn.Linear(embed_dims, width)
        self.proj_post = nn.Linear(width, embed_dims)
        self.register_buffer('fingerprint', frozen_fingerprint(net.state_dict()))
        self.register_load_state_dict_post_hook(_check_fingerprint)

    def forward(self, tokens: Tensor, centers: Tensor) -> Tensor:
        """Encode patches.

        Args:
            tokens: (B, G, C).
            centers: (B, G, 3).

        Returns:
            (B, G, C).
        """
        return self.proj_post(self.read(self.proj_pre(tokens), centers))

    def read(self, x: Tensor, centers: Tensor) -> Tensor:
        """Run the frozen transformer with its prompts.

        Args:
            x: (B, G, W) tokens with the width of the transformer.
            centers: (B, G, 3).

        Returns:
            (B, G, W) after the final norm, without prompts.

        Raises:
            ValueError: A mixer needs another number of prompts and patches.
        """
        net = self.frozen.net
        self._check_length(net.num_tokens, x.shape[1])
        # x and pos may have the precision of a surrounding autocast.
        own = self.proj_pre.weight.dtype
        x, pos = x.to(own), self.pos_embed(centers).to(own)  # (B, G, W)
        if self.precision == 'auto':
            self.precision = choose_precision(self.frozen, x.device)
        with autocast(x.device, self.precision):
            read = self._read_deep if self.deep_prompts else self._read_shallow
            return net.norm(read(net, net.pre(x), pos)).to(own)

    def _check_length(self, wanted: int | None, num_groups: int) -> None:
        """Raise ``ValueError`` unless the sequence has the ``wanted`` length."""
        if wanted is None or self.num_prompts + num_groups == wanted:
            return
        fix = (
            f'num_prompts={wanted - num_groups}'
            if num_groups <= wanted
            else f'num_groups to {wanted} or less'
        )
        raise ValueError(
            f'This transformer mixes exactly {wanted} tokens, got '
            f'{self.num_prompts} prompts and {num_groups} patches: set {fix}.'
        )

    def _read_deep(self, net: nn.Module, x: Tensor, pos: Tensor) -> Tensor:
        for i in range(len(net.blocks)):
            if i == 0:
                prompts = net.pre(self._drop(self.prompt_token, len(x)))
                prompts = prompts + self.prompt_pos
            else:
                prompts = self._drop(self.deep_prompt_tokens[i - 1 : i], len(x))
                prompts = prompts + self.deep_prompt_pos[i - 1]
            x = net.run_block(i, x + pos, prompts)
        return x

    def _read_shallow(self, net: nn.Module, x: Tensor, pos: Tensor) -> Tensor:
        B, P = len(x), self.num_prompts
        if P:
            prompts = self._drop(self.prompt_token, B).expand(B, -1, -1)
            x = torch.cat([net.pre(prompts), x], dim=1)  # (B, P + G, W)
            pos = torch.cat([self.prompt_pos.expand(B, -1, -1), pos], dim=1)
        for i in range(len(net.blocks)):
            x = net.run_block(i, x + pos)
        return x[:, P:]

    def _drop(self, prompts: Tensor, batch: int) -> Tensor:
        """Apply dropout, which differs between clouds, to prompts (1, P, W)."""
        if self.training and self.prompt_dropout > 0:
            prompts = prompts.expand(batch, -1, -1)
        return F.dropout(prompts, self.prompt_dropout, self.training)


def _prompts(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02))


def _check_fingerprint(module: PromptedTransformer, account) -> None:
    """Raise ``ValueError`` if a checkpoint belongs to other frozen weights."""
    own = frozen_fingerprint(module.frozen.net.state_dict())
    if own != module.fingerprint.to(own):
        raise ValueError(
            'The checkpoint was trained with another frozen transformer '
            f'(checksum {int(module.fingerprint)}) than this one (checksum {int(own)}): '
            'give the teacher the same weights, or use a checkpoint that contains them '
            '(keep_teacher=True).'
        )
