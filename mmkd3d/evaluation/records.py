"""Records of results: where a number comes from, and its mean over seeds."""

import functools
import json
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import mean, stdev

from mmkd3d.utils.atomic import write_atomic
from mmkd3d.utils.hashes import file_digest
from mmkd3d.version import __version__

REPO = Path(__file__).resolve().parents[2]
PACKAGES = ('torch', 'mmengine', 'mmdet3d', 'numpy', 'scikit-learn')


def make_record(
    *,
    protocol: str,
    metrics: Mapping[str, float],
    seed: int | None,
    config: str | Path | None = None,
    checkpoint: str | Path | None = None,
    data_hash: str | Mapping[str, str] | None = None,
    command: Sequence[str] | None = None,
    **extra,
) -> dict:
    """A result as plain data, with everything needed to reproduce it.

    Args:
        protocol: What was measured and how: 'linear SVM, C=0.075'.
        metrics: Names and values.
        seed: Seed of the run.
        config: Config of the model.
        checkpoint: File that was evaluated.
        data_hash: Checksum of the data, or of each split.
        command: Command that reproduces the result.
        extra: Further fields: ``name``, ``fold``.

    Returns:
        The arguments, and the commit of mmkd3d (None outside a checkout),
        whether files were changed since, the first 16 digits of the
        checkpoint's SHA-256, package versions and the time.
    """
    commit, changed = checkout_state()
    return dict(
        extra,
        protocol=protocol,
        metrics={k: float(v) for k, v in metrics.items()},
        seed=seed,
        config=None if config is None else str(config),
        checkpoint=None if checkpoint is None else str(checkpoint),
        checkpoint_hash=checkpoint and file_digest(checkpoint)[:16],
        data_hash=data_hash,
        command=None if command is None else list(map(str, command)),
        commit=commit,
        changed=changed,
        versions=versions(),
        date=datetime.now(timezone.utc).isoformat(timespec='seconds'),
    )


def checkout_state() -> tuple[str | None, bool | None]:
    """Commit of the checkout, and whether its files were changed."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ['git', '-C', REPO, *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        if Path(git('rev-parse', '--show-toplevel')) != REPO:
            return None, None  # installed somewhere below another checkout
        changed = git('status', '--porcelain', '--untracked-files=no')
        return git('rev-parse', 'HEAD'), bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return None, None


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python, mmkd3d and the packages that affect results."""
    found = dict(python=platform.python_version(), mmkd3d=__version__)
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_record(path: str | Path, record: dict | list[dict]) -> None:
    """Write a record, or a list of records, as JSON. The write is atomic."""
    write_atomic(path, json.dumps(record, indent=1).encode())


def check_seeds(seeds: Sequence[int]) -> None:
    """``ValueError`` unless seeds are distinct whole numbers."""
    if (
        not isinstance(seeds, (list, tuple))
        or not seeds
        or not all(isinstance(seed, int) for seed in seeds)
        or len(set(seeds)) < len(seeds)
    ):
        raise ValueError(f'Expected one or more whole numbers as seeds, each once, got {seeds!r}.')


def summarize(
    records: Sequence[dict], by: Callable[[dict], str] = lambda r: r['protocol']
) -> dict[str, dict]:
    """Mean and spread of every metric, grouped by protocol.

    Args:
        records: See :func:`make_record`.
        by: Returns the group of a record.

    Returns:
        Group -> metric -> ``mean``, ``std`` (of a sample: n - 1 in the
        denominator; 0 for one run), ``min``, ``max``, ``n`` and ``seeds``.
    """
    runs: dict[str, dict] = {}
    for record in records:
        for metric, value in record['metrics'].items():
            metrics = runs.setdefault(by(record), {})
            metrics.setdefault(metric, []).append((value, record['seed']))
    return {
        group: {metric: spread(found) for metric, found in metrics.items()}
        for group, metrics in runs.items()
    }


def spread(runs: Sequence[tuple[float, int | None]]) -> dict:
    """Statistics of (value, seed) pairs."""
    values = [value for value, _ in runs]
    return dict(
        mean=mean(values),
        std=stdev(values) if len(values) > 1 else 0.0,
        min=min(values),
        max=max(values),
        n=len(values),
        seeds=[seed for _, seed in runs],
    )


def spread_table(rows: Mapping[str, Mapping[str, dict]]) -> str:
    """Markdown table of :func:`summarize`, one line per metric."""
    lines = [
        '| protocol | metric | mean | deviation | min | max | runs | seeds |',
        '|---' * 8 + '|',
    ]
    for name, metrics in rows.items():
        for metric, found in metrics.items():
            values = ' | '.join(
                '-' if key == 'std' and found['n'] == 1 else f'{found[key]:.2f}'
                for key in ('mean', 'std', 'min', 'max')
            )
            seeds = ', '.join(map(str, dict.fromkeys(found['seeds'])))
            lines.append(f'| {name} | {metric} | {values} | {found["n"]} | {seeds} |')
    return '\n'.join(lines) + '\n'
