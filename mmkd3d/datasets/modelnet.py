"""ModelNet40, ModelNet10 and the few-shot episodes made from it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mmkd3d.datasets.base import ArrayDataset, read_labelled_h5, read_meta, verify_hint
from mmkd3d.datasets.labels import check_labels
from mmkd3d.datasets.readers import existing
from mmkd3d.datasets.safe_pickle import load_pickle
from mmkd3d.registry import DATASETS

SOURCES = ('auto', 'dat', 'txt', 'h5')


@DATASETS.register_module()
class ModelNet40(ArrayDataset):
    """ModelNet40 (or 10), in one of its published forms.

        ROOT/modelnet40_{train,test}_8192pts_fps.dat   pickle of two lists:
                                             (8192, 6) clouds, labels
        ROOT/modelnet40_{train,test}.txt     ids, e.g. airplane_0001
        ROOT/CLASS/ID.txt                    10,000 lines x,y,z,nx,ny,nz

    ROOT is the published ``modelnet40_normal_resampled`` folder. Or it is
    ``modelnet40_ply_hdf5_2048``, with the clouds that I2P-MAE's linear SVM
    reads (9,840 and 2,468, coordinates alone):

        ROOT/ply_data_{train,test}*.h5       'data' (n, 2048, 3) and 'label'

    Args:
        data_root: ROOT.
        split: 'train' (9,843; ModelNet10: 3,991) or 'test' (2,468; 908).
        num_classes: 40, or 10 for ModelNet10's lists in the same folder.
        source: 'dat', 'txt', 'h5' (ModelNet40 only), or 'auto': the h5 files
            or the cached file where they are there.
        pipeline: Transforms, from ``LoadPoints`` on; with ``channels=6``
            normals come along.
        kwargs: See :class:`PointDataset`.

    Raises:
        FileNotFoundError: Neither h5 files nor the cached file nor the list
            is there.
        ValueError: A damaged file or a label out of range.
    """

    METAINFO = dict(up_axis='y')

    def __init__(
        self,
        data_root: str | Path,
        *,
        split: str = 'train',
        num_classes: int = 40,
        source: str = 'auto',
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ):
        names = read_meta('modelnet')
        if str(num_classes) not in names or source not in SOURCES:
            raise ValueError(
                f'ModelNet40 got num_classes={num_classes}, source={source!r}'
                f'; expected 40 or 10, and one of {SOURCES}.'
            )
        self.split, self.source = split, source
        self.stem = f'modelnet{num_classes}'
        self.names = tuple(names[str(num_classes)])
        super().__init__(data_root, pipeline=pipeline, **kwargs)
        self._metainfo.setdefault('classes', self.names)

    def load_data_list(self) -> list[dict]:
        """One item per shape; text files are opened by ``LoadPoints``."""
        root = Path(self.data_root)
        files = sorted(root.glob(f'ply_data_{self.split}*.h5'))
        if self.source == 'h5' or (self.source == 'auto' and files and self.stem == 'modelnet40'):
            return self._from_h5(root, files)
        cached = root / f'{self.stem}_{self.split}_8192pts_fps.dat'
        if self.source == 'dat' or (self.source == 'auto' and cached.exists()):
            return self._from_cache(cached)
        return self._from_text(root)

    def get_data_info(self, idx: int) -> dict:
        """The item with its points or its path."""
        if len(self.clouds):
            return super().get_data_info(idx)
        return super(ArrayDataset, self).get_data_info(idx)

    def _hint(self) -> str:
        return verify_hint('modelnet40', self.data_root)

    def _from_cache(self, path: Path) -> list[dict]:
        content = load_pickle(
            path,
            f'it holds the 8,192 points of the {self.split} shapes',
            f"Set source='txt', or get it. {self._hint()}",
        )
        rows = (list, tuple, np.ndarray)
        pair = isinstance(content, rows) and [isinstance(x, rows) for x in content] == [True] * 2
        if not pair or len(content[0]) != len(content[1]):
            raise ValueError(
                f'{path}: expected two lists of one length, clouds and labels'
                f'. Get the file again. {self._hint()}'
            )
        self.clouds, labels = content
        return self._items(np.array([np.reshape(x, -1)[0] for x in labels]), path)

    def _from_h5(self, root: Path, files: Sequence[Path]) -> list[dict]:
        if self.stem != 'modelnet40' or not files:
            raise FileNotFoundError(
                f'{root} holds no ply_data_{self.split}*.h5 of {self.stem}: '
                'data_root must be the folder modelnet40_ply_hdf5_2048, or '
                f"set source='auto'. {self._hint()}"
            )
        parts = [read_labelled_h5(path, self._hint()) for path in files]
        self.clouds, labels = map(np.concatenate, zip(*parts))
        return self._items(labels, root)

    def _items(self, labels: np.ndarray, source: Path) -> list[dict]:
        """One item for each of the clouds in memory."""
        labels = check_labels(labels, len(self.names), source)
        return [
            dict(
                cloud=i,
                sample_id=f'{self.stem}_{self.split}_{i:05d}',
                gt_label=int(k),
                category=self.names[k],
            )
            for i, k in enumerate(labels)
        ]

    def _from_text(self, root: Path) -> list[dict]:
        listed = existing(
            root / f'{self.stem}_{self.split}.txt',
            f'it lists the {self.split} shapes',
            f'data_root must be the folder modelnet40_normal_resampled. {self._hint()}',
        )
        items = []
        for line in filter(None, listed.read_text().split()):
            name = line.rpartition('_')[0]
            if name not in self.names:
                raise ValueError(
                    f'{listed}: {line!r} is of none of the '
                    f'{len(self.names)} classes. {self._hint()}'
                )
            items.append(
                dict(
                    path=str(root / name / f'{line}.txt'),
                    sample_id=line,
                    gt_label=self.names.index(name),
                    category=name,
                )
            )
        return items


@DATASETS.register_module()
class ModelNetFewShot(ArrayDataset):
    """One few-shot episode of ModelNet40: ``ROOT/5way_10shot/0.pkl``.

    ``metainfo['drawn_from']`` names the 40 classes, the outputs that published
    heads keep. The pickle holds 'train' and 'test' lists of (cloud, label 0..way-1,
    label in ModelNet40); 20 test shapes per class. Folders without the
    underscore are found, too.

    Args:
        data_root: ROOT.
        way: Number of classes, 5 or 10 in the published episodes.
        shot: Training shapes per class, 10 or 20.
        fold: 0 to 9.
        split: 'train' or 'test'.
        pipeline: Transforms, from ``LoadPoints`` on.
        kwargs: See :class:`PointDataset`.

    Raises:
        FileNotFoundError: No such episode.
        ValueError: A damaged file or a label out of range.
    """

    METAINFO = dict(up_axis='y')

    def __init__(
        self,
        data_root: str | Path,
        *,
        way: int,
        shot: int,
        fold: int,
        split: str = 'train',
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ):
        self.way, self.shot, self.fold, self.split = way, shot, fold, split
        super().__init__(data_root, pipeline=pipeline, **kwargs)

    def load_data_list(self) -> list[dict]:
        """One item per shape of the episode."""
        root, hint = Path(self.data_root), verify_hint('modelnet_fewshot', self.data_root)
        folders = (f'{self.way}way_{self.shot}shot', f'{self.way}way{self.shot}shot')
        paths = [root / f / f'{self.fold}.pkl' for f in folders]
        path = next((p for p in paths if p.exists()), paths[0])
        content = load_pickle(path, 'it holds a few-shot episode', hint)
        rows = content.get(self.split) if isinstance(content, dict) else None
        if not rows or any(len(row) != 3 for row in rows):
            raise ValueError(
                f'{path}: expected a list {self.split!r} of (cloud, label, '
                f'original label). Get the file again. {hint}'
            )
        self.clouds = [np.asarray(row[0]) for row in rows]
        labels, original = (
            check_labels(np.array([np.reshape(row[k], -1)[0] for row in rows]), count, path)
            for k, count in ((1, self.way), (2, 40))
        )
        names = read_meta('modelnet')['40']
        classes = dict(zip(labels.tolist(), original.tolist()))
        self._metainfo['classes'] = tuple(
            names[classes[k]] if k in classes else str(k) for k in range(self.way)
        )
        self._metainfo['drawn_from'] = tuple(names)
        stem = f'{self.way}w{self.shot}s_{self.fold}_{self.split}'
        return [
            dict(cloud=i, sample_id=f'{stem}_{i:04d}', gt_label=int(k), category=names[o])
            for i, (k, o) in enumerate(zip(labels, original))
        ]
