"""Studies: what is run, in which order, and what a second start finds."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mmkd3d.studies import runner as runner_module
from mmkd3d.studies.job_folder import claimed
from mmkd3d.studies.runner import JobFailed, StudyRunner, run_study
from mmkd3d.studies.study import jobs_of
from mmkd3d.studies.tables import spread_table, summarize
from mmkd3d.utils.digest import file_digest
from mmkd3d.utils.records import checkout_state, make_record

PRETRAIN, FINETUNE = 'point-mae_toy', 'classifier_toy'
START = 'model.backbone.init_cfg.checkpoint={pretrain}'
STUDY = dict(
    seeds=(0, 1),
    steps={
        'finetune': dict(train=FINETUNE, test=True, options=[START]),
        'cache': dict(cache='recon_toy', seeds=(5,)),
        'pretrain': dict(train=PRETRAIN, options=['model.targets.cache={cache}/img']),
        'probe': dict(probe=PRETRAIN, checkpoint='{pretrain}', arguments=['--k', '1']),
    },
)


class Tools(StudyRunner):
    """Runs no tool: writes what they would write, and takes them down.

    A training "reaches" an accuracy of ten times its seed.
    """

    broken = ()  # words of commands that fail

    def __init__(self, *args, **kwargs):
        super().__init__(*args, say=lambda line: self.lines.append(line), **kwargs)
        self.lines, self.calls = [], []

    def call(self, command, log):
        command = [str(word) for word in command]
        self.calls.append(command)
        log.parent.mkdir(parents=True, exist_ok=True)
        if any(b in ' '.join(command) for b in self.broken):
            raise JobFailed('out of memory')
        folder, tool = log.parent, Path(command[0]).stem
        seed = next((int(w.split('=')[1]) for w in command if w.startswith('randomness.seed=')), 0)
        if tool == 'train':
            (folder / 'epoch_1.pth').write_text(' '.join(command))
            (folder / 'last_checkpoint').write_text(str(folder / 'epoch_1.pth'))
            (folder / 'best_acc.pth').write_text('best')
        elif tool == 'test':
            (folder / 'now').mkdir()
            (folder / 'now' / 'now.json').write_text(
                json.dumps({'acc/overall': 10 * seed, 'time': 1})
            )
        elif tool == 'probe':
            record = make_record(protocol='k-NN', metrics=dict(accuracy=50), seed=0)
            (folder / 'records.json').write_text(json.dumps([record]))


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    """Data are not what these tests are about."""
    monkeypatch.setattr(runner_module, 'identify_data', lambda cfg: dict())


def start(out, study=STUDY, kind=Tools, **options):
    runner = kind(jobs_of(study, **options), out)
    return runner, runner.run()


def test_each_step_follows_what_it_needs_and_gets_its_results(tmp_path):
    runner, records = start(tmp_path)
    tools = [Path(call[0]).stem for call in runner.calls]
    assert tools[0] == 'cache_teacher'
    assert sorted(tools) == sorted(['cache_teacher'] + 2 * ['train', 'train', 'test', 'probe'])
    for seed in (0, 1):
        student = runner.done[f'pretrain/seed_{seed}']['result']
        trained = [
            c
            for c in runner.calls
            if START.split('=')[0] in ' '.join(c) and f'randomness.seed={seed}' in c
        ]
        assert trained and all(START.format(pretrain=student) in call for call in trained)
        probed = [c for c in runner.calls if 'probe' in c[0] and student in c]
        assert len(probed) == 1 and probed[0][3:5] == ['--k', '1']
    cached = runner.done['cache/seed_5']['result']
    assert sum(f'{cached}/img' in ' '.join(c) for c in runner.calls) == 2
    accuracy = {r['seed']: r['metrics'] for r in records if r['name'] == 'finetune'}
    assert accuracy == {0: {'acc/overall': 0.0}, 1: {'acc/overall': 10.0}}


def test_a_record_says_where_its_number_comes_from(tmp_path):
    runner, records = start(tmp_path)
    record = next(r for r in records if r['name'] == 'finetune')
    done = runner.done['finetune/seed_0']
    assert record['protocol'] == 'classifier_toy, last epoch'
    assert record['checkpoint'] == done['result']
    assert record['checkpoint_hash'] == file_digest(done['result'])[:16]
    student = runner.done['pretrain/seed_0']['result']
    assert record['started_from'] == dict(pretrain=file_digest(student)[:16])
    assert record['commit'] == checkout_state()[0]
    assert record['command'][:2] == ['python', 'tools/train.py']


def test_what_is_finished_is_not_run_again(tmp_path):
    _, first = start(tmp_path)
    runner, second = start(tmp_path)
    assert runner.calls == []
    assert first == second


def test_other_settings_are_another_run_and_overwrite_nothing(tmp_path):
    before, _ = start(tmp_path)
    steps = dict(STUDY['steps'])
    steps['pretrain'] = dict(steps['pretrain'], options=['optim_wrapper.optimizer.lr=0.1'])
    after, _ = start(tmp_path, dict(STUDY, steps=steps))
    # what builds on the changed step is run again, too
    assert sum('tools/test.py' in call for call in after.calls) == 2
    for name in ('pretrain/seed_0', 'finetune/seed_1'):
        old, new = before.done[name]['result'], after.done[name]['result']
        assert old != new and Path(old).is_file() and Path(new).is_file()


def test_an_interrupted_training_is_resumed(tmp_path):

    class Killed(Tools):
        def call(self, command, log):
            super().call(command, log)
            if 'randomness.seed=1' in command:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(tmp_path, kind=Killed, only=['pretrain'])
    runner, _ = start(tmp_path, only=['pretrain'])
    (call,) = runner.calls
    assert '--resume' in call and 'randomness.seed=1' in call
    assert Path(call[call.index('--work-dir') + 1], 'epoch_1.pth').is_file()


def test_a_failure_stops_only_what_needs_it_and_is_tried_again(tmp_path):

    class Broken(Tools):
        broken = ('point-mae_toy.py --work-dir',)

    runner = Broken(jobs_of(STUDY), tmp_path)
    records = runner.run()
    assert records == []
    assert runner.failed['pretrain/seed_0'] == 'out of memory'
    assert runner.failed['finetune/seed_1'] == 'needs pretrain/seed_1'
    assert set(runner.done) == {'cache/seed_5'}
    again, records = start(tmp_path)
    assert not again.failed and len(records) == 4


def test_failed_runs_are_named_at_the_end(tmp_path, monkeypatch, capsys):

    class Broken(Tools):
        broken = ('randomness.seed=1',)

    monkeypatch.setattr(runner_module, 'StudyRunner', Broken)
    with pytest.raises(SystemExit, match='FAILED finetune/seed_1'):
        run_study(jobs_of(STUDY), tmp_path, lambda r: spread_table(summarize(r)))
    assert (
        '| classifier_toy, last epoch | acc/overall | 0.00' in (tmp_path / 'tables.md').read_text()
    )
    records = json.loads((tmp_path / 'records.json').read_text())
    assert {r['seed'] for r in records} == {0}


def test_the_first_seed_of_all_rows_comes_before_the_second(tmp_path):
    study = dict(seeds=(3, 1), steps={name: dict(train=FINETUNE) for name in 'ab'})
    runner, _ = start(tmp_path, study)
    seeds = [w for call in runner.calls for w in call if 'seed=' in w]
    assert seeds == 2 * ['randomness.seed=3'] + 2 * ['randomness.seed=1']


def test_checkpoints_that_are_there_stand_for_a_step(tmp_path):
    for seed in (0, 1):
        (tmp_path / f'epoch_{seed}.pth').write_text('weights')
    runner, records = start(
        tmp_path / 'out', only=['fine'], given=dict(pretrain=f'{tmp_path}/epoch_{{seed}}.pth')
    )
    assert [Path(call[0]).stem for call in runner.calls] == 2 * ['train', 'test']
    assert START.format(pretrain=tmp_path / 'epoch_1.pth') in sum(runner.calls, [])
    assert records[0]['started_from']['pretrain'] == file_digest(tmp_path / 'epoch_0.pth')[:16]


def test_the_best_epoch_on_the_test_set_is_called_that(tmp_path):
    steps = dict(a=dict(train=FINETUNE, test=True, best=True))
    runner, records = start(tmp_path, dict(steps=steps))
    train, test = runner.calls
    assert 'default_hooks.checkpoint.save_best=auto' in train
    assert test[2].endswith('best_acc.pth')
    assert records[0]['protocol'].endswith('best epoch on the test set')
    _, plain = start(tmp_path, dict(steps=dict(a=dict(train=FINETUNE, test=True))))
    assert plain[0]['protocol'].endswith('last epoch')


def test_a_seed_that_a_step_lacks(tmp_path):
    steps = dict(
        a=dict(train=FINETUNE, seeds=(7, 8)), b=dict(train=FINETUNE, options=['x={a}'], seeds=(0,))
    )
    with pytest.raises(ValueError, match=r'has the seeds \[7, 8\]'):
        start(tmp_path, dict(steps=steps))


@pytest.mark.parametrize('content', ['', '{"sett', '[]', '{"result": "."}'])
def test_a_damaged_mark_of_a_finished_job_is_made_anew(tmp_path, content):
    study = dict(steps=dict(a=dict(train=FINETUNE)))
    _, _ = start(tmp_path, study)
    (mark,) = tmp_path.rglob('done.json')
    whole = json.loads(mark.read_text())
    mark.write_text(content)
    runner, _ = start(tmp_path, study)
    assert not runner.failed and len(runner.calls) == 1
    assert any('done.json is damaged' in line for line in runner.lines)
    assert json.loads(mark.read_text())['result'] == whole['result']


def test_a_result_that_is_gone_is_made_again_in_a_folder_that_moved(tmp_path):
    study = dict(steps=dict(a=dict(train=FINETUNE, test=True)))
    start(tmp_path / 'old', study)
    (tmp_path / 'old').rename(tmp_path / 'new')

    class Resumed(Tools):
        """The training is at its end: it writes nothing."""

        def call(self, command, log):
            if 'tools/train.py' not in command:
                super().call(command, log)

    for path in tmp_path.rglob('now'):
        (path / 'now.json').unlink()
        path.rmdir()
    runner, records = start(tmp_path / 'new', study, kind=Resumed)
    assert not runner.failed
    assert Path(records[0]['checkpoint']).parent.parent.parent == (tmp_path / 'new')
    assert any('is gone' in line for line in runner.lines)


def test_data_without_a_checksum_do_not_cost_the_result(tmp_path, monkeypatch):
    def unknown(cfg):
        raise ValueError('it has no get_data_info(index)')

    monkeypatch.setattr(runner_module, 'identify_data', unknown)
    runner, records = start(tmp_path, dict(steps=dict(a=dict(train=FINETUNE, test=True))))
    assert not runner.failed and records[0]['data_hash'] is None
    assert any('no checksum of its data: it has no' in line for line in runner.lines)


def test_two_studies_do_not_work_in_one_folder(tmp_path):

    class Nosy(Tools):
        def call(self, command, log):
            other = Tools(self.steps, tmp_path)
            other.run()
            self.seen = other.failed
            super().call(command, log)

    runner, _ = start(tmp_path, dict(steps=dict(a=dict(train=FINETUNE))), kind=Nosy)
    assert 'Another process is at work' in runner.seen['a/seed_0']
    assert set(runner.done) == {'a/seed_0'}


def test_what_outlives_a_study_keeps_its_folder(tmp_path):
    with claimed(tmp_path) as claim:
        child = subprocess.Popen(['sleep', '60'], pass_fds=[claim])
    try:
        with pytest.raises(ValueError, match='at work'), claimed(tmp_path):
            pass
    finally:
        child.kill()
        child.wait()
    with claimed(tmp_path):
        pass


def test_after_ctrl_c_no_tool_is_started(tmp_path):
    runner = StudyRunner(jobs_of(dict(steps=dict(a=dict(train=FINETUNE)))), tmp_path)
    runner.stopped = True
    with pytest.raises(JobFailed, match='stopped'):
        runner.call(['tools/train.py'], tmp_path / 'train.log')


def test_where_and_how_many(tmp_path):
    jobs = jobs_of(dict(steps=dict(a=dict(train=FINETUNE))))
    with pytest.raises(SystemExit, match='1 or more, got 0'):
        run_study(jobs, tmp_path, str, parallel=0)
    file = tmp_path / 'file'
    file.write_text('mine')
    with pytest.raises(SystemExit, match='file is a file'):
        run_study(jobs, file, str)
    assert file.read_text() == 'mine'


def test_ctrl_c_ends_with_what_to_do(tmp_path, monkeypatch):

    class Killed(Tools):
        def call(self, command, log):
            raise KeyboardInterrupt

    monkeypatch.setattr(runner_module, 'StudyRunner', Killed)
    with pytest.raises(SystemExit, match='The same command goes on'):
        run_study(jobs_of(STUDY), tmp_path, str)


def test_configs_are_read_side_by_side():
    """mmengine's reader keeps what it reads in global places."""
    steps = dict(a=dict(train='votenet_toy'), b=dict(train=FINETUNE))
    jobs = [step[0] for step in jobs_of(dict(steps=steps)).values()] * 8
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda job: job.load_config({}), jobs))
    assert [cfg.model.type for cfg in found[:2]] == [
        jobs[0].load_config({}).model.type,
        'PointClassifier',
    ]
    assert all(a.model == b.model for a, b in zip(found, found[2:]))
