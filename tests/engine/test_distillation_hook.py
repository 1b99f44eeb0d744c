"""DistillationHook with a tiny model."""

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS

from mmkd3d.models.distillation import load_projector
from tests.engine.small_run import CONFIG, StubPoints, hook, make_runner, train, weights
from tests.helpers import rejects

NOISY = dict(type='mmkd3d.StubPoints', noise=0.1)
WATCH = dict(type='mmkd3d.CosineLoss', loss_weight=0.0)
ITERS = 12


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    """Losses, weights and checkpoint of a run without the hook."""
    folder = tmp_path_factory.mktemp('plain')
    runner, watch = train(folder)
    return watch['loss'], weights(runner), folder / 'epoch_3.pth'


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """Folder, logs and weights of a run with the hook."""
    folder = tmp_path_factory.mktemp('whole')
    runner, watch = train(folder, hook(target=NOISY))
    return folder, watch, weights(runner)


def read(path):
    return torch.load(path, weights_only=False)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def projector_of(runner):
    return next(h for h in runner.hooks if type(h).__name__ == 'DistillationHook').projector


def test_the_loss_is_part_of_what_is_trained_is_logged_and_falls(whole, plain):
    folder, watch, trained = whole
    losses = watch['loss_distill']
    assert sorted(losses) == list(range(1, ITERS + 1))
    assert sum(losses[i] for i in (10, 11, 12)) < 0.8 * sum(losses[i] for i in (1, 2, 3))
    assert all(0 < share < 1 for share in watch['distill_visible'].values())
    assert not same(trained, plain[1])
    assert watch['loss'][1] == pytest.approx(plain[0][1] + losses[1])
    net = load_projector(folder / 'epoch_3.pth')
    assert net(torch.rand(4, 6)).shape == (4, 5) and not net.training
    says = r"no projector 'text', only \['dist"
    rejects(says, load_projector, folder / 'epoch_3.pth', 'text')
    rejects(r'only \[\]', load_projector, plain[2])


def test_checkpoints_of_the_model_are_those_of_a_run_without(whole, plain):
    ours, theirs = read(whole[0] / 'epoch_3.pth'), read(plain[2])
    assert ours.keys() - {'distillation'} == theirs.keys()
    assert list(ours['state_dict']) == list(theirs['state_dict'])
    assert ours['param_schedulers'] == theirs['param_schedulers']
    assert ours['optimizer']['param_groups'] == theirs['optimizer']['param_groups']
    assert ours['optimizer']['state'].keys() == theirs['optimizer']['state'].keys()


@pytest.mark.parametrize('paramwise', [None, dict(norm_decay_mult=0.0)])
def test_weight_0_leaves_the_model_bit_equal(tmp_path, plain, paramwise):
    config = {}
    if paramwise is not None:  # one parameter group per weight
        config = dict(optim_wrapper=dict(CONFIG['optim_wrapper'], paramwise_cfg=paramwise))
        other, watch = train(tmp_path / 'plain', **config)
        plain = watch['loss'], weights(other), None
    before = StubPoints.calls
    runner, watch = train(tmp_path / 'run', hook(target=NOISY, loss=WATCH), **config)
    assert StubPoints.calls == before + ITERS
    assert watch['loss'] == plain[0]
    assert same(weights(runner), plain[1])
    assert set(watch['loss_distill'].values()) == {0.0}


def test_the_projector_learns_at_the_base_rate_of_the_schedule(tmp_path):
    paramwise = dict(custom_keys=dict(backbone=dict(lr_mult=0.1)))
    optim = dict(CONFIG['optim_wrapper'], paramwise_cfg=paramwise)
    runner = make_runner(tmp_path, hook(), optim_wrapper=optim)
    (own,) = (h for h in runner.hooks if type(h).__name__ == 'DistillationHook')
    rates, step = [], own._step

    def keep(wrapper):
        step(wrapper)
        groups = wrapper.optimizer.param_groups
        rates.append((own.optimizer.param_groups[0]['lr'], groups[-1]['lr'], groups[0]['lr']))

    own._step = keep
    runner.train()
    assert len(rates) == ITERS and len({ours for ours, *_ in rates}) > 5
    for ours, head, backbone in rates:
        assert ours == head == pytest.approx(10 * backbone)
    assert own.optimizer.param_groups[0]['weight_decay'] == 0.01


def test_a_resumed_run_goes_on_bit_by_bit(whole, tmp_path):
    folder, watch, trained = whole
    resume = dict(load_from=str(folder / 'epoch_1.pth'), resume=True)
    runner, rest = train(tmp_path, hook(target=NOISY), **resume)
    assert rest.logs == {i: watch.logs[i] for i in range(5, ITERS + 1)}
    assert same(weights(runner), trained)
    kept = [read(f / 'epoch_3.pth')['distillation']['distill'] for f in (tmp_path, folder)]
    assert same(*(k['projector'] for k in kept))
    states = [k['optimizer']['state'] for k in kept]
    assert len(states[0]) == 2
    for a, b in zip(*(state.values() for state in states)):
        assert same(a, b) and a['step'] == ITERS


