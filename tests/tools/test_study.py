"""tools/study.py: order of the runs, restarts and tables."""

import json
import shutil
from pathlib import Path

import pytest
from mmengine.config import Config

from mmkd3d.checkpoints import shipped
from tests.helpers import REPO, rejects
from tests.tools.test_multi_seed import TINY
from tools import study

PRETRAIN, FINETUNE = 'point-mae_toy', 'classifier_toy'
START = 'model.backbone.init_cfg.checkpoint={pretrain}'
STEPS = {
    'finetune': dict(train=FINETUNE, test=True, options=[START]),
    'cache': dict(cache='recon_toy', seeds=(5,)),
    'pretrain': dict(train=PRETRAIN, options=['model.targets.cache={cache}/img']),
    'probe': dict(probe=PRETRAIN, checkpoint='{pretrain}', arguments=['--k', '1']),
}
TABLE = dict(
    title='T',
    rows={'fine': 'finetune', 'probed': 'probe', 'lost': 'cache'},
    columns={'acc': 'accuracy', 'knn/acc': 'k-NN'},
)


@pytest.fixture
def tools(monkeypatch):
    """Stub of the tools; the accuracy is ten times the seed."""

    def run_tool(tool, config, *words, log, lock, jobs):
        words = list(map(str, words))
        run_tool.calls.append((tool, config.stem, words))
        if run_tool.broken == config.stem:
            raise RuntimeError('out of memory')
        folder = log.parent
        folder.mkdir(parents=True)
        if tool != 'cache_teacher.py':
            seed = int(words[words.index('--seeds') + 1])
            record = dict(seed=seed, protocol='p', metrics=dict(acc=10 * seed))
            record.update(dict(method='knn') if tool == 'probe.py' else {})
            record.update(checkpoint=str(folder / 'epoch_1.pth'))
            (folder / 'records.json').write_text(json.dumps([record]))

    run_tool.calls, run_tool.broken = [], None
    monkeypatch.setattr(study, 'run_tool', run_tool)
    return run_tool


@pytest.fixture
def start(tmp_path, tools):
    """Write and run a study; returns the calls and the records."""

    def run(*argv, steps=STEPS, seeds=(0, 1), tables=(TABLE,)):
        file = tmp_path / 'study.py'
        file.write_text(f'seeds = {seeds}\nsteps = {steps}\ntables = {tables}\n')
        tools.calls.clear()
        study.main([str(file), '--out', str(tmp_path / 'out'), *argv])
        return tools.calls, json.loads((tmp_path / 'out/records.json').read_text())

    return run


def test_each_step_follows_what_it_needs_and_gets_its_results(start, tmp_path):
    calls, records = start()
    order = [(tool, config) for tool, config, _ in calls]
    assert order[0] == ('cache_teacher.py', 'recon_toy') and len(calls) == 7
    for seed in (0, 1):
        (pretrain,) = (tmp_path / 'out/pretrain').glob(f'seed_{seed}-*')
        student, found = str(pretrain / 'epoch_1.pth'), []
        for tool, config, words in calls[1:]:
            if words[words.index('--seeds') + 1] == str(seed):
                found.append(config)
                assert ('--train-only' in words) == (found == [PRETRAIN])
                if found == [PRETRAIN]:
                    (cache,) = (tmp_path / 'out/cache').glob('seed_5-*')
                    assert words[-1] == f'model.targets.cache={cache}/img'
                elif tool == 'probe.py':
                    assert words[0] == student and words[-2:] == ['--k', '1']
                else:
                    assert words[-1] == START.format(pretrain=student)
        assert sorted(found) == sorted([PRETRAIN, PRETRAIN, FINETUNE])
    assert [r['metrics']['acc'] for r in records if r['name'] == 'finetune'] == [0, 10]
    table = (tmp_path / 'out/tables.md').read_text().splitlines()
    assert table == [
        '## T',
        '',
        '| run | accuracy | k-NN | runs |',
        '|---|---|---|---|',
        '| fine | 5.0 ± 7.1 | not run | 2 |',
        '| probed | not run | 5.0 ± 7.1 | 2 |',
        '| lost | not run | not run | 0 |',
    ]


def test_finished_runs_are_skipped_and_other_settings_are_other_runs(start):
    first = list(start('--jobs', '2')[0])
    calls, records = start()
    assert calls == [] and len(records) == 6
    changed = dict(STEPS, pretrain=dict(STEPS['pretrain'], options=['optim_wrapper.lr=0.1']))
    again = start(steps=changed)[0]
    assert len(first) == 7 and len(again) == 6  # includes steps that depend on the changed one
    assert not {str(call) for call in again} & {str(call) for call in first}


