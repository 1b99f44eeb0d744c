"""Measure what surrounds a training step: samples of a data set, boxes of a scan, start-up."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from .inputs import room_clouds
from .interleave import Found, Job, interleave
from .steps import shipped_config

REPO = Path(__file__).resolve().parents[1]
NUM_STORED = 8192
DATA_CONFIG = 'point-mae_pointvit-s_1xb128-300e_shapenet55'
COMMANDS = {
    'import mmkd3d': ['-c', 'import mmkd3d'],
    'tools/train.py --help': ['tools/train.py', '--help'],
    'tools/infer.py --help': ['tools/infer.py', '--help'],
    'the imports of a training': ['-c', 'import mmkd3d; from mmkd3d.registry import MODELS, DATASETS; '
        'from mmengine.runner import Runner; MODELS.get("PointMAE"); DATASETS.get("ShapeNet55")'],
}  # fmt: skip


class Samples:
    """Read and collate shapes of ShapeNet-55's format; a job of :func:`interleave`.

    Args:
        published: Do what the published data set does instead: load, take a random subset,
            normalise, make a tensor.
        num_shapes: Of a round.
    """

    def __init__(self, published: bool = False, num_shapes: int = 200):
        self.folder, self.num_shapes = TemporaryDirectory(), num_shapes
        root = Path(self.folder.name)
        (root / 'shapenet_pc').mkdir()
        generator = np.random.default_rng(0)
        for i in range(num_shapes):
            cloud = generator.standard_normal((NUM_STORED, 3)).astype(np.float32)
            np.save(root / 'shapenet_pc' / f'02691156-{i:032x}.npy', cloud)
        self.dataset = PublishedDataset(root) if published else our_dataset(root)
        self.collate = torch.utils.data.default_collate if published else pseudo_collate()
        self.run()

    def run(self) -> dict:
        start = time.process_time()
        self.collate([self.dataset[i] for i in range(self.num_shapes)])
        return dict(seconds=time.process_time() - start)

    def info(self) -> dict:
        self.folder.cleanup()
        return dict(samples=self.num_shapes)


class PublishedDataset:
    """The data set of Point-MAE's published code."""

    def __init__(self, root: Path):
        self.files = sorted((root / 'shapenet_pc').iterdir())
        self.order = np.arange(NUM_STORED)

    def __getitem__(self, index: int) -> torch.Tensor:
        cloud = np.load(self.files[index]).astype(np.float32)
        np.random.shuffle(self.order)
        cloud = cloud[self.order[:1024]]
        cloud = cloud - cloud.mean(0)
        cloud = cloud / np.max(np.sqrt(np.sum(cloud**2, axis=1)))
        return torch.from_numpy(cloud).float()


def our_dataset(root: Path):
    from mmengine.registry import init_default_scope

    from mmkd3d.registry import DATASETS

    cfg = shipped_config(DATA_CONFIG)
    init_default_scope(cfg.default_scope)
    dataset = cfg.train_dataloader.dataset
    dataset.update(data_root=str(root), whole=True)
    return DATASETS.build(dataset)


def pseudo_collate():
    from mmengine.dataset import pseudo_collate

    return pseudo_collate


class Inference:
    """Find boxes in a scan of 40,000 points with random weights; a job of :func:`interleave`.

    Args:
        config: Name of a config, or a path in ``configs/``.
    """

    def __init__(self, config: str):
        from mmkd3d import Det3DInferencer

        self.detect = Det3DInferencer(shipped_config(config), device='cpu')
        self.scan = room_clouds(1, 40000)[0].numpy()

    def run(self) -> dict:
        start = time.perf_counter()
        self.detect(self.scan)
        return dict(seconds=time.perf_counter() - start)

    def info(self) -> dict:
        return dict(samples=1)


class StartUp:
    """Run a command and wait for it; seconds are those of the CPU.

    Args:
        arguments: Of Python.
        checkout: Root of the checkout in which it runs.
    """

    def __init__(self, arguments: list[str], checkout: str):
        self.arguments, self.checkout = arguments, checkout

    def run(self) -> dict:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, *self.arguments],
            cwd=self.checkout,
            env=dict(os.environ, PYTHONPATH=self.checkout),
            stdout=subprocess.DEVNULL,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return dict(seconds=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def info(self) -> dict:
        return {}


def measure_samples(*, budget: float, before: str | None) -> dict[str, Found | str]:
    """Samples of ShapeNet-55: the published form, that of another checkout, and ours."""
    jobs = dict(published=Job(Samples, (True,)), ours=Job(Samples))
    return _measure(jobs, Job(Samples, (), before), budget, before)


def measure_inference(config: str, *, budget: float, before: str | None) -> dict[str, Found | str]:
    """Boxes of one scan."""
    return _measure(
        dict(ours=Job(Inference, (config,))), Job(Inference, (config,), before), budget, before
    )


def measure_start(name: str, *, budget: float, before: str | None) -> dict[str, Found | str]:
    """CPU seconds of one of ``COMMANDS``."""
    jobs = dict(ours=Job(StartUp, (COMMANDS[name], str(REPO))))
    return _measure(jobs, Job(StartUp, (COMMANDS[name], before)), budget, before)


def _measure(jobs: dict[str, Job], old: Job, budget: float, before: str | None) -> dict:
    if before:
        jobs = dict(before=old) | jobs
    return interleave(jobs, num_threads=1, budget=budget)
