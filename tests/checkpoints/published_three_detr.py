"""Small checkpoints with the layouts of 3DETR and MaskPoint.

From ``spec/detection.md``, sections 1.8 and 8.1. See :mod:`.published`.
"""

import torch

from tests.checkpoints.layers import batch_norm, linear, norm, under


def set_abstraction(name: str, *dims: int) -> dict:
    state = {}
    for i, (width, out) in enumerate(zip(dims, dims[1:])):
        layer = f'{name}.mlp_module.layer{i}'
        state |= linear(f'{layer}.conv', out, width, 1, 1, bias=False)
        state |= batch_norm(f'{layer}.bn.bn', out)
    return state


def attention(name: str, C: int) -> dict:
    return {
        f'{name}.in_proj_weight': torch.randn(3 * C, C),
        f'{name}.in_proj_bias': torch.randn(3 * C),
        **linear(f'{name}.out_proj', C, C),
    }


def encoder_layers(name: str, C: int) -> dict:
    state = {}
    for i in range(2):
        state |= under(
            f'{name}.{i}.',
            attention('self_attn', C)
            | linear('linear1', 5, C)
            | linear('linear2', C, 5)
            | norm('norm1', C)
            | norm('norm2', C),
        )
    return state


def decoder_layer(C: int) -> dict:
    state = attention('self_attn', C) | attention('multihead_attn', C)
    for i in (1, 2, 3):
        state |= norm(f'norm{i}', C)
    return state | linear('linear1', C, C) | linear('linear2', C, C)


def box_head(C: int, out: int) -> dict:
    state = linear('layers.8', out, C, 1)
    for i in (0, 4):
        state |= linear(f'layers.{i}', C, C, 1, bias=False)
        state |= batch_norm(f'layers.{i + 1}', C)
    return state


def detector(*, masked: bool, C: int = 6) -> dict:
    state = set_abstraction('pre_encoder', 3, 4, 5, C)
    state |= encoder_layers('encoder.layers', C)
    if masked:
        state |= set_abstraction('encoder.interim_downsampling', C + 3, C, C, C)
    for i in range(2 if masked else 3):
        start = 'encoder_to_decoder_projection.layers'
        state |= linear(f'{start}.{3 * i}', C, C, 1, bias=False)
        state |= batch_norm(f'{start}.{3 * i + 1}', C)
    state['pos_embedding.gauss_B'] = torch.randn(3, C // 2)
    for i in (0, 2):
        state |= linear(f'query_projection.layers.{i}', C, C, 1)
    for i in range(2):
        state |= under(f'decoder.layers.{i}.', decoder_layer(C))
    state |= norm('decoder.norm', C)
    heads = dict(sem_cls=4, center=3, size=3, angle_cls=2, angle_residual=2)
    for name, out in heads.items():
        state |= under(f'mlp_heads.{name}_head.', box_head(C, out))
    return state


def maskpoint(C: int = 6) -> dict:
    """MaskPoint's encoder only."""
    return set_abstraction('transformer_q.encoder', 3, 4, 5, C) | (
        encoder_layers('transformer_q.blocks.layers', C)
    )


def small_files() -> dict[str, dict]:
    """One file per source of the family."""
    return dict(
        three_detr=detector(masked=False), three_detr_m=detector(masked=True), maskpoint=maskpoint()
    )
