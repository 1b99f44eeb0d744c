"""tools/env.sh, offline, on a checkout that requires one small package."""

import os
import shutil
import signal
import subprocess
import sys
import time
import venv
import zipfile

import pytest

from tests.helpers import REPO

pytestmark = pytest.mark.nightly
USE = (
    'set -euo pipefail; source tools/env.sh; '
    '"$MMKD3D_PYTHON" -c "import tiny; print(tiny.__file__, tiny.NUMBER)"'
)


def write_wheel(folder, name, version):
    info = f'{name}-{version}.dist-info'
    with zipfile.ZipFile(folder / f'{name}-{version}-py3-none-any.whl', 'w') as wheel:
        wheel.writestr(f'{name}.py', f'NUMBER = {version!r}\n')
        wheel.writestr(
            f'{info}/METADATA', f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'
        )
        wheel.writestr(
            f'{info}/WHEEL', 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n'
        )
        wheel.writestr(f'{info}/RECORD', '')


@pytest.fixture
def wheelhouse(tmp_path):
    folder = tmp_path / 'wheels'
    folder.mkdir()
    for name, version in [('tiny', '1.0'), ('tiny', '2.0'), ('other', '1.0')]:
        write_wheel(folder, name, version)
    return folder


def make_checkout(folder, requirements, constraints='tiny==2.0\n'):
    (folder / 'tools').mkdir(parents=True)
    (folder / 'requirements').mkdir()
    for name in ('env.sh', 'missing_requirements.py'):
        shutil.copy(REPO / 'tools' / name, folder / 'tools')
    (folder / 'requirements' / 'env.txt').write_text('-r runtime.txt\n')
    (folder / 'requirements' / 'runtime.txt').write_text(requirements)
    (folder / 'constraints.txt').write_text(constraints)
    return folder


@pytest.fixture
def checkout(tmp_path, wheelhouse):
    return make_checkout(tmp_path / 'checkout', 'tiny>=1\n')


@pytest.fixture
def environ(tmp_path, wheelhouse):
    """An empty home folder, and a package index with only these wheels."""
    home = tmp_path / 'home'
    home.mkdir()
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(('PIP_', 'CONDA', 'XDG_', 'VIRTUAL_ENV', 'PYTHON'))
    }
    return {
        **kept,
        'HOME': str(home),
        'PYTHON': sys.executable,
        'PIP_NO_INDEX': '1',
        'PIP_FIND_LINKS': str(wheelhouse),
        'PIP_CONFIG_FILE': os.devnull,
    }


def start(checkout, environ, command=USE):
    return subprocess.Popen(
        ['bash', '-c', command],
        cwd=checkout,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def use(checkout, environ):
    process = start(checkout, environ)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def make_active(folder, environ, *packages):
    """Create an activated virtual environment with some packages."""
    venv.create(folder, with_pip=True)
    subprocess.run(
        [folder / 'bin' / 'python', '-m', 'pip', 'install', *packages],
        env=environ,
        check=True,
        capture_output=True,
    )
    return {**environ, 'VIRTUAL_ENV': str(folder)}


def test_environment_is_made_once_and_shared_by_checkouts(checkout, environ, tmp_path):
    first = use(checkout, environ)
    assert 'making the environment' in first
    place, number = first.split()[-2:]
    assert place.startswith(environ['HOME']) and number == '2.0'
    same = make_checkout(tmp_path / 'same', 'tiny>=1\n')
    for again in (use(checkout, environ), use(same, environ)):
        assert 'using the environment' in again
        assert again.split()[-2] == place
    different = make_checkout(tmp_path / 'different', 'tiny>=1\nother\n')
    assert use(different, environ).split()[-2] != place


def test_killed_installation_is_redone(checkout, environ):
    process = start(checkout, environ)
    home = os.path.join(environ['HOME'], '.cache', 'mmkd3d')
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(
        os.path.exists(os.path.join(home, name, 'bin'))
        for name in (os.listdir(home) if os.path.isdir(home) else ())
    ):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    again = use(checkout, environ)
    assert 'removing the half-built environment' in again
    assert again.split()[-1] == '2.0'


def test_two_runs_at_once_share_one_build(checkout, environ):
    outputs = [
        process.communicate(timeout=300)[0]
        for process in [start(checkout, environ), start(checkout, environ)]
    ]
    assert sum('making the environment' in output for output in outputs) == 1
    assert [output.split()[-1] for output in outputs] == ['2.0', '2.0']


def test_active_environment_is_added_to_and_never_changed(environ, tmp_path, wheelhouse):
    active = make_active(tmp_path / 'active', environ, 'tiny==1.0')
    checkout = make_checkout(tmp_path / 'checkout', 'tiny>=1\nother\n')
    first = use(checkout, active)
    assert 'adding to the active environment' in first
    assert first.split()[-1] == '1.0'
    assert first.split()[-2].startswith(active['VIRTUAL_ENV'])
    assert 'using the active environment' in use(checkout, active)
    assert not (tmp_path / 'home' / '.cache' / 'mmkd3d').exists()


def test_active_environment_that_contradicts_is_refused(environ, tmp_path, wheelhouse):
    active = make_active(tmp_path / 'active', environ, 'tiny==1.0')
    checkout = make_checkout(tmp_path / 'checkout', 'tiny>=2\n')
    process = start(checkout, active)
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert 'Deactivate it' in output


def test_failed_installation_shows_its_log_and_leaves_no_environment(environ, tmp_path, wheelhouse):
    checkout = make_checkout(tmp_path / 'checkout', 'absent\n')
    for _ in range(2):
        process = start(checkout, environ)
        output, _ = process.communicate(timeout=300)
        assert process.returncode != 0
        assert 'No matching distribution found for absent' in output
        assert 'using the environment' not in output


def test_unsuitable_python_is_named(checkout, environ):
    process = start(checkout, {**environ, 'PYTHON': '/bin/false'})
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert 'PYTHON=/bin/false is not a Python 3.10, 3.11 or 3.12' in output
