"""Small checkpoints with the layouts of Point-M2AE and I2P-MAE.

From ``spec/i2p_mae.md``, section 13. See :mod:`.published`.
"""

import torch

from tests.checkpoints.layers import (
    batch_norm,
    block,
    classifier_head,
    linear,
    norm,
    patch_embed,
    pos_embed,
    under,
)

DIMS = (4, 6, 8)


def blocks(name: str, C: int, depth: int) -> dict:
    state = {}
    for j in range(depth):
        state |= under(f'{name}.blocks.{j}.', block(C))
    return state


def encoder(*, norms: bool = True) -> dict:
    state = {}
    for i, C in enumerate(DIMS):
        first = 3 * DIMS[i - 1 : i] or (3, 4, 8)
        state |= under(f'token_embed.{i}.', patch_embed(C, first))
        state |= pos_embed(f'encoder_pos_embeds.{i}', C, C)
        state |= blocks(f'encoder_blocks.{i}', C, 2)
        state |= norm(f'encoder_norms.{i}', C) if norms else {}
    return under('h_encoder.', state)


def conv_norm(name: str, out: int, width: int) -> dict:
    return linear(f'{name}.0', out, width, 1) | batch_norm(f'{name}.1', out)


def decoder() -> dict:
    _, fine, top = DIMS
    state = dict(mask_token=torch.randn(1, top))
    for s, C in enumerate((top, fine)):
        state |= blocks(f'h_decoder.{s}', C, 1)
        state |= pos_embed(f'decoder_pos_embeds.{s}', C, C)
    state |= conv_norm('token_prop.0.fuse.net', fine, fine + top)
    for j in range(2):
        start = f'token_prop.0.extraction.operation.{j}'
        state |= conv_norm(f'{start}.net1', fine, fine)
        state |= conv_norm(f'{start}.net2', fine, fine)
    return state | norm('decoder_norm', fine)


def point_m2ae() -> dict:
    return encoder() | decoder() | linear('rec_head', 48, DIMS[1], 1)


def i2p_mae() -> dict:
    """I2P-MAE without CLIP: the layout that our files can be converted back to."""
    return (
        encoder()
        | decoder()
        | linear('rec_head_3d', 24, DIMS[1], 1)
        | linear('rec_head_2d', 40, DIMS[1], 1)
    )


def clip_model() -> dict:
    """Parts of CLIP as stored in an I2P-MAE file, in half precision."""
    state = norm('visual.ln_pre', 4) | norm('transformer.resblocks.0.ln_1', 4)
    state['logit_scale'] = torch.tensor(1.0)
    return {f'clip_model.{k}': v.half() for k, v in state.items()}


def classifier() -> dict:
    return encoder(norms=False) | norm('norm', DIMS[-1]) | classifier_head(DIMS[-1])


def partseg() -> dict:
    state = encoder() | linear('label_conv.0', 5, 16, 1, bias=False)
    state |= batch_norm('label_conv.1', 5)
    for i, C in enumerate(DIMS):
        for j, (out, width) in enumerate([(9, 3 + C), (7, 9)]):
            start = f'propagations.{i}.mlp_'
            state |= linear(f'{start}convs.{j}', out, width, 1)
            state |= batch_norm(f'{start}bns.{j}', out)
    widths = (2 * 3 * 7 + 5, 9, 8, 7, 6)
    for i, (width, out) in enumerate(zip(widths, widths[1:]), start=1):
        state |= linear(f'convs{i}', out, width, 1)
        state |= batch_norm(f'bns{i}', out) if i < 4 else {}
    return state


def small_files() -> dict[str, dict]:
    """One file per source of the family."""
    return dict(
        point_m2ae=point_m2ae(),
        i2p_mae=i2p_mae(),
        point_m2ae_classifier=classifier(),
        point_m2ae_partseg=partseg(),
    )
