"""ShapeNetPart: 16 categories with 50 parts, a label for each point."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from mmkd3d.datasets.base import PointDataset, read_meta, verify_hint
from mmkd3d.datasets.readers import existing
from mmkd3d.registry import DATASETS

FOLDER = 'shapenetcore_partanno_segmentation_benchmark_v0_normal'


@DATASETS.register_module()
class ShapeNetPart(PointDataset):
    """Part segmentation of ShapeNet, the release with normals.

        ROOT/train_test_split/shuffled_{train,val,test}_file_list.json
        ROOT/SYNSET/MODEL.txt        lines x y z nx ny nz part

    ROOT is the published folder, or the one that it lies in. The pipeline
    begins with ``LoadPoints(parts_column=6)``; each part label is checked
    against those of the category.

    ``metainfo``: ``classes``, ``parts`` (category -> part ids) and
    ``part_names``, numbered within a category, since the release has no
    names.

    Args:
        data_root: ROOT.
        split: 'train' (12,137 shapes), 'val' (1,870), 'test' (2,874) or
            'trainval', which published recipes train on.
        categories: Names to take, e.g. ('Chair',); labels stay the official
            ones.
        pipeline: Transforms.
        kwargs: See :class:`PointDataset`.

    Raises:
        FileNotFoundError: A list is missing.
        ValueError: An unknown split or category, or a damaged list.
    """

    METAINFO = dict(up_axis='y')

    def __init__(
        self,
        data_root: str | Path,
        *,
        split: str = 'trainval',
        categories: Sequence[str] | None = None,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ):
        self.table = read_meta('shapenetpart')
        unknown = set(categories or ()) - set(self.table)
        if split not in ('train', 'val', 'test', 'trainval') or unknown:
            raise ValueError(
                f'ShapeNetPart got split={split!r}, categories={categories}; '
                "expected 'train', 'val', 'test' or 'trainval', and some of "
                f'{tuple(self.table)}.'
            )
        self.split, self.categories = split, categories
        super().__init__(data_root, pipeline=pipeline, **kwargs)
        self._metainfo.setdefault('classes', tuple(self.table))
        self._metainfo['parts'] = {name: tuple(row['parts']) for name, row in self.table.items()}
        self._metainfo['part_names'] = tuple(
            f'{name} {k}' for name, row in self.table.items() for k, _ in enumerate(row['parts'])
        )

    def load_data_list(self) -> list[dict]:
        """One item per listed file; files are opened by ``LoadPoints``."""
        root = Path(self.data_root)
        root = root / FOLDER if (root / FOLDER).is_dir() else root
        splits = ('train', 'val') if self.split == 'trainval' else (self.split,)
        by_synset = {row['synset']: n for n, row in self.table.items()}
        items = []
        for split in splits:
            for entry in self._entries(root, split):
                synset, model = entry.split('/')[-2:]
                name = by_synset.get(synset)
                if self.categories is None or name in self.categories:
                    items.append(self._item(root, synset, model, name))
        return items

    def _entries(self, root: Path, split: str) -> list[str]:
        hint = verify_hint('shapenetpart', self.data_root)
        path = existing(
            root / 'train_test_split' / f'shuffled_{split}_file_list.json',
            f'it lists the {split} shapes',
            hint,
        )
        try:
            entries = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise ValueError(f'{path}: not a json list ({error}). Get it again. {hint}') from error
        known = {row['synset'] for row in self.table.values()}
        for entry in entries:
            if entry.count('/') < 1 or entry.split('/')[-2] not in known:
                raise ValueError(
                    f'{path}: {entry!r} is not .../SYNSET/MODEL with one of '
                    f'the 16 synsets. Get the list again. {hint}'
                )
        return entries

    def _item(self, root: Path, synset: str, model: str, name: str) -> dict:
        return dict(
            path=str(root / synset / f'{model}.txt'),
            sample_id=f'{synset}/{model}',
            gt_label=tuple(self.table).index(name),
            category=name,
            part_ids=tuple(self.table[name]['parts']),
        )
