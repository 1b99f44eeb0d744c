"""Sets of prompts: sentence templates for class names.

A set is a file with a version in its name that never changes, so that cached
features stay valid. The shipped sets are in ``prompts/``.
"""

import json
from pathlib import Path

FOLDER = Path(__file__).with_name('prompts')


def list_prompts() -> list[str]:
    """Names of the shipped sets."""
    return sorted(path.stem for path in FOLDER.glob('*.json'))


def load_prompts(name: str) -> list[str]:
    """Templates with ``{}`` for the name of a class.

    ``'recon-60-v1'`` has those of ReCon in the published order: prompt j has
    prefix j mod 20 and suffix j div 20 (spec/recon.md, section 4).

    Args:
        name: Of a shipped set, or a json file: ``{"description": ...,
            "templates": ["a photo of a {}.", ...]}``.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: An unknown set, or a file with another content.
    """
    if not name.endswith('.json'):
        if name not in list_prompts():
            raise ValueError(
                f'No prompts are called {name!r}; there are '
                f'{", ".join(list_prompts())}, or give a json file.'
            )
        return read_prompts(FOLDER / f'{name}.json')
    if not Path(name).is_file():
        raise FileNotFoundError(f'No prompts at {name}.')
    return read_prompts(Path(name))


def read_prompts(path: Path) -> list[str]:
    """The templates in a file; ``ValueError`` if there is anything else."""
    try:
        templates = json.loads(path.read_text(encoding='utf-8'))['templates']
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} is no file of prompts, which is json with a list "templates": {error!r}.'
        ) from error
    if not isinstance(templates, list) or not templates:
        raise ValueError(f'"templates" in {path} is no list of sentences.')
    for template in templates:
        if not isinstance(template, str) or template.count('{}') != 1:
            raise ValueError(
                f'{path}: {template!r} is no sentence with one {{}} for the name of a class.'
            )
    if len(set(templates)) != len(templates):
        raise ValueError(f'{path} has a template more than once.')
    return templates
