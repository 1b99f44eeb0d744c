"""Checkpoint files: read them safely, find the weights."""

import json
import pickle
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch
import torch.nn as nn

from mmkd3d.utils.file_kind import file_kind

from .shipped import find_checkpoint, list_students
from .weights import similar_names

BEFORE_ZIP = b'\x80\x02\x8a\nl\xfc\x9cF\xf9'  # the format of PyTorch until 1.5
STATE_KEYS = ('state_dict', 'base_model', 'model_state_dict', 'model')


def read_checkpoint(path: str | Path, *, trust: bool = False) -> dict:
    """Read a checkpoint to the CPU.

    Args:
        path: ``.pth``, ``.pt`` or ``.safetensors``; or the name of a shipped
            student or of published weights, see :func:`mmkd3d.list_models`.
        trust: Unpickle whatever is in the file. A pickle can run any code:
            only for files whose author you trust.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged or of another kind, holds something
            else than a dict, or holds more than tensors and plain data and
            ``trust`` is False.
    """
    path = find_checkpoint(path)
    if not path.is_file():
        if path.exists():
            raise FileNotFoundError(f'{path} is a folder or a device, no file.')
        similar = similar_names(str(path))
        hint = f' Did you mean {" or ".join(similar)}?' if similar else ''
        raise FileNotFoundError(
            f'No checkpoint at {path}.{hint} mmkd3d.list_models(pretrained=True) lists all names; '
            f'{", ".join(list_students())} ship with the package.'
        )
    try:
        if is_safetensors(path):
            return read_safetensors(path)
        check_kind(path)
        content = torch.load(path, map_location='cpu', weights_only=not trust)
    except Exception as error:  # a damaged file fails in many ways
        if str(path) in str(error):
            raise
        raise ValueError(f'{path} {reason_of(path, error)}') from error
    check_content(content, path)
    return content


def read_safetensors(path: Path) -> dict:
    """Tensors; with ours under ``state_dict``, and their metadata under ``meta``."""
    from safetensors import safe_open

    with safe_open(path, 'pt') as file:
        state = {key: file.get_tensor(key) for key in file.keys()}
        meta = (file.metadata() or {}).get('mmkd3d')
    return state if meta is None else dict(state_dict=state, meta=json.loads(meta))


def is_safetensors(path: Path) -> bool:
    """Whether a file has the format of safetensors, by its first bytes."""
    head = read_head(path)
    return head[8:9] == b'{' and int.from_bytes(head[:8], 'little') <= path.stat().st_size - 8


def read_head(path: Path) -> bytes:
    with open(path, 'rb') as file:
        return file.read(16)


def check_kind(path: Path) -> None:
    """Refuse a file that is no checkpoint of PyTorch, before it is read.

    Raises:
        ValueError: The message says what the file is.
    """
    packed = zipfile.is_zipfile(path)
    if packed:
        kind, advice = zip_kind(path)
    elif path.suffix == '.safetensors':
        kind, advice = file_kind(path) or 'a damaged safetensors file', 'Get it again.'
    elif read_head(path).startswith(BEFORE_ZIP):
        return
    else:
        kind, advice = file_kind(path), 'Get the checkpoint again.'
    if kind == 'a zip archive':  # by its first bytes, without a directory at its end
        raise ValueError(
            f'{path} is cut off after {path.stat().st_size} bytes, by the download or the write. '
            'Get the checkpoint again.'
        )
    if kind:
        raise ValueError(f'{path} is {kind}, not a checkpoint. {advice}')
    if packed:
        check_sums(path)


def check_sums(path: str | Path) -> None:
    """Compare a checkpoint with the checksums that ``torch.save`` stores.

    ``torch.load`` does not do so: a flipped bit in a weight goes unnoticed.

    Raises:
        ValueError: They differ, or the file is not of ``torch.save``.
    """
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
    except Exception as error:  # a damaged archive fails in many ways
        raise ValueError(f'{path} is damaged, or no checkpoint: {error}. Get it again.') from error
    if damaged:
        raise ValueError(f'{path} is damaged: the checksum of {damaged} differs. Get it again.')


