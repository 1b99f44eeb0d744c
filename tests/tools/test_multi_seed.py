"""tools/multi_seed.py and tools/study.py, as users call them."""

import json

import pytest

from mmkd3d.studies.study import jobs_of
from tools import multi_seed, study

TINY = [
    'train_dataloader.dataset.num_samples=64',
    'val_dataloader.dataset.num_samples=32',
    'test_dataloader.dataset.num_samples=32',
    'train_dataloader.dataset.num_points=256',
    'val_dataloader.dataset.num_points=256',
    'test_dataloader.dataset.num_points=256',
    'model.backbone.depth=1',
    'model.backbone.num_groups=8',
    'train_cfg.max_epochs=1',
    'train_cfg.val_interval=1',
]


@pytest.mark.slow
def test_seeds_are_run_once_and_summed_up(tmp_path, capsys):
    argv = [
        'classifier_toy',
        '--seeds',
        '0',
        '1',
        '--jobs',
        '2',
        '--work-dir',
        str(tmp_path),
        '--cfg-options',
        *TINY,
    ]
    first = multi_seed.main(argv)
    shown = capsys.readouterr().out
    assert [r['seed'] for r in first] == [0, 1]
    values = [r['metrics']['acc/overall'] for r in first]
    assert f'| acc/overall | {sum(values) / 2:.2f} |' in shown
    assert '| 2 | 0, 1 |' in shown
    for record in first:
        assert len(record['data_hash']['test']) == 16
        assert record['checkpoint_hash'] and 'seed' in str(record['command'])
    assert len({r['checkpoint_hash'] for r in first}) == 2
    assert len({str(r['data_hash']) for r in first}) == 1
    again = multi_seed.main([*argv[:4], '2', *argv[4:]])
    shown = capsys.readouterr().out
    assert shown.count('finished already') == 2
    assert again[:2] == first and again[2]['seed'] == 2


@pytest.mark.slow
def test_a_study_from_pretraining_to_its_tables(tmp_path, capsys):
    small = [option for option in TINY if not option.startswith(('val', 'test', 'train_cfg.v'))]
    file = tmp_path / 'small.py'
    file.write_text(f"""
steps = {{
    'point-mae': dict(train='point-mae_toy', options={small}),
    'finetune': dict(
        train='classifier_toy', test=True,
        options={TINY} + ['model.backbone.init_cfg.type=Pretrained',
                          'model.backbone.init_cfg.checkpoint={{point-mae}}',
                          'model.backbone.with_cls_token=False',
                          'model.head.pooling=[max,mean]']),
}}
tables = [dict(title='Toy', rows={{'from Point-MAE': 'finetune'}},
               columns={{'acc/overall': 'accuracy'}})]
""")
    out = tmp_path / 'out'
    records = study.main([str(file), '--out', str(out)])
    assert '| from Point-MAE | ' in (out / 'tables.md').read_text()
    assert json.loads((out / 'records.json').read_text()) == records
    assert list(records[0]['started_from']) == ['point-mae']
    shown = capsys.readouterr().out
    assert 'finetune/seed_0: started' in shown and 'minutes left' in shown


def test_a_study_can_be_looked_at_without_running_it(capsys):
    study.main(['tools/studies/psb.py', '--list', '--only', 'finetune/act'])
    assert capsys.readouterr().out.splitlines() == [
        'act-autoencoder: train act-autoencoder_minilm_1xb16-40e_psb, seeds [0]',
        'act: train act_pointvit-mini_minilm_1xb64-30e_psb, seeds [0, 1, 2], needs act-autoencoder',
        'finetune/act: train cls_act-pointvit-mini_1xb32-15e_psb-21, seeds [0, 1, 2], needs act',
    ]


@pytest.mark.parametrize('name', ['psb', 'coseg', 'scannet_small'])
def test_shipped_studies_build_the_configs_that_they_name(name):
    plan = study.load_study(f'tools/studies/{name}.py')
    jobs = jobs_of(plan)
    rows = {step for table in plan.tables for step in table.rows.values()}
    assert rows <= set(jobs)
    for step in jobs.values():
        step[0].load_config({need: 'FILE' for need in step[0].needs})


def test_few_shot_runs_every_fold_with_every_seed():
    args = multi_seed.parse_args(
        [
            'cls_act-pointvit-s_1xb32-150e_modelnet-fewshot',
            '--seeds',
            '3',
            '4',
            '--few-shot',
            '10',
            '20',
            '--folds',
            '2',
        ]
    )
    jobs = jobs_of(dict(steps=multi_seed.steps_of(args), seeds=args.seeds))
    assert [len(step) for step in jobs.values()] == [2, 2]
    for fold, step in enumerate(jobs.values()):
        cfg = step[0].load_config({})
        for half in ('train', 'val', 'test'):
            dataset = cfg[f'{half}_dataloader'].dataset
            assert (dataset.way, dataset.shot, dataset.fold) == (10, 20, fold)
        assert step[0].protocol == '10-way 20-shot, last epoch'


def test_errors_before_anything_runs():
    with pytest.raises(SystemExit, match='Did you mean classifier_toy'):
        multi_seed.main(['classifier_tyo'])
    with pytest.raises(SystemExit, match='No step starts with prob/act'):
        study.main(['tools/studies/psb.py', '--only', 'prob/act'])
    with pytest.raises(SystemExit, match="STEP=PATTERN, got 'act'"):
        study.main(['tools/studies/psb.py', '--list', '--checkpoint', 'act'])
    with pytest.raises(SystemExit, match=r'--seeds has the seeds \[0, 0\]'):
        study.main(['tools/studies/psb.py', '--list', '--seeds', '0', '0'])
    with pytest.raises(SystemExit, match='there is no gone_{sed}_0.pth'):
        study.main(['tools/studies/psb.py', '--list', '--checkpoint', 'act=gone_{sed}_{seed}.pth'])


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--seeds', '1', '1'], r'seeds \[1, 1\]'),
        (['--few-shot', '5', '10'], 'way, shot and fold.*has mmkd3d.ToyShapes'),
        (['--few-shot', '5', '10', '--folds', '0'], '--folds is 1 or more'),
        (['--cfg-options', 'randomness.seed=3'], 'name the seeds as seeds'),
        (['--cfg-options', 'test_dataloader=None'], 'no test_dataloader'),
        (['--jobs', '0'], '1 or more, got 0'),
    ],
)
def test_several_seeds_of_what_can_not_be_run(arguments, message, tmp_path):
    with pytest.raises(SystemExit, match=message):
        multi_seed.main(['classifier_toy', '--work-dir', str(tmp_path), *arguments])
    assert not list(tmp_path.iterdir())
