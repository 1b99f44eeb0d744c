"""Atomic writes."""

import os
from pathlib import Path

Data = bytes | memoryview


def write_atomic(path: str | Path, data: Data) -> None:
    """Write a file that appears under its name only when it is complete.

    A kill during the write keeps the previous file, and may leave a hidden
    ``.NAME.partial``, which the next write replaces.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.partial')
    with open(partial, 'wb') as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    os.replace(partial, path)
