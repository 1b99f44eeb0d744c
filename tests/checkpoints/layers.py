"""State dicts of the layers used in published models."""

import torch


def under(prefix: str, state: dict) -> dict:
    return {prefix + key: value for key, value in state.items()}


def linear(name: str, out: int, width: int, *unit_dims: int, bias: bool = True) -> dict:
    state = {f'{name}.weight': torch.randn(out, width, *unit_dims)}
    if bias:
        state[f'{name}.bias'] = torch.randn(out)
    return state


def norm(name: str, width: int) -> dict:
    return {f'{name}.{k}': torch.randn(width) for k in ('weight', 'bias')}


def batch_norm(name: str, width: int) -> dict:
    return {
        **norm(name, width),
        f'{name}.running_mean': torch.randn(width),
        f'{name}.running_var': torch.rand(width),
        f'{name}.num_batches_tracked': torch.tensor(3),
    }


def patch_embed(C: int, first: tuple = (3, 4, 8)) -> dict:
    state, both = {}, 2 * first[-1]
    layers = dict(first_conv=first, second_conv=(both, both, C))
    for name, dims in layers.items():
        state |= linear(f'{name}.0', dims[1], dims[0], 1)
        state |= batch_norm(f'{name}.1', dims[1])
        state |= linear(f'{name}.3', dims[2], dims[1], 1)
    return state


def block(C: int) -> dict:
    return {
        **norm('norm1', C),
        **norm('norm2', C),
        **linear('mlp.fc1', 4 * C, C),
        **linear('mlp.fc2', C, 4 * C),
        **linear('attn.qkv', 3 * C, C, bias=False),
        **linear('attn.proj', C, C),
    }


def pos_embed(name: str, C: int, hidden: int = 8) -> dict:
    return linear(f'{name}.0', hidden, 3) | linear(f'{name}.2', C, hidden)


def classifier_head(width: int) -> dict:
    state = {}
    for i, (out, into) in {0: (9, width), 4: (9, 9), 8: (5, 9)}.items():
        state |= linear(f'cls_head_finetune.{i}', out, into)
        state |= batch_norm(f'cls_head_finetune.{i + 1}', 9) if i < 8 else {}
    return state
