"""Optimizers that update all weights in one kernel."""

import copy

import pytest

from tests.engine.small_run import CONFIG, train


def test_a_fused_optimizer_gives_the_same_curve_and_resumes_a_run_without_one(tmp_path):
    plain = CONFIG['optim_wrapper']
    fused = copy.deepcopy(plain)
    fused['optimizer']['fused'] = True
    _, watch = train(tmp_path / 'plain', optim_wrapper=plain)
    _, fused_watch = train(tmp_path / 'fused', optim_wrapper=fused)
    assert fused_watch['loss'] == pytest.approx(watch['loss'], rel=1e-5)
    for begin, optim, whole in (('plain', fused, watch), ('fused', plain, fused_watch)):
        resume = dict(resume=True, load_from=str(tmp_path / begin / 'epoch_1.pth'))
        _, rest = train(tmp_path / f'from_{begin}', optim_wrapper=optim, **resume)
        kept = {i: loss for i, loss in whole['loss'].items() if i in rest['loss']}
        assert len(kept) == 8 and rest['loss'] == pytest.approx(kept, rel=1e-5)