def test_runs_with_and_without_the_hook_resume_from_each_other(whole, plain, tmp_path):
    begin = str(whole[0] / 'epoch_1.pth')
    runner, watch = train(tmp_path / 'a', load_from=begin, resume=True)
    assert sorted(watch.logs) == list(range(5, ITERS + 1))
    assert 'loss_distill' not in watch.logs[5]
    assert 'distillation' not in read(tmp_path / 'a/epoch_3.pth')
    begin = str(plain[2].with_name('epoch_1.pth'))
    _, watch = train(tmp_path / 'b', hook(), load_from=begin, resume=True)
    assert sorted(watch.logs) == list(range(5, ITERS + 1))
    assert watch['loss_distill'][12] < watch['loss_distill'][5]


def test_load_from_alone_starts_a_new_projector(whole, tmp_path):
    _, watch = train(tmp_path, hook(target=NOISY), load_from=str(whole[0] / 'epoch_3.pth'))
    assert watch['loss_distill'][1] > 1.2 * whole[1]['loss_distill'][12]


def test_hidden_layers_and_a_name_of_its_own(tmp_path):
    two = hook(projector=dict(hidden=(4,)), name='other')
    runner, watch = train(tmp_path / 'a', hook(), two)
    assert watch['loss_other'][12] < watch['loss_other'][1]
    net = load_projector(tmp_path / 'a/epoch_3.pth', 'other')
    assert [p.shape for p in net.parameters()] == [(4, 6), (4,), (5, 4), (5,)]
    resume = dict(resume=True, load_from=str(tmp_path / 'a/epoch_2.pth'))
    _, rest = train(tmp_path / 'b', hook(), two, **resume)
    assert rest.logs == {i: watch.logs[i] for i in range(9, ITERS + 1)}
    rejects('already has', train, tmp_path / 'c', hook(), hook())


@pytest.mark.parametrize('by_epoch', [True, False])
def test_after_its_share_of_training_the_loss_is_gone(tmp_path, by_epoch):
    cfg = dict(max_epochs=3) if by_epoch else dict(max_iters=ITERS)
    before = StubPoints.calls
    runner, watch = train(tmp_path / 'a', hook(until=0.5), train_cfg=dict(cfg, by_epoch=by_epoch))
    assert StubPoints.calls == before + ITERS // 2
    losses = watch['loss_distill']
    assert [i for i in losses if losses[i] is not None] == [1, 2, 3, 4, 5, 6]
    if by_epoch:  # resuming after the end of distillation keeps the projector
        resume = dict(resume=True, load_from=str(tmp_path / 'a/epoch_2.pth'))
        train(tmp_path / 'b', hook(until=0.5), **resume)
        kept = [read(tmp_path / f / 'epoch_3.pth')['distillation']['distill'] for f in 'ab']
        assert same(*(k['projector'] for k in kept))


def test_evaluation_and_hooks_that_are_left_behind(whole, tmp_path):
    before = StubPoints.calls
    runner, _ = train(tmp_path, hook())
    calls = StubPoints.calls
    assert calls == before + ITERS
    batch = next(iter(runner.train_dataloader))
    batch = runner.model.data_preprocessor(batch, True)
    losses = runner.model.train()(**batch, mode='loss')
    assert list(losses) == ['loss_far'] and StubPoints.calls == calls
    assert not runner.model._forward_hooks
    assert not runner.model.backbone._forward_hooks


def test_other_modes_in_training_get_no_loss(tmp_path):
    runner = make_runner(tmp_path, hook())
    forward = runner.model.forward
    outputs = []

    def watched(inputs, data_samples=None, mode='tensor'):
        if mode == 'loss':
            outputs.append(runner.model(inputs, data_samples))
        return forward(inputs, data_samples, mode)

    runner.model.forward = watched
    runner.train()
    assert len(outputs) == ITERS
    assert all(isinstance(x, torch.Tensor) for x in outputs)


def test_without_a_place_that_is_seen_the_loss_is_0(tmp_path, plain):
    blind = dict(type='mmkd3d.StubPoints', blind=True)
    runner, watch = train(tmp_path, hook(target=blind))
    assert set(watch['loss_distill'].values()) == {0.0}
    assert watch['loss'][1] == plain[0][1]
    assert all(v.isfinite().all() for v in weights(runner).values())


def test_mixed_precision(tmp_path, whole):
    optim = dict(CONFIG['optim_wrapper'], type='mmkd3d.Bf16OptimWrapper')
    runner, watch = train(tmp_path, hook(target=NOISY), optim_wrapper=optim)
    losses, exact = watch['loss_distill'], whole[1]['loss_distill']
    assert losses == pytest.approx(exact, rel=0.1) and losses != exact
    net = load_projector(tmp_path / 'epoch_3.pth')
    assert {p.dtype for p in net.parameters()} == {torch.float32}


class AddForwardHook(Hook):
    def __init__(self, hook):
        self.hook = hook

    def before_train(self, runner):
        runner.model.register_forward_hook(self.hook, with_kwargs=True)


