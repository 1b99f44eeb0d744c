"""The student alone, for configs that know nothing of its pretraining."""
import io
from pathlib import Path
from typing import Union

import torch

from mmkd3d.utils.atomic import write_atomic
from mmkd3d.version import __version__

from .files import read_checkpoint
from .loading import our_state, starts

PREFIX = 'backbone.'


def export_backbone(checkpoint: Union[str, Path],
                    out: Union[str, Path],
                    *,
                    trust: bool = False) -> Path:
    """Write the student of a pretraining checkpoint to a file of its own.

    Keys are those of the backbone itself, so that the file fits
    ``init_cfg=dict(type='Pretrained', checkpoint=...)`` of a backbone of ours
    and of mmdetection3d alike.

    Args:
        checkpoint: Of a model with a ``backbone``, ours or published.
        out: What is written: tensors and plain metadata only.
        trust: See :func:`read_checkpoint`.

    Returns:
        ``out``.

    Raises:
        ValueError: There is no backbone in the file.
    """
    state, _ = our_state(read_checkpoint(checkpoint, trust=trust))
    student = {
        key.removeprefix(PREFIX): value
        for key, value in state.items() if key.startswith(PREFIX)
    }
    if not student:
        raise ValueError(
            f'{checkpoint} has no keys under {PREFIX!r}, they start with '
            f'{starts(state)}: give the checkpoint of a pretraining.')
    meta = dict(
        exported_from=Path(checkpoint).name, mmkd3d_version=__version__)
    content = io.BytesIO()
    torch.save(dict(state_dict=student, meta=meta), content)
    write_atomic(out, content.getbuffer())
    return Path(out)
