"""Build the wheel, sdist and editable install, and use them outside the checkout."""

import re
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

import mmkd3d
from tests.helpers import REPO
from tests.packages import PIP, check_run, copy_source, install, make_environment

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group('wheel')]


@pytest.fixture(
    scope='module', params=['wheel', pytest.param('editable', marks=pytest.mark.nightly)]
)
def installed(request, tmp_path_factory):
    """Interpreter, its site-packages folder, and the expected location of mmkd3d."""
    folder = tmp_path_factory.mktemp(request.param)
    python, purelib = make_environment(folder / 'env')
    if request.param == 'wheel':
        install(python, request.getfixturevalue('wheel'))
        return python, purelib, purelib / 'mmkd3d'
    source = copy_source(folder / 'source')
    install(python, '-e', source)
    return python, purelib, source / 'mmkd3d'


def evaluate(python, cwd, code):
    return check_run([python, '-c', code], cwd).stdout.strip()


def test_it_is_used_without_the_checkout(installed, tmp_path):
    python, _, package = installed
    (tmp_path / 'mine.py').write_text("_base_ = 'mmkd3d::_base_/default_runtime.py'")
    code = """
import mmkd3d, mmengine
print(mmkd3d.__file__)
print(*mmkd3d.list_models())
print(mmkd3d.get_config('point-mae_toy').model.type)
print(mmengine.Config.fromfile('mine.py').default_scope)
"""
    found, names, model, scope = evaluate(python, tmp_path, code).splitlines()[-4:]
    assert Path(found) == package / '__init__.py'
    assert sorted(names.split()) == sorted(
        path.stem for path in (REPO / 'configs').rglob('*.py') if '_base_' not in path.parts
    )
    assert model.endswith('PointMAE') and scope == 'mmkd3d'


def test_the_command_works_from_any_folder(installed, tmp_path):
    python = Path(installed[0])
    names = check_run([python.with_name('mmkd3d'), 'list', '--pretrained'], tmp_path).stdout
    assert {'joint-mini', 'recon-b'} <= set(names.split())
    shown = check_run([python, '-m', 'mmkd3d', 'show', 'act'], tmp_path).stdout
    assert "pretrained='act-pointvit-s'" in shown
    usage = check_run([python, '-m', 'mmkd3d', 'prepare', 'hold_out', '--help'], tmp_path).stdout
    assert usage.startswith('usage: mmkd3d prepare hold_out')


def test_mim_folder_holds_configs_tools_and_index(installed):
    mim = installed[2] / '.mim'
    assert (mim / 'configs' / '_base_' / 'default_runtime.py').is_file()
    assert (mim / 'tools' / 'train.py').is_file()
    index = yaml.safe_load((mim / 'model-index.yml').read_text())
    assert index['Import']
    for metafile in index['Import']:
        assert (mim / metafile).is_file(), metafile


@pytest.mark.nightly
def test_every_config_is_read(installed, tmp_path):
    code = 'import mmkd3d; [mmkd3d.get_config(name) for name in mmkd3d.list_models()]'
    evaluate(installed[0], tmp_path, code)


@pytest.mark.nightly
@pytest.mark.parametrize('name', mmkd3d.list_students())
def test_a_shipped_student_is_there(installed, tmp_path, name):
    code = (
        f'import torch, mmkd3d; s = mmkd3d.load_student({name!r}); '
        'print(s.extract_feat(torch.rand(1, 1024, 3)).shape[0])'
    )
    assert evaluate(installed[0], tmp_path, code) == '1'


@pytest.mark.nightly
def test_installed_tool_starts(installed, tmp_path):
    python, _, package = installed
    done = check_run([python, package / '.mim' / 'tools' / 'train.py', '-h'], tmp_path)
    assert '--cfg-options' in done.stdout


