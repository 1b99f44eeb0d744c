"""Measure a training step of a method, part by part, in several modes."""

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
import torch.nn as nn
from mmengine.config import Config, ConfigDict
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from .caches import trust_caches, use_caches
from .inputs import num_points_of, object_batch, room_batch
from .interleave import Found, Job, interleave, quartiles, ratio
from .measure import peak_memory, reset_peak
from .methods import METHODS, Method, Mode
from .roofline import Roofline, count_flops
from .tables import format_bytes

NOTE = (
    'Each mode in a process of its own, one step of each in turn. Medians of all steps, and '
    'quartiles of the ratios. Parts are those of the forward pass; the rest is losses, masks and '
    'augmentation. Ours keep freed memory, as tools/train.py does. Weights of teachers are '
    'random. peak: GPU memory, or resident memory of the whole process. roofline: share of the matrix products that the machine made per second in '
    'the same minutes, in the same precision; not given where a step mixes two.'
)


class Case(NamedTuple):
    """Device and size of a measured step.

    Attributes:
        device: 'cpu', 'cuda', ...
        batch_size: None: as published on a GPU, a few samples on a CPU.
        num_threads: CPU threads.
        matmul_precision: Of float32 on a GPU, see ``torch.set_float32_matmul_precision``.
        shrink: A function that changes the config of the model, for tests.
    """

    device: str = 'cpu'
    batch_size: int | None = None
    num_threads: int = 1
    matmul_precision: str = 'high'
    shrink: Callable[[dict], dict] | None = None


class Stopwatch:
    """Seconds per part of a step; on a GPU measured with CUDA events."""

    def __init__(self, device: str):
        self._on_gpu = device.startswith('cuda')
        self._marks = []

    @contextmanager
    def __call__(self, part: str):
        start = self._mark()
        yield
        self._marks.append((part, start, self._mark()))

    def watch(self, model: nn.Module, path: str, part: str) -> None:
        """Time every call of the method at ``path``, such as 'decoder.forward'."""
        owner, _, name = path.rpartition('.')
        owner = attrgetter(owner)(model) if owner else model
        method = getattr(owner, name)

        def timed(*args, **kwargs):
            with self(part):
                return method(*args, **kwargs)

        setattr(owner, name, timed)

    def lap(self) -> dict[str, float]:
        """Seconds of each part since the last lap."""
        if self._on_gpu:
            torch.cuda.synchronize()
        seconds = defaultdict(float)
        for part, start, end in self._marks:
            seconds[part] += start.elapsed_time(end) / 1e3 if self._on_gpu else end - start
        self._marks.clear()
        return dict(seconds)

    def _mark(self):
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


class TrainStep:
    """A training step, always on the same batch; a job of :func:`interleave`.

    Args:
        name: Of a method.
        mode: How to run it.
        case: Device and size.
    """

    def __init__(self, name: str, mode: Mode, case: Case):
        MMLogger.get_current_instance().setLevel('WARNING')  # no line for each parameter
        if case.device == 'cpu' and not mode.published:
            keep_memory()
        method = METHODS[name]
        cfg = shipped_config(method.config)
        torch.set_float32_matmul_precision(case.matmul_precision)
        torch.backends.cudnn.allow_tf32 = case.matmul_precision != 'highest'
        torch.manual_seed(0)
        self.device, self.mode = torch.device(case.device), mode
        self.batch = make_batch(cfg, method, mode, case)
        self.model = build_model(cfg, method, mode, case, self.batch).to(case.device)
        self.optimizer = build_optimizer(cfg, self.model, mode)
        self.watch = Stopwatch(case.device)
        for part, paths in method.parts.items():
            for path in paths:
                self.watch.watch(self.model, path, part)
        self.on_gpu = case.device.startswith('cuda')
        reset_peak(self.on_gpu)

    def run(self) -> dict:
        """Run one step; returns seconds by part."""
        with self.watch('seconds'):
            self.step()
        lap = self.watch.lap()
        return dict(lap, rest=2 * lap['seconds'] - sum(lap.values()))

    def step(self) -> None:
        data = self.model.data_preprocessor(self.batch, True)
        with torch.autocast(self.device.type, torch.bfloat16, self.mode.autocast):
            losses = self.model(**data, mode='loss')
            loss, _ = self.model.parse_losses(losses)
        with self.watch('backward'):
            loss.backward()
        with self.watch('optimizer'):
            self.optimizer.step()
            self.optimizer.zero_grad()

    def info(self) -> dict:
        """Peak memory, and FLOPs or None if there is no memory to count them."""
        peak = peak_memory(self.on_gpu)
        try:
            flops = count_flops(self.step)
        except torch.cuda.OutOfMemoryError:
            flops = None
        return dict(peak=peak, batch_size=len(self.batch['data_samples']), flops=flops)


def keep_memory() -> None:
    """Keep freed memory as ``tools/train.py`` does; earlier versions did not."""
    try:
        from mmkd3d.utils.memory import keep_freed_memory
    except ImportError:
        return
    keep_freed_memory()


