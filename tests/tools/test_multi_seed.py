"""tools/multi_seed.py: the tools that it runs, and its report."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmkd3d.utils.hashes import file_digest
from tests.helpers import rejects
from tools import multi_seed

SPLITS = {'train': 64, 'val': 32, 'test': 32}
TINY = [f'{k}_dataloader.dataset.num_samples={n}' for k, n in SPLITS.items()]
TINY += [f'{k}_dataloader.dataset.num_points=256' for k in SPLITS]
TINY += ['model.backbone.depth=1', 'model.backbone.num_groups=8']
TINY += ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1']


@pytest.fixture
def tools(monkeypatch):
    """Stub of the tools that records the calls and writes results.

    The accuracy is ten times the seed. Calls that contain the word
    ``tools.broken`` fail.
    """

    def run_tool(tool, *words, log, lock, jobs):
        words = list(map(str, words))
        run_tool.calls.append((tool, words))
        if run_tool.broken in words:
            raise RuntimeError('out of memory')
        folder = Path(words[words.index('--work-dir') + 1])
        if tool == 'train.py':
            folder.mkdir(parents=True)
            cfg = multi_seed.read_config(words[0], words[words.index('--cfg-options') + 1 :])
            last = cfg.train_cfg.max_epochs
            for epoch in (last - 1, last):
                meta = dict(epoch=epoch, iter=10 * epoch)
                torch.save(dict(meta=meta, message_hub={}), folder / f'epoch_{epoch}.pth')
            (folder / 'best_acc.pth').write_text('best')
            (folder / 'last_checkpoint').write_text(f'/moved/epoch_{last - 1}.pth')
        else:
            seed = next(int(w.split('=')[1]) for w in words if w.startswith('randomness.seed='))
            (folder / 'now').mkdir(parents=True)
            (folder / 'now/now.json').write_text(json.dumps({'acc/overall': 10 * seed, 'time': 1}))

    run_tool.calls, run_tool.broken = [], None
    monkeypatch.setattr(multi_seed, 'run_tool', run_tool)
    monkeypatch.setattr(multi_seed, 'examine_data', lambda *_: dict(notes=['n'], data_hash=None))
    return run_tool


def run(out, *argv, config='classifier_toy'):
    return multi_seed.main([config, '--work-dir', str(out), *argv])


def test_each_seed_is_trained_and_tested_once(tools, tmp_path, capsys):
    init = tmp_path / 'init.pth'
    init.write_text('student')
    options = ['--cfg-options', f'load_from={init}']
    first = run(tmp_path / 'out', '--seeds', '0', '3', *options)
    assert [tool for tool, _ in tools.calls] == 2 * ['train.py', 'test.py']
    assert all('--resume' in words for tool, words in tools.calls if tool == 'train.py')
    assert [record['metrics'] for record in first] == [{'acc/overall': 0.0}, {'acc/overall': 30.0}]
    assert '| acc/overall | 15.00 | 21.21 | 0.00 | 30.00 | 2 | 0, 3 |' in capsys.readouterr().out
    record = first[1]
    assert record['protocol'] == 'classifier_toy, last epoch; n' and record['seed'] == 3
    assert record['checkpoint_hash'] == file_digest(record['checkpoint'])[:16]
    assert record['started_from'] == {str(init): file_digest(init)[:16]}
    assert record['command'][:2] == ['python', 'tools/train.py']
    tools.calls.clear()
    again = run(tmp_path / 'out', '--seeds', '0', '3', '4', *options)
    assert again[:2] == first and len(again) == 3 and len(tools.calls) == 2
    assert json.loads((tmp_path / 'out/records.json').read_text()) == again


def test_other_settings_are_other_runs(tools, tmp_path):
    records = run(tmp_path, '--seeds', '0')
    records += run(tmp_path, '--seeds', '0', '--cfg-options', 'train_cfg.max_epochs=2')
    records += run(tmp_path, '--seeds', '0', '--best-on-test')
    assert len({Path(record['checkpoint']).parent for record in records}) == 3
    assert records[2]['protocol'].startswith('classifier_toy, best epoch on the test set')
    assert Path(records[2]['checkpoint']).name == 'best_acc.pth'
    assert 'default_hooks.checkpoint.save_best=auto' in tools.calls[-2][1]
    tools.calls.clear()  # pretraining runs are not tested
    (record,) = run(tmp_path / 'p', '--seeds', '0', '--train-only', config='point-mae_toy')
    assert [tool for tool, _ in tools.calls] == ['train.py']
    assert Path(record['checkpoint']).name == 'epoch_6.pth' and record['metrics'] == {}


def test_failed_runs_are_named_and_tried_again(tools, tmp_path):
    tools.broken = 'randomness.seed=1'
    says = 'FAILED .*seed_1.*: out of memory'
    rejects(says, run, tmp_path, '--seeds', '0', '1', '2', error=SystemExit)
    records = json.loads((tmp_path / 'records.json').read_text())
    assert [record['seed'] for record in records] == [0, 2]
    (damaged,) = tmp_path.glob('seed_2-*/record.json')
    damaged.write_text('{"metrics": ')
    for test in tmp_path.glob('seed_2-*'):
        test.rename(tmp_path / 'moved')
    tools.broken = None
    assert len(run(tmp_path, '--seeds', '0', '1', '2')) == 3


def test_few_shot_runs_every_fold_with_every_seed(tools, tmp_path):
    config = 'cls_act-pointvit-s_1xb32-150e_modelnet-fewshot'
    few = ['--few-shot', '10', '20', '--folds', '2', '--seeds', '3', '4']
    records = run(tmp_path, *few, config=config)
    assert [(r['fold'], r['seed']) for r in records] == [(0, 3), (0, 4), (1, 3), (1, 4)]
    assert {r['protocol'] for r in records} == {'10-way 20-shot, last epoch; n'}
    for record, (_, words) in zip(records, tools.calls[::2]):
        for split in ('train', 'val', 'test'):
            for key in ('way', 'shot', 'fold'):
                assert f'{split}_dataloader.dataset.{key}={record[key]}' in words


def test_wrong_arguments_are_errors_before_anything_runs(tmp_path):
    for arguments, message in {
        '--seeds 1 1': r'each once, got \[1, 1\]',
        '--few-shot 5 10': 'way, shot and fold.*has mmkd3d.ToyShapes',
        '--few-shot 5 10 --folds 0': '--folds must be 1 or more',
        '--cfg-options randomness.seed=3': 'use --seeds',
        '--cfg-options test_dataloader=None': 'no test_dataloader',
        '--train-only --best-on-test': '--train-only excludes',
        '--jobs 0': '1 or more, got 0',
    }.items():
        rejects(message, run, tmp_path / 'out', *arguments.split(), error=SystemExit)
    rejects('no shipped config', multi_seed.main, ['classifier_tyo'], error=SystemExit)
    assert not (tmp_path / 'out').exists()


def test_a_curve_is_read_from_all_parts_of_a_resumed_training(tmp_path):
    for stamp, lines in (
        ('20260101_000000', [dict(loss=3.0, step=40), dict(mAP=0.1, step=1), dict(mAP=0, step=2)]),
        ('20260101_010000', [dict(mAP=0.3, step=2), dict(mAP=0.5, step=10)]),
    ):
        path = tmp_path / stamp / 'vis_data' / 'scalars.json'
        path.parent.mkdir(parents=True)
        path.write_text('\n'.join(map(json.dumps, lines)))
    found = multi_seed.read_curve(tmp_path, 'mAP')
    assert list(found.items()) == [('mAP@1', 0.1), ('mAP@2', 0.3), ('mAP@10', 0.5)]
    rejects('val_interval', multi_seed.read_curve, tmp_path, 'AP', error=RuntimeError)
    part = dict(init_cfg=dict(checkpoint='b.pth'))
    heads = [dict(init_cfg=dict(checkpoint='c.pth')), part, dict(init_cfg=None)]
    cfg = Config(dict(load_from='a.pth', model=dict(backbone=part, heads=heads)))
    assert multi_seed.checkpoints_of(cfg) == ['b.pth', 'c.pth', 'a.pth']


def test_test_shapes_seen_in_pretraining_are_refused_and_those_in_training_noted(tmp_path):
    clouds = np.random.default_rng(0).normal(size=(10, 32, 3)).astype(np.float32)
    labels = np.arange(10) % 2
    np.savez(tmp_path / 'all.npz', points=clouds, label=labels, test=np.arange(10) >= 6)
    np.savez(tmp_path / 'some.npz', points=clouds[7:, ::-1], label=labels[7:])
    load = [dict(type='mmkd3d.LoadPoints')]

    def npz(name, **more):
        file = str(tmp_path / name)
        return dict(type='mmkd3d.NpzPoints', file=file, label='label', pipeline=load, **more)

    def examine(train, pretrain, *options):
        pretraining = Config(dict(train_dataloader=dict(dataset=pretrain)))
        meta, student = dict(cfg=pretraining.pretty_text), tmp_path / 'student.pth'
        torch.save(dict(state_dict=dict(x=torch.zeros(1)), meta=meta), student)
        Config(
            dict(
                default_scope='mmkd3d',
                model=dict(backbone=dict(init_cfg=dict(checkpoint=str(student)))),
                train_dataloader=dict(dataset=train),
                test_dataloader=dict(dataset=npz('all.npz', split='test', split_value=True)),
            )
        ).dump(tmp_path / 'config.py')
        args = multi_seed.parse_args([str(tmp_path / 'config.py'), *options])
        args.config = Path(args.config)
        return multi_seed.examine_data(args, multi_seed.plan(args)[0])

    held_out = npz('all.npz', split='test', split_value=False)
    found = examine(held_out, held_out)
    assert found['notes'] == [] and len(found['data_hash']['test']) == 16
    some = npz('some.npz')
    assert examine(some, held_out)['notes'] == ['3 test shapes are in the training set']
    rejects('3 of 4 test shapes .*pretraining', examine, held_out, some)
    allowed = examine(held_out, some, '--allow-shared-shapes')
    assert allowed['notes'] == ['3 test shapes are in the pretraining data']


@pytest.mark.slow
def test_real_runs_of_two_seeds(tmp_path, capsys):
    argv = ['--seeds', '0', '1', '--jobs', '2', '--cfg-options', *TINY]
    records = run(tmp_path, *argv)
    values = [record['metrics']['acc/overall'] for record in records]
    assert f'| acc/overall | {sum(values) / 2:.2f} |' in capsys.readouterr().out
    assert len({record['checkpoint_hash'] for record in records}) == 2
    assert len({str(record['data_hash']) for record in records}) == 1
    assert run(tmp_path, *argv) == records
    assert capsys.readouterr().out.count('finished already') == 2
