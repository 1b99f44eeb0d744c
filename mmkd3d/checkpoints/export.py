"""The student alone, for configs that know nothing of its pretraining."""

import io
from pathlib import Path

import torch
from mmengine.config import Config

from mmkd3d.utils.atomic import write_atomic
from mmkd3d.version import __version__

from .files import read_checkpoint
from .loading import our_state, starts
from .stored import stored_config, stored_spec

PREFIX = 'backbone.'


def export_backbone(checkpoint: str | Path, out: str | Path, *, trust: bool = False) -> Path:
    """Write the student of a pretraining checkpoint to a file of its own.

    Keys are those of the backbone itself, so that the file fits
    ``init_cfg=dict(type='Pretrained', checkpoint=...)`` of a backbone of ours
    and of mmdetection3d alike. The metadata say what the student is and what
    it was trained on, where ``checkpoint`` does.

    Args:
        checkpoint: Of a model with a ``backbone``, ours or published.
        out: What is written: tensors and plain metadata only.
        trust: See :func:`read_checkpoint`.

    Returns:
        ``out``.

    Raises:
        ValueError: There is no backbone in the file.
    """
    content = read_checkpoint(checkpoint, trust=trust)
    state, _ = our_state(content)
    student = {
        key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)
    }
    if not student:
        raise ValueError(
            f'{checkpoint} has no keys under {PREFIX!r}, they start with '
            f'{starts(state)}: give the checkpoint of a pretraining.'
        )
    meta = dict(
        exported_from=Path(checkpoint).name,
        mmkd3d_version=__version__,
        input_spec=stored_spec(content)._asdict(),
    )
    cfg = stored_config(content)
    if cfg:  # with it the file says all that it needs to be used
        meta['backbone'] = student_config(cfg)
    file = io.BytesIO()
    torch.save(dict(state_dict=student, meta=meta), file)
    write_atomic(out, file.getbuffer())
    return Path(out)


def student_config(cfg: Config) -> dict:
    """The config of the student, without the weights that it began with."""
    backbone = cfg.to_dict()['model']['backbone']
    return {k: v for k, v in backbone.items() if k != 'init_cfg'}
