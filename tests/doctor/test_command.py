import json
import os
import subprocess
import sys

from mmkd3d.doctor import Environment, diagnose, inspect, startup
from mmkd3d.doctor.__main__ import main, report
from tests.helpers import REPO


def run(*arguments):
    env = {**os.environ, 'PYTHONPATH': str(REPO)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True)


def test_json_holds_what_was_found_and_the_exit_code_agrees(capsys):
    code = main(['--json'])
    found = json.loads(capsys.readouterr().out)
    assert found['versions']['torch']
    has_errors = any(f['level'] == 'error' for f in found['findings'])
    assert code == int(has_errors)


def test_missing_torch_is_reported_not_raised():
    start = 'runpy.run_module("mmkd3d.doctor", run_name="__main__")'
    done = run('-c', f'import runpy, sys; sys.modules["torch"] = None; {start}')
    assert done.returncode == 1, done.stderr
    assert 'import fails: ModuleNotFoundError' in done.stdout


def test_report_names_source_of_operators_and_every_repair():
    assert inspect().reads_checkpoints  # once mmkd3d is imported
    versions = dict(python='3.11', torch='2.11.0')
    env = Environment(versions=versions, operators=dict(knn_forward='mmkd3d'))
    findings = diagnose(env)
    text = report(env, findings)
    assert "mmcv's operators from mmkd3d:\n    knn_forward" in text
    assert all(finding.repair in text for finding in findings)


def test_startup_file_is_written_only_where_mmcv_has_no_operators(monkeypatch, tmp_path):
    monkeypatch.setattr(startup, 'startup_file', lambda: tmp_path / startup.NAME)
    monkeypatch.setattr(startup, 'has_compiled_ops', lambda: True)
    assert 'none is written' in startup.install_startup()
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(startup, 'has_compiled_ops', lambda: False)
    assert str(tmp_path) in startup.install_startup()
    assert [path.name for path in tmp_path.iterdir()] == [startup.NAME]
    assert 'is removed' in startup.remove_startup()
    assert 'There is no' in startup.remove_startup()


def test_startup_file_never_breaks_python(tmp_path):
    (tmp_path / startup.NAME).write_text(startup.LINE)
    package = tmp_path / 'mmkd3d'
    package.mkdir()
    code = f'import site; site.addsitedir({str(tmp_path)!r}); print("alive")'
    for content in ('raise RuntimeError', 'not Python'):
        (package / '__init__.py').write_text(content)
        done = subprocess.run([sys.executable, '-S', '-c', code], capture_output=True, text=True)
        assert (done.stdout, done.stderr) == ('alive\n', '')
