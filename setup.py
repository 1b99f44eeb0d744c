"""Build mmkd3d: nothing is compiled, and torch is not imported.

The metadata is in pyproject.toml. Wheels and editable installs also get
``mmkd3d/.mim``, where mim, mmengine and ``mmkd3d.get_config`` find the configs
and tools.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM_PARTS = ('configs', 'tools', 'model-index.yml')
# Tools of the checkout, left out of the wheel.
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


class BuildPy(build_py):
    """Adds ``.mim`` to what is installed.

    A command of setuptools is the one place that wheels and editable installs
    both pass; looking at ``sys.argv``, as mm packages do, misses the latter.
    """

    def run(self):
        super().run()
        root = ROOT if self.editable_mode else Path(self.build_lib)
        self._place_mim(root / 'mmkd3d' / '.mim', link=self.editable_mode)

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
