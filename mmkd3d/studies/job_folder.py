"""The folder of one job: who is at work in it, and how far it is."""

import fcntl
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DONE = 'done.json'
FIELDS = {'settings', 'result', 'seconds', 'records'}


@contextmanager
def claimed(folder: Path) -> Iterator[int]:
    """Keep other studies out of a folder.

    Yields:
        A file descriptor. Processes that inherit it keep the claim for as
        long as they live, also when the study itself was killed.

    Raises:
        ValueError: Another process is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / '.lock', 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f'Another process is at work in {folder}: wait until it ends, '
                'or end it, and start again.'
            ) from None
        yield file.fileno()


def read_done(folder: Path) -> tuple[dict | None, str]:
    """What is finished in a folder.

    Returns:
        Content of its ``done.json``, None if the job is to be run; and why
        so, where it had been run before.
    """
    mark = folder / DONE
    if not mark.is_file():
        return None, ''
    try:
        done = json.loads(mark.read_text())
        missing = FIELDS - set(done)
        if missing:
            raise ValueError(f'no {", ".join(sorted(missing))}')
        gone = not Path(done['result']).exists()
    except (TypeError, ValueError) as error:
        return None, f'{mark} is damaged ({error})'
    if gone:
        return None, f'{done["result"]} is gone'
    return done, ''


def progress(folder: Path | None) -> str:
    """The newest line about an epoch in the logs of a job, shortened."""
    logs = sorted(folder.glob('*.log') if folder else (), key=lambda p: p.stat().st_mtime)
    lines = (
        [line for line in logs[-1].read_text(errors='replace').splitlines() if 'Epoch(' in line]
        if logs
        else []
    )
    if not lines:
        return ''
    words = (
        r'Epoch\S+ +\S+ *\S*\]|eta: \S+|(?<=\s)loss: \S+'
        if 'Epoch(train)' in lines[-1]
        else r'Epoch\S+ +\S+'
    )
    return '  '.join(re.findall(words, lines[-1]))
