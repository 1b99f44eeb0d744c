"""Checkpoint files: read them safely, find the weights in them."""

import pickle
from pathlib import Path

import torch

STATE_KEYS = ('state_dict', 'base_model', 'model_state_dict', 'model')


def read_checkpoint(path: str | Path, *, trust: bool = False) -> dict:
    """Read a checkpoint to the CPU.

    Args:
        path: ``.pth``, ``.pt`` or ``.safetensors``.
        trust: Unpickle whatever is in the file. A pickle can run any code:
            only for files whose author you trust.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, or it holds more than tensors and
            plain data and ``trust`` is False.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'No checkpoint at {path}.')
    if path.suffix == '.safetensors':
        from safetensors.torch import load_file

        return load_file(path)
    try:
        return torch.load(path, map_location='cpu', weights_only=not trust)
    except pickle.UnpicklingError as error:
        reason = str(error).split('\n')
        found = next((x.strip() for x in reason if 'GLOBAL' in x), reason[0])
        raise ValueError(
            f'{path} holds more than tensors and plain data: {found} If you '
            'trust where the file comes from, pass trust=True '
            '(--trust-checkpoint on the command line).'
        ) from error
    except (EOFError, RuntimeError) as error:
        raise ValueError(
            f'{path} can not be read ({error}); {path.stat().st_size} bytes. '
            'It may be a download or a write that was cut off.'
        ) from error


def state_dict_of(checkpoint: dict) -> dict:
    """The weights of a checkpoint, without the ``module.`` of DataParallel."""
    for key in STATE_KEYS:
        if isinstance(checkpoint.get(key), dict):
            checkpoint = checkpoint[key]
            break
    state = {k: v for k, v in checkpoint.items() if torch.is_tensor(v)}
    if not state:
        raise ValueError(
            'The checkpoint holds no tensors, neither at its top level nor '
            f'under {", ".join(STATE_KEYS)}; its keys are '
            f'{", ".join(map(str, list(checkpoint)[:10]))}.'
        )
    return {k.removeprefix('module.'): v for k, v in state.items()}
