"""Files of the shipped configs, found by name; reads none of them."""

from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
STARTS = {  # of the names of configs -> task
    'cls': 'classification',
    'classifier': 'classification',
    'partseg': 'part segmentation',
    'semseg': 'semantic segmentation',
    'votenet': 'detection',
    'groupfree3d': 'detection',
    '3detr': 'detection',
    '3detr-m': 'detection',
    'zeroshot': 'zero-shot',
}


def config_root() -> Path:
    """Folder of the shipped configs: the checkout's, or the wheel's.

    Raises:
        FileNotFoundError: The installation has no configs.
    """
    for folder in (PACKAGE.parent / 'configs', PACKAGE / '.mim' / 'configs'):
        if (folder / '_base_' / 'default_runtime.py').is_file():
            return folder
    raise FileNotFoundError(
        f'No configs beside {PACKAGE} nor in {PACKAGE / ".mim"}: the '
        'installation is incomplete, install mmkd3d again.'
    )


def shipped_configs() -> list[Path]:
    """Files of the shipped configs, without those to inherit from."""
    return sorted(path for path in config_root().rglob('*.py') if '_base_' not in path.parts)


def list_models(
    pattern: str = '*', *, pretrained: bool = False, task: str | None = None
) -> list[str]:
    """Names of the shipped configs, or of what has weights.

    Args:
        pattern: Wildcards for the name: ``'point-mae*'``.
        pretrained: The students that ship, and the published weights that
            :func:`mmkd3d.load_student` downloads, instead of the configs.
        task: ``'pretraining'``, ``'classification'``, ``'part segmentation'``,
            ``'semantic segmentation'``, ``'detection'`` or, of configs, ``'zero-shot'``.

    Raises:
        ValueError: An unknown task.
    """
    if task not in (None, *STARTS.values(), 'pretraining'):
        known = ', '.join(dict.fromkeys(['pretraining', *STARTS.values()]))
        raise ValueError(f'task is one of {known}, got {task!r}.')
    if pretrained:
        from mmkd3d.checkpoints.shipped import list_students
        from mmkd3d.checkpoints.weights import list_weights

        ours = list_students() if task in (None, 'pretraining') else []
        return [name for name in ours if fnmatch(name, pattern)] + list_weights(pattern, task)
    names = sorted(path.stem for path in shipped_configs())
    return [n for n in names if fnmatch(n, pattern) and task in (None, task_of(n))]


def task_of(config: str) -> str:
    """What a config is for, by its name."""
    return STARTS.get(config.split('_')[0], 'pretraining')


def config_path(name: str | Path) -> Path:
    """Path of a config.

    Args:
        name: A file, or the name of a shipped config, with or without its
            folder and ``.py``: ``'act_toy'``, ``'toy/act_toy.py'``.

    Raises:
        FileNotFoundError: There is no such file and no such config; the
            message lists similar names.
    """
    if Path(name).is_file():
        return Path(name)
    wanted = Path(name).as_posix().removesuffix('.py')
    for path in shipped_configs():
        if f'/{path.with_suffix("").as_posix()}'.endswith(f'/{wanted}'):
            return path
    stem = wanted.split('/')[-1]
    names, start = list_models(), stem.replace('_', '-')
    longer = [known for known in names if known.replace('_', '-').startswith(start)]
    close = get_close_matches(stem, names, n=3, cutoff=0.5)
    similar = [*dict.fromkeys(longer + close)][:3]
    hint = f'Did you mean {", ".join(similar)}? ' if similar else ''
    raise FileNotFoundError(
        f'No file and no shipped config {str(name)!r}. {hint}mmkd3d.list_models() lists all names.'
    )
