"""Published checkpoints: recognise them, convert their keys and back.

``maps/`` has a :class:`KeyMap` for each kind of published file. Every key of
a file must match a rule that renames or drops it, unless the map is
``partial``. Converting back gives the published file again.
"""

from collections.abc import Sequence

from mmkd3d.utils.hashes import frozen_fingerprint

from .keymap import KeyMap, covers, find_rule, inverse, rename
from .maps import SOURCES


def key_map(source: str) -> KeyMap:
    """The key map of a source, by its name in ``SOURCES``."""
    if source not in SOURCES:
        raise ValueError(f'Unknown source {source!r}, known are {", ".join(SOURCES)}.')
    return SOURCES[source]


def detect(state: dict) -> str | None:
    """Name of the source of a state dict, or None if it is one of ours.

    Of several sources whose marks are all found, the one with the most marks.
    """
    found = [
        name
        for name, source in SOURCES.items()
        if all(any(covers(mark, key) for key in state) for mark in source.marks)
    ]
    return max(found, key=lambda n: len(SOURCES[n].marks), default=None)


def convert(state: dict, source: str) -> tuple[dict, dict]:
    """Rename the keys of a published state dict.

    Args:
        state: Published keys, without ``module.``.
        source: A name in ``SOURCES``.

    Returns:
        Our state dict in the same order, with the fingerprint of a frozen
        transformer at its end; and metadata: source, stage, dropped keys and
        input spec.

    Raises:
        ValueError: An unknown source, unknown keys, or a weight of another
            shape than its layer.
    """
    source_map = key_map(source)
    ours, dropped, unknown = rename(state, source_map.rules)
    if source_map.partial:
        dropped += unknown
    elif unknown:
        raise ValueError(
            f'{len(unknown)} keys do not belong to a file of source {source}: '
            f'{", ".join(unknown[:5])} ... Is it another kind of file, or is '
            'it damaged?'
        )
    return add_fingerprints(ours), dict(
        source=source,
        stage=source_map.stage,
        dropped=dropped,
        input_spec=source_map.input_spec._asdict(),
    )


def to_published(state: dict, source: str) -> dict:
    """Rename our keys to the published ones: the inverse of :func:`convert`.

    Args:
        state: Our state dict.
        source: A name in ``SOURCES``.

    Returns:
        The published state dict, in the same order, without the fingerprint
        of a frozen transformer, which only our files have.

    Raises:
        ValueError: An unknown source, or a key that it does not have.
    """
    published, _, unknown = rename(state, inverse(key_map(source).rules))
    if unknown:
        raise ValueError(
            f'A file of source {source} has no place for {len(unknown)} keys: '
            f'{", ".join(unknown[:5])} ... Is another source meant? Known are '
            f'{", ".join(SOURCES)}.'
        )
    return published


def our_name(key: str, source: str) -> str | None:
    """Our name of a published key; None: it is dropped."""
    return _rename_key(key, source, key_map(source).rules)


def published_name(key: str, source: str) -> str | None:
    """Published name of our key; None: the published file lacks it."""
    return _rename_key(key, source, inverse(key_map(source).rules))


def _rename_key(key: str, source: str, rules: Sequence) -> str | None:
    rule = find_rule(key, rules)
    if rule is None:
        raise ValueError(f'{source} has no rule for {key}.')
    return rule.rename(key)


def add_fingerprints(state: dict) -> dict:
    """Add the fingerprint of each frozen transformer in a state dict.

    The transformer is part of an autoencoder, or of the teacher of a student.
    """
    fingerprints = {}
    for owner in ('', 'teacher.net.'):
        start = f'{owner}transformer.frozen.net.'
        frozen = {
            key.removeprefix(start): value for key, value in state.items() if key.startswith(start)
        }
        if frozen:
            fingerprints[f'{owner}transformer.fingerprint'] = frozen_fingerprint(frozen)
    return {**state, **fingerprints}
