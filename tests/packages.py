"""Build wheels, and environments to install them in."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.helpers import REPO

PIP = [sys.executable, '-m', 'pip', '--disable-pip-version-check']
NOT_SOURCE = shutil.ignore_patterns(
    '.git',
    '.mim',
    '.pytest_cache',
    '__pycache__',
    '*.egg-info',
    'build',
    'dist',
    'data',
    'work_dirs',
)


def check_run(command, cwd, **env):
    """Run a command without the checkout on the path; returns its output."""
    env = {**os.environ, 'OMP_NUM_THREADS': '1', **env}
    env.pop('PYTHONPATH', None)
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done


def copy_source(target):
    return shutil.copytree(REPO, target, ignore=NOT_SOURCE)


def make_environment(folder):
    """Create an environment with the current packages, but without their .pth files."""
    venv.create(folder, with_pip=False)
    python = folder / 'bin' / 'python'
    purelib = Path(
        check_run(
            [python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'], folder
        ).stdout.strip()
    )
    here = {sysconfig.get_path('purelib'), sysconfig.get_path('platlib')}
    (purelib / 'packages_of_the_tests.pth').write_text('\n'.join(sorted(here)))
    return python, purelib


def install(python, *arguments):
    check_run(
        [*PIP, '--python', python, 'install', '--no-deps', '--no-build-isolation', *arguments],
        python.parent,
    )


def build_wheel(folder):
    source = copy_source(folder / 'source')
    check_run([*PIP, 'wheel', '--no-deps', '--no-build-isolation', '-w', folder, source], folder)
    return next(folder.glob('mmkd3d-*.whl'))
