"""Atomic writes, and errors that name the file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Data = bytes | memoryview


@contextmanager
def named_errors(path: str | Path) -> Iterator[None]:
    """Let every ``OSError`` name a file.

    Errors of a write do not, as on a full disk (``ENOSPC``, ``EDQUOT``,
    ``EFBIG``).
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_atomic(path: str | Path, data: Data) -> None:
    """Write a file that appears under its name only when it is complete.

    A write that fails keeps the previous file and leaves nothing else. A kill
    during the write may leave a hidden ``.NAME.partial``, which the next
    write replaces.

    Raises:
        OSError: The file cannot be written; the error names it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.partial')
    try:
        with named_errors(path), open(partial, 'wb') as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
