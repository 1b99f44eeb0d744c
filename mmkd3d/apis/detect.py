"""Detect objects in scans: files in, boxes with scores and images out."""

import copy
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.infer import BaseInferencer
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, MODELS, init_default_scope

from mmkd3d.checkpoints import load_pretrained, read_checkpoint
from mmkd3d.datasets.readers import CloudInputs, is_dataset, read_clouds, select_channels
from mmkd3d.utils.detections import Detections, found_boxes
from mmkd3d.utils.rng import isolate_rng
from mmkd3d.visualization.scenes import draw_scene, with_end

from .load import ConfigLike, find_config

# The vertices of a mesh with at least so many are its points; of other meshes
# so many points are sampled.
MESH_POINTS = 40000
LARGEST = 100.0  # metres: scans indoors are not longer
TALLEST = 4.0  # metres: rooms are seldom higher
AXES = dict(x=[1, 2, 0], y=[2, 0, 1], z=[0, 1, 2])  # axis that is up -> order with z up
ANNOTATIONS = ('LoadAnnotations3D', 'PointSegClassMapping')


class Scan(NamedTuple):
    """A scan in metres, z up.

    Attributes:
        name: Name of the file, or index of the input.
        points: (N, C) float32, xyz first.
    """

    name: str
    points: np.ndarray


