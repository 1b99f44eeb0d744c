"""Rules that rename the keys of a state dict."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from .input_spec import InputSpec


def covers(prefix: str | None, key: str) -> bool:
    """Whether a prefix stands for ``key``.

    One that ends with a dot stands for all keys below it, any other for the
    key of this very name; None for no key.
    """
    return prefix is not None and (key == prefix or prefix.endswith('.') and key.startswith(prefix))


class Rule(NamedTuple):
    """Where the keys with a prefix go.

    The rules of a map lead from published keys to ours, :func:`inverse` turns
    them round. For that no prefix may cover another, on either side.

    Attributes:
        source: Prefix, see :func:`covers`; None: nothing comes from there.
        target: What replaces it; None: the keys are dropped.
        unit_dims: Trailing dims of size one that weights lose: a 1x1
            convolution over points is a Linear here. If negative, they gain
            them.
    """

    source: str | None
    target: str | None
    unit_dims: int = 0

    def rename(self, key: str) -> str | None:
        """The new name of a key that the source covers."""
        if self.target is None:
            return None
        return self.target + key[len(self.source) :]

    def reshape(self, key: str, value: Tensor) -> Tensor:
        """Drop or add the unit dims; biases and norms stay as they are."""
        if not self.unit_dims or value.ndim < 2:
            return value
        dims = 2 + max(self.unit_dims, 0)
        if value.ndim != dims or value.shape[2:].numel() != 1:
            wanted = ', '.join(['out', 'in', '1', '1'][:dims])
            raise ValueError(
                f'{key} has shape {tuple(value.shape)}, expected ({wanted}). '
                'Is it another kind of file?'
            )
        if self.unit_dims > 0:
            return value.flatten(1)
        return value[(...,) + (None,) * -self.unit_dims]


class KeyMap(NamedTuple):
    """What is known about one kind of published file.

    Attributes:
        stage: ``'teacher'``, ``'pretrain'`` or ``'finetune'``.
        marks: Prefixes of keys by which such a file is recognised, see
            :func:`~mmkd3d.checkpoints.detect`.
        rules: One for every key of the file, from published to ours.
        optional: Prefixes of our keys that a model may lack.
        entry: Where the published file holds its state dict.
        input_spec: What it was trained on.
        partial: Whether only a part of the file is known: its other keys are
            dropped too.
    """

    stage: str
    marks: Sequence[str]
    rules: Sequence[Rule]
    optional: Sequence[str] = ()
    entry: str = 'base_model'
    input_spec: InputSpec = InputSpec()
    partial: bool = False


def under(source: str, target: str, rules: Sequence[Rule]) -> tuple:
    """``rules`` for a part that stands below two prefixes."""
    return tuple(
        Rule(
            None if rule.source is None else source + rule.source,
            None if rule.target is None else target + rule.target,
            rule.unit_dims,
        )
        for rule in rules
    )


def inverse(rules: Sequence[Rule]) -> tuple:
    """The way back."""
    return tuple(Rule(rule.target, rule.source, -rule.unit_dims) for rule in rules)


def find_rule(key: str, rules: Sequence[Rule]) -> Rule | None:
    """The rule for a key, or None."""
    return next((rule for rule in rules if covers(rule.source, key)), None)


def rename(state: dict, rules: Sequence[Rule]) -> tuple[dict, list, list]:
    """Apply rules to every key.

    Returns:
        The new state dict in the order of ``state``, the dropped keys and the
        keys without a rule.

    Raises:
        ValueError: A weight is no 1x1 convolution where its rule says so.
    """
    renamed, dropped, unknown = {}, [], []
    for key, value in state.items():
        rule = find_rule(key, rules)
        if rule is None:
            unknown.append(key)
        elif rule.target is None:
            dropped.append(key)
        else:
            renamed[rule.rename(key)] = rule.reshape(key, value)
    return renamed, dropped, unknown
