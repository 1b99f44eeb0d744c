#!/usr/bin/env python
"""Write docs/model_zoo.md from the metafiles that model-index.yml lists.


A metafile has OpenMMLab's format, whose readers use ``Task``, ``Dataset`` and
``Metrics`` of a result and ignore the rest:

    - Task: Classification
      Dataset: ScanObjectNN PB_T50_RS
      Metrics:                      trained and evaluated here
        Overall accuracy: 87.5
      Deviation:                    over several seeds
        Overall accuracy: 0.4
      Seeds: 3
      Converted:                    published weights, evaluated here
        Overall accuracy: not run
      Published:                    by the authors
        Overall accuracy: 88.21
      Published Deviation: ...      over folds or seeds
      Source: source of the published figures
      Student: initial weights of the student, if a config has several rows
"""

import argparse
import os
from numbers import Real
from pathlib import Path

import yaml

REPO = Path(__file__).resolve().parents[1]
NOT_RUN = 'not run'
TASKS = (
    'Linear classification',
    'Classification with few labels',
    'Zero-shot classification',
    'Classification',
    'Classification with voting',
    'Few-shot classification',
    'Part segmentation',
    'Semantic segmentation',
    '3D object detection',
    'Reconstruction',
)
NUMBERS = ('Deviation', 'Converted', 'Published', 'Published Deviation')
OTHERS = ('Task', 'Dataset', 'Metrics', 'Seeds', 'Source', 'Student')
HEAD = """# Model zoo

Results that were published or measured here, one table per task, then all other
configs. Written by `python tools/model_index.py` from the metafiles in
`configs/`; edit those.

- **paper**: as published; the number in brackets is the source.
- **converted weights**: the published checkpoint, converted and evaluated here;
  "-" if no checkpoint is known.
- **ours**: trained and evaluated here, last epoch; mean ± deviation over seeds.
- "not run": not evaluated yet.
"""


def read_models(index: str | Path) -> list[dict]:
    """Read the models of the metafiles that an index lists.

    Args:
        index: The file ``model-index.yml``.

    Raises:
        ValueError: A result that is incomplete or contradicts itself.
    """
    index, models = Path(index), []
    for name in yaml.safe_load(index.read_text())['Import']:
        for model in yaml.safe_load((index.parent / name).read_text())['Models']:
            source = f'{name}: {model["Name"]}'
            for result in model.setdefault('Results', []):
                check_result(result, source)
            models.append(model)
    return models


def check_result(result: dict, source: str) -> None:
    """Check a result before it goes into a table.

    Raises:
        ValueError: See the message.
    """
    source = f'{source}, {result.get("Task")}, {result.get("Dataset")}'
    unknown = set(result) - set(NUMBERS) - set(OTHERS)
    if (
        unknown
        or result.get('Task') not in TASKS
        or not (result.get('Dataset') and result.get('Metrics'))
    ):
        raise ValueError(
            f'{source}: expected Dataset, Metrics and one of the tasks '
            f'{TASKS}, and maybe {", ".join(NUMBERS + OTHERS[3:])}; got '
            f'{sorted(result)}.'
        )
    metrics = result['Metrics']
    for place in ('Metrics', *NUMBERS):
        open_ones = place in ('Metrics', 'Converted')
        for name, value in result.get(place, {}).items():
            if name not in metrics:
                raise ValueError(
                    f'{source}: {place} has {name!r}, expected one of the Metrics {list(metrics)}.'
                )
            if not isinstance(value, Real) and not (open_ones and value == NOT_RUN):
                raise ValueError(
                    f'{source}: {place} of {name!r} is {value!r}, expected a '
                    f'number{f" or {NOT_RUN!r}" * open_ones}.'
                )
    measured = {k for k, v in metrics.items() if v != NOT_RUN}
    if bool(measured) != ('Seeds' in result):
        raise ValueError(
            f'{source}: Seeds is the number of runs behind the Metrics; give both or neither.'
        )
    if bool(result.get('Published')) != ('Source' in result):
        raise ValueError(
            f'{source}: Source is the source of the Published figures; give both or neither.'
        )
    for spread, of in (
        ('Deviation', measured),
        ('Published Deviation', result.get('Published', ())),
    ):
        if not set(result.get(spread, ())) <= set(of):
            raise ValueError(f'{source}: {spread} of a metric that has no number.')


def model_zoo(index: str | Path, folder: str | Path) -> str:
    """The page, in Markdown.

    Args:
        index: The file ``model-index.yml``.
        folder: Folder of the page; links are relative to it.
    """
    models, parts = read_models(index), [HEAD]
    root = os.path.relpath(Path(index).parent, folder)
    for task in TASKS:
        rows: list[str] = []
        notes: list[str] = []
        for model in models:
            link = f'[{model["Name"]}]({root}/{model["Config"]})'
            for result in model['Results']:
                if result['Task'] == task:
                    rows += result_rows(result, link, notes)
        if rows:
            parts += [
                f'\n## {task}\n\n| config | data | metric | paper | converted weights | ours |',
                '|---' * 6 + '|',
                *rows,
            ]
        if notes:
            parts.append('')
        parts += [f'({k}) {note}  ' for k, note in enumerate(notes, 1)]
    rest = [f'- [{m["Name"]}]({root}/{m["Config"]})' for m in models if not m['Results']]
    if rest:
        parts += ['\n## Without results\n', *rest]
    return '\n'.join(parts) + '\n'


def result_rows(result: dict, link: str, notes: list[str]) -> list[str]:
    """One row per metric; appends sources to ``notes``."""
    if 'Student' in result:
        link = f'{link}, {result["Student"]}'
    if 'Source' in result and result['Source'] not in notes:
        notes.append(result['Source'])
    rows = []
    for metric in result['Metrics']:
        paper = cell(result, 'Published', 'Published Deviation', metric)
        if paper != '-':
            paper += f' ({1 + notes.index(result["Source"])})'
        ours = cell(result, 'Metrics', 'Deviation', metric)
        if ours != NOT_RUN:
            seeds = result['Seeds']
            ours += f', {seeds} seed{"s" * (seeds > 1)}'
        converted = cell(result, 'Converted', '', metric)
        rows.append(f'| {link} | {result["Dataset"]} | {metric} | {paper} | {converted} | {ours} |')
    return rows


def cell(result: dict, place: str, spread: str, metric: str) -> str:
    """``96.8 ± 2.3``, 'not run', or '-' if there is no such result."""
    text = str(result.get(place, {}).get(metric, '-'))
    deviation = result.get(spread, {}).get(metric)
    return text if deviation is None else f'{text} ± {deviation}'


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='examples:\n'
        '  python tools/model_index.py\n'
        '  python tools/model_index.py --check     # fails if the page is out of date',
    )
    parser.add_argument(
        '--index',
        type=Path,
        default=REPO / 'model-index.yml',
        help='default: model-index.yml of the checkout',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=REPO / 'docs' / 'model_zoo.md',
        help='default: docs/model_zoo.md',
    )
    parser.add_argument(
        '--check', action='store_true', help='write nothing; exit with 1 if the page is out of date'
    )
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    page = model_zoo(args.index, args.out.parent)
    if not args.check:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(page, encoding='utf-8')
    elif not args.out.exists() or args.out.read_text(encoding='utf-8') != page:
        raise SystemExit(
            f'{args.out} is out of date: run python tools/model_index.py and commit it.'
        )


if __name__ == '__main__':
    main()
