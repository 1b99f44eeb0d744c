"""Point clouds and meshes in a folder, one file per shape."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mmkd3d.datasets.base import PointDataset
from mmkd3d.datasets.formats import FORMATS
from mmkd3d.datasets.readers import existing, files_in
from mmkd3d.registry import DATASETS


@DATASETS.register_module()
class PointCloudFolder(PointDataset):
    """Shapes in files: ``ROOT/CLASS/**/FILE``, or without classes ``ROOT/**/FILE``.

    Labels number the class folders in alphabetical order, or in that of
    ``metainfo=dict(classes=[...])``. Begin the pipeline with ``LoadPoints``.

    Args:
        data_root: The folder.
        classes: Whether the first sub-folder names the class; 'auto': if
            there is no file in ``data_root`` itself.
        extensions: Suffixes of the files, e.g. ('.ply', '.obj'); None: all
            formats of :func:`~mmkd3d.datasets.readers.read_file`.
        file_list: Text file with one path per line, relative to
            ``data_root``: the shapes to take, in this order.
        pipeline: Transforms.
        kwargs: See :class:`PointDataset`.

    Raises:
        FileNotFoundError: No folder, no list, or a listed file is missing.
        ValueError: No shape was found, or a class is not in ``metainfo``.
    """

    def __init__(
        self,
        data_root: str | Path,
        *,
        classes: bool | str = 'auto',
        extensions: Sequence[str] | None = None,
        file_list: str | Path | None = None,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ):
        self.classes, self.file_list = classes, file_list
        self.extensions = tuple(extensions or FORMATS)
        super().__init__(data_root, pipeline=pipeline, **kwargs)

    def load_data_list(self) -> list[dict]:
        """One item per file, in alphabetical order of the paths."""
        root = existing(
            self.data_root,
            'PointCloudFolder reads shapes there',
            'Set data_root of the data set to a folder of point files.',
        )
        files = self._listed(root) if self.file_list else files_in(root, self.extensions)
        if not files:
            raise ValueError(
                f'{root}: no file with one of {" ".join(self.extensions)}. '
                'Set data_root or extensions of the data set.'
            )
        with_classes = self.classes
        if with_classes == 'auto':
            with_classes = all(path.parent != root for path in files)
        return self._items(root, files, with_classes)

    def _listed(self, root: Path) -> list[Path]:
        listed = existing(
            self.file_list, 'it lists the shapes', 'Set file_list to a text file, or leave it out.'
        )
        lines = [line.strip() for line in listed.read_text().splitlines()]
        return [
            existing(root / line, f'{listed} lists it', 'Correct the list or data_root.')
            for line in lines
            if line
        ]

    def _items(self, root: Path, files: list[Path], with_classes) -> list:
        names = [p.relative_to(root).with_suffix('').as_posix() for p in files]
        items = [dict(path=str(p), sample_id=n) for p, n in zip(files, names)]
        if not with_classes:
            return items
        found = [n.split('/')[0] if '/' in n else '' for n in names]
        classes = tuple(self._metainfo.get('classes', sorted(set(found))))
        for item, name, path in zip(items, found, files):
            if not name or name not in classes:
                raise ValueError(
                    f'{path}: class {name!r} is not one of {classes}. Put '
                    'each shape in a folder of its class, or set '
                    'classes=False.'
                )
            item.update(gt_label=classes.index(name), category=name)
        self._metainfo['classes'] = classes
        return items
