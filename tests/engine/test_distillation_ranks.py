"""DistillationHook on two processes with different data."""

import os

import pytest
import torch

from mmkd3d.models.distillation import load_projector
from tests.engine.small_run import CONFIG, hook, make_runner, train

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group('ranks')]
ALL = dict(type='mmkd3d.StubAll')
WRAPPER = dict(
    type='MMDistributedDataParallel',
    device_ids=None,
    broadcast_buffers=False,
    find_unused_parameters=False,
)
CASES = dict(
    plain=dict(target=ALL),
    accumulated=dict(target=ALL, counts=2),
    one_is_blind=dict(target=dict(type='mmkd3d.StubPoints'), blind_rank=1),
)


def config(batch_size, counts=1):
    sampler = dict(type='DefaultSampler', shuffle=False)
    loader = dict(CONFIG['train_dataloader'], batch_size=batch_size, sampler=sampler)
    optim = dict(CONFIG['optim_wrapper'], accumulative_counts=counts)
    return dict(train_dataloader=loader, optim_wrapper=optim)


def without_dropout(runner):
    runner.model.apply(lambda m: setattr(m, 'p', 0.0))
    net = getattr(runner.model, 'module', runner.model)
    net.backbone.train = lambda mode=True: None
    net.backbone.training = False


def one_run(rank, cfg):
    os.environ['LOCAL_RANK'] = str(rank)
    target = dict(cfg['target'])
    if cfg.get('blind_rank') == rank:
        target['blind'] = True
    runner = make_runner(
        cfg['folder'],
        hook(target=target),
        launcher='pytorch',
        model_wrapper_cfg=WRAPPER,
        **config(2, cfg.get('counts', 1)),
    )
    without_dropout(runner)
    runner.train()
    projector = next(h for h in runner.hooks if hasattr(h, 'projector')).projector
    return (
        torch.cat([p.detach().flatten() for p in projector.parameters()]),
        torch.cat([p.detach().flatten() for p in runner.model.parameters()]),
    )


@pytest.fixture(scope='module')
def runs(ranks, tmp_path_factory):
    """Folder of the runs, and the weights of both ranks by run name."""
    folder = tmp_path_factory.mktemp('ranks')
    return folder, {
        name: ranks(one_run, dict(case, folder=str(folder / name))) for name, case in CASES.items()
    }


def test_two_processes_learn_what_one_learns_from_all_data(runs, tmp_path):
    runner = make_runner(tmp_path, hook(target=ALL), **config(4))
    without_dropout(runner)
    runner.train()
    weights = torch.cat([p.detach().flatten() for p in runner.model.parameters()])
    net = load_projector(tmp_path / 'epoch_3.pth')
    projector = torch.cat([p.detach().flatten() for p in net.parameters()])
    ours, model = runs[1]['plain'][0]
    assert torch.allclose(ours, projector, atol=1e-5)
    assert torch.allclose(model, weights, atol=1e-5)


def test_processes_keep_the_same_weights_and_their_projector_is_found(runs):
    folder, results = runs
    for name in CASES:
        projectors, models = zip(*results[name])
        assert torch.equal(*projectors) and torch.equal(*models), name
    net = load_projector(folder / 'accumulated/epoch_3.pth')
    saved = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert torch.equal(saved, results['accumulated'][0][0])
    assert not torch.equal(saved, results['plain'][0][0])


def test_it_resumes_in_one_process(runs, tmp_path):
    begin = str(runs[0] / 'plain/epoch_1.pth')
    _, watch = train(tmp_path, hook(target=ALL), resume=True, load_from=begin)
    assert sorted(watch.logs) == list(range(3, 11))
    assert watch['loss_distill'][10] < watch['loss_distill'][3]
