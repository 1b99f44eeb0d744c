"""Data sets of mmdetection3d: say what is missing, instead of ``[Errno 2]``."""

import functools
from collections.abc import Sequence
from pathlib import Path

from mmkd3d.datasets.base import verify_hint
from mmkd3d.datasets.readers import existing

OWN = "type='mmkd3d.IndoorDet3DDataset'"


def explain(dataset: type) -> None:
    """Let a base class of mmdetection3d's data sets check its classes and info file first."""
    dataset.load_data_list = _with_infos(dataset.load_data_list)
    if dataset.__name__ == 'Det3DDataset':
        dataset.__init__ = _with_known_classes(dataset.__init__)


def _with_infos(load):
    @functools.wraps(load)
    def load_data_list(self):
        path = Path(self.ann_file)
        if '://' not in str(self.ann_file):  # of another file client
            kind = path.name.partition('_infos_')[0]
            purpose = f'it lists the scans of {type(self).__name__}'
            existing(path, purpose, how_to_get(kind, path.parent))
        return load(self)

    return load_data_list


def how_to_get(kind: str, root: Path) -> str:
    """Which command makes the info files of a data set of mmdetection3d."""
    if root.name == 'scannet_small':
        return (
            'python tools/prepare_data/scannet_small.py makes it from data/scannet. '
            + verify_hint('scannet', 'data/scannet')
        )
    if kind == 'scannet':
        return verify_hint(kind, root)
    return (
        f"mmdetection3d's tools/create_data.py {kind} makes it; set data_root if it lies elsewhere."
    )


def _with_known_classes(init):
    @functools.wraps(init)
    def __init__(self, *args, **kwargs):
        metainfo = kwargs.get('metainfo', args[2] if len(args) > 2 else None) or {}
        known: Sequence[str] = getattr(self, 'METAINFO', {}).get('classes', ())
        unknown = [name for name in metainfo.get('classes', ()) if name not in known]
        if known and unknown:
            raise ValueError(
                f'{type(self).__name__} has no class {", ".join(map(repr, unknown))}; it knows '
                f'{", ".join(known)}. Data with other classes are read by {OWN}, with the same '
                'info files.'
            )
        init(self, *args, **kwargs)

    return __init__