def zip_kind(path: Path) -> tuple[str | None, str]:
    """What a zip archive is, and what to do; None: a checkpoint of PyTorch."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > 10 * path.stat().st_size:  # torch does not compress
        return f'a zip archive that unpacks to {unpacked / 1e9:.3g} GB', 'Get the file again.'
    if not any(name.endswith('data.pkl') for name in names):
        return f'a zip archive with {", ".join(names[:3])}', 'Unpack it, and give the file inside.'
    if any(name.endswith('constants.pkl') for name in names):
        return 'a TorchScript archive', 'Read it with torch.jit.load and save its state_dict().'
    return None, ''


def reason_of(path: Path, error: Exception) -> str:
    """Why a file was not read, and what to do."""
    # without torch's advice, which is to switch safety off
    lines = [line.strip() for line in str(error).split('WeightsUnpickler error: ')[-1].split('\n')]
    reason = next((line for line in lines if line and 'weights_only' not in line), '')
    intact = zipfile.is_zipfile(path) or 'GLOBAL' in reason
    if isinstance(error, pickle.UnpicklingError) and intact:
        return (
            f'holds more than tensors and plain data: {reason} Save only the state_dict() of the '
            'model; or, if you trust where the file comes from, pass trust=True '
            '(--trust-checkpoint on the command line).'
        )
    return (
        f'cannot be read ({reason or type(error).__name__}); '
        f'{path.stat().st_size} bytes, the first are {read_head(path)!r}. It is no checkpoint, or the '
        'download or the write was cut off: get it again.'
    )


def check_content(content: Any, path: str | Path) -> None:
    """Refuse a checkpoint that is not a dict with plain metadata.

    Raises:
        ValueError: The message says what the file holds.
    """
    if isinstance(content, nn.Module):
        found = f'a whole model, a {type(content).__name__}'
    elif torch.is_tensor(content):
        found = f'a single tensor of shape {tuple(content.shape)}'
    elif not isinstance(content, dict):
        found = f'{content}' if content is None else f'a {type(content).__name__}'
    elif not all(isinstance(key, str) for key in content):
        found = f'a dict with the keys {list(content)[:5]}'
    else:
        meta_of(content, path)
        return
    raise ValueError(
        f'{path} holds {found}, expected a dict with the names of the weights. Save it with '
        'torch.save(model.state_dict(), path).'
    )


def meta_of(checkpoint: dict, name: str | Path = 'The checkpoint') -> dict:
    """The metadata in a checkpoint, empty if there are none.

    Raises:
        ValueError: They are not a dict.
    """
    meta = checkpoint.get('meta')
    if meta is None:
        return {}
    if not isinstance(meta, dict):
        raise ValueError(f"{name} has a {type(meta).__name__} under 'meta', expected a dict.")
    return meta


def source_of(meta: dict) -> str | None:
    """Kind of the published file that a checkpoint was converted from, if its metadata tell it."""
    source = meta.get('source')
    return source if isinstance(source, str) else None


def state_dict_of(checkpoint: dict, name: str | Path = 'The checkpoint') -> dict:
    """The weights in a checkpoint, by their names in the model.

    The ``module.`` of DataParallel and the ``_orig_mod.`` of ``torch.compile``
    are removed.

    Args:
        checkpoint: See :func:`read_checkpoint`.
        name: Of the file, for errors.

    Raises:
        ValueError: There are none, or two have the same name.
    """
    for key in STATE_KEYS:
        if isinstance(checkpoint.get(key), dict):
            checkpoint = checkpoint[key]
            break
    state = {str(k): v for k, v in checkpoint.items() if torch.is_tensor(v)}
    if not state:
        raise ValueError(
            f'{name} holds no tensors, neither at its top level nor '
            f'under {", ".join(STATE_KEYS)}; its keys are '
            f'{", ".join(map(str, list(checkpoint)[:10]))}.'
        )
    names = {key: unwrapped(key) for key in state}
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise ValueError(
            f'{name} holds {twice[0]} twice, as {[k for k in names if names[k] == twice[0]]}.'
        )
    return {names[key]: value for key, value in state.items()}


def unwrapped(key: str) -> str:
    """The name of a weight without what DataParallel and ``torch.compile`` add."""
    key = key.replace('_orig_mod.', '')
    return key.removeprefix('module.')
