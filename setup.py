"""Build mmkd3d: nothing is compiled, and torch is not imported.

Wheels and editable installs get ``mmkd3d/.mim``, where mim, mmengine and
``mmkd3d.get_config`` find the configs and tools.
"""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM_PARTS = ('configs', 'tools', 'model-index.yml')


def read_requirements(name: str) -> list[str]:
    """Lines of ``requirements/<name>.txt``, with its includes."""
    found = []
    for line in (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines():
        line = line.split('#')[0].strip()
        if line.startswith('-r '):
            found += read_requirements(Path(line[3:].strip()).stem)
        elif line:
            found.append(line)
    return found


def read_version() -> str:
    text = (ROOT / 'mmkd3d' / 'version.py').read_text()
    return re.search(r"__version__ = '(.+)'", text).group(1)


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
        shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__', '*.pyc'))
    else:
        shutil.copy2(source, target)


EXTRAS = {
    name: read_requirements(name)
    for name in ('mm', 'lite', 'clip', 'text', 'vis', 'data', 'tests', 'docs')
}
# Without `lite`: it must not land on top of a compiled mmcv.
EXTRAS['all'] = sorted({line for name, lines in EXTRAS.items() if name != 'lite' for line in lines})

setup(
    name='mmkd3d',
    version=read_version(),
    description='Point-cloud backbones pretrained by 2D-image and language '
    'teachers, for mmdetection3d',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    keywords=[
        'point cloud',
        'knowledge distillation',
        'self-supervised learning',
        '3D object detection',
        'mmdetection3d',
    ],
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Science/Research',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    python_requires='>=3.10',
    packages=find_packages(include=['mmkd3d', 'mmkd3d.*']),
    package_data={
        'mmkd3d': ['py.typed'],
        'mmkd3d.datasets': ['meta/*'],
        'mmkd3d.models.teachers': ['references.json', 'prompts/*.json'],
        'mmkd3d.visualization': ['page.html'],
    },
    install_requires=read_requirements('runtime'),
    extras_require=EXTRAS,
    cmdclass={'build_py': BuildPy},
    zip_safe=False,
)
