"""ScanObjectNN: 15 classes of objects cut from real scans, 2,048 points."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mmkd3d.datasets.base import ArrayDataset, read_labelled_h5, read_meta, verify_hint
from mmkd3d.datasets.labels import check_labels
from mmkd3d.datasets.readers import existing
from mmkd3d.registry import DATASETS

FILES = dict(
    obj_bg='main_split/{}_objectdataset.h5',
    obj_only='main_split_nobg/{}_objectdataset.h5',
    pb_t50_rs='main_split/{}_objectdataset_augmentedrot_scale75.h5',
)


@DATASETS.register_module()
class ScanObjectNN(ArrayDataset):
    """The three usual variants of ScanObjectNN, from the published h5 files.

        ROOT/main_split/{training,test}_objectdataset.h5                OBJ_BG
        ROOT/main_split_nobg/{training,test}_objectdataset.h5         OBJ_ONLY
        ROOT/main_split/..._objectdataset_augmentedrot_scale75.h5    PB_T50_RS

    ROOT may also be the folder above (with ``h5_files``). Published recipes
    use the points as stored: no ``NormalizePoints``.

    Args:
        data_root: ROOT.
        variant: 'obj_bg' (2,309 / 581 shapes), 'obj_only' (the same without
            background) or 'pb_t50_rs' (the hardest, 11,416 / 2,882).
        split: 'train' or 'test'.
        pipeline: Transforms, from ``LoadPoints`` on.
        kwargs: See :class:`PointDataset`.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: An unknown variant, a damaged file or a label out of
            range.
        ImportError: h5py is not installed.
    """

    METAINFO = dict(up_axis='y', num_points=2048)

    def __init__(
        self,
        data_root: str | Path,
        *,
        variant: str = 'pb_t50_rs',
        split: str = 'train',
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ):
        if variant not in FILES:
            raise ValueError(f'ScanObjectNN: variant is one of {tuple(FILES)}, got {variant!r}.')
        self.variant, self.split = variant, split
        self.names = tuple(read_meta('scanobjectnn'))
        super().__init__(data_root, pipeline=pipeline, **kwargs)
        self._metainfo.setdefault('classes', self.names)

    def load_data_list(self) -> list[dict]:
        """One item per shape; the clouds are held in memory."""
        root, hint = Path(self.data_root), verify_hint('scanobjectnn', self.data_root)
        file = FILES[self.variant].format(dict(train='training').get(self.split, self.split))
        inner = root / 'h5_files'
        path = existing(
            (inner if inner.is_dir() else root) / file,
            f'it holds the {self.split} shapes of {self.variant}',
            hint,
        )
        self.clouds, labels = read_labelled_h5(path, hint)
        labels = check_labels(labels, len(self.names), path)
        return [
            dict(
                cloud=i,
                sample_id=f'{self.variant}_{self.split}_{i:05d}',
                gt_label=int(k),
                category=self.names[k],
            )
            for i, k in enumerate(labels)
        ]
