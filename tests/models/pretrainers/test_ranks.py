"""Pretraining on two processes: no parameter is unused, and weights stay equal."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from torch.utils.data import DataLoader

from mmkd3d.engine.hooks.fit_targets import FitTargetsHook
from mmkd3d.models.targets.standardizer import FittedModule, unfitted
from tests.models import stub_teachers
from tests.models.pretrainers.test_concept_distillation import SETUPS, shapes
from tests.models.pretrainers.test_recon import CONTRAST, GLOBAL_LOSSES, NO_CONTRAST, TOWERS, recon
from tests.models.small_m2ae import build, clouds, i2p_mae, m2ae, student
from tests.ranks import train

TARGETS = dict(
    img=dict(type='mmkd3d.ImageTarget', teacher=dict(type='mmkd3d.StubImageTeacher')),
    text=dict(
        type='mmkd3d.TextTarget',
        teacher=dict(type='mmkd3d.StubTextTeacher'),
        prompts=stub_teachers.PROMPTS,
    ),
)
# Settings of ReCon, and the losses that they disable.
RECON = {
    'recon': (dict(), ()),
    'no stop': (dict(stop_gradient=False), ()),
    'no text, no stop': (dict(stop_gradient=False, losses=dict(text=None)), ('text',)),
    'no reconstruction': (dict(losses=dict(chamfer=None)), ('chamfer',)),
    'no global loss': (dict(losses=dict.fromkeys(GLOBAL_LOSSES)), GLOBAL_LOSSES),
    'gathered': (dict(losses=dict(contrast=dict(CONTRAST, gather=True))), ()),
    'towers': (dict(backbone=TOWERS, losses=NO_CONTRAST), ('contrast',)),
}
BOTH = {'loss_chamfer', 'loss_semantic'}
M2AE = {
    'i2p': (i2p_mae(), BOTH),
    'guided only': (i2p_mae(semantic=False), {'loss_chamfer'}),
    'random mask': (m2ae(), {'loss_chamfer'}),
    'one level': (i2p_mae(1, 1), BOTH),
    'four levels': (i2p_mae(4, 2), BOTH),
    'top alone': (i2p_mae(3, 1), BOTH),
    'visible alone': (i2p_mae(backbone=student(embed_masked=False)), BOTH),
    'no norms': (i2p_mae(backbone=student(norm_levels=())), BOTH),
    # nothing is masked below the top
    'nothing masked': (
        m2ae(
            backbone=student(group_sizes=(8, 4, 16)),
            masker=dict(type='mmkd3d.RandomMasker', ratio=0.2),
        ),
        {'loss_chamfer'},
    ),
}
CONCEPT = ('default', 'global_alone', 'concepts_alone', 'rebuilt', 'asked', 'pyramid_dropped')


def recon_steps(rank, kwargs):
    batches = []
    for step in range(2):
        begin = 10 * step + 4 * rank
        points = [
            torch.cat([stub_teachers.cloud(i + 100 * k) for k in (1, 2)])
            for i in range(begin, begin + 4)
        ]
        samples = stub_teachers.make_samples(4, begin=begin, image=stub_teachers.picture)
        batches.append(dict(inputs=dict(points=points), data_samples=samples))
    return train(recon(**{'targets': TARGETS, **kwargs}), batches)


def m2ae_steps(rank, cfg):
    batches = [dict(inputs=dict(points=[*clouds(3, seed=10 * step + rank)])) for step in range(2)]
    return train(build(cfg), batches)


def concept_steps(rank, name):
    """Fit targets on rank 0, the only rank with valid data, then take two steps."""
    torch.manual_seed(0)
    model = SETUPS[name]()
    fitted = [m for m in model.modules() if isinstance(m, FittedModule)]
    for module in fitted:
        module.count.zero_()
    data = [
        dict(inputs=dict(points=row), data_samples=sample)
        for row, sample in zip(shapes(16, 128), stub_teachers.make_samples(16))
    ]
    logged = []
    FitTargetsHook().before_train(
        SimpleNamespace(
            model=MMDistributedDataParallel(model),
            logger=SimpleNamespace(info=logged.append),
            train_loop=SimpleNamespace(dataloader=DataLoader([None] if rank else data)),
        )
    )
    assert bool(logged) == (rank == 0) and not unfitted(model)
    batches = []
    for step in range(2):
        generator = torch.Generator().manual_seed(2 * step + rank)
        points = [*torch.randn(4, 128, 3, generator=generator)]
        batches.append(dict(inputs=dict(points=points), data_samples=stub_teachers.make_samples(4)))
    buffers = torch.cat([b.double().flatten() for m in fitted for b in m.buffers()])
    names, moved, weights = train(model, batches)
    return names, moved, torch.cat([weights.double(), buffers])


@pytest.mark.slow
@pytest.mark.xdist_group('ranks')
@pytest.mark.parametrize('name', [*RECON, *M2AE, *CONCEPT])
def test_two_processes_train_alike(ranks, name):
    if name in RECON:
        results = ranks(recon_steps, RECON[name][0])
    elif name in M2AE:
        results = ranks(m2ae_steps, M2AE[name][0])
    else:
        results = ranks(concept_steps, name)
    (names, moved, weights), (_, _, others) = results
    losses = {n for n in names if n.startswith('loss_')}
    if name in RECON:
        every = ('chamfer', 'img', 'text', 'contrast')
        assert losses == {f'loss_{n}' for n in every if n not in RECON[name][1]}
    elif name in M2AE:
        assert losses == M2AE[name][1]
    assert moved == (name != 'nothing masked')
    assert torch.isfinite(weights).all() and torch.equal(weights, others)
