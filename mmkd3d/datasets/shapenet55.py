"""ShapeNet-55: 52,470 shapes of 55 categories, 8,192 points each."""

from collections.abc import Callable, Container, Sequence
from pathlib import Path

from mmkd3d.datasets.base import PointDataset, read_meta, verify_hint
from mmkd3d.datasets.find import list_folder
from mmkd3d.datasets.items import FileItems
from mmkd3d.datasets.readers import existing
from mmkd3d.registry import DATASETS
from mmkd3d.utils.names import read_names


@DATASETS.register_module()
class ShapeNet55(PointDataset):
    """Objects for pretraining, in the layout of Point-BERT and Point-MAE.

        ROOT/shapenet_pc/SYNSET-MODEL.npy            (8192, 3)
        ROOT/ShapeNet-55/{train,test}.txt            one file name per line
        ROOT/shapenet_images/SYNSET-MODEL.png        for ``LoadRendering``

    The archive does not hold the two lists, and they can't be shipped here
    (52,470 ids): they come from the ``data/ShapeNet55-34/ShapeNet-55`` folder
    of the Point-BERT or Point-MAE repository. Pretraining on all shapes
    (``whole=True``) needs no list: without them the folder is taken as it is.

    The published pipeline draws a random subset first and normalises then.

    Args:
        data_root: ROOT.
        split: 'train' (41,952 shapes) or 'test' (10,518).
        whole: Take both splits, as ACT's second stage and ReCon do.
        pipeline: Transforms, from ``LoadPoints`` on.
        kwargs: See :class:`PointDataset`.

    Raises:
        FileNotFoundError: No list or no folder of points.
        ValueError: A line or a file that is not named SYNSET-MODEL.npy.
    """

    METAINFO = dict(up_axis='y')

    def __init__(
        self,
        data_root: str | Path,
        *,
        split: str = 'train',
        whole: bool = False,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ):
        self.split, self.whole = split, whole
        self.names = read_meta('shapenet55')
        super().__init__(data_root, pipeline=pipeline, **kwargs)
        self._metainfo.setdefault('classes', tuple(self.names.values()))

    def load_data_list(self) -> FileItems:
        """One item per listed file; files are opened by ``LoadPoints``."""
        root, hint = Path(self.data_root), verify_hint('shapenet55', self.data_root)
        points = existing(root / 'shapenet_pc', 'it holds the points of ShapeNet-55', hint)
        splits = ('train', 'test') if self.whole else (self.split,)
        lists = [root / 'ShapeNet-55' / f'{s}.txt' for s in splits]
        if self.whole and not any(p.exists() for p in lists):
            names = [name for name in list_folder(points, ['.npy']).files if '/' not in name]
            return self._items(points, _checked(names, self.names, points))
        names = []
        for path in lists:
            existing(
                path,
                'it lists the split (41,952 lines for train, 10,518 for test)',
                'Copy it from data/ShapeNet55-34/ShapeNet-55 of the '
                f'Point-BERT repository, or set whole=True. {hint}',
            )
            names += _checked(read_names(path), self.names, path)
        return self._items(points, names)

    def _items(self, folder: Path, names: list[str]) -> FileItems:
        number = {synset: k for k, synset in enumerate(self.names)}
        labels = (number[name.partition('-')[0]] for name in names)
        return FileItems(folder, names, labels, tuple(self.names.values()))


def _checked(names: list[str], synsets: Container[str], source: Path) -> list[str]:
    """The names, if they are such as those of the published files."""
    for name in names:
        if name.partition('-')[0] not in synsets or not name.endswith('.npy'):
            raise ValueError(
                f'{source}: {name!r} is not SYNSET-MODEL.npy with one of the '
                '55 synsets. The list or the folder is not the published one.'
            )
    return names