class Det3DInferencer(BaseInferencer):
    """Detect objects in scans of rooms with any detection config.

    Like mmdetection3d's ``LidarDet3DInferencer``, but for indoor scans,
    without a display or compiled operators, and for all formats of
    :func:`~mmkd3d.datasets.readers.read_file`. Scans go through the test
    pipeline of the config with a fixed seed: the same scan gives the same
    boxes.

    Args:
        model: ``Config``, ``.py`` file, or name of a shipped config
            (``mmkd3d.list_models()``); None: the one in the checkpoint.
        weights: Checkpoint of the whole model; None: random weights, with a
            warning.
        device: None: a GPU if there is one.
        missing: ``'error'`` for columns that the config reads and a scan
            lacks, or ``'zero'`` to fill them.
        up: Axis of the scans that points up, ``'x'``, ``'y'`` or ``'z'``.
            Scans are turned; boxes always have z up.
        unit: Metres per unit of the scans, e.g. 0.001. Boxes are in metres.
        seed: Seed of the sampling.
        trust: See :func:`~mmkd3d.checkpoints.read_checkpoint`.

    Attributes:
        classes: Names of the labels.

    Raises:
        FileNotFoundError: There is no such config or checkpoint.
        ValueError: The weights do not fit the config, the class names do not
            fit the head, or the config is not for detection.
    """

    def __init__(
        self,
        model: ConfigLike = None,
        weights: str | Path | None = None,
        device: str | None = None,
        *,
        missing: str = 'error',
        up: str = 'z',
        unit: float = 1.0,
        seed: int = 0,
        trust: bool = False,
    ):
        if up not in AXES:
            raise ValueError(f'up is one of {", ".join(AXES)}, got {up!r}.')
        if not unit > 0:
            raise ValueError(f'unit is more than 0 metres, got {unit}.')
        content = read_checkpoint(weights, trust=trust) if weights else None
        cfg = find_config(model, content, weights)
        scope = cfg.get('default_scope', 'mmkd3d')
        init_default_scope(scope)
        self.missing, self.seed, self.trust = missing, seed, trust
        self.up, self.unit = up, unit
        super().__init__(cfg, weights, device, scope, show_progress=False)
        self.classes = class_names(cfg, content, self.model)

    def _init_model(self, cfg: Config, weights: str | Path | None, device: str) -> nn.Module:
        model = MODELS.build(cfg.model)
        if weights is None:
            self._load_weights_to_model(model, None, cfg)  # warns
        else:
            load_pretrained(model, weights, prefix='', trust=self.trust)
        return revert_sync_batchnorm(model).to(device).eval()

    def _init_pipeline(self, cfg: Config) -> 'ScanPipeline':
        return ScanPipeline(cfg, missing=self.missing, seed=self.seed)

    def _init_collate(self, cfg: Config) -> Callable:
        """Keep scans of different sizes in lists, as all indoor configs do."""
        return pseudo_collate

    def _init_visualizer(self, cfg: Config) -> None:
        """None: mmdetection3d's opens windows; :meth:`visualize` writes files."""

    def __call__(
        self,
        inputs: CloudInputs,
        batch_size: int = 1,
        *,
        score_threshold: float = 0.3,
        return_datasamples: bool = False,
        out_dir: str | Path = '',
        no_save_pred: bool = False,
        no_save_vis: bool = False,
        key: str | None = None,
        load_dim: int | None = None,
    ) -> dict:
        """Detect objects.

        Args:
            inputs: A scan (N, 3 or more), scans (B, N, C), a list of scans of
                any sizes; a file, folder or pattern, or a list of these.
            batch_size: Scans per forward pass. Use 1 for mmdetection3d's
                GroupFree3D, whose head mixes up the scans of a batch.
            score_threshold: Boxes below it are left out.
            return_datasamples: Return data samples of mmdetection3d, with all
                boxes, instead of dicts.
            out_dir: Folder for ``NAME.json`` and the files of
                :func:`~mmkd3d.visualization.scenes.draw_scene`; empty:
                nothing is written.
            no_save_pred: Write no JSON.
            no_save_vis: Write no images.
            key, load_dim: For files, see
                :func:`~mmkd3d.datasets.readers.read_file`; ``load_dim`` is
                that of the config by default.

        Returns:
            dict: ``predictions``, a dict for each scan with its ``name`` and
            ``boxes``, best first: dicts with ``class_name``, ``label``,
            ``score``, ``center`` (gravity centre) and ``size`` in metres, and
            ``yaw`` in radians, counter-clockwise seen from above. A box has
            only its best class. ``visualization``: paths of the files of each
            scan.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: A scan is unusable or lacks columns.
        """
        scans = self._read(inputs, key=key, load_dim=load_dim)
        results: dict[str, list] = dict(predictions=[], visualization=[])
        taken: set[str] = set()
        for chunk in self._get_chunk_data(scans, batch_size):
            samples = self.forward(self.collate_fn([self.pipeline(scan) for scan in chunk]))
            found = [found_boxes(s.pred_instances_3d, score_threshold) for s in samples]
            predictions = self.postprocess(chunk, found)
            paths: list[list[Path]] = [[] for _ in chunk]
            if out_dir:
                stems = [Path(out_dir) / file_name(scan.name, taken) for scan in chunk]
                if not no_save_vis:
                    paths = self.visualize(chunk, found, stems)
                if not no_save_pred:
                    for i, stem in enumerate(stems):
                        paths[i].insert(0, write_json(stem, predictions[i]))
            results['predictions'] += samples if return_datasamples else predictions
            results['visualization'] += paths
        if not results['predictions']:
            raise ValueError('There is no scan in the inputs.')
        return results

    def _read(self, inputs: CloudInputs, *, load_dim: int | None, **options) -> Iterator[Scan]:
        if is_dataset(inputs):
            raise ValueError(
                'Scans are arrays or files, got a data set: evaluate it with '
                'tools/test.py, which draws with --show-dir.'
            )
        clouds = read_clouds(
            inputs,
            load_dim=load_dim or self.pipeline.load_dim,
            num_mesh_points=MESH_POINTS,
            dense_vertices=True,
            **options,
        )
        return (upright(name, points, self.up, self.unit) for name, points in clouds)

    def forward(self, inputs: dict, **kwargs) -> list:
        """Data samples with ``pred_instances_3d``, on the CPU."""
        with isolate_rng(self.seed, next(self.model.parameters()).device):
            # cpu() leaves boxes where they are
            return [x.to('cpu') for x in super().forward(inputs, **kwargs)]

    def visualize(
        self, inputs: Sequence[Scan], preds: Sequence[Detections], stems: Sequence[Path]
    ) -> list[list[Path]]:
        """Draw boxes into scans; returns the paths for each scan."""
        return [
            draw_scene(stem, scan.points, dict(found=found), self.classes)
            for stem, scan, found in zip(stems, inputs, preds)
        ]

    def postprocess(self, inputs: Sequence[Scan], preds: Sequence[Detections]) -> list[dict]:
        """Turn boxes into plain data, see :meth:`__call__`."""
        return [
            dict(
                name=scan.name,
                boxes=[
                    dict(
                        class_name=self.classes[label],
                        label=label,
                        score=score,
                        center=box[:3],
                        size=box[3:6],
                        yaw=box[6],
                    )
                    for box, label, score in zip(*(np.asarray(x).tolist() for x in found))
                ],
            )
            for scan, found in zip(inputs, preds)
        ]


