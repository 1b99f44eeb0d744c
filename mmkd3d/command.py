"""The command ``mmkd3d``: all tools under one name, from any folder.

mmkd3d list 'act*' --pretrained     names of configs, or of what has weights
mmkd3d show joint-mini              what a checkpoint is, and how to use it
mmkd3d train CONFIG ...             the tools; each has --help
"""

import argparse
import importlib.util
import sys
from pathlib import Path

TOOLS = {  # command -> file in tools/, and what it does
    'train': ('train.py', 'train a config'),
    'test': ('test.py', 'evaluate a checkpoint on the test data of its config'),
    'infer': ('infer.py', 'find objects in scans of rooms'),
    'features': ('extract_features.py', 'features of files, by any checkpoint'),
    'probe': ('probe.py', 'measure frozen features: linear SVM, k-NN, few labels'),
    'embed': ('embed.py', 'features as points in the plane: t-SNE or PCA'),
    'visualize': ('visualize.py', 'masks, reconstructions, views, boxes as pictures'),
    'convert': ('convert_checkpoint.py', 'published checkpoints to ours, and back'),
    'cache': ('cache_teacher.py', 'compute the features of a teacher once'),
    'seeds': ('multi_seed.py', 'run a config with several seeds'),
    'data': ('prepare_data/dataset.py', 'describe, verify, read or pack data'),
}
OWN = {
    'list': 'names of configs, or of what has weights',
    'show': 'what a checkpoint is, and how to use it',
    'prepare': 'make a data set: mmkd3d prepare NAME --help',
    'doctor': 'check the installation',
    'completion': 'print the completion of a shell: eval "$(mmkd3d completion)"',
}


def main(argv: list[str] | None = None) -> int | None:
    """Run a command; the exit code of :func:`sys.exit`."""
    words = sys.argv[1:] if argv is None else argv
    name, rest = (words[0], words[1:]) if words else ('--help', [])
    if name in ('-h', '--help'):
        print(overview())
    elif name in ('-V', '--version'):
        from .version import __version__

        print(__version__)
    elif name in TOOLS:
        return run(TOOLS[name][0], rest, name)
    elif name == 'prepare':
        return prepare(rest)
    elif name == 'doctor':
        from .doctor.__main__ import main as doctor

        return doctor(rest)
    elif name == 'completion':
        print(f'complete -W "{" ".join([*OWN, *TOOLS])}" -o default mmkd3d')
    elif name in OWN:
        from .apis.errors import short_errors

        with short_errors():
            print(dict(list=list_names, show=show)[name](rest))
    else:
        from .registry import nearest

        near = nearest(name, [*OWN, *TOOLS])
        hint = f' Did you mean {near}?' if near else ''
        raise SystemExit(f'mmkd3d has no command {name!r}.{hint} mmkd3d --help lists them.')
    return None


def overview() -> str:
    """The help of the command."""
    rows = {**OWN, **{name: text for name, (_, text) in TOOLS.items()}}
    lines = [f'  {name:<12}{text}' for name, text in rows.items()]
    return '\n'.join(
        ['usage: mmkd3d COMMAND ...', '', *lines, '', 'mmkd3d COMMAND --help has the options.']
    )


def tools_folder() -> Path:
    """The tools of the checkout, or those that were installed with the package."""
    from .apis.config_files import config_root

    return config_root().parent / 'tools'


def run(file: str, words: list[str], name: str) -> int | None:
    """Run a tool under the name of the command; its exit code."""
    from .apis.errors import short_errors

    path = tools_folder() / file
    spec = importlib.util.spec_from_file_location(f'mmkd3d_{path.stem}', path)
    tool = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = tool
    spec.loader.exec_module(tool)
    before, sys.argv = sys.argv, [f'mmkd3d {name}', *words]  # argparse reads the name there
    try:
        with short_errors():
            return tool.main(words)
    finally:
        sys.argv = before


def prepare(words: list[str]) -> int | None:
    """Run a tool of ``tools/prepare_data``; without a name, list them."""
    files = {p.stem: p for p in sorted((tools_folder() / 'prepare_data').glob('*.py'))}
    files.pop('dataset')  # mmkd3d data
    if words and words[0] in files:
        name = words[0]
        return run(f'prepare_data/{name}.py', words[1:], f'prepare {name}')
    if words and words[0] not in ('-h', '--help'):
        raise SystemExit(f'mmkd3d prepare has no {words[0]!r}, only {", ".join(files)}.')
    lines = []
    for name, path in files.items():
        text = path.read_text(encoding='utf-8').split('"""')[1].splitlines()[0]
        lines.append(f'  {name:<15}{text}')
    print('\n'.join(['usage: mmkd3d prepare NAME ...', '', *lines]))
    return None


def list_names(words: list[str]) -> str:
    """The command ``list``."""
    from .apis.config_files import list_models

    parser = argparse.ArgumentParser(prog='mmkd3d list', description=OWN['list'])
    parser.add_argument('pattern', nargs='?', default='*', help="wildcards, such as 'act*'")
    parser.add_argument('--pretrained', action='store_true', help='names with weights')
    parser.add_argument('--task', help='pretraining, classification, detection, ...')
    args = parser.parse_args(words)
    return '\n'.join(list_models(args.pattern, pretrained=args.pretrained, task=args.task))


def show(words: list[str]) -> str:
    """The command ``show``."""
    parser = argparse.ArgumentParser(prog='mmkd3d show', description=OWN['show'])
    parser.add_argument('checkpoint', help='a name with weights, or a file')
    args = parser.parse_args(words)
    from .apis.describe import describe

    return describe(args.checkpoint)


if __name__ == '__main__':
    sys.exit(main())
