"""Point-M2AE and I2P-MAE on two processes, with no parameter unused."""
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper

from .small_m2ae import build, clouds, i2p_mae, m2ae, student

ALL = {'chamfer', 'semantic'}
CASES = {
    'i2p': (i2p_mae(), ALL),
    'guided only': (i2p_mae(semantic_loss=None), {'chamfer'}),
    'standardized': (i2p_mae(standardize=True), ALL),
    'random mask': (m2ae(), {'chamfer'}),
    'one level': (i2p_mae(1, 1), ALL),
    'two levels': (i2p_mae(2, 2), ALL),
    'three stages': (i2p_mae(3, 3), ALL),
    'four levels': (i2p_mae(4, 2), ALL),
    'top alone': (i2p_mae(3, 1), ALL),
    'visible alone': (i2p_mae(backbone=student(embed_masked=False)), ALL),
    'no norms': (i2p_mae(backbone=student(norm_levels=())), ALL),
    'drop path': (i2p_mae(backbone=student(drop_path_rate=0.5)), ALL),
    # nothing is masked below the top
    'nothing to rebuild': (m2ae(
        backbone=student(group_sizes=(8, 4, 16)),
        masker=dict(type='mmkd3d.RandomMasker', ratio=0.2)), {'chamfer'}),
}


def two_steps(rank, cfg):
    """The losses' names, whether weights moved, and the weights."""
    model = build(cfg)
    before = [p.detach().clone() for p in model.parameters()]
    optim = build_optim_wrapper(
        model, dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)))
    wrapped = MMDistributedDataParallel(model, find_unused_parameters=False)
    names = set()
    for step in range(2):
        points = clouds(3, seed=10 * step + rank)
        names |= wrapped.train_step(dict(inputs=dict(points=[*points])),
                                    optim).keys()
    weights = [p.detach() for p in model.parameters()]
    moved = any(not torch.equal(a, b) for a, b in zip(weights, before))
    return sorted(names), moved, torch.cat([w.flatten() for w in weights])


def one_rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    results = {}
    for name, (cfg, _) in CASES.items():
        try:
            results[name] = two_steps(rank, cfg)
        except RuntimeError as error:
            results[name] = str(error)
    torch.save(results, f'{folder}/{rank}.pt')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp('ranks')
    mp.spawn(one_rank, (str(folder), ), nprocs=2)
    return [torch.load(folder / f'{rank}.pt') for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize('name', CASES)
def test_two_processes_train_without_unused_parameters(ranks, name):
    results = [rank[name] for rank in ranks]
    assert not any(isinstance(result, str) for result in results), results
    (names, moved, weights), (_, _, others) = results
    assert {n for n in names if n != 'loss'} == {
        f'loss_{loss}' for loss in CASES[name][1]}
    assert torch.isfinite(weights).all()
    assert moved == (name != 'nothing to rebuild')
    assert torch.equal(weights, others)
