"""ReCon on two processes, whole and with a part left out."""
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper

from tests.models import stub_teachers
from tests.models.test_recon import SIZES, recon

IMAGE = dict(
    type='mmkd3d.ImageTarget', teacher=dict(type='mmkd3d.StubImageTeacher'))
TEXT = dict(
    type='mmkd3d.TextTarget',
    teacher=dict(type='mmkd3d.StubTextTeacher'),
    prompts=stub_teachers.PROMPTS)
TARGETS = dict(img=IMAGE, text=TEXT)

# What is left out or other, and the losses that remain.
ALL = {'chamfer', 'img', 'text', 'contrast'}
CASES = {
    'all': (dict(), ALL),
    'no stop': (dict(stop_gradient=False), ALL),
    'no contrast': (dict(contrast=None), ALL - {'contrast'}),
    'no img': (dict(targets=dict(TARGETS, img=None)), ALL - {'img'}),
    'no text, no stop': (dict(
        stop_gradient=False, targets=dict(TARGETS, text=None)),
                         ALL - {'text'}),
    'no reconstruction': (dict(reconstruct=None), ALL - {'chamfer'}),
    'no global token': (dict(tokens=(), targets={}, contrast=None),
                        {'chamfer'}),
    'no global loss': (dict(targets={}, contrast=None), {'chamfer'}),
    'gathered': (dict(contrast=dict(
        type='mmkd3d.SingleModalContrast', embed_dims=32, gather=True)), ALL),
    'towers': (dict(
        contrast=None,
        backbone=dict(
            type='mmkd3d.TwoTower',
            masked=dict(
                type='mmkd3d.PointTransformer', with_cls_token=False,
                **SIZES),
            contrast=dict(
                type='mmkd3d.ReConTransformer', plain_blocks=True,
                global_tokens=('img', 'text'), **SIZES))),
               ALL - {'contrast'}),
}


def two_steps(rank, kwargs):
    """The losses' names, and whether the weights moved to a finite place."""
    model = recon(**{'targets': TARGETS, **kwargs})
    before = [p.detach().clone() for p in model.parameters()]
    optim = build_optim_wrapper(
        model, dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)))
    wrapped = MMDistributedDataParallel(model, find_unused_parameters=False)
    names = set()
    for step in range(2):
        begin = 10 * step + 4 * rank
        data = dict(
            inputs=dict(points=[
                torch.cat([stub_teachers.cloud(i + 100 * k) for k in (1, 2)])
                for i in range(begin, begin + 4)
            ]),
            data_samples=stub_teachers.make_samples(
                4, begin=begin, image=stub_teachers.picture))
        names |= wrapped.train_step(data, optim).keys()
    weights = [p.detach() for p in model.parameters()]
    moved = any(not torch.equal(a, b) for a, b in zip(weights, before))
    return sorted(names), moved, torch.cat([w.flatten() for w in weights])


def one_rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    results = {}
    for name, (kwargs, _) in CASES.items():
        try:
            results[name] = two_steps(rank, kwargs)
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
    assert moved and torch.isfinite(weights).all()
    assert torch.equal(weights, others)
