"""What makes the features of a teacher what they are, as plain data."""

import inspect
import json
from typing import Any

from mmkd3d.checkpoints.fingerprint import frozen_fingerprint
from mmkd3d.registry import MODELS

from .base import BaseTeacher

# They change no feature: weights are told apart by their checksum, not by the
# place where they lie, and a saliency is in no cache.
IGNORED = ('checkpoint', 'reference', 'keep_weights', 'saliency')


def describe(cfg: dict | None) -> dict | None:
    """Type and arguments of a part, defaults included, as JSON knows them."""
    if cfg is None:
        return None
    kind = cfg['type']
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    given = {k: v for k, v in cfg.items() if k not in ('type', '_scope_', *IGNORED)}
    bound = inspect.signature(kind).bind_partial(**given)
    bound.apply_defaults()
    arguments = {k: v for k, v in bound.arguments.items() if k not in IGNORED}
    plain = json.dumps(dict(type=kind.__name__, **arguments), default=str)
    return json.loads(plain)


def describe_teacher(teacher: BaseTeacher, cfg: dict, precision: str) -> dict:
    """Of a teacher that was built from ``cfg``, with its weights' checksum."""
    return dict(
        describe(cfg),
        precision=precision,
        checksum=int(frozen_fingerprint(teacher.net.state_dict())),
    )


def differences(found: Any, expected: Any, name: str = '') -> list[str]:
    """A line for every field that differs, with both values.

    Args:
        found: Of a cache.
        expected: Of this run.
        name: Where both stand; fields of nested dicts follow after dots.
    """
    if isinstance(found, dict) and isinstance(expected, dict):
        lines = []
        for key in dict.fromkeys((*found, *expected)):
            lines += differences(
                found.get(key, 'nothing'),
                expected.get(key, 'nothing'),
                f'{name}.{key}' if name else key,
            )
        return lines
    if found == expected:
        return []
    return [f'{name}: the cache has {found!r}, this run has {expected!r}']
