"""Captions of shapes or of categories from a file."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmkd3d.datasets.readers import existing
from mmkd3d.registry import TRANSFORMS


@TRANSFORMS.register_module()
@dataclass
class LoadCaptions:
    """Look up ``results['caption']`` in a file, which is read once.

    The file, in UTF-8, is one of

    * ``.json``: an object of ids and captions, or a list of objects with the
      fields ``key`` and ``value``;
    * ``.csv``: with a header that names the columns ``key`` and ``value``;
    * ``.txt``: lines of an id, a tab and the caption.

    Args:
        file: The file.
        key: Field or column of the ids.
        value: Field or column of the captions.
        by: Kind of ids: 'sample', the ``sample_id`` or its last part;
            'category', the name of the category; 'synset', ShapeNet's eight
            digits, with or without leading 0, as in ReCon's descriptions
            (``key='catalogue', value='describe'``).
        missing: For a sample without caption: 'error', or 'category' to use
            the name of its category.

    Raises:
        FileNotFoundError: No file.
        ValueError: A file that can't be read, a row without id or caption,
            two captions of one id, a sample without caption, or an unknown
            argument.
    """

    file: str | Path
    key: str = 'id'
    value: str = 'caption'
    by: str = 'sample'
    missing: str = 'error'

    def __post_init__(self):
        for name, known in (
            ('by', ('sample', 'category', 'synset')),
            ('missing', ('error', 'category')),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f'LoadCaptions: {name} is one of {known}, got {getattr(self, name)!r}.'
                )
        self.captions = self._collect()

    def check_items(self, items: Sequence[dict]) -> None:
        """Fail early if samples have no caption."""
        if self.missing == 'category':
            return
        lacking = [
            item['sample_id'] for item in items if self._known(item) and self._find(item) is None
        ]
        if lacking:
            raise ValueError(
                f'{self.file}: no caption for {len(lacking)} of {len(items)} '
                f'samples; the first: {", ".join(lacking[:3])}. '
                f'{self._advice()}'
            )

    def __call__(self, results: dict) -> dict:
        caption = self._find(results) if self._known(results) else None
        if caption is None and self.missing == 'category':
            caption = results.get('category')
        if caption is None:
            raise ValueError(
                f'{self.file}: no caption for '
                f'{results.get("sample_id", "a sample")} (category '
                f'{results.get("category")!r}). {self._advice()}'
            )
        results['caption'] = caption
        return results

    def _known(self, results: dict) -> bool:
        """Whether the sample has the id to look up."""
        return ('category' if self.by == 'category' else 'sample_id') in results

    def _find(self, results: dict) -> str | None:
        if self.by == 'category':
            return self.captions.get(results['category'])
        name = results['sample_id'].split('/')[-1]
        if self.by == 'synset':
            return self.captions.get(name.partition('-')[0])
        return self.captions.get(results['sample_id'], self.captions.get(name))

    def _advice(self) -> str:
        some = ', '.join(list(self.captions)[:3])
        return (
            f'It has {len(self.captions)} captions by {self.by} ({some}, '
            "...). Add the missing ones, set `by`, or missing='category'."
        )

    def _collect(self) -> dict[str, str]:
        """Captions by id."""
        path = existing(self.file, 'LoadCaptions reads captions from it', 'Set file.')
        readers = {'.json': _json, '.csv': _csv, '.txt': _txt}
        if path.suffix.lower() not in readers:
            raise ValueError(
                f'{path}: captions come from one of {", ".join(readers)}, got {path.suffix!r}.'
            )
        try:
            rows = readers[path.suffix.lower()](path, self.key, self.value)
        except (UnicodeDecodeError, json.JSONDecodeError, csv.Error) as error:
            raise ValueError(
                f'{path}: cannot be read ({error}). Store it as {path.suffix[1:].upper()} in UTF-8.'
            ) from error
        captions = {}
        for where, name, caption in rows:
            if not isinstance(caption, str) or not caption.strip() or name in (None, ''):
                raise ValueError(
                    f'{path}: {where} has the id {name!r} and the caption '
                    f'{caption!r}; expected both, the caption as text.'
                )
            name = str(name).zfill(8) if self.by == 'synset' else str(name)
            caption = caption.strip()
            if captions.setdefault(name, caption) != caption:
                raise ValueError(
                    f'{path}: {where} is the second caption of {name!r}. Keep one of them.'
                )
        if not captions:
            raise ValueError(f'{path}: holds no caption.')
        return captions


Rows = Iterable[tuple[str, object, object]]  # where, id, caption


def _json(path: Path, key: str, value: str) -> Rows:
    content = json.loads(path.read_text(encoding='utf-8-sig'))
    if isinstance(content, dict):
        return [(f'entry {k!r}', k, v) for k, v in content.items()]
    if not isinstance(content, list):
        raise ValueError(
            f'{path}: expected an object of captions or a list '
            f'of objects, got a {type(content).__name__}.'
        )
    for number, row in enumerate(content):
        if not isinstance(row, dict) or not {key, value} <= set(row):
            raise ValueError(
                f'{path}: row {number} lacks {key!r} or {value!r}, it is '
                f'{str(row)[:80]}. Set key and value.'
            )
    return [(f'row {n}', row[key], row[value]) for n, row in enumerate(content)]


def _csv(path: Path, key: str, value: str) -> Rows:
    with path.open(encoding='utf-8-sig', newline='') as file:
        reader = csv.DictReader(file, strict=True)
        columns = reader.fieldnames or []
        if not {key, value} <= set(columns):
            raise ValueError(
                f'{path}: no columns {key!r} and {value!r} in '
                f'the header {columns}. Set key and value.'
            )
        return [(f'line {reader.line_num}', row[key], row[value]) for row in reader]


def _txt(path: Path, key: str, value: str) -> Rows:
    rows = []
    lines = path.read_text(encoding='utf-8-sig').splitlines()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            name, _, caption = line.partition('\t')
            rows.append((f'line {number}', name.strip(), caption))
    return rows