def upright(name: str, points: np.ndarray, up: str = 'z', unit: float = 1.0) -> Scan:
    """Turn a scan to z up and scale it to metres.

    Warns if the result is implausible for a room, with its extent.

    Args:
        name: Of the scan, for the warning.
        points: (N, >=3) float32, xyz first; changed in place.
        up: Axis of the points that is up.
        unit: Metres per unit of the points.
    """
    points[:, :3] = points[:, AXES[up]] * np.float32(unit)
    doubt = implausible(np.ptp(points[:, :3], axis=0))
    if doubt:
        warnings.warn(f'{name}: {doubt}', stacklevel=2)
    return Scan(name, points)


def implausible(extent: np.ndarray) -> str:
    """A sentence if an extent (3,) is not that of a room in metres with z up, else ''."""
    x, y, z = extent.tolist()
    text = f'the scan extends over {x:.4g} x {y:.4g} x {z:.4g}'
    if max(x, y, z) > LARGEST:
        return (
            f'{text}, rooms in metres do not exceed {LARGEST:g}. Give '
            'the metres per unit: unit=0.001 for millimetres.'
        )
    if z > TALLEST and z > 1.5 * min(x, y):
        axis = 'y' if y < x else 'x'
        return (
            f'{text}, rooms with z up are seldom higher than '
            f'{TALLEST:g}. If {axis} points up, set up={axis!r}.'
        )
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
                f'{", ".join(map(name_of, steps))}: give the config of a detection in points.'
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
            'pipeline: give the config of a detection.'
        )
    return dataset


def name_of(step: dict) -> str:
    """Name of a transform without its scope."""
    return step['type'].split('.')[-1]


def class_names(cfg: Config, content: dict | None, model: nn.Module) -> tuple[str, ...]:
    """Class names of a detector: of its checkpoint, else of the config's test data.

    Args:
        cfg: Of the detector.
        content: Of its checkpoint.
        model: With a ``bbox_head``.

    Raises:
        ValueError: There are none, or not as many as the head predicts.
    """
    meta = (content or {}).get('meta') or {}
    trained = (meta.get('dataset_meta') or {}).get('classes') or meta.get('CLASSES') or ()
    number = getattr(getattr(model, 'bbox_head', None), 'num_classes', None)
    named = config_classes(cfg)
    for names, whose in ((trained, 'checkpoint'), (named, 'config')):
        if names and number not in (None, len(names)):
            raise ValueError(
                f'The {whose} names {len(names)} classes, the head of the '
                f'model has num_classes={number}. Give the config the '
                'classes that the checkpoint was trained on (metainfo of '
                'test_dataloader.dataset, num_classes of bbox_head).'
            )
    if not (trained or named):
        raise ValueError(
            'Neither the checkpoint nor the config names the classes: set '
            'test_dataloader.dataset.metainfo=dict(classes=[...]).'
        )
    return tuple(trained or named)


def config_classes(cfg: Config) -> Sequence[str]:
    """Classes of the test data, or none, without building the data set."""
    dataset = test_dataset(cfg)
    for place in (dataset.get('metainfo') or {}, cfg.get('metainfo') or {}):
        if place.get('classes'):
            return place['classes']
    kind = DATASETS.get(dataset['type'])
    return cfg.get('class_names') or getattr(kind, 'METAINFO', {}).get('classes', ())


def file_name(name: str, taken: set[str]) -> str:
    """A unique file name for a scan; added to ``taken``."""
    path, _, index = name.partition('#')
    stem = '_'.join([Path(path).stem.replace(' ', '_'), index]).rstrip('_')
    unique, number = stem, 2
    while unique in taken:
        unique, number = f'{stem}_{number}', number + 1
    taken.add(unique)
    return unique


def write_json(stem: Path, prediction: dict) -> Path:
    """Write a prediction to ``STEM.json``."""
    path = with_end(stem, '.json')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(prediction, indent=1) + '\n')
    return path
