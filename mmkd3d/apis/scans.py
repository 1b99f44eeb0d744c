"""Prepare scans for a detection config: orientation, unit and its test pipeline."""

import copy
import warnings
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose

from mmkd3d.datasets.coordinates import LocalCloud
from mmkd3d.datasets.readers import select_channels
from mmkd3d.utils.rng import isolate_rng

from .units import LARGEST, SMALLEST, TALLEST, likely_unit, too_high

AXES = dict(x=[1, 2, 0], y=[2, 0, 1], z=[0, 1, 2])  # axis that is up -> order with z up
ANNOTATIONS = ('LoadAnnotations3D', 'PointSegClassMapping')


class Scan(NamedTuple):
    """A scan in metres, z up.

    Attributes:
        name: Name of the file, or index of the input.
        points: (N, C) float32, xyz first, without ``origin``.
        origin: (3,) float64 in metres, z up, to be added to points and boxes.
    """

    name: str
    points: np.ndarray
    origin: np.ndarray = np.zeros(3)


def upright(cloud: LocalCloud, up: str = 'z', unit: float = 1.0) -> Scan:
    """Turn a scan to z up and scale it to metres.

    Warns if the result is implausible for a room, with its extent.

    Args:
        cloud: The scan; its points are changed in place.
        up: Axis of the points that is up.
        unit: Metres per unit of the points.
    """
    name, points, origin = cloud
    points[:, :3] = points[:, AXES[up]] * np.float32(unit)
    doubt = implausible(np.ptp(points[:, :3], axis=0), unit)
    if doubt:
        warnings.warn(f'{name}: {doubt}', stacklevel=2)
    return Scan(name, points, origin[AXES[up]] * unit)


def implausible(extent: np.ndarray, unit: float = 1.0) -> str:
    """A sentence if a scan seems not to be a room in metres with z up, else ''.

    Args:
        extent: (3,) in metres, as far as known.
        unit: Metres per unit by which the scan was scaled.
    """
    x, y, z = extent.tolist()
    longest, width = max(x, y, z), min(x, y)
    text = f'the scan extends over {x:.4g} x {y:.4g} x {z:.4g}'
    sizes = (
        f'Rooms in metres are {SMALLEST:g} to {LARGEST:g} long and seldom higher than {TALLEST:g}'
    )
    in_range = SMALLEST <= longest <= LARGEST
    if in_range and z > TALLEST and z > 1.5 * width:
        axis = 'y' if y < x else 'x'
        return f'{text}. {sizes}, with z up. If {axis} points up, set up={axis!r}.'
    if longest > 0 and (not in_range or too_high(z, width)):
        name, metres = likely_unit(longest, z)
        advice = (
            f'These may be {name}: then set unit={metres:g}, the metres per unit of the scan.'
            if unit == 1
            else f'Is unit={unit:g} right? It is the metres per unit of the scan.'
        )
        return f'{text}. {sizes}. {advice}'
    return ''


class ScanPipeline:
    """The test pipeline of a detection config, for scans outside a data set.

    Points are taken from memory instead of a file, the axis alignment is the
    identity, and annotations are not loaded. Random steps, such as sampling,
    are seeded for each scan.

    Args:
        cfg: Of a detection model.
        missing: ``'error'`` for columns that a scan lacks, or ``'zero'``.
        seed: Seed of the random steps.

    Attributes:
        load_dim: Columns of the ``.bin`` files of the config's data.

    Raises:
        ValueError: The config has no such pipeline.
    """

    def __init__(self, cfg: Config, *, missing: str = 'error', seed: int = 0):
        if missing not in ('error', 'zero'):
            raise ValueError(f"missing is 'error' or 'zero', got {missing!r}.")
        steps = [
            step
            for step in copy.deepcopy(test_dataset(cfg)['pipeline'])
            if name_of(step) not in ANNOTATIONS
        ]
        load = next((s for s in steps if name_of(s) == 'LoadPointsFromFile'), None)
        if load is None:
            raise ValueError(
                'The test pipeline has no LoadPointsFromFile, only '
                f'{", ".join(map(name_of, steps))}: give the config of a detector that reads points.'
            )
        dims = load.get('use_dim', [0, 1, 2])
        self.use_dim = list(range(dims)) if isinstance(dims, int) else dims
        self.load_dim = load.get('load_dim', 6)
        self.missing, self.seed = missing, seed
        self.coord_type = load['coord_type']
        load['type'] = 'mmdet3d.LoadPointsFromDict'
        self.steps = Compose(steps)

    def __call__(self, scan: Scan) -> dict:
        """Prepare a scan: one packed sample."""
        from mmdet3d.structures import get_box_type

        box_type, box_mode = get_box_type(self.coord_type)
        points = select_channels(scan.points, self.use_dim, scan.name, missing=self.missing)
        with isolate_rng(self.seed, torch.device('cpu')):
            return self.steps(
                dict(
                    points=points,
                    axis_align_matrix=np.eye(4),
                    lidar_path=scan.name,
                    box_type_3d=box_type,
                    box_mode_3d=box_mode,
                )
            )


def test_dataset(cfg: Config) -> dict:
    """Config of the test data set, without wrappers.

    Raises:
        ValueError: There is none, or it has no pipeline.
    """
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    while 'dataset' in dataset:  # a wrapper such as RepeatDataset
        dataset = dataset['dataset']
    if not dataset.get('pipeline'):
        raise ValueError(
            f'{cfg.filename or "The config"} has no test_dataloader with a '
            'pipeline: give the config of a detector.'
        )
    return dataset


def name_of(step: dict) -> str:
    """Name of a transform without its scope."""
    return step['type'].split('.')[-1]
