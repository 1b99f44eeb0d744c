"""Tools start without what they do not need."""

import subprocess
import sys

import pytest

from tests.helpers import REPO

HEAVY = {'torch', 'mmengine', 'mmcv', 'mmdet3d', 'matplotlib', 'scipy', 'trimesh', 'timm', 'PIL'}
FOLDERS = (REPO / 'tools', REPO / 'tools' / 'prepare_data')
PATHS = {str(path.relative_to(REPO)) for folder in FOLDERS for path in folder.glob('*.py')}
TOOLS = sorted(PATHS - {'tools/missing_requirements.py'})  # which has no --help
RUN = """
import runpy, sys
heavy = set(sys.argv.pop().split())
for tool in sys.argv[1:]:
    for words in ['--help'], ['--no-such-option']:
        sys.argv = [tool, *words]
        try:
            runpy.run_path(tool, run_name='__main__')
        except SystemExit as end:
            assert (end.code or 0) == (2 if words == ['--no-such-option'] else 0), tool
    assert not heavy & sys.modules.keys(), (tool, heavy & sys.modules.keys())
"""


def test_help_and_unknown_options_import_nothing_heavy():
    done = subprocess.run(
        [sys.executable, '-c', RUN, *TOOLS, ' '.join(HEAVY)],
        cwd=REPO,
        env={'PYTHONPATH': str(REPO)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count('usage: ') >= len(TOOLS)


MISTAKES = {
    "expected key=value, got 'a.b'": ['point-mae_toy', '--cfg-options', 'a.b'],
    'No file and no shipped config': ['no_such_config'],
}


@pytest.mark.parametrize('says', MISTAKES)
def test_mistakes_in_arguments_import_nothing_heavy(says):
    code = f"""
import runpy, sys
sys.argv = ['tools/train.py', *{MISTAKES[says]!r}]
try:
    runpy.run_path('tools/train.py', run_name='__main__')
except SystemExit as end:
    print(end.code, *{HEAVY!r} & sys.modules.keys())
"""
    done = subprocess.run(
        [sys.executable, '-c', code],
        cwd=REPO,
        env={'PYTHONPATH': str(REPO)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ['2'] and says in done.stderr
