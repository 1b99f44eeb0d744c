"""A frozen transformer of another modality, made to read patches."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.checkpoints.fingerprint import frozen_fingerprint
from mmkd3d.registry import MODELS

from ..layers.transformer import position_mlp
from .base import BaseTeacher

PRECISIONS = dict(fp32=None, bf16=torch.bfloat16, fp16=torch.float16)


@MODELS.register_module()
class PromptedTransformer(nn.Module):
    """Visual prompt tuning of a frozen transformer over patches (ACT, 3.2).

    Prompts stand before the patches; with deep prompts (VPT-Deep) every block
    gets its own, position embeddings included, and what comes out at their
    rows is thrown away. Only prompts, positions and the two projections train.

    Unlike the published code: without prompts the projections get their
    gradient; CLIP's blocks attend over tokens, with deep prompts too; language
    transformers take deep prompts; BEiT runs, without its position bias; the
    frozen blocks never leave eval mode.

    ``fingerprint`` is a checksum of the frozen weights. It is saved, so that
    a checkpoint loaded around another transformer is an error.

    Args:
        embed_dims: Width of the patches, C.
        teacher: Config of a teacher with a ``token_transformer``.
        num_prompts: Prompts in front of the patches, P.
        deep_prompts: Whether each block has its own.
        prompt_dropout: Rate of dropout on the prompts.
        precision: Of the frozen blocks: ``'fp32'``, ``'bf16'`` or ``'fp16'``.
        keep_teacher: Write the frozen weights into checkpoints.
    """

    def __init__(
        self,
        embed_dims: int,
        teacher: dict,
        *,
        num_prompts: int = 64,
        deep_prompts: bool = True,
        prompt_dropout: float = 0.1,
        precision: str = 'fp32',
        keep_teacher: bool = False,
    ):
        super().__init__()
        if precision not in PRECISIONS:
            raise ValueError(f'precision is one of {", ".join(PRECISIONS)}, got {precision!r}.')
        net = MODELS.build(teacher).token_transformer()
        self.frozen = BaseTeacher(net, net.embed_dims, keep_weights=keep_teacher)
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
        """Read patches ``tokens`` (B, G, C) at ``centers`` (B, G, 3).

        Returns:
            (B, G, C).
        """
        return self.proj_post(self.read(self.proj_pre(tokens), centers))

    def read(self, x: Tensor, centers: Tensor) -> Tensor:
        """Run the frozen transformer with its prompts.

        Args:
            x: (B, G, W) tokens of its width.
            centers: (B, G, 3).

        Returns:
            (B, G, W) after its final norm, prompts cut off.

        Raises:
            ValueError: A mixer takes another number of prompts and patches.
        """
        net = self.frozen.net
        self._check_length(net.num_tokens, x.shape[1])
        # Under a surrounding autocast x and pos come in its precision.
        own = self.proj_pre.weight.dtype
        x, pos = x.to(own), self.pos_embed(centers).to(own)  # (B, G, W)
        dtype = PRECISIONS[self.precision]
        with torch.autocast(x.device.type, dtype, enabled=dtype is not None):
            read = self._read_deep if self.deep_prompts else self._read_shallow
            return net.norm(read(net, net.pre(x), pos)).to(own)

    def _check_length(self, wanted: int | None, num_groups: int) -> None:
        """Token mixing takes one length only, ``wanted``."""
        if wanted is None or self.num_prompts + num_groups == wanted:
            return
        way_out = (
            f'num_prompts={wanted - num_groups}'
            if num_groups <= wanted
            else f'num_groups to {wanted} or less'
        )
        raise ValueError(
            f'This transformer mixes exactly {wanted} tokens, got '
            f'{self.num_prompts} prompts and {num_groups} patches: set '
            f'{way_out}.'
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
        """Dropout differs from cloud to cloud; without, one row serves all."""
        if self.training and self.prompt_dropout > 0:
            prompts = prompts.expand(batch, -1, -1)
        return F.dropout(prompts, self.prompt_dropout, self.training)


def _prompts(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02))


def _check_fingerprint(module: PromptedTransformer, account) -> None:
    """Refuse a checkpoint that was made around other frozen weights."""
    own = frozen_fingerprint(module.frozen.net.state_dict())
    if own != module.fingerprint.to(own):
        raise ValueError(
            'The checkpoint was trained around another frozen transformer '
            f'(checksum {int(module.fingerprint)}) than the one built here '
            f'(checksum {int(own)}): give the teacher the same weights, or '
            'use a checkpoint that holds them (keep_teacher=True).'
        )
