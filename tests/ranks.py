"""Two persistent processes that run functions with torch.distributed set up."""

import gc
import io
import os
import random
import tempfile
import time
import traceback
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope


class RankError(RuntimeError):
    """An error in one of the processes, with its traceback."""


class Ranks:
    """A pair of processes in one gloo group.

    They start at the first call and persist, because each start repeats all imports.
    ``ranks(function, *args)`` calls ``function(rank, *args)`` in both and returns
    ``[result of rank 0, result of rank 1]``. The function must be importable by name.

    Args:
        timeout: Time limit of a call in seconds.
        grace: Seconds to wait for the other process after one has failed.
    """

    def __init__(self, timeout: float = 300, grace: float = 10):
        self.timeout, self.grace = timeout, grace
        self.processes, self.pipes = [], []

    def start(self):
        context = mp.get_context('spawn')
        self.folder = tempfile.TemporaryDirectory()
        for rank in range(2):
            pipe, end = context.Pipe()
            process = context.Process(target=serve, args=(rank, end, self.folder.name), daemon=True)
            process.start()
            end.close()
            self.processes.append(process)
            self.pipes.append(pipe)

    def __call__(self, function, *args):
        if not self.processes:
            self.start()
        for pipe in self.pipes:
            pipe.send((function, args))
        replies = {}
        end = time.monotonic() + self.timeout
        while len(replies) < 2:
            waiting = [rank for rank in range(2) if rank not in replies]
            ready = wait([self.pipes[rank] for rank in waiting], max(end - time.monotonic(), 0))
            if not ready:
                break
            for rank in waiting:
                if self.pipes[rank] in ready:
                    replies[rank] = self.receive(rank)
                    if replies[rank][0]:
                        end = min(end, time.monotonic() + self.grace)
        errors = [
            f'rank {rank}: {replies[rank][0]}' if rank in replies else f'rank {rank}: no reply'
            for rank in range(2)
            if rank not in replies or replies[rank][0]
        ]
        if errors:
            if len(errors) == 1 or len(replies) < 2:
                self.stop()  # one process may be waiting for the other
            raise RankError('\n'.join(errors))
        return [replies[rank][1] for rank in range(2)]

    def receive(self, rank):
        try:
            return torch.load(io.BytesIO(self.pipes[rank].recv_bytes()), weights_only=False)
        except EOFError:
            return 'the process ended', None

    def stop(self):
        for process in self.processes:
            process.kill()
            process.join()
        for pipe in self.pipes:
            pipe.close()
        if self.processes:
            self.folder.cleanup()
        self.processes, self.pipes = [], []


def serve(rank, pipe, folder):
    """Run the functions received through the pipe until it is closed."""
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    while True:
        try:
            function, args = pipe.recv()
        except EOFError:
            return
        DefaultScope._instance_dict.clear()
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        gc.collect()
        gc.freeze()  # mmengine's datasets call gc.collect()
        try:
            reply = None, function(rank, *args)
        except Exception:
            reply = traceback.format_exc(), None
        buffer = io.BytesIO()
        torch.save(reply, buffer)
        pipe.send_bytes(buffer.getvalue())


def train(model, batches):
    """Take a step on each batch; every parameter must receive a gradient.

    Returns:
        Names of the losses, whether the weights changed, and the weights.
    """
    before = [p.detach().clone() for p in model.parameters()]
    optim = build_optim_wrapper(
        model, dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
    )
    wrapped = MMDistributedDataParallel(model, find_unused_parameters=False)
    names = set()
    for batch in batches:
        names |= wrapped.train_step(batch, optim).keys()
    weights = [p.detach() for p in model.parameters()]
    moved = any(not torch.equal(a, b) for a, b in zip(weights, before))
    return sorted(names), moved, torch.cat([w.flatten() for w in weights])


def train_config(rank, cfg, work_dir):
    """Train a config on the CPU with the data split over processes; returns the losses."""
    from mmengine.config import Config

    from mmkd3d.apis.cli import use_cpu_processes
    from tests import runs

    os.environ['LOCAL_RANK'] = str(rank)
    cfg = Config(cfg)
    use_cpu_processes(cfg)
    curve = runs.Curve()
    runs.train(cfg, Path(work_dir), curve, launcher='pytorch')
    return curve.losses
