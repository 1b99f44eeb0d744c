"""The published checkpoints and how their keys are called here.

One :class:`KeyMap` for each kind of published file. Every key of a file must
match a rule: it is renamed, or known to be dropped, or it is an error.
"""
import re
from typing import NamedTuple, Optional, Sequence


class KeyMap(NamedTuple):
    """Rules for one kind of file.

    Attributes:
        stage: ``'pretrain'`` or ``'finetune'``.
        marks: Keys that only this kind of file has; all must be there.
        rules: Pairs of a pattern, matched at the start of a key, and what
            replaces the match; None drops the tensor.
    """
    stage: str
    marks: Sequence[str]
    rules: Sequence[tuple[str, Optional[str]]]


_STUDENT = (
    (r'encoder\.first_conv\.', 'patch_embed.first.'),
    (r'encoder\.second_conv\.', 'patch_embed.second.'),
    (r'pos_embed\.', 'pos_embed.'),
    (r'blocks\.blocks\.', 'blocks.'),
    (r'norm\.', 'norm.'),
    (r'cls_(token|pos)$', r'cls_\1'),
)


def _under(prefix: str, target: str) -> tuple:
    """The rules of the student for keys that start with ``prefix``."""
    return tuple((re.escape(prefix) + pattern, target + name)
                 for pattern, name in _STUDENT)


SOURCES = dict(
    point_mae=KeyMap(
        'pretrain', ('MAE_encoder.norm.weight', 'increase_dim.0.weight'),
        _under('MAE_encoder.', 'backbone.') + (
            (r'mask_token$', 'decoder.mask_token'),
            (r'decoder_pos_embed\.', 'decoder.pos_embed.'),
            (r'MAE_decoder\.blocks\.', 'decoder.blocks.'),
            (r'MAE_decoder\.norm\.', 'decoder.norm.'),
            (r'increase_dim\.0\.', 'to_points.'),
        )),
    point_classifier=KeyMap(
        'finetune', ('encoder.first_conv.0.weight', 'blocks.blocks.0.norm1.weight',
                     'cls_head_finetune.0.weight'),
        _under('', 'backbone.') + ((r'cls_head_finetune\.', 'head.mlp.'), )),
)
"""Published files by name: ``point_mae`` is Point-MAE's pretraining;
``point_classifier`` the finetuned classifier of Point-MAE and ACT."""


def detect(state: dict) -> Optional[str]:
    """Which published file this is, or None (then it is one of ours)."""
    for name, source in SOURCES.items():
        if all(mark in state for mark in source.marks):
            return name
    return None


def convert(state: dict, source: str) -> tuple[dict, dict]:
    """Rename the keys of a published state dict.

    Args:
        state: Published keys, without ``module.``.
        source: A name in ``SOURCES``.

    Returns:
        Our state dict, and metadata: source, stage and the dropped keys.

    Raises:
        ValueError: The source or some of the keys are not known.
    """
    if source not in SOURCES:
        raise ValueError(
            f'Unknown source {source!r}, known are {", ".join(SOURCES)}.')
    ours, dropped, unknown = {}, [], []
    for key, value in state.items():
        for pattern, name in SOURCES[source].rules:
            match = re.match(pattern, key)
            if match is None:
                continue
            if name is None:
                dropped.append(key)
            else:
                ours[match.expand(name) + key[match.end():]] = value
            break
        else:
            unknown.append(key)
    if unknown:
        raise ValueError(
            f'{len(unknown)} keys do not belong to a {source} file: '
            f'{", ".join(unknown[:5])} ... Is it another kind of file?')
    return fit_shapes(ours), dict(
        source=source, stage=SOURCES[source].stage, dropped=dropped)


def fit_shapes(state: dict) -> dict:
    """The published 1x1 convolutions over points and tokens are Linears."""
    return {
        k: v.squeeze(-1) if v.ndim == 3 and k.endswith('.weight') else v
        for k, v in state.items()
    }
