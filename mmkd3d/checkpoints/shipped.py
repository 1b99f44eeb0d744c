"""Students that ship with the package: weights in half precision, each with a card."""

from pathlib import Path

from .weights import fetch, find_weights

FOLDER = Path(__file__).parents[1] / 'students'


def list_students() -> list[str]:
    """Names of the shipped students."""
    return sorted(file.stem for file in FOLDER.glob('*.safetensors'))


def find_checkpoint(name: str | Path) -> Path:
    """Path of a checkpoint: a file, or the name of a shipped student or of published weights.

    Raises:
        FileNotFoundError: Published weights are not here and cannot be downloaded.
    """
    path = Path(name)
    if path.is_file():
        return path
    if str(name) in list_students():
        return FOLDER / f'{name}.safetensors'
    weights = find_weights(str(name))
    return fetch(weights) if weights else path


def read_card(name: str) -> str:
    """The card of a shipped student: data, teachers, licences, command and results, as Markdown.

    Raises:
        ValueError: There is no such student.
    """
    if name not in list_students():
        raise ValueError(f'No shipped student {name!r}, there are {", ".join(list_students())}.')
    return (FOLDER / f'{name}.md').read_text()
