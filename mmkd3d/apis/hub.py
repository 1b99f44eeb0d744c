"""Students in folders and on the Hugging Face hub, with the names that are usual there."""

import json
from pathlib import Path

import torch
import torch.nn as nn

WEIGHTS, CONFIG = 'model.safetensors', 'config.json'


def save_pretrained(checkpoint: str | Path, folder: str | Path, *, half: bool = False) -> Path:
    """Write the student of a checkpoint to a folder that can be uploaded as it is.

    ``model.safetensors`` has the weights and ``config.json`` the student's config and input
    spec.

    Args:
        checkpoint: Of a pretraining, see :func:`mmkd3d.export_backbone`.
        folder: Made if absent.
        half: Write float16.

    Returns:
        ``folder``.
    """
    from mmkd3d.checkpoints import export_backbone, read_checkpoint
    from mmkd3d.utils.atomic import write_atomic

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    file = export_backbone(checkpoint, folder / WEIGHTS, half=half)
    meta = dict(read_checkpoint(file)['meta'], library_name='mmkd3d')
    write_atomic(folder / CONFIG, json.dumps(meta, indent=2).encode())
    return folder


def from_pretrained(
    name: str | Path, *, revision: str | None = None, device: str | torch.device | None = None
) -> nn.Module:
    """Load a student that :func:`save_pretrained` wrote.

    Args:
        name: Folder, or id of a repository of the Hugging Face hub (``'user/student'``).
        revision: Branch, tag or commit there.
        device: None: the CPU.

    Returns:
        See :func:`mmkd3d.load_student`.

    Raises:
        FileNotFoundError: No such folder, and no such repository that can be reached.
    """
    from .load import load_student

    file = Path(name) / WEIGHTS
    if not file.is_file():
        from huggingface_hub import hf_hub_download  # its errors are of these two kinds

        try:
            file = Path(hf_hub_download(str(name), WEIGHTS, revision=revision))
        except (OSError, ValueError) as error:
            raise FileNotFoundError(
                f'{Path(name) / WEIGHTS} is no file, and {name} cannot be downloaded from the '
                f'Hugging Face hub ({type(error).__name__}). Give a folder that '
                'mmkd3d.save_pretrained wrote, or the id of a repository.'
            ) from error
    return load_student(None, file, device=device)
