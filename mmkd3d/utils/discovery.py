"""Where registered classes are defined, without importing them."""

import re
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# `@MODELS.register_module(name='X')`, maybe further decorators, `class Y` or `def y`
REGISTERED = re.compile(
    r"^@([A-Z_]+)\.register_module\((?:name='(\w+)')?\)\n(?:@.*\n)*(?:class|def) (\w+)", re.M
)


@cache
def registered_modules() -> dict[str, dict[str, str]]:
    """Modules of mmkd3d that register something.

    Returns:
        For each registry in :mod:`mmkd3d.registry`, such as ``'MODELS'``, the
        module of every registered name.
    """
    found: dict[str, dict[str, str]] = {}
    for path in sorted(PACKAGE.rglob('*.py')):
        for registry, name, defined in REGISTERED.findall(path.read_text(encoding='utf-8')):
            parts = path.relative_to(PACKAGE.parent).with_suffix('').parts
            module = '.'.join(parts).removesuffix('.__init__')
            found.setdefault(registry, {})[name or defined] = module
    return found
