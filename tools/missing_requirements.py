"""Compare requirements/env.txt with what the running Python has installed.

python tools/missing_requirements.py                lines that are not met
python tools/missing_requirements.py --constraints  for pip: everything
    installed stays as it is, constraints.txt holds for the rest
"""

import sys
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
# The compiled mmcv does everything that the pure Python one does.
STANDS_FOR = {'mmcv-lite': 'mmcv'}


def read(path: Path) -> list[Requirement]:
    """Requirements of a pip file, with its includes."""
    found = []
    for line in path.read_text().splitlines():
        line = line.split('#')[0].strip()
        if line.startswith('-r '):
            found += read(path.parent / line[3:].strip())
        elif line:
            found.append(Requirement(line))
    return found


def is_met(requirement: Requirement) -> bool:
    for name in (requirement.name, STANDS_FOR.get(requirement.name)):
        try:
            if name and requirement.specifier.contains(version(name), prereleases=True):
                return True
        except PackageNotFoundError:
            continue
    return False


def main() -> None:
    if '--constraints' not in sys.argv:
        missing = {str(r) for r in read(ROOT / 'requirements/env.txt') if not is_met(r)}
        print('\n'.join(sorted(missing)))
        return
    installed = {
        canonicalize_name(d.metadata['Name']): d.version
        for d in distributions()
        if d.metadata['Name']
    }
    for name, number in sorted(installed.items()):
        print(f'{name}=={number}')
    for requirement in read(ROOT / 'constraints.txt'):
        if canonicalize_name(requirement.name) not in installed:
            print(requirement)


if __name__ == '__main__':
    main()