@pytest.mark.nightly
def test_mmcv_works_at_once_after_install_startup(installed, tmp_path):
    pytest.importorskip('mmcv')
    python = installed[0]
    nothing = evaluate(python, tmp_path, 'import sys; print("mmkd3d" in sys.modules)')
    assert nothing == 'False'
    check_run([python, '-m', 'mmkd3d.doctor', '--install-startup'], tmp_path)
    use = 'import sys; print("mmkd3d" in sys.modules, "torch" in sys.modules); import mmcv.ops'
    assert evaluate(python, tmp_path, use) == 'True False'
    check_run([python, '-m', 'mmkd3d.doctor', '--remove-startup'], tmp_path)
    assert evaluate(python, tmp_path, 'import sys; print("mmkd3d" in sys.modules)') == 'False'


@pytest.mark.nightly
def test_uninstall_leaves_nothing(wheel, tmp_path):
    python, purelib = make_environment(tmp_path / 'env')
    before = set(purelib.iterdir())
    install(python, wheel)
    assert set(purelib.iterdir()) > before
    check_run([*PIP, '--python', python, 'uninstall', '-y', 'mmkd3d'], tmp_path)
    assert set(purelib.iterdir()) - before <= {purelib / '__pycache__'}


def test_wheel_holds_the_package_and_its_data_and_no_more(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    folders = [REPO / 'mmkd3d', REPO / 'mmkd3d' / 'datasets' / 'meta']
    expected = {
        str(path.relative_to(REPO))
        for path in (
            *folders[0].rglob('*.py'),
            folders[0] / 'py.typed',
            *folders[0].rglob('*.json'),
            *folders[1].glob('*'),
            *(folders[0] / 'students').glob('*'),
        )
        if path.is_file() and '.mim' not in path.parts
    }
    assert expected <= names
    assert not [name for name in names if name.endswith('.pyc')]
    students = [file for file in zipfile.ZipFile(wheel).infolist() if '/students/' in file.filename]
    assert sum(file.file_size for file in students) < 15e6
    tools = {name.split('/tools/')[1] for name in names if '/tools/' in name}
    assert {'train.py', 'multi_seed.py', 'dist_train.sh', 'prepare_data/dataset.py'} <= tools
    assert not {'benchmark.py', 'study.py', 'studies/students.py', 'demo.py', 'test.sh'} & tools
    top = {name.split('/')[0].split('.dist-info')[0] for name in names}
    assert {name.split('-')[0] for name in top} == {'mmkd3d'}


def test_requirements_fight_no_mmdet3d_environment(wheel):
    metadata = next(name for name in zipfile.ZipFile(wheel).namelist() if name.endswith('METADATA'))
    lines = zipfile.ZipFile(wheel).read(metadata).decode().splitlines()
    required = [
        line for line in lines if line.startswith('Requires-Dist') and 'extra ==' not in line
    ]
    assert required
    assert not [line for line in required if '<' in line or '==' in line]
    assert not [line for line in required if 'mmcv' in line or 'mmdet' in line]
    # `all` may be installed next to a compiled mmcv, which mmcv-lite would overwrite.
    assert not [line for line in lines if 'mmcv' in line and ('"all"' in line or "'all'" in line)]


@pytest.mark.nightly
def test_source_archive_builds_the_same_wheel(wheel, tmp_path):
    source = copy_source(tmp_path / 'source')
    check_run(
        [
            sys.executable,
            '-c',
            'from setuptools.build_meta import build_sdist; build_sdist("dist")',
        ],
        source,
    )
    archive = next((source / 'dist').glob('mmkd3d-*.tar.gz'))
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / 'unpacked')
    unpacked = next((tmp_path / 'unpacked').iterdir())
    check_run(
        [*PIP, 'wheel', '--no-deps', '--no-build-isolation', '-w', tmp_path, unpacked], tmp_path
    )
    again = next(tmp_path.glob('mmkd3d-*.whl'))
    assert zipfile.ZipFile(again).namelist() == zipfile.ZipFile(wheel).namelist()


def test_the_version_is_the_newest_of_the_changelog():
    from mmkd3d import __version__

    newest = re.search(r'^## (\S+)', (REPO / 'CHANGELOG.md').read_text(), re.M)[1]
    assert __version__.split('rc')[0] == newest.split('rc')[0]
    assert f'version: {__version__}\n' in (REPO / 'CITATION.cff').read_text()
