"""One result and all that is needed to get it again."""

import functools
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mmkd3d.utils.atomic import write_atomic
from mmkd3d.utils.digest import file_digest
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
    """A result as plain data, with where it comes from.

    Args:
        protocol: What was measured and how, in words: 'linear SVM, C=0.075'.
        metrics: Names and values.
        seed: Of the run.
        config: Of the model.
        checkpoint: The file that was evaluated, or that the run started from.
        data_hash: Of the data, or of each of its halves.
        command: That gives this result again.
        extra: What else tells runs apart: ``name``, ``fold``.

    Returns:
        The above with the commit of mmkd3d (None where it is not run from a
        checkout), whether files were changed since, the first 16 digits of
        the checkpoint's SHA-256, versions and the time.
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
    """Commit that is checked out, and whether its files were changed."""

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
    """Of Python, mmkd3d and what results depend on."""
    found = dict(python=platform.python_version(), mmkd3d=__version__)
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_record(path: str | Path, record: dict) -> None:
    """Write a record, or a list of them, as JSON, whole or not at all."""
    write_atomic(path, json.dumps(record, indent=1).encode())
