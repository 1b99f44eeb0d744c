"""Point-M2AE and I2P-MAE on two processes, with no parameter unused."""

import pytest
import torch

from ..small_m2ae import build, clouds, i2p_mae, m2ae, student
from ..two_ranks import on_two_ranks, train

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
    'nothing to rebuild': (
        m2ae(
            backbone=student(group_sizes=(8, 4, 16)),
            masker=dict(type='mmkd3d.RandomMasker', ratio=0.2),
        ),
        {'chamfer'},
    ),
}


def two_steps(rank, cfg):
    batches = [dict(inputs=dict(points=[*clouds(3, seed=10 * step + rank)])) for step in range(2)]
    return train(build(cfg), batches)


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    return on_two_ranks(
        tmp_path_factory.mktemp('ranks'), two_steps, {name: cfg for name, (cfg, _) in CASES.items()}
    )


@pytest.mark.slow
@pytest.mark.parametrize('name', CASES)
def test_two_processes_train_without_unused_parameters(ranks, name):
    results = [rank[name] for rank in ranks]
    assert not any(isinstance(result, str) for result in results), results
    (names, moved, weights), (_, _, others) = results
    assert {n for n in names if n != 'loss'} == {f'loss_{loss}' for loss in CASES[name][1]}
    assert torch.isfinite(weights).all()
    assert moved == (name != 'nothing to rebuild')
    assert torch.equal(weights, others)
