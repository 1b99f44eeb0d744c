"""Published checkpoints by name: where they come from, and their files on this machine."""

import functools
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path
from urllib.error import URLError

TABLE = Path(__file__).with_name('weights.yaml')


@dataclass(frozen=True)
class Weights:
    """A published checkpoint; the table ``weights.yaml`` explains the fields."""

    name: str
    method: str
    made_by: str
    page: str
    licence: str | None
    url: str
    task: str
    data: str
    source: str
    config: str
    aliases: tuple[str, ...] = ()
    file: str | None = None
    sha256: str | None = None
    metric: str | None = None
    options: tuple[str, ...] = ()
    note: str | None = None

    @property
    def path(self) -> Path:
        """Where the file is kept: in the cache of ``torch.hub``."""
        from torch import hub

        return Path(hub.get_dir(), 'checkpoints', 'mmkd3d', f'{self.name}.pth')

    @property
    def download_url(self) -> str:
        """Address of the file itself; ``url`` may be a page that shows it."""
        start = 'https://drive.google.com/file/d/'
        if not self.url.startswith(start):
            return self.url
        key = self.url.removeprefix(start).split('/')[0]
        return f'https://drive.usercontent.google.com/download?id={key}&export=download&confirm=t'


@functools.cache
def all_weights() -> dict[str, Weights]:
    """Name -> checkpoint, as in the table."""
    import yaml

    found = {}
    for release in yaml.safe_load(TABLE.read_text(encoding='utf-8')):
        files = release.pop('files')
        for name, fields in files.items():
            lists = {key: tuple(fields.pop(key, ())) for key in ('aliases', 'options')}
            found[name] = Weights(name=name, **release, **fields, **lists)
    return found


def list_weights(pattern: str = '*', task: str | None = None) -> list[str]:
    """Names of the published checkpoints.

    Args:
        pattern: Wildcards for the name or an alias: ``'act*'``.
        task: ``'pretraining'``, ``'classification'``, ``'part segmentation'``,
            ``'semantic segmentation'`` or ``'detection'``; None: all.
    """
    return [
        name
        for name, weights in all_weights().items()
        if task in (None, weights.task)
        and any(fnmatch(known, pattern) for known in (name, *weights.aliases))
    ]


def find_weights(name: str) -> Weights | None:
    """The checkpoint of a name or alias; None if there is none."""
    table = all_weights()
    if name in table:
        return table[name]
    return next((weights for weights in table.values() if name in weights.aliases), None)


def similar_names(name: str) -> list[str]:
    """Known names that are like this one, best first."""
    from .shipped import list_students

    table = all_weights().values()
    known = [*list_students(), *(n for weights in table for n in (weights.name, *weights.aliases))]
    return get_close_matches(name, known, n=3, cutoff=0.5)


def fetch(weights: Weights) -> Path:
    """The file of a published checkpoint, downloaded if it is not on this machine.

    Raises:
        FileNotFoundError: It is not here and cannot be downloaded; the message says
            where to get it and where to put it.
        ValueError: The file is not the one that was published.
    """
    from mmengine.logging import print_log
    from torch import hub

    from .files import check_kind

    path = weights.path
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        print_log(f'Downloading {weights.name} from {weights.url} to {path}', 'current')
        try:
            hub.download_url_to_file(weights.download_url, str(path))
            check_kind(path)
        except (OSError, URLError, ValueError) as error:  # no network, or a page instead of a file
            path.unlink(missing_ok=True)
            raise FileNotFoundError(
                f'{weights.name} is not on this machine and cannot be downloaded ({error}). '
                f'Download {weights.url} ({weights.page}) and put it at {path}.'
            ) from error
    _check(path, weights)
    return path


@functools.cache
def _check(path: Path, weights: Weights) -> None:
    """Compare the file with its checksum, once in a process; tell the licence."""
    from mmengine.logging import print_log

    from mmkd3d.utils.hashes import file_digest

    digest = file_digest(path) if weights.sha256 else None
    if digest != weights.sha256:
        raise ValueError(
            f'{path} is not the published {weights.name}: its SHA-256 is {digest}, expected '
            f'{weights.sha256}. Delete it and download {weights.url} again.'
        )
    licence = weights.licence or 'not stated by its authors'
    print_log(
        f'{weights.name}, {weights.method}, {weights.made_by}. Licence: {licence}.', 'current'
    )
