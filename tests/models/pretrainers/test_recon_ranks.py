"""ReCon on two processes, whole and with a part left out."""

import pytest
import torch

from tests.models import stub_teachers
from tests.models.pretrainers.test_recon import SIZES, recon
from tests.models.two_ranks import on_two_ranks, train

IMAGE = dict(type='mmkd3d.ImageTarget', teacher=dict(type='mmkd3d.StubImageTeacher'))
TEXT = dict(
    type='mmkd3d.TextTarget',
    teacher=dict(type='mmkd3d.StubTextTeacher'),
    prompts=stub_teachers.PROMPTS,
)
TARGETS = dict(img=IMAGE, text=TEXT)

# What is left out or other, and the losses that remain.
ALL = {'chamfer', 'img', 'text', 'contrast'}
CASES = {
    'all': (dict(), ALL),
    'no stop': (dict(stop_gradient=False), ALL),
    'no contrast': (dict(contrast=None), ALL - {'contrast'}),
    'no img': (dict(targets=dict(TARGETS, img=None)), ALL - {'img'}),
    'no text, no stop': (
        dict(stop_gradient=False, targets=dict(TARGETS, text=None)),
        ALL - {'text'},
    ),
    'no reconstruction': (dict(reconstruct=None), ALL - {'chamfer'}),
    'no global token': (dict(tokens=(), targets={}, contrast=None), {'chamfer'}),
    'no global loss': (dict(targets={}, contrast=None), {'chamfer'}),
    'gathered': (
        dict(contrast=dict(type='mmkd3d.SingleModalContrast', embed_dims=32, gather=True)),
        ALL,
    ),
    'towers': (
        dict(
            contrast=None,
            backbone=dict(
                type='mmkd3d.TwoTower',
                masked=dict(type='mmkd3d.PointTransformer', with_cls_token=False, **SIZES),
                contrast=dict(
                    type='mmkd3d.ReConTransformer',
                    plain_blocks=True,
                    global_tokens=('img', 'text'),
                    **SIZES,
                ),
            ),
        ),
        ALL - {'contrast'},
    ),
}


def two_steps(rank, kwargs):
    batches = []
    for step in range(2):
        begin = 10 * step + 4 * rank
        batches.append(
            dict(
                inputs=dict(
                    points=[
                        torch.cat([stub_teachers.cloud(i + 100 * k) for k in (1, 2)])
                        for i in range(begin, begin + 4)
                    ]
                ),
                data_samples=stub_teachers.make_samples(
                    4, begin=begin, image=stub_teachers.picture
                ),
            )
        )
    return train(recon(**{'targets': TARGETS, **kwargs}), batches)


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    return on_two_ranks(
        tmp_path_factory.mktemp('ranks'),
        two_steps,
        {name: kwargs for name, (kwargs, _) in CASES.items()},
    )


@pytest.mark.slow
@pytest.mark.parametrize('name', CASES)
def test_two_processes_train_without_unused_parameters(ranks, name):
    results = [rank[name] for rank in ranks]
    assert not any(isinstance(result, str) for result in results), results
    (names, moved, weights), (_, _, others) = results
    assert {n for n in names if n != 'loss'} == {f'loss_{loss}' for loss in CASES[name][1]}
    assert moved and torch.isfinite(weights).all()
    assert torch.equal(weights, others)
