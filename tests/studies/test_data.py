"""Test shapes of a training that were learned from."""

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmkd3d.datasets.identity import identify
from mmkd3d.registry import DATASETS
from mmkd3d.studies import runner as runner_module
from mmkd3d.studies.data import checkpoints_of, identify_data, shared_notes
from tests.studies.test_study import FINETUNE, start

LOAD = [dict(type='mmkd3d.LoadPoints')]


@pytest.fixture
def shapes(tmp_path):
    """Ten clouds, of which three are the first ones of another file."""
    rng = np.random.default_rng(0)
    clouds = rng.normal(size=(10, 32, 3)).astype(np.float32)
    labels = np.arange(10) % 2
    np.savez(tmp_path / 'all.npz', points=clouds, label=labels, test=np.arange(10) >= 6)
    np.savez(tmp_path / 'some.npz', points=clouds[7:, ::-1], label=labels[7:])
    return tmp_path


def npz(path, **more):
    return dict(type='mmkd3d.NpzPoints', file=str(path), label='label', pipeline=LOAD, **more)


def config(folder, **model):
    halves = dict(file=folder / 'all.npz')
    return Config(
        dict(
            model=model,
            train_dataloader=dict(dataset=npz(halves['file'], split='test', split_value=False)),
            test_dataloader=dict(dataset=npz(halves['file'], split='test', split_value=True)),
        )
    )


def checkpoint(folder, dataset):
    cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
    torch.save(
        dict(state_dict=dict(x=torch.zeros(1)), meta=dict(cfg=cfg.pretty_text)),
        folder / 'student.pth',
    )
    return dict(init_cfg=dict(type='Pretrained', checkpoint=str(folder / 'student.pth')))


def test_both_halves_are_known(shapes):
    cfg = config(shapes)
    known = identify_data(cfg)
    assert {k: len(v.names) for k, v in known.items()} == dict(train=6, test=4)
    assert known['test'].hash == identify(DATASETS.build(cfg.test_dataloader.dataset)).hash
    assert shared_notes(cfg, known) == []


def test_shapes_that_were_pretrained_on_are_refused(shapes):
    start_from = checkpoint(shapes, npz(shapes / 'some.npz'))
    cfg = config(shapes, backbone=start_from)
    known = identify_data(cfg)
    with pytest.raises(ValueError, match='3 of 4 test shapes .*pretraining'):
        shared_notes(cfg, known)
    assert shared_notes(cfg, known, allow=True) == ['3 test shapes are in the pretraining data']


def test_a_student_of_other_shapes_passes(shapes):
    start_from = checkpoint(shapes, npz(shapes / 'all.npz', split='test', split_value=False))
    cfg = config(shapes, backbone=start_from)
    assert shared_notes(cfg, identify_data(cfg)) == []


def test_shapes_in_both_halves_are_noted(shapes):
    cfg = config(shapes)
    cfg.train_dataloader.dataset = npz(shapes / 'some.npz')
    assert shared_notes(cfg, identify_data(cfg)) == ['3 test shapes are in the training set']


def test_all_files_that_a_model_starts_from_are_looked_at():
    cfg = Config(
        dict(
            load_from='a.pth',
            model=dict(
                backbone=dict(init_cfg=dict(checkpoint='b.pth')),
                heads=[
                    dict(init_cfg=dict(checkpoint='c.pth')),
                    dict(init_cfg=dict(checkpoint='b.pth')),
                    dict(init_cfg=None),
                ],
            ),
        )
    )
    assert checkpoints_of(cfg) == ['b.pth', 'c.pth', 'a.pth']


def test_a_study_refuses_before_it_trains(tmp_path, monkeypatch):
    def shared(cfg, known, *, allow):
        if allow:
            return ['3 test shapes are in the pretraining data']
        raise ValueError('3 of 4 test shapes are in the pretraining data')

    monkeypatch.setattr(runner_module, 'identify_data', lambda cfg: dict())
    monkeypatch.setattr(runner_module, 'shared_notes', shared)
    step = dict(train=FINETUNE, test=True)
    runner, records = start(tmp_path, dict(steps=dict(a=step)))
    assert runner.calls == [] and records == []
    assert '3 of 4 test shapes' in runner.failed['a/seed_0']
    runner, (record,) = start(tmp_path, dict(steps=dict(a=dict(step, allow_shared_shapes=True))))
    assert record['protocol'].endswith('last epoch; 3 test shapes are in the pretraining data')
