"""Parts of a pretraining checkpoint: the student alone, the teachers alone."""

import io
import json
from pathlib import Path

import torch

from mmkd3d.utils.atomic import write_atomic
from mmkd3d.version import __version__

from .files import read_checkpoint
from .loading import TEACHER, our_state, starts
from .stored import parse_config, stored_spec

PREFIX = 'backbone.'


def export_backbone(
    checkpoint: str | Path,
    out: str | Path,
    *,
    half: bool = False,
    trust: bool = False,
    commit: str | None = None,
) -> Path:
    """Write the student of a pretraining checkpoint to its own file.

    The keys are those of the backbone itself, which
    ``init_cfg=dict(type='Pretrained', checkpoint=...)`` expects in ours and
    in mmdetection3d. The metadata hold the student's config and input spec,
    if ``checkpoint`` has them.

    Args:
        checkpoint: Of a model with a ``backbone``, ours or published.
        out: The file; tensors and plain metadata only. ``.safetensors`` selects
            that format.
        half: Write float16, which halves the file. Running statistics stay
            float32, since their variances may be below the range of float16.
        trust: See :func:`read_checkpoint`.
        commit: Of the training, for the metadata.

    Returns:
        ``out``.

    Raises:
        ValueError: There is no backbone in the file, or a weight is beyond the range of float16.
    """
    content = read_checkpoint(checkpoint, trust=trust)
    state, _ = our_state(content, checkpoint)
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
    if commit:
        meta['commit'] = commit
    backbone = student_config(content)
    if backbone:  # the file can be used without naming a config then
        meta['backbone'] = backbone
    if half:
        student = {key: halved(key, value) for key, value in student.items()}
    if Path(out).suffix == '.safetensors':
        from safetensors.torch import save

        # copies, since safetensors refuses tensors that share memory
        state = {k: v.clone(memory_format=torch.contiguous_format) for k, v in student.items()}
        write_atomic(out, save(state, dict(mmkd3d=json.dumps(meta))))
    else:
        file = io.BytesIO()
        torch.save(dict(state_dict=student, meta=meta), file)
        write_atomic(out, file.getbuffer())
    return Path(out)


def halved(key: str, value: torch.Tensor) -> torch.Tensor:
    """A weight in float16; running statistics and integers as they are."""
    if 'running_' in key or not value.is_floating_point():
        return value
    found = value.half()
    if found.isinf().any() and value.isfinite().all():
        raise ValueError(
            f'The weights {key} are up to {value.abs().max():.3g}, beyond 65504, the largest '
            'float16: export with half=False.'
        )
    return found


def student_config(checkpoint: dict) -> dict | None:
    """Config of the student in a checkpoint, without its initial weights."""
    cfg = parse_config(checkpoint)
    model = cfg.to_dict().get('model') if cfg else None
    backbone = model.get('backbone') if isinstance(model, dict) else None
    if not isinstance(backbone, dict):
        return None
    return {k: v for k, v in backbone.items() if k != 'init_cfg'}


def split_teacher(state: dict) -> tuple[dict, dict]:
    """Split our state dict of a pretraining file into student and teachers.

    Returns:
        The student's state dict; and that of the teacher, with the keys of a
        stage I file, or of several (ReCon's), under their own names.
    """
    student = {k: v for k, v in state.items() if TEACHER not in k}
    teacher = {key.removeprefix(TEACHER): value for key, value in state.items() if TEACHER in key}
    return student, teacher
