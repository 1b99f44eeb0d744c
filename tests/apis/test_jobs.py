"""Tools run as subprocesses, and locks on output folders."""

import subprocess

import pytest

from mmkd3d.apis.jobs import lock_folder, run_tool
from tests.helpers import rejects


def test_a_folder_stays_locked_as_long_as_a_subprocess_of_its_owner_runs(tmp_path):
    with lock_folder(tmp_path) as lock:
        child = subprocess.Popen(['sleep', '60'], pass_fds=[lock])
    try:
        with pytest.raises(ValueError, match='Another process is running'):
            with lock_folder(tmp_path):
                pass
    finally:
        child.kill()
        child.wait()
    with lock_folder(tmp_path):
        pass


def test_a_failed_tool_is_an_error_with_its_last_line(tmp_path):
    log = tmp_path / 'run' / 'log.txt'
    says = r'No such file.*\(log: .*log.txt\)'
    rejects(says, run_tool, 'nothing.py', log=log, error=RuntimeError)
    assert 'nothing.py' in log.read_text()
