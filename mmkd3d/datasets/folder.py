"""Point clouds and meshes in a folder, one file per shape."""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePath

from mmengine.logging import print_log

from mmkd3d.datasets.base import PointDataset
from mmkd3d.datasets.find import files_of, list_folder, visible
from mmkd3d.datasets.formats import FORMATS
from mmkd3d.datasets.items import FileItems
from mmkd3d.datasets.readers import existing
from mmkd3d.registry import DATASETS
from mmkd3d.utils.names import check_class_names, read_names

# Folders with these names alone are splits.
SPLITS = {'train', 'training', 'val', 'valid', 'validation', 'test', 'testing'}


@DATASETS.register_module()
class PointCloudFolder(PointDataset):
    """Shapes in files: ``ROOT/CLASS/**/FILE``, or without classes ``ROOT/**/FILE``.

    Labels number the class folders in alphabetical order, or in that of
    ``metainfo=dict(classes=[...])``. Links are followed; hidden files and
    folders, ``__MACOSX`` and text files without points are left out. Begin the
    pipeline with ``LoadPoints``.

    Args:
        data_root: The folder.
        classes: Whether the first sub-folder names the class; 'auto': if
            there are sub-folders with shapes; shapes beside them are an error.
        extensions: Suffix of the files, or several, e.g. ('.ply', '.obj'); None: all
            formats of :func:`~mmkd3d.datasets.readers.read_file`.
        file_list: Text file with one path per line, relative to
            ``data_root``: the shapes to take, in this order.
        pipeline: Transforms.
        kwargs: See :class:`PointDataset`.

    Raises:
        FileNotFoundError: No folder, no list, a listed file is missing, or a
            link is broken.
        ValueError: No shape was found, a shape is not in the folder of a
            class, a class is not in ``metainfo``, the folders are splits, or
            two files of a folder differ in the suffix only.
    """

    def __init__(
        self,
        data_root: str | Path,
        *,
        classes: bool | str = 'auto',
        extensions: str | Sequence[str] | None = None,
        file_list: str | Path | None = None,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ):
        self.classes, self.file_list = classes, file_list
        self.extensions = (
            (extensions,) if isinstance(extensions, str) else tuple(extensions or FORMATS)
        )
        super().__init__(data_root, pipeline=pipeline, **kwargs)

    def load_data_list(self) -> Sequence[dict]:
        """One item per file, in alphabetical order of the paths."""
        root = existing(
            self.data_root,
            'PointCloudFolder reads shapes there',
            'Set data_root of the data set to a folder of point files.',
        )
        names = self._listed(root) if self.file_list else self._found(root)
        if not names:
            raise ValueError(
                f'{root}: no file with one of {" ".join(self.extensions)}. '
                'Set data_root or extensions of the data set.'
            )
        return self._items(root, names, self._has_classes(root, names))

    def _has_classes(self, root: Path, names: list[str]) -> bool:
        """Whether the first sub-folder of the files is their class."""
        stray = next((name for name in names if '/' not in name), None)
        if stray and self.classes:
            folders = {name.partition('/')[0] for name in names if '/' in name}
            if folders:
                raise ValueError(
                    f'{root / stray} is not in the folder of a class, as other shapes are: '
                    f'{shown(folders)}. Move it to one or remove it; or set classes=False of the '
                    'data set, if the folders are no classes.'
                )
            if self.classes != 'auto':
                raise ValueError(
                    f'{root / stray} is not in the folder of a class. Put each shape in one, or '
                    'set classes=False of the data set.'
                )
        if not self.classes or stray:
            return False
        if not self.file_list:
            _tell_empty(root, {name.partition('/')[0] for name in names})
        return True

    def _found(self, root: Path) -> list[str]:
        listing = list_folder(root, self.extensions)
        for link in listing.links:
            existing(root / link, 'it is a link to a shape', 'Repair or remove the link.')
        return listing.files

    def _listed(self, root: Path) -> list[str]:
        """The names in the list; each of their folders is listed once to find missing ones."""
        listed = existing(
            self.file_list, 'it lists the shapes', 'Set file_list to a text file, or leave it out.'
        )
        names = [PurePath(line).as_posix() for line in read_names(listed)]
        known: dict[str, set[str]] = {}
        for name in names:
            inner, _, last = name.rpartition('/')
            if inner not in known:
                known[inner] = files_of(root / inner)
            if last not in known[inner]:
                existing(root / name, f'{listed} lists it', 'Correct the list or data_root.')
        return names

    def _items(self, root: Path, names: list[str], with_classes: bool) -> Sequence[dict]:
        first: dict[str, str] = {}
        for name in names:
            known = first.setdefault(os.path.splitext(name)[0], name)
            if known != name:
                raise ValueError(
                    f'{root / known} and {root / name} differ in the suffix only. If they hold '
                    "the same shape, set extensions of the data set, as in ('.ply',); else rename "
                    'one.'
                )
        if not with_classes:
            return FileItems(root, names)
        found = dict.fromkeys(name.partition('/')[0] for name in names)
        wanted = check_class_names(self._metainfo.get('classes'), 'metainfo of PointCloudFolder')
        if not wanted and {name.lower() for name in found} <= SPLITS:
            split = next(
                (name for name in found if name.lower().startswith('train')), next(iter(found))
            )
            raise ValueError(
                f'{root}: the folders {shown(set(found))} seem to be splits, not classes. Set '
                f'data_root to one, such as {root / split}; or set classes=False of the data '
                'set to take all shapes without labels.'
            )
        classes = wanted or tuple(sorted(found))
        number = {name: k for k, name in enumerate(classes)}
        for folder in found:
            if folder not in number:
                path = next(name for name in names if name.startswith(f'{folder}/'))
                raise ValueError(
                    f'{root / path}: the folder {folder!r} is not one of the classes of the '
                    f'config, {shown(classes)}. If it holds no class, remove it, or name the '
                    'shapes to take in a file_list; else add it to metainfo.classes.'
                )
        self._metainfo['classes'] = classes
        labels = (number[name.partition('/')[0]] for name in names)
        return FileItems(root, names, labels, classes)


def _tell_empty(root: Path, classes: set[str]) -> None:
    """Log the folders that are no classes because they have no shapes."""
    empty = [p.name for p in visible(root) if p.is_dir() and p.name not in classes]
    if empty:
        print_log(
            f'{root}: no shapes in the folders {shown(empty)}, which are no classes.',
            'current',
            logging.WARNING,
        )


def shown(names: Iterable[str], most: int = 10) -> str:
    """The first names, for an error."""
    names = sorted(names) if isinstance(names, set) else list(names)
    more = f', ... ({len(names)})' if len(names) > most else ''
    return ', '.join(map(repr, names[:most])) + more