def test_another_student_of_a_shipped_name_is_another_run(tmp_path, monkeypatch):
    file = tmp_path / 'point-mae-mini.safetensors'
    monkeypatch.setattr(shipped, 'FOLDER', tmp_path)
    start = 'model.backbone.init_cfg.checkpoint=point-mae-mini'
    loaded = Config(dict(seeds=(0,), steps=dict(a=dict(train=FINETUNE, options=[start]))))

    def settings():
        study.shipped_digest.cache_clear()
        return study.make_jobs(loaded, tmp_path)[0].settings

    found = []
    for content in (b'1', b'2', b'1'):
        file.write_bytes(content)
        found.append(settings())
    study.shipped_digest.cache_clear()
    assert found[0] == found[2] != found[1]


def test_a_failure_stops_only_the_steps_that_need_it_and_is_retried(start, tools):
    tools.broken = PRETRAIN
    with pytest.raises(SystemExit) as error:
        start(steps=dict(STEPS, other=dict(train='votenet_toy', test=True)))
    assert {config for _, config, _ in tools.calls} == {'recon_toy', PRETRAIN, 'votenet_toy'}
    named = [line.split(': ') for line in str(error.value).splitlines()]
    assert len(named) == 6 and ['FAILED pretrain/seed_1', 'out of memory'] in named
    assert ['FAILED probe/seed_0', 'a step that it needs'] in named
    tools.broken = None
    assert len(start()[0]) == 6


def test_existing_results_stand_in_for_a_step(start, tmp_path):
    for seed in (0, 1):
        (tmp_path / f'epoch_{seed}.pth').write_text('weights')
    pattern = f'pretrain={tmp_path}/epoch_{{seed}}.pth'
    calls, _ = start('--only', 'fine', '--checkpoint', pattern)
    assert [config for _, config, _ in calls] == [FINETUNE, FINETUNE]
    assert START.format(pretrain=tmp_path / 'epoch_1.pth') in calls[1][2]
    # results of other steps are kept
    _, records = start('--only', 'cache')
    assert 'finetune' not in {record['name'] for record in records}
    _, records = start()
    assert start('--only', 'probe')[1] == records and len(records) == 6
    # all runs with the first seed come first
    calls, _ = start(steps={name: dict(train=FINETUNE) for name in 'ab'}, seeds=(3, 1), tables=())
    assert [words[words.index('--seeds') + 1] for _, _, words in calls] == ['3', '3', '1', '1']


def test_kept_results_stand_in_for_runs_whose_files_nobody_needs(start, tmp_path):
    words = ['--records', str(tmp_path / 'kept.json'), '--page', str(tmp_path / 'page.md')]
    (tmp_path / 'page.md').write_text('# Page\n\nText.\n\n### T\n\n| old |\n\n## U\n\n| u |\n')
    _, first = start(*words)
    kept = json.loads((tmp_path / 'kept.json').read_text())
    metrics = [[(r['name'], r['seed'], r['metrics']) for r in rows] for rows in (first, kept)]
    assert metrics[0] == metrics[1] and not any('checkpoint' in record for record in kept)
    table = (tmp_path / 'out/tables.md').read_text()
    assert '| fine | 5.0 ± 7.1 |' in table
    page = (tmp_path / 'page.md').read_text()
    assert page == f'# Page\n\nText.\n\n#{table.strip()}\n\n## U\n\n| u |\n'
    shutil.rmtree(tmp_path / 'out')
    only = [*words, '--only', 'finetune', 'probe']
    assert start(*only)[0] == [] and (tmp_path / 'page.md').read_text() == page
    # a step with other settings, and what it needs
    steps = dict(STEPS, finetune=dict(STEPS['finetune'], arguments=['--best-on-test']))
    again = [config for _, config, _ in start(*only, steps=steps)[0]]
    assert again == ['recon_toy', *[PRETRAIN, FINETUNE] * 2]
    assert len(json.loads((tmp_path / 'kept.json').read_text())) == len(kept) + 2


def test_runs_are_listed_without_running_them(capsys, tmp_path):
    words = ['--list', '--only', 'budget/act-mini/25', 'finetune/5/act', '--seeds', '0', '1']
    study.main(['tools/studies/students.py', '--out', str(tmp_path), *words])
    lines = capsys.readouterr().out.splitlines()
    act = 'act_pointvit-mini_minilm-std_1xb16-20k_toyshapes'
    few = 'cls_act-pointvit-mini_few_1xb32-600i_psb-21'
    assert [line for line in lines if 'mmengine' not in line] == [
        'act-autoencoder/seed_0: train act-autoencoder_minilm_1xb16-2500i_toyshapes',
        f'act-mini/seed_0: train {act}, needs act-autoencoder/seed_0',
        f'budget/act-mini/2500/seed_0: probe {act}, needs act-mini/seed_0',
        f'finetune/5/act-mini/seed_0: train {few}',
        f'finetune/5/act-mini/seed_1: train {few}',
    ]


