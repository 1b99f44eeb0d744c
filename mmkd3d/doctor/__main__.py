"""Print the report.

    python -m mmkd3d.doctor [--json | --install-startup | --remove-startup]

Exits with 1 if something will not work, 0 otherwise.
"""

import argparse
import dataclasses
import json
import sys
import textwrap

from . import diagnose, inspect
from .environment import MODULES, Environment
from .rules import Finding
from .startup import install_startup, remove_startup


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog='python -m mmkd3d.doctor',
        description='Print versions, operators, and known-bad combinations with '
        'their repairs. Exits with 1 if something will not work.',
    )
    add = parser.add_mutually_exclusive_group().add_argument
    add('--json', action='store_true', help='print one JSON object instead')
    add(
        '--install-startup',
        action='store_true',
        help="import mmkd3d whenever Python starts: mmdetection3d's own tools need that "
        'where mmcv has no compiled operators; nothing else does',
    )
    add('--remove-startup', action='store_true', help='undo that; run it before pip uninstall')
    args = parser.parse_args(argv)
    if args.install_startup or args.remove_startup:
        print(install_startup() if args.install_startup else remove_startup())
        return 0
    env = inspect()
    findings = diagnose(env)
    if args.json:
        print(
            json.dumps(
                dict(dataclasses.asdict(env), findings=[dataclasses.asdict(f) for f in findings]),
                indent=2,
            )
        )
    else:
        print(report(env, findings))
    return int(any(finding.level == 'error' for finding in findings))


def report(env: Environment, findings: list[Finding]) -> str:
    """The report as text."""
    lines = []
    for name in ('python', *MODULES):
        if name not in env.versions:
            lines.append(f'{name:24}-')
            continue
        error = env.failures.get(MODULES.get(name) or '')
        lines.append(
            f'{name:24}{env.versions[name]}' + (f'   import fails: {error}' if error else '')
        )
    lines.append(f'{"GPU":24}{gpu_text(env)}')
    for source in dict.fromkeys(env.operators.values()):
        names = ', '.join(name for name, where in env.operators.items() if where == source)
        lines.append(f"mmcv's operators from {source}:")
        lines += textwrap.wrap(names, 78, initial_indent='    ', subsequent_indent='    ')
    for finding in findings:
        lines += ['', f'[{finding.level}] {finding.symptom}', f'    -> {finding.repair}']
    num_errors = sum(finding.level == 'error' for finding in findings)
    lines += ['', f'{num_errors} error(s).']
    return '\n'.join(lines)


def gpu_text(env: Environment) -> str:
    if env.gpu is None:
        return 'none that torch sees; everything runs on the CPU'
    return (
        f'{env.gpu}, capability {".".join(map(str, env.capability))}; '
        f'torch is compiled for {" ".join(env.arch_list)}'
    )


if __name__ == '__main__':
    sys.exit(main())
