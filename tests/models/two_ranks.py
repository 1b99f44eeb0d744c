"""Training on two processes, each with its own data."""

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper


def train(model, batches):
    """A step on each batch, with no parameter that may be unused.

    Returns:
        The losses' names, whether weights moved, and the weights.
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


def one_rank(rank, folder, run, cases):
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    results = {}
    for name, cfg in cases.items():
        try:
            results[name] = run(rank, cfg)
        except RuntimeError as error:
            results[name] = str(error)
    torch.save(results, f'{folder}/{rank}.pt')
    dist.destroy_process_group()


def on_two_ranks(folder, run, cases):
    """What ``run(rank, case)`` returns, or its error: by rank and name."""
    mp.spawn(one_rank, (str(folder), run, cases), nprocs=2)
    return [torch.load(folder / f'{rank}.pt') for rank in range(2)]
