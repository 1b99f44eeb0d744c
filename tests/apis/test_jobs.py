"""Tools run as subprocesses, and locks on output folders."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mmkd3d.apis.jobs import lock_folder
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


TOOLS = """
import os, signal, sys
from pathlib import Path
from mmkd3d.apis import jobs
out = Path(sys.argv[1])
(out / 'tools').mkdir()
(out / 'tools/tool.py').write_text('''
import atexit, multiprocessing, os, signal, sys
print('arguments', *sys.argv[1:], flush=True)
default = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
print(multiprocessing.get_start_method(), default, flush=True)
if sys.argv[1] == 'pass':
    import fcntl
    try:
        fcntl.flock(open('.lock', 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print('locked')
    held = [os.path.realpath(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')]
    print('holds the lock', os.path.realpath('.lock') in held, flush=True)
    atexit.register(print, 'atexit', os.environ['OMP_NUM_THREADS'], os.getcwd())
if 'torch' in sys.modules:
    print(sys.modules['torch'].initial_seed(), file=open('seeds', 'a'))
if sys.argv[1] == 'exit':
    sys.exit('one line')
if sys.argv[1] == 'kill':
    os.kill(os.getpid(), signal.SIGKILL)
''')
jobs.config_root = lambda: out / 'configs'
jobs.SERVER = sys.argv[2]
os.chdir(out)
with jobs.lock_folder(out) as lock:
    for tool, word in ('tool.py', 'pass'), ('tool.py', 'exit'), ('tool.py', 'kill'), ('no.py', 'x'):
        try:
            jobs.run_tool(tool, word, log=out / f'{word}.log', lock=lock)
        except RuntimeError as error:
            print(f'{word} failed: {error}')
"""


def check_logs(folder, server):
    """Run tools that end in several ways, and compare their logs and errors."""
    done = subprocess.run(
        [sys.executable, '-c', TOOLS, str(folder), server],
        cwd=REPO,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(REPO)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    failed = [line for line in done.stdout.splitlines() if not line.startswith('$')]
    assert len(failed) == 3
    assert failed[0] == f'exit failed: one line (log: {folder / "exit.log"})'
    assert failed[1].startswith('kill failed: killed by SIGKILL, after: fork True')
    assert 'No such file' in failed[2] and 'no.py' in failed[2]
    log = (folder / 'pass.log').read_text().splitlines()
    held = ['locked', 'holds the lock True']
    assert log == ['arguments pass', 'fork True', *held, f'atexit 1 {folder}']
    assert 'one line' in (folder / 'exit.log').read_text().splitlines()


def test_tools_write_to_their_log_and_their_failures_are_reported(tmp_path):
    check_logs(tmp_path, 'tests.apis.cold_server')


@pytest.mark.slow
def test_forked_tools_write_to_their_log_and_their_failures_are_reported(tmp_path):
    check_logs(tmp_path, 'mmkd3d.apis.warm_server')
    seeds = (tmp_path / 'seeds').read_text().split()
    assert len(seeds) == len(set(seeds)) == 3  # of processes of their own


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
jobs.SERVER = sys.argv[2]
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


SIGNALS = [
    ('SIGTERM', 'tests.apis.cold_server'),
    ('SIGHUP', 'tests.apis.cold_server'),
    pytest.param('SIGTERM', 'mmkd3d.apis.warm_server', marks=pytest.mark.nightly),
]


@pytest.mark.parametrize(('name', 'server'), SIGNALS)
def test_a_signal_reaches_the_tools_and_no_further_one_is_started(tmp_path, name, server):
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools/tool.py').write_text(TOOL)
    number = getattr(signal, name)
    parent = subprocess.Popen(
        [sys.executable, '-c', PARENT, str(tmp_path), server],
        cwd=REPO,
        stdout=subprocess.PIPE,
        text=True,
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