@OPTIM_WRAPPERS.register_module(force=True)
class ScaledWrapper(AmpOptimWrapper):
    """Loss scaling on the CPU; mmengine's wrapper needs a GPU."""

    def __init__(self, **kwargs):
        OptimWrapper.__init__(self, **kwargs)
        self.loss_scaler = torch.amp.GradScaler('cpu', init_scale=8.0, growth_interval=2)
        self._scale_update_param = None

    def optim_context(self, model):
        return OptimWrapper.optim_context(self, model)


@pytest.mark.skipif(not hasattr(torch.amp, 'GradScaler'), reason='no GradScaler for the CPU')
def test_loss_scaling_changes_nothing_and_overflows_are_skipped(tmp_path, whole):
    optim = dict(CONFIG['optim_wrapper'], type='ScaledWrapper')
    _, watch = train(tmp_path / 'a', hook(target=NOISY), optim_wrapper=optim)
    assert watch['loss_distill'] == pytest.approx(whole[1]['loss_distill'], rel=1e-4)

    runner = make_runner(tmp_path / 'b', hook(target=NOISY), optim_wrapper=optim)
    (own,) = (h for h in runner.hooks if type(h).__name__ == 'DistillationHook')
    before, after = [], []

    def overflow(model, args, kwargs, losses):
        if runner.iter == 5 and kwargs.get('mode') == 'loss':
            before.extend(p.detach().clone() for p in own.projector.parameters())
            losses['loss_far'] = losses['loss_far'] * torch.inf
        elif runner.iter == 6:
            after.extend(p.detach().clone() for p in own.projector.parameters())
        return losses

    runner.register_hook(AddForwardHook(overflow), priority='VERY_LOW')
    runner.train()
    assert len(before) == 2 and all(map(torch.equal, before, after))
    assert all(p.isfinite().all() for p in own.projector.parameters())


def test_gradients_are_accumulated_to_those_of_a_joined_batch(tmp_path):
    gradients = []
    for size, counts in ((4, 1), (2, 2)):
        sampler = dict(type='DefaultSampler', shuffle=False)
        optim = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1e-3))
        runner = make_runner(
            tmp_path / str(size),
            # all points are visible, so that means are over equal counts
            hook(target=dict(type='mmkd3d.StubAll')),
            train_dataloader=dict(CONFIG['train_dataloader'], batch_size=size, sampler=sampler),
            train_cfg=dict(by_epoch=False, max_iters=counts),
            optim_wrapper=dict(optim, accumulative_counts=counts),
            param_scheduler=None,
        )
        runner.model.backbone.training = False
        runner.model.backbone.train = lambda mode=True: None  # keeps dropout off
        found = []
        step = OptimWrapper.step

        def keep(wrapper, **kwargs):
            found.extend(p.grad.clone() for p in projector_of(runner).parameters())
            step(wrapper, **kwargs)

        runner.optim_wrapper['type'] = type('Keeping', (OptimWrapper,), dict(step=keep))
        runner.train()
        gradients.append(found)
    assert len(gradients[0]) == len(gradients[1]) == 2
    for joined, summed in zip(*gradients):
        assert torch.allclose(joined, summed, atol=1e-7)
        assert joined.abs().max() > 1e-4


class TwoOptimizers:
    def __init__(self, optim_wrapper_cfg, paramwise_cfg=None):
        pass

    def __call__(self, model):
        parts = {name: getattr(model, name) for name in ('backbone', 'head')}
        sgd = lambda part: OptimWrapper(torch.optim.SGD(part.parameters(), lr=1.0))
        return OptimWrapperDict(**{name: sgd(part) for name, part in parts.items()})


def test_what_can_not_be_distilled_is_refused(whole, tmp_path):
    resume = dict(resume=True, load_from=str(whole[0] / 'epoch_1.pth'))
    wide = dict(target=dict(type='mmkd3d.StubPoints', dims=7))
    tokens = dict(type='mmkd3d.StudentFeatures', kind='tokens')
    OPTIM_WRAPPER_CONSTRUCTORS.register_module(module=TwoOptimizers, force=True)
    optim = dict(constructor='TwoOptimizers', a=dict(), b=dict())
    several = dict(optim_wrapper=optim, param_scheduler=None)
    for change, config, message in (
        (wide, resume, r'maps width 6 to \[5\], expected \[7\]'),
        (dict(projector=dict(hidden=(4,))), resume, r'to \[5\], expected \[4, 5\]'),
        (dict(student='bakbone'), {}, "no module 'bakbone'. Did you mean backbone"),
        (dict(student='zzz'), {}, 'mean data_preprocessor, backbone, head, unused'),
        (dict(student='unused'), {}, "not call its module 'unused'"),
        (dict(student='head', adapter=tokens), {}, r'tensor \(2, 16, 1\).*\(2, 16, 3'),
        (dict(), several, 'got OptimWrapperDict'),
        (dict(until=0.0), {}, r'in \(0, 1\]'),
        (dict(until=1.5), {}, r'in \(0, 1\]'),
    ):
        rejects(message, train, tmp_path, hook(**change), **config)
    runner = make_runner(tmp_path, hook(frames=dict(root='frames')))
    runner.model.data_preprocessor.augments.append(torch.nn.Identity())
    rejects('augment in the pipeline', runner.train)