def shipped_config(name: str) -> Config:
    """Config by its name, or by its path in ``configs/``."""
    import mmkd3d

    path = Path(mmkd3d.__file__).parents[1] / 'configs' / name
    return mmkd3d.get_config(path if path.is_file() else name)


def build_model(cfg: Config, method: Method, mode: Mode, case: Case, batch: dict) -> nn.Module:
    """Model of a config in train mode, with random weights everywhere."""
    from benchmarks.published import make_published, parts_of
    from mmkd3d.registry import MODELS

    init_default_scope(cfg.default_scope)
    model_cfg = untrained(cfg.model.to_dict())
    if case.shrink is not None:
        model_cfg = case.shrink(model_cfg)
    if mode.cached:
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # open files stay
            use_caches(model_cfg, method.caches, batch['data_samples'], Path(folder))
            model = MODELS.build(ConfigDict(model_cfg))
            trust_caches(model)
    else:
        model = MODELS.build(ConfigDict(model_cfg))
    published_on_gpu = mode.published and case.device.startswith('cuda')
    precision = method.published_teacher if published_on_gpu else mode.teacher
    for part in parts_of(model):
        if isinstance(getattr(part, 'precision', None), str):
            part.precision = precision
    if mode.published:
        make_published(model, method.forms())
    return model.train()


def untrained(node):
    """Config with random weights of teachers in place of their files."""
    if isinstance(node, (list, tuple)):
        return [untrained(part) for part in node]
    if not isinstance(node, dict):
        return node
    node = {key: untrained(part) for key, part in node.items() if key != 'init_cfg'}
    if node.pop('checkpoint', None) is not None:
        node['random_weights'] = True
    return node


def build_optimizer(cfg: Config, model: nn.Module, mode: Mode) -> torch.optim.Optimizer:
    """Optimizer of a config, or a plain AdamW where the published form runs."""
    if mode.published:
        return torch.optim.AdamW(model.parameters())
    from mmengine.optim import build_optim_wrapper

    return build_optim_wrapper(model, cfg.optim_wrapper).optimizer


def make_batch(cfg: Config, method: Method, mode: Mode, case: Case) -> dict:
    """Random batch of the size of the config."""
    size = case.batch_size
    if size is None:
        on_gpu = case.device.startswith('cuda')
        size = cfg.train_dataloader.batch_size if on_gpu else method.cpu_batch
    num_points = 1024 if case.shrink else num_points_of(cfg)
    if method.is_room:
        channels = cfg.model.backbone.get('in_channels', 3)
        return room_batch(num_points, size, num_channels=channels)
    return object_batch(num_points, size, method.with_images and not mode.cached)


def measure_steps(
    name: str, case: Case, *, budget: float, before: str | None = None
) -> dict[str, Found | str]:
    """Measure the modes of a method in turn, and the roofline beside them.

    Args:
        name: Of the method.
        case: Device and size.
        budget: Seconds of all rounds.
        before: Root of another checkout, whose fp32 step is measured too.
    """
    modes = METHODS[name].modes()
    jobs = {mode: Job(TrainStep, (name, options, case)) for mode, options in modes.items()}
    if before:
        jobs = {'before': Job(TrainStep, (name, Mode(), case), before)} | jobs
    jobs['roofline'] = Job(Roofline, (case.device, case.matmul_precision))
    return interleave(jobs, num_threads=case.num_threads, budget=budget)


def step_table(name: str, found: dict[str, Found | str]) -> tuple[list, list]:
    """Header and rows of the table, one row per mode; the roofline is not a row."""
    method, modes, found = METHODS[name], METHODS[name].modes(), dict(found)
    roofline, references = found.pop('roofline'), [*found][: 2 if 'before' in found else 1]
    parts = [*method.parts, 'backward', 'optimizer', 'rest']
    header = ['mode', 'samples/s', *(f'against {r}' for r in references if r != 'ours')]
    header += ['step, ms', *(f'{part}, ms' for part in parts), 'peak', 'roofline']
    rows = []
    for mode, step in found.items():
        if isinstance(step, str):
            rows.append([mode, step, *[''] * (len(header) - 2)])
            continue
        ratios = [
            '' if isinstance(found[r], str) or r == mode else str(ratio(found[r], step))
            for r in references
            if r != 'ours'
        ]
        share = roofline_share(step, roofline, modes.get(mode, Mode()), method.with_teacher)
        rows.append(
            [
                mode,
                f'{step.info["batch_size"] / step.seconds:.2f}',
                *ratios,
                f'{step.seconds * 1e3:.0f}',
                *(f'{step.part(part) * 1e3:.0f}' for part in parts),
                format_bytes(step.info['peak']),
                share,
            ]
        )
    return header, rows


def roofline_share(step: Found, roofline: Found | str, mode: Mode, with_teacher: bool) -> str:
    """Share of the measured matrix products per second, '' where precisions are mixed."""
    mixed = with_teacher and not mode.cached and (mode.teacher == 'bf16') != mode.autocast
    if isinstance(roofline, str) or mixed or step.info['flops'] is None:
        return ''
    rates = [lap['bf16' if mode.autocast else 'fp32'] for lap in roofline.rounds]
    return f'{100 * step.info["flops"] / step.seconds / quartiles(rates)[0]:.0f} %'