@pytest.mark.parametrize(
    'file', sorted((REPO / 'tools/studies').glob('*.py')), ids=lambda f: f.stem
)
def test_shipped_studies_have_no_mistakes(file, tmp_path):
    loaded = study.load_study(file)
    jobs = study.make_jobs(loaded, tmp_path)
    assert {job.step for job in jobs} == set(loaded.steps)
    for job in jobs:
        _, cfg = study.read_config(str(job.config))
        options = ' '.join(job.words).partition('--cfg-options')[2].split()
        for key in (option.split('=')[0] for option in options):
            part = dict(cfg)
            for name in key.split('.')[:-2]:  # the last part may be new, as in init_cfg.checkpoint
                part = part[int(name) if isinstance(part, (list, tuple)) else name]
            assert isinstance(part, (dict, list)), key


def one(**step):
    return dict(a=dict(train=FINETUNE, **step))


def test_wrong_studies_are_errors_before_anything_runs(start, tools):
    needs = one(options=['x={b}'])
    circle = needs | dict(b=dict(train=FINETUNE, options=['x={a}']))
    for steps, message in (
        (needs, r'a needs \{b\}; there are'),
        (circle, 'a -> b -> a'),
        (needs | dict(b=dict(train=FINETUNE, seeds=(7, 8))), 'b with seed 0'),
        (one(probe=PRETRAIN), 'exactly one of'),
        (one(tset=True), r"'a' has unknown fields \['tset'\]"),
        (one(seeds=(1, 1)), 'each once'),
        (dict(a=dict(train=PRETRAIN, test=True)), 'point-mae_toy has no test_dataloader'),
        (dict(a=dict(train='classifier_tyo')), 'no shipped config'),
        (one(), "'T' names unknown steps"),
        (one(), "against of 'T' names unknown rows: .'lost'"),
        ({}, 'has no steps'),
    ):
        table = TABLE if 'unknown steps' in message else dict(TABLE, rows=dict(row='a'))
        table |= dict(against=dict(row='lost')) if 'unknown rows' in message else {}
        rejects(message, start, steps=steps, seeds=(0,), tables=[table], error=SystemExit)
        assert tools.calls == []
    for argv, message in {
        '--only prob/act': "No step starts with 'prob/act'",
        '--checkpoint act-mini=gone_{seed}.pth': 'gone_0.pth does not exist',
        '--seeds 0 0': 'each once',
    }.items():
        words = ['tools/studies/students.py', '--list', *argv.split()]
        rejects(message, study.main, words, error=SystemExit)


def test_placeholders_are_seeds_and_earlier_checkpoints(start, tmp_path):
    words = ['--draw', '{seed}', '--k', 3, '--at', '{pretrain@iter_5}', '--more={"a":{"b":1}}']
    steps = dict(
        pretrain=dict(train=PRETRAIN),
        probe=dict(probe=PRETRAIN, checkpoint='none', arguments=words),
    )
    calls, _ = start(steps=steps, seeds=(4,), tables=())
    (folder,) = (tmp_path / 'out/pretrain').glob('seed_4-*')
    assert calls[1][2][-7:] == [
        '--draw',
        '4',
        '--k',
        '3',
        '--at',
        str(folder / 'iter_5.pth'),
        words[-1],
    ]


@pytest.mark.nightly
def test_a_real_study_from_pretraining_to_its_table(tmp_path):
    small = [option for option in TINY if not option.startswith(('val', 'test', 'train_cfg.v'))]
    start = [
        'model.backbone.init_cfg.type=Pretrained',
        'model.backbone.init_cfg.checkpoint={point-mae}',
        'model.backbone.with_cls_token=False',
        'model.head.pooling=[max,mean]',
    ]
    steps = {
        'point-mae': dict(train=PRETRAIN, options=small),
        'finetune': dict(train=FINETUNE, test=True, options=TINY + start),
    }
    columns = {'acc/overall': 'accuracy'}
    tables = [dict(title='Toy', rows={'from Point-MAE': 'finetune'}, columns=columns)]
    (tmp_path / 'small.py').write_text(f'steps = {steps}\ntables = {tables}')
    out = tmp_path / 'out'
    study.main([str(tmp_path / 'small.py'), '--out', str(out)])
    assert '| from Point-MAE | ' in (out / 'tables.md').read_text()
    record = json.loads((out / 'records.json').read_text())[-1]
    (student,) = record['started_from']
    assert Path(student).parent.parent.parent == out / 'point-mae'
