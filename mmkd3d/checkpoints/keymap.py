"""Rules that rename the keys of a state dict."""

from __future__ import annotations  # the tools list the sources before torch is imported

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

from .input_spec import InputSpec


def covers(prefix: str | None, key: str) -> bool:
    """Whether a prefix matches ``key``.

    A prefix with a dot at its end matches all keys below it, any other only
    the key of this name; None matches no key.
    """
    return prefix is not None and (key == prefix or prefix.endswith('.') and key.startswith(prefix))


class Rule(NamedTuple):
    """Rename the keys with a prefix.

    The rules of a map lead from published keys to ours, :func:`inverse`
    swaps the two. Hence no prefix may match another one, on either side.

    Attributes:
        source: Prefix, see :func:`covers`; None: matches no key.
        target: Its replacement; None: the keys are dropped.
        unit_dims: Number of trailing dims of size one to remove from weights:
            a 1x1 convolution over points is a Linear here. If negative, they
            are added.
    """

    source: str | None
    target: str | None
    unit_dims: int = 0

    def rename(self, key: str) -> str | None:
        """The new name of a matching key."""
        if self.target is None:
            return None
        return self.target + key[len(self.source) :]

    def reshape(self, key: str, value: Tensor) -> Tensor:
        """Remove or add the unit dims; biases and norms stay as they are."""
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
    """Key map of one kind of published file.

    Attributes:
        stage: ``'teacher'``, ``'pretrain'`` or ``'finetune'``.
        marks: Prefixes of keys that identify such a file, see
            :func:`~mmkd3d.checkpoints.detect`.
        rules: From published keys to ours; one for every key.
        optional: Starts of our keys that a model may lack.
        entry: Key of the state dict in the published file.
        input_spec: Of the training data.
        partial: Drop keys without a rule, instead of an error.
    """

    stage: str
    marks: Sequence[str]
    rules: Sequence[Rule]
    optional: Sequence[str] = ()
    entry: str = 'base_model'
    input_spec: InputSpec = InputSpec()
    partial: bool = False


def under(source: str, target: str, rules: Sequence[Rule]) -> tuple:
    """``rules`` with prefixes in front of their sources and targets."""
    return tuple(
        Rule(
            None if rule.source is None else source + rule.source,
            None if rule.target is None else target + rule.target,
            rule.unit_dims,
        )
        for rule in rules
    )


def inverse(rules: Sequence[Rule]) -> tuple:
    """Rules from our keys to the published ones."""
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
        ValueError: A weight does not have the unit dims of its rule.
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
