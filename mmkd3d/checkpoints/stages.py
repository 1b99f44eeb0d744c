"""What a file is for: teacher, pretrained student or finetuned model."""

from collections.abc import Iterable

TEACHER = 'teacher.net.'
NAMES = dict(
    teacher='a stage I file: the autoencoder that teaches',
    pretrain='a pretraining (stage II) file: a student with its decoder',
    finetune='a file of a finetuned model',
)


def stage_of(keys: Iterable[str]) -> str | None:
    """The stage that our keys tell; None for a part of a model."""
    keys = list(keys)

    def has(*starts: str) -> bool:
        return any(key.startswith(starts) for key in keys)

    if has('quantizer.codebook'):
        return 'teacher'
    if has('backbone.') and has('decoder.', 'proj.', 'head_concept.', 'head_global.', TEACHER):
        return 'pretrain'
    if has('backbone.') and has('head.', 'decode_head.', 'bbox_head.'):
        return 'finetune'
    return None


def wrong_stage(keys: Iterable[str], wanted: Iterable[str], prefix: str) -> str | None:
    """Say so if a file is of another stage than the module it is loaded into.

    Args:
        keys: Of the file, those that were compared with the module.
        wanted: Keys of the module.
        prefix: Where the module was looked for in the file.
    """
    got, stage = stage_of(keys), stage_of(wanted)
    if got is None or got == stage or not (stage or prefix):
        return None
    if stage == 'teacher':
        needed = f'{NAMES[stage]}, or a stage II file that still holds it, with prefix={TEACHER!r}'
    elif stage is None:
        needed = f'a file with keys under {prefix!r}'
        if prefix == 'backbone.':
            needed += ': of a pretraining (stage II) or of a finetuned model'
    else:
        needed = NAMES[stage]
        if got != 'teacher':
            needed += (
                "; the student alone can be loaded into the model's "
                "backbone, with prefix='backbone.'"
            )
    return f'This is {NAMES[got]}. Needed is {needed}.'


def split_teacher(state: dict) -> tuple[dict, dict]:
    """Take the teachers out of our state dict of a pretraining file.

    Returns:
        The student's state dict; and the teacher's as a stage I file has it,
        or, where there are several (ReCon's), theirs under their own names.
    """
    student = {k: v for k, v in state.items() if TEACHER not in k}
    teacher = {key.removeprefix(TEACHER): value for key, value in state.items() if TEACHER in key}
    return student, teacher
