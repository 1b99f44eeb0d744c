"""Tools run as subprocesses, and locks on output folders."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mmkd3d.apis.jobs import lock_folder, run_tool
from tests.helpers import REPO, rejects


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


TOOL = """
import os, signal, sys, time
def stop(number, frame):
    open(sys.argv[1] + '.saved', 'w').write(signal.Signals(number).name)
    sys.exit(128 + number)
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, stop)
open(sys.argv[1] + '.pid', 'w').write(str(os.getpid()))
time.sleep(60)
"""
PARENT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from mmkd3d.apis import jobs
out = Path(sys.argv[1])
jobs.config_root = lambda: out / 'configs'
def two_tools(name):
    jobs.run_tool('tool.py', out / name, log=out / f'{name}.log')
with jobs.pass_stop_on(), ThreadPoolExecutor(2) as pool:
    list(pool.map(two_tools, ['a', 'b', 'never_started']))
"""


def wait_for(condition, seconds=60):
    end = time.time() + seconds
    while not condition():
        assert time.time() < end
        time.sleep(0.05)


@pytest.mark.parametrize('name', ['SIGTERM', 'SIGHUP'])
def test_a_signal_reaches_the_tools_and_no_further_one_is_started(tmp_path, name):
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools/tool.py').write_text(TOOL)
    number = getattr(signal, name)
    parent = subprocess.Popen(
        [sys.executable, '-c', PARENT, str(tmp_path)], cwd=REPO, stdout=subprocess.PIPE, text=True
    )
    wait_for(lambda: {p.name for p in tmp_path.glob('*.pid')} == {'a.pid', 'b.pid'})
    parent.send_signal(number)
    out, _ = parent.communicate(timeout=60)
    assert parent.returncode == 128 + number
    assert f'{name}: stopped. Run the same command again' in out and 'never' not in out
    assert {p.name: p.read_text() for p in tmp_path.glob('*.saved')} == {
        'a.saved': name,
        'b.saved': name,
    }
    for path in tmp_path.glob('*.pid'):
        rejects('', os.kill, int(path.read_text()), 0, error=ProcessLookupError)
