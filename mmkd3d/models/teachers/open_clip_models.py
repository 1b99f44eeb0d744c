"""Building models of open_clip with weights that belong to them."""

import json
import pickle
import zipfile
from pathlib import Path
from types import ModuleType

import torch
import torch.nn as nn

from mmkd3d.utils.digest import file_digest

from .image_teacher import check_weights, weights_error


def create_clip(
    model_name: str,
    checkpoint: str | None = None,
    *,
    pretrained: str = 'openai',
    random_weights: bool = False,
    **kwargs,
) -> nn.Module:
    """Both towers of a model, strictly filled.

    Args:
        model_name: open_clip's name.
        checkpoint: ``.safetensors`` or ``.pt`` file with the weights of both
            towers: keys as in open_clip, or a TorchScript archive as OpenAI
            published them. None asks open_clip to find those of
            ``pretrained`` in its cache or on the hub.
        pretrained: open_clip's tag of the weights, without a checkpoint.
        random_weights: No pretrained weights at all; the same ones each time.
        kwargs: More arguments of ``open_clip.create_model``.

    Raises:
        FileNotFoundError: No weights, or not those of this model.
        ValueError: Weights that are known to belong to the other activation.
    """
    open_clip = import_open_clip()
    check_weights(checkpoint, model_name, 'open_clip_model.safetensors')
    source = None if random_weights else str(checkpoint or pretrained)
    if source is not None:
        check_activation(model_name, source, kwargs)
    published = checkpoint is not None and is_torchscript(checkpoint)
    try:
        # Random weights are the same every time, and nobody else's change.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = open_clip.create_model(model_name, None if published else source, **kwargs)
        if published:
            load_torchscript(model, checkpoint)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise weights_error(source, model_name, error) from error
    return model


def import_open_clip() -> ModuleType:
    """The package; ``ImportError`` with the way out."""
    try:
        import open_clip
    except ImportError as error:
        raise ImportError(
            'CLIP teachers need the package open_clip: pip install "mmkd3d[clip]"'
        ) from error
    return open_clip


def model_config(model_name: str, kwargs: dict) -> dict:
    """open_clip's config of a model; empty for a name that it does not know.

    Args:
        model_name: open_clip's name.
        kwargs: Arguments of ``create_model`` that replace parts of it.
    """
    known = import_open_clip().get_model_config(model_name.replace('/', '-'))
    return dict(known or {}, **kwargs)


def check_activation(model_name: str, source: str, kwargs: dict) -> None:
    """``ValueError`` if weights and model are known to have other ones.

    Known are the weights that open_clip has a tag for, files that lie beside
    an ``open_clip_config.json`` as on the hub, and OpenAI's own files.
    """
    open_clip = import_open_clip()
    config = model_config(model_name, kwargs)
    quick = bool(config.get('force_quick_gelu') or config.get('quick_gelu'))
    tag = open_clip.get_pretrained_cfg(model_name.replace('/', '-'), source)
    described = Path(source).with_name('open_clip_config.json')
    if tag:
        wanted = bool(tag.get('quick_gelu', source == 'openai'))
    elif Path(source).is_file() and described.is_file():
        described = json.loads(described.read_text())
        wanted = bool(described['model_cfg'].get('quick_gelu'))
    elif not quick and Path(source).is_file() and is_torchscript(source):
        wanted = file_digest(source) in openai_checksums()
    else:
        return
    if wanted != quick:
        names = ('GELU', 'QuickGELU')
        raise ValueError(
            f'The weights {source} were trained with {names[wanted]}, and '
            f'{model_name} has {names[quick]}: features would be wrong '
            'without an error. '
            + (
                f'Take {model_name}-quickgelu.'
                if wanted
                else f'Take {model_name.removesuffix("-quickgelu")}.'
            )
        )


def openai_checksums() -> set[str]:
    """SHA-256 of OpenAI's files, which their addresses contain."""
    open_clip = import_open_clip()
    urls = (
        open_clip.get_pretrained_url(name, 'openai') or ''
        for name in open_clip.list_openai_models()
    )
    return {url.split('/')[-2] for url in urls if 'openaipublic' in url}


def is_torchscript(path: str) -> bool:
    """Whether a file is a TorchScript archive, which open_clip refuses."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.split('/')[1:] == ['constants.pkl'] for name in archive.namelist())


def load_torchscript(model: nn.Module, path: str) -> None:
    """Fill both towers from an archive as OpenAI published them."""
    state = torch.jit.load(path, map_location='cpu').state_dict()
    for name in ('input_resolution', 'context_length', 'vocab_size'):
        state.pop(name, None)
    if hasattr(model, 'text'):
        convert = import_open_clip().model.convert_to_custom_text_state_dict
        state = convert(state)
    model.load_state_dict(state)
