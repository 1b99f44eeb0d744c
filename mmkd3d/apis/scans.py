"""Scans of rooms as a detection config wants them: metres, z up, channels."""

import copy
import warnings
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose

from mmkd3d.datasets.checks import check_points
from mmkd3d.datasets.readers import select_channels
from mmkd3d.utils.rng import all_own_draws

LARGEST = 100.0  # metres from end to end of what is scanned indoors
TALLEST = 4.0  # metres that a room is seldom higher than
# How points are turned so that z is up.
TURNS = dict(x=[1, 2, 0], y=[2, 0, 1], z=[0, 1, 2])
ANNOTATIONS = ('LoadAnnotations3D', 'PointSegClassMapping')


class Scan(NamedTuple):
    """A scan in metres, z up.

    Attributes:
        name: Of the file, or its place among those given.
        points: (N, C) float32, xyz first.
    """

    name: str
    points: np.ndarray


def upright(name: str, points, up: str = 'z', unit: float = 1.0) -> Scan:
    """A scan in metres with z up.

    Warns, with the values, where the result makes no sense as one.

    Args:
        name: For warnings and errors.
        points: (N, >=3) array or tensor, xyz first.
        up: Which axis of the points is up.
        unit: Metres in a unit of the points: 0.001 for millimetres.

    Raises:
        ValueError: It is no cloud, is empty, or has a NaN.
    """
    if isinstance(points, torch.Tensor):
        points = points.detach().cpu().numpy()
    points = check_points(points, name)  # a copy, float32
    points[:, :3] = points[:, TURNS[up]] * np.float32(unit)
    doubt = doubt_of(np.ptp(points[:, :3], axis=0))
    if doubt:
        warnings.warn(f'{name}: {doubt}', stacklevel=2)
    return Scan(name, points)


def doubt_of(extent: np.ndarray) -> str:
    """A sentence if a room of this extent (3,) is none in metres, z up."""
    x, y, z = extent.tolist()
    text = f'the scan extends over {x:.4g} x {y:.4g} x {z:.4g}'
    if max(x, y, z) > LARGEST:
        return (
            f'{text}, rooms in metres do not exceed {LARGEST:g}. Say what '
            'one unit is in metres (unit=0.001 for millimetres).'
        )
    if z > TALLEST and z > 1.5 * min(x, y):
        axis = 'y' if y < x else 'x'
        return (
            f'{text}, rooms with z up are seldom higher than '
            f'{TALLEST:g}. If {axis} points up, say so (up={axis!r}).'
        )
    return ''


class ScanPipeline:
    """The test pipeline of a detection config, for scans without a data set.

    The step that reads a file makes way for one that takes points; an
    alignment, which only data sets know, is the identity; annotations are not
    loaded. What a step draws (points, mostly) is drawn from a seed, so that a
    scan is seen in one way whenever it comes.

    Args:
        cfg: Of a detection run.
        missing: For columns that a scan lacks: ``'error'`` or ``'zero'``.
        seed: Of the draws.

    Attributes:
        load_dim: Columns of the ``.bin`` files that the config is for.

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
                f'{", ".join(map(name_of, steps))}: scans are given to '
                'configs of detection in points.'
            )
        dims = load.get('use_dim', [0, 1, 2])
        self.use_dim = list(range(dims)) if isinstance(dims, int) else dims
        self.load_dim = load.get('load_dim', 6)
        self.missing, self.seed = missing, seed
        self.coord_type = load['coord_type']
        load['type'] = 'mmdet3d.LoadPointsFromDict'
        self.steps = Compose(steps)

    def __call__(self, scan: Scan) -> dict:
        """One packed sample."""
        from mmdet3d.structures import get_box_type

        box_type, box_mode = get_box_type(self.coord_type)
        points = select_channels(scan.points, self.use_dim, scan.name, missing=self.missing)
        with all_own_draws(self.seed, torch.device('cpu')):
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
    """Config of the test data, out of its wrappers.

    Raises:
        ValueError: There is none, or it has no pipeline.
    """
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    while 'dataset' in dataset:  # of a wrapper, as RepeatDataset
        dataset = dataset['dataset']
    if not dataset.get('pipeline'):
        raise ValueError(
            f'{cfg.filename or "The config"} has no test_dataloader with a '
            'pipeline: give that of a detection.'
        )
    return dataset


def name_of(step: dict) -> str:
    """Of a transform, without its scope."""
    return step['type'].split('.')[-1]
