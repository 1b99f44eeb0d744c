"""Atomic writes."""

import os
from pathlib import Path

Data = bytes | memoryview


def write_atomic(path: str | Path, data: Data) -> None:
    """Write a file that appears under its name only when it is complete.

    A write that fails keeps the previous file and leaves nothing else. A kill
    during the write may leave a hidden ``.NAME.partial``, which the next
    write replaces.

    Raises:
        OSError: The file cannot be written, for example on a full disk
            (``ENOSPC``, ``EDQUOT``, ``EFBIG``); it names the file.
    """
    path = Path(path)
    partial = path.with_name(f'.{path.name}.partial')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, 'wb') as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(partial, path)
    except OSError as error:
        size = memoryview(data).nbytes
        reason = f'{error.strerror or error} (while {size} bytes were written)'
        raise OSError(error.errno, reason, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)
