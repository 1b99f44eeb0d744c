"""The input spec: what kind of clouds a student was trained on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

NORMALIZE = ('unit_sphere', 'unit_cube', 'center', 'none')


class InputSpec(NamedTuple):
    """What kind of clouds a student was trained on; None: unknown.

    Attributes:
        points: Points per cloud.
        channels: Columns of a point, coordinates first.
        normalize: ``'unit_sphere'``, ``'unit_cube'`` or ``'center'``, see
            :class:`~mmkd3d.datasets.transforms.geometry.NormalizePoints`, or
            ``'none'``.
        unit: Unit of the coordinates, if they have one: ``'m'``.
        up: Axis that points up: ``'x'``, ``'y'`` or ``'z'``.
    """

    points: int | None = None
    channels: int | None = None
    normalize: str | None = None
    unit: str | None = None
    up: str | None = None

    def filled(self, other: 'InputSpec') -> 'InputSpec':
        """Take unknown fields from another spec."""
        return InputSpec(*(theirs if ours is None else ours for ours, theirs in zip(self, other)))


def make_spec(given: Mapping) -> InputSpec:
    """Make a spec from plain data.

    Raises:
        ValueError: An unknown field or an invalid value.
    """
    unknown = sorted(set(given) - set(InputSpec._fields))
    if unknown:
        raise ValueError(
            f'input_spec has no {", ".join(unknown)}: its fields are '
            f'{", ".join(InputSpec._fields)}.'
        )
    spec = InputSpec(**given)
    choices = dict(normalize=NORMALIZE, up=('x', 'y', 'z'))
    for name, allowed in choices.items():
        value = getattr(spec, name)
        if value not in (None, *allowed):
            raise ValueError(
                f'input_spec: {name} is one of {", ".join(allowed)} or None, got {value!r}.'
            )
    for name, most in dict(points=10**8, channels=10**5).items():
        value = getattr(spec, name)
        if value is not None and (type(value) is not int or not 1 <= value <= most):
            raise ValueError(
                f'input_spec: {name} is a number from 1 to {most} or None, got {value!r}.'
            )
    return spec


def spec_of_config(cfg: Mapping) -> InputSpec:
    """Derive the input spec of a config.

    It follows from the pipeline of the training data (of the test data, if
    there is no training) and from the data set's ``metainfo``: ``up_axis``
    and, where all clouds have the same number of points, ``num_points``.
    Points that mmdetection3d loads as depth or LiDAR coordinates are in
    metres, z up. Fields of ``input_spec=dict(...)`` in the config override.

    Args:
        cfg: A whole config.

    Raises:
        ValueError: ``input_spec`` in the config is invalid.
    """
    stated = make_spec(cfg.get('input_spec') or {})
    loader = cfg.get('train_dataloader') or cfg.get('test_dataloader') or {}
    dataset = innermost(loader.get('dataset') or {})
    if 'pipeline' not in dataset:
        return stated
    known = dict(metainfo_of(dataset), **(dataset.get('metainfo') or {}))
    found = dict(
        points=dataset.get('num_points', known.get('num_points')), channels=3, normalize='none'
    )
    for step in steps_of(dataset['pipeline']):
        found.update(spec_effect(step, found['channels']))
    found.setdefault('up', known.get('up_axis'))
    return stated.filled(InputSpec(**found))


def innermost(dataset: Mapping) -> Mapping:
    """The data set inside wrappers; the first one of a concatenation."""
    while 'pipeline' not in dataset:
        several = dataset.get('datasets') or [None]
        inner = dataset.get('dataset') or several[0]
        if inner is None:
            break
        dataset = inner
    return dataset


def steps_of(pipeline: Sequence) -> Iterator[Mapping]:
    """Configs of transforms, also of those inside another."""
    for step in pipeline:
        if isinstance(step, Mapping):
            yield step
            yield from steps_of(step.get('transforms') or ())


def spec_effect(step: Mapping, channels: int | None) -> dict:
    """Fields of a spec that a transform changes.

    A transform of ours, or one of a user in our registry, tells it by a
    static method ``spec_effect(step, channels)``; those of mmdetection3d
    are in ``MMDET3D``.

    Args:
        step: Config of the transform.
        channels: Columns of a point before it.
    """
    from mmkd3d.registry import TRANSFORMS

    scope, _, kind = str(step.get('type')).rpartition('.')
    if kind in MMDET3D:
        return MMDET3D[kind](step, channels)
    if scope not in ('', 'mmkd3d') or kind not in TRANSFORMS:
        return {}
    effect = getattr(TRANSFORMS.get(kind), 'spec_effect', None)
    return effect(step, channels) if effect else {}


def load_from_file(step: Mapping, channels: int | None) -> dict:
    """Effect of mmdetection3d's ``LoadPointsFromFile``."""
    columns = step.get('use_dim', [0, 1, 2])
    number = len(columns) if isinstance(columns, Sequence) else columns
    found = dict(channels=number + bool(step.get('shift_height')))
    if step.get('coord_type') in ('DEPTH', 'LIDAR'):
        found.update(unit='m', up='z')
    return found


def sample_points(step: Mapping, channels: int | None) -> dict:
    """Effect of mmdetection3d's transforms that sample points."""
    more = 3 if step.get('use_normalized_coord') else 0
    return dict(points=step.get('num_points'), channels=channels + more)


MMDET3D = dict(
    LoadPointsFromFile=load_from_file,
    PointSample=sample_points,
    IndoorPatchPointSample=sample_points,
)


def metainfo_of(dataset: Mapping) -> Mapping:
    """``METAINFO`` of a data set of ours."""
    from mmkd3d.registry import DATASETS

    kind = str(dataset.get('type')).removeprefix('mmkd3d.')
    if '.' in kind or kind not in DATASETS:
        return {}
    return getattr(DATASETS.get(kind), 'METAINFO', {})
