"""Build mmkd3d: nothing is compiled, and torch is not imported.

The metadata is in pyproject.toml. Beside the package, two things are put in
place for wheels and for editable installs alike: ``mmkd3d/.mim`` (what mim and
``mmkd3d.get_config`` read) and the start-up file that lets mmdet3d import
without a compiled mmcv.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM_PARTS = ('configs', 'tools', 'model-index.yml')
# Tools of the checkout, which are not installed.
NOT_INSTALLED = (
    'benchmark.py',
    'demo.*',
    'env.sh',
    'missing_requirements.py',
    'model_index.py',
    'studies',
    'study.py',
    'test.sh',
)
STARTUP_FILE = 'mmkd3d_mmcv_ext.pth'
# Runs at every start of Python, even after a half-finished uninstall, so
# nothing that goes wrong in it may reach the user's program.
STARTUP_LINE = 'import sys; exec("try:\\n import mmkd3d_startup\\nexcept Exception:\\n pass")\n'


class BuildPy(build_py):
    """Adds ``.mim`` and the start-up file to what is installed.

    A command of setuptools is the one place that wheels and editable installs
    both pass; looking at ``sys.argv``, as mm packages do, misses the latter.
    """

    def run(self):
        super().run()
        if self.editable_mode:
            self._place_mim(ROOT / 'mmkd3d' / '.mim', link=True)
            # The folder that setuptools zips into the editable wheel.
            site = Path(self.get_finalized_command('install').install_lib)
        else:
            self._place_mim(Path(self.build_lib, 'mmkd3d', '.mim'), link=False)
            site = Path(self.build_lib)
        site.mkdir(parents=True, exist_ok=True)
        (site / STARTUP_FILE).write_text(STARTUP_LINE)

    def _place_mim(self, target: Path, *, link: bool) -> None:
        if target.exists():
            shutil.rmtree(target)
        target.mkdir(parents=True)
        for part in MIM_PARTS:
            if not (link and linked(Path('..', '..', part), target / part)):
                copy(ROOT / part, target / part)


def linked(source: Path, target: Path) -> bool:
    """Whether a link could be made; Windows allows that only to some users."""
    try:
        target.symlink_to(source, target_is_directory=not source.suffix)
    except OSError:
        return False
    return True


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        ignored = shutil.ignore_patterns('__pycache__', '*.pyc', *NOT_INSTALLED)
        shutil.copytree(source, target, ignore=ignored)
    else:
        shutil.copy2(source, target)


setup(cmdclass={'build_py': BuildPy})
