"""What points a student was trained on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

SAMPLERS = ('SamplePoints', 'PointSample', 'IndoorPatchPointSample')
NORMALIZE = ('unit_sphere', 'unit_cube', 'center', 'none')


class InputSpec(NamedTuple):
    """What points a student was trained on; None: not known.

    Attributes:
        points: Points of a cloud.
        channels: Columns of a point, coordinates first.
        normalize: Of the coordinates: ``'unit_sphere'``, ``'unit_cube'``,
            ``'center'``, as :class:`~mmkd3d.datasets.transforms.geometry.
            NormalizePoints` has them, or ``'none'``.
        unit: Of the coordinates, where they have one: ``'m'``.
        up: Which axis points up: ``'x'``, ``'y'`` or ``'z'``.
    """

    points: int | None = None
    channels: int | None = None
    normalize: str | None = None
    unit: str | None = None
    up: str | None = None

    def filled(self, other: 'InputSpec') -> 'InputSpec':
        """This one, with what it does not know from another."""
        return InputSpec(*(theirs if ours is None else ours for ours, theirs in zip(self, other)))


def make_spec(given: Mapping) -> InputSpec:
    """A spec from plain data.

    Raises:
        ValueError: It says something that a spec does not.
    """
    unknown = sorted(set(given) - set(InputSpec._fields))
    if unknown:
        raise ValueError(
            f'input_spec has no {", ".join(unknown)}: it says {", ".join(InputSpec._fields)}.'
        )
    spec = InputSpec(**given)
    choices = dict(normalize=NORMALIZE, up=('x', 'y', 'z'))
    for name, allowed in choices.items():
        value = getattr(spec, name)
        if value not in (None, *allowed):
            raise ValueError(
                f'input_spec: {name} is one of {", ".join(allowed)} or None, got {value!r}.'
            )
    return spec


def spec_of_config(cfg: Mapping) -> InputSpec:
    """What a config says about the points that its model gets.

    That is read from the pipeline of its training data (of its test data, if
    it trains nothing) and from the data set's ``metainfo``: ``up_axis`` and,
    where all clouds have as many, ``num_points``. Points that mmdetection3d
    loads as depth or LiDAR coordinates are in metres, z up.
    What the config states as ``input_spec=dict(...)`` comes first.

    Args:
        cfg: A whole config.

    Raises:
        ValueError: ``input_spec`` says something that a spec does not.
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
        found.update(read_step(step, found['channels']))
    found.setdefault('up', known.get('up_axis'))
    return stated.filled(InputSpec(**found))


def innermost(dataset: Mapping) -> Mapping:
    """The data set in wrappers; of several that are joined, the first."""
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


def read_step(step: Mapping, channels: int) -> dict:
    """What a transform changes in a spec.

    Args:
        step: Its config.
        channels: Before it.
    """
    kind = str(step.get('type')).split('.')[-1]
    if kind in SAMPLERS:
        more = 3 if step.get('use_normalized_coord') else 0
        return dict(points=step.get('num_points'), channels=channels + more)
    if kind == 'NormalizePoints':
        return dict(normalize=step.get('mode', 'unit_sphere'))
    if kind == 'LoadPoints':
        return dict(channels=count(step.get('channels', 3)))
    if kind == 'LoadPointsFromFile':
        height = bool(step.get('shift_height'))
        found = dict(channels=count(step.get('use_dim', [0, 1, 2])) + height)
        if step.get('coord_type') in ('DEPTH', 'LIDAR'):
            found.update(unit='m', up='z')
        return found
    if kind == 'ToDepthCoordinates':
        height = bool(step.get('height', True))
        return dict(channels=channels + height, unit='m', up='z')
    return {}


def count(columns) -> int | None:
    """Number of columns, given as a number, as their indices or not."""
    return len(columns) if isinstance(columns, Sequence) else columns


def metainfo_of(dataset: Mapping) -> Mapping:
    """What a data set of ours says of itself."""
    from mmkd3d.registry import DATASETS

    kind = str(dataset.get('type')).removeprefix('mmkd3d.')
    if '.' in kind or kind not in DATASETS:
        return {}
    return getattr(DATASETS.get(kind), 'METAINFO', {})
