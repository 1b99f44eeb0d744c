"""Detect objects in scans: files in, boxes with scores and images out."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch.nn as nn
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.infer import BaseInferencer
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, MODELS, init_default_scope

from mmkd3d.checkpoints import load_pretrained, read_checkpoint
from mmkd3d.datasets.readers import CloudInputs, attempt, is_dataset, read_local
from mmkd3d.utils.detections import Detections, best_score, found_boxes
from mmkd3d.utils.memory import keep_freed_memory
from mmkd3d.utils.names import check_class_names, stored_classes
from mmkd3d.utils.rng import isolate_rng
from mmkd3d.visualization.scenes import draw_scene, with_end

from .load import ConfigLike, device_of, find_config, stored_model
from .scans import AXES, Scan, ScanPipeline, test_dataset, upright

# The vertices of a mesh with at least so many are its points; of other meshes
# so many points are sampled.
MESH_POINTS = 40000


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
            Scans far from zero, e.g. in map coordinates, are moved for the
            model, and boxes moved back, see
            :func:`~mmkd3d.datasets.coordinates.origin_of`.
        seed: Seed of the sampling.
        trust: See :func:`~mmkd3d.load_student`.

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
        cfg = find_config(model, content, weights, detector=True, trust=trust)
        test_dataset(cfg)  # an error for other configs, before the model is built
        scope = cfg.get('default_scope', 'mmkd3d')
        init_default_scope(scope)
        if device_of(device).type == 'cpu':
            keep_freed_memory()
        self.missing, self.seed, self.trust = missing, seed, trust
        self.content = content if model is None and not trust else None
        self.up, self.unit = up, unit
        super().__init__(cfg, weights, str(device_of(device)), scope, show_progress=False)
        self.classes = class_names(cfg, content, self.model)

    def _init_model(self, cfg: Config, weights: str | Path | None, device: str) -> nn.Module:
        with stored_model(self.content, str(weights)) if self.content else nullcontext():
            model = MODELS.build(cfg.model)
        self.content = None
        if weights is None:
            self._load_weights_to_model(model, None, cfg)  # warns
        else:
            load_pretrained(model, weights, prefix='', trust=self.trust)
        return revert_sync_batchnorm(model).to(device).eval()

    def _init_pipeline(self, cfg: Config) -> ScanPipeline:
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
        columns: Sequence[str] | None = None,
        key: str | None = None,
        load_dim: int | None = None,
        drop_nan: bool = False,
        bad: list[str] | None = None,
    ) -> dict:
        """Detect objects.

        Args:
            inputs: A scan (N, 3 or more), scans (B, N, C), a list of scans of
                any sizes; a file, folder or pattern, or a list of these.
            batch_size: Scans per forward pass. Use 1 for mmdetection3d's
                GroupFree3D, whose head mixes up the scans of a batch.
            score_threshold: Boxes below it are left out.
            return_datasamples: Return data samples of mmdetection3d, with all
                boxes, instead of dicts. Their boxes are float32: ``origin`` of
                their metainfo, (3,) in metres, is to be added.
            out_dir: Folder for ``NAME.json`` and the files of
                :func:`~mmkd3d.visualization.scenes.draw_scene`; empty:
                nothing is written.
            no_save_pred: Write no JSON.
            no_save_vis: Write no images.
            columns, key, load_dim: For files, see
                :func:`~mmkd3d.datasets.readers.read_file`; ``load_dim`` is
                that of the config by default.
            drop_nan: Drop points with a NaN or infinite value.
            bad: Errors about files and scans that cannot be used are appended
                to this list, and the others are done; None: they are raised.

        Returns:
            dict: ``predictions``, a dict for each scan with its ``name``, the
            ``best_score`` of all boxes, and ``boxes``, best first: dicts with
            ``class_name``, ``label``, ``score``, ``center`` (gravity centre) and
            ``size`` in metres, and ``yaw`` in radians, counter-clockwise seen
            from above. Centres are in the coordinates of the scan, in double
            precision. A box has only its best class. ``visualization``: paths of
            the files of each scan.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: A scan is unusable or lacks columns.
        """
        scans = self._read(
            inputs, columns=columns, key=key, load_dim=load_dim, drop_nan=drop_nan, bad=bad
        )
        prepared = (
            (scan, sample) for scan in scans for sample in attempt(bad, self.pipeline, scan)
        )
        results: dict[str, list] = dict(predictions=[], visualization=[])
        taken: set[str] = set()
        for pairs in self._get_chunk_data(prepared, batch_size):
            chunk, inputs_of_chunk = zip(*pairs)
            samples = self.forward(self.collate_fn(inputs_of_chunk))
            for scan, sample in zip(chunk, samples):
                sample.set_metainfo(dict(origin=scan.origin))
            found = [found_boxes(s.pred_instances_3d, score_threshold) for s in samples]
            predictions = self.postprocess(chunk, found)
            for prediction, sample in zip(predictions, samples):
                prediction['best_score'] = best_score(sample.pred_instances_3d)
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
        if not results['predictions'] and not bad:
            raise ValueError('There is no scan in the inputs.')
        return results

    def _read(self, inputs: CloudInputs, *, load_dim: int | None, **options) -> Iterator[Scan]:
        if is_dataset(inputs):
            raise ValueError(
                'Scans are arrays or files, got a data set: evaluate it with '
                'tools/test.py, which draws with --show-dir.'
            )
        clouds = read_local(
            inputs,
            up=self.up,
            load_dim=load_dim or self.pipeline.load_dim,
            num_mesh_points=MESH_POINTS,
            dense_vertices=True,
            **options,
        )
        return (upright(cloud, self.up, self.unit) for cloud in clouds)

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
            draw_scene(stem, scan.points, dict(found=found), self.classes, origin=scan.origin)
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
                        center=(box[:3] + scan.origin).tolist(),
                        size=box[3:6].tolist(),
                        yaw=float(box[6]),
                    )
                    for box, label, score in zip(
                        found.boxes.astype(np.float64),
                        found.labels.tolist(),
                        np.asarray(found.scores).tolist(),
                    )
                ],
            )
            for scan, found in zip(inputs, preds)
        ]


def class_names(cfg: Config, content: dict | None, model: nn.Module) -> tuple[str, ...]:
    """Class names of a detector: of its checkpoint, else of the config's test data.

    Args:
        cfg: Of the detector.
        content: Of its checkpoint.
        model: With a ``bbox_head``.

    Raises:
        ValueError: There are none, not as many as the head predicts, or no list of names.
    """
    trained = stored_classes(content or {}) or check_class_names(
        ((content or {}).get('meta') or {}).get('CLASSES'), "the checkpoint's meta, CLASSES"
    )
    number = getattr(getattr(model, 'bbox_head', None), 'num_classes', None)
    named = check_class_names(config_classes(cfg), 'the config')
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
    return trained or named


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
