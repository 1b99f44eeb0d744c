"""A training step of ACT, part by part, against the published code."""
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from operator import attrgetter
from typing import NamedTuple

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS

from .measure import format_bytes, isolate, peak_memory, reset_peak
from .ops import SIZES, Inputs
from .published_act import make_published, parts_of

# stage -> part -> methods of the model that make it up
PARTS = {
    1: {
        'grouping': ('group.forward', ),
        'encoder':
        ('patch_embed.forward', 'graph_encoder.forward', 'quantizer.forward'),
        'transformer': ('transformer.forward', ),
        'decoder':
        ('graph_decoder.forward', 'decoder.forward', 'reconstruction_loss'),
    },
    2: {
        'grouping': ('backbone.group.forward', ),
        'teacher': ('teacher.forward_patches', ),
        'student': ('backbone.encode', ),
        'decoder': ('decoder.forward', 'proj.forward', 'distill.forward'),
    },
}
NOTE = (
    'reference: what the published code does, around the same weights, with a '
    'stage I network in train mode as teacher. Samplers (farthest points) and '
    'Chamfer distance are ours there too, in place of compiled operators; '
    'neighbours are found by a loop over clouds.\n'
    'Each mode in a process of its own; the fastest of several steps, whose '
    'parts add up to it. rest: masks, monitors and losses not named. Weights '
    'of the teacher are random. peak: GPU memory allocated, or resident '
    'memory of the whole process, weights and optimizer included.')


class Mode(NamedTuple):
    """How a step is computed.

    Attributes:
        published: As in the published code.
        train_mode: Whether stage II's teacher is in train mode.
        precision: Of the frozen transformer.
        autocast: bf16 for the whole step.
    """
    published: bool = False
    train_mode: bool = False
    precision: str = 'fp32'
    autocast: bool = False


MODES = {
    'reference': Mode(published=True, train_mode=True),
    'ours': Mode(),
    'ours, train-mode teacher': Mode(train_mode=True),
    'ours, bf16 teacher': Mode(precision='bf16'),
    'ours, bf16': Mode(precision='bf16', autocast=True),
}


class Case(NamedTuple):
    """What is measured, and where.

    Attributes:
        stage: 1 or 2.
        batch_size: Clouds of 1,024 points.
        device: 'cpu', 'cuda', ...
        quick: A tiny model, one step.
        num_threads: Of the CPU.
        matmul_precision: Of a GPU, convolutions included; see
            ``torch.set_float32_matmul_precision``.
    """
    stage: int
    batch_size: int
    device: str
    quick: bool
    num_threads: int
    matmul_precision: str


class Step(NamedTuple):
    """The fastest step and the memory of all.

    ``parts`` are seconds, their sum is ``seconds``; ``peak`` and ``weights``
    bytes.
    """
    seconds: float
    parts: dict[str, float]
    peak: int | None
    weights: int


class Stopwatch:
    """Seconds per part of a step; on a GPU between events of its stream."""

    def __init__(self, device: str):
        self._on_gpu = device.startswith('cuda')
        self._marks = []

    @contextmanager
    def __call__(self, part: str):
        start = self._mark()
        yield
        self._marks.append((part, start, self._mark()))

    def watch(self, model: nn.Module, path: str, part: str) -> None:
        """Time every call of the method at ``path``, 'decoder.forward'."""
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
            seconds[part] += (
                start.elapsed_time(end) / 1e3 if self._on_gpu else end - start)
        self._marks.clear()
        return seconds

    def _mark(self):
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def default_batch_size(stage: int, device: str) -> int:
    """As published, or what a CPU can bear."""
    return {1: 64, 2: 128}[stage] if device.startswith('cuda') else 8


def build_model(stage: int, mode: Mode, *, quick: bool = False) -> nn.Module:
    """Either stage at the published size, around a random ViT-B/16.

    Args:
        stage: 1: :class:`ACTAutoencoder`; 2: :class:`ACT`.
        mode: How it computes.
        quick: A tiny model instead.
    """
    torch.manual_seed(0)
    teacher = dict(
        type='mmkd3d.TimmTeacher',
        model_name='vit_base_patch16_384',
        random_weights=True)
    transformer = dict(precision=mode.precision, teacher=teacher)
    sizes, codes, depths = {}, {}, {}
    if quick:
        teacher['model_kwargs'] = dict(embed_dim=32, depth=2, num_heads=2)
        transformer['num_prompts'] = 4
        sizes = dict(num_groups=16, group_size=8, patch_dims=(8, 16))
        codes = dict(
            num_codes=64, edge_dims=(8, 16, 16, 16, 16), folding_dims=(32, 16))
        depths = dict(depth=2)
    model = dict(
        type='mmkd3d.ACTAutoencoder',
        transformer=transformer,
        **sizes,
        **codes)
    if stage == 2:
        model = dict(
            type='mmkd3d.ACT',
            backbone=dict(type='mmkd3d.PointTransformer', **sizes, **depths),
            decoder=dict(type='mmkd3d.MaskedDecoder', depth=2),
            masker=dict(type='mmkd3d.RandomMasker', ratio=0.8),
            loss=dict(type='mmkd3d.CosineLoss'),
            teacher=dict(
                type='mmkd3d.ACTTeacher',
                autoencoder=model,
                train_mode=mode.train_mode,
                random_weights=True))
    model = MODELS.build(model)
    if mode.published:
        make_published(model)
    return model.train()


def run_mode(mode: Mode, case: Case) -> Step | str:
    """Measure one mode; says why where that can't be done."""
    torch.set_num_threads(case.num_threads)
    on_gpu = case.device.startswith('cuda')
    if on_gpu:
        torch.set_float32_matmul_precision(case.matmul_precision)
        torch.backends.cudnn.allow_tf32 = case.matmul_precision != 'highest'
    model = build_model(case.stage, mode, quick=case.quick).to(case.device)
    size = SIZES['objects']._replace(num_points=1024)
    points = Inputs(size, case.batch_size, case.device).points
    optimizer = torch.optim.AdamW(model.parameters())
    watch = Stopwatch(case.device)
    for part, paths in PARTS[case.stage].items():
        for path in paths:
            watch.watch(model, path, part)
    warm_up, steps = (0, 1) if case.quick else (3, 20) if on_gpu else (1, 5)
    reset_peak(on_gpu)
    laps = []
    try:
        for _ in range(warm_up + steps):
            train_step(model, optimizer, points, mode.autocast, watch)
            laps.append(watch.lap())
    except torch.cuda.OutOfMemoryError:
        return 'out of memory'
    parts = dict(min(laps[warm_up:], key=lambda lap: lap['step']))
    seconds = parts.pop('step')
    parts['rest'] = seconds - sum(parts.values())
    weights = sum(
        p.nbytes for m in parts_of(model) for p in m.parameters(recurse=False))
    return Step(seconds, parts, peak_memory(on_gpu), weights)


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer,
               points: Tensor, autocast: bool, watch: Callable) -> None:
    """One step of training on ``points`` (B, N, 3)."""
    with watch('step'):
        with torch.autocast(points.device.type, torch.bfloat16, autocast):
            losses = model.loss(points, None)
        loss = sum(value for name, value in losses.items()
                   if name.startswith('loss'))
        with watch('backward'):
            loss.backward()
        with watch('optimizer'):
            optimizer.step()
            optimizer.zero_grad()


def run(case: Case) -> Iterator[tuple[str, Step | str]]:
    """Measure every mode that makes sense, each in a process of its own."""
    for name, mode in MODES.items():
        if mode.autocast and not case.device.startswith('cuda'):
            continue
        if case.stage == 1 and mode == Mode(train_mode=True):
            continue  # there is no other mode
        if case.quick:
            yield name, run_mode(mode, case)
            continue
        try:
            yield name, isolate(run_mode, mode, case)
        except BrokenProcessPool:
            yield name, 'killed (memory?)'


def table(found: dict[str, Step | str], case: Case) -> tuple[list, list]:
    """Header and rows, one for each mode."""
    parts = [*PARTS[case.stage], 'backward', 'optimizer', 'rest']
    header = [
        'mode', 'samples/s', 'reference / this', 'step, ms',
        *(f'{part}, ms' for part in parts), 'peak', 'weights'
    ]
    reference = found['reference']
    rows = []
    for name, step in found.items():
        if isinstance(step, str):
            rows.append([name, step, *[''] * (len(header) - 2)])
            continue
        ratio = ('' if isinstance(reference, str) else
                 f'{reference.seconds / step.seconds:.2f}x')
        rows.append([
            name, f'{case.batch_size / step.seconds:.2f}', ratio,
            f'{step.seconds * 1e3:.1f}',
            *(f'{step.parts[part] * 1e3:.1f}' for part in parts),
            format_bytes(step.peak),
            format_bytes(step.weights)
        ])
    return header, rows
