"""Info files of mmdetection3d: read one safely, and check what it lists."""

import difflib
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmkd3d.datasets.safe_pickle import load_pickle
from mmkd3d.utils.names import check_class_names

TOOL = 'python tools/prepare_data/indoor_det3d.py'


class Infos(NamedTuple):
    """Content of an info file.

    Attributes:
        metainfo: Of the file.
        data_list: A dict for each scan.
        classes: Names of the labels 0, 1, ...
    """

    metainfo: dict
    data_list: list[dict]
    classes: tuple[str, ...]


def read_infos(path: str | Path, classes: Sequence[str] | None = None) -> Infos:
    """Read the info file of a detection data set without running what it contains.

    Args:
        path: Pickle in mmdetection3d's info format 1.1.
        classes: Names of the labels where the file has no
            ``metainfo['categories']``.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A file of another kind, labels without a name, or boxes
            that are not 6 or 7 finite numbers with sizes above 0.
    """
    content = load_pickle(path, 'it lists the scans and boxes', f'{TOOL} makes it.')
    if not (isinstance(content, Mapping) and isinstance(content.get('data_list'), list)):
        raise ValueError(
            f'{path}: expected a dict with data_list and metainfo, got '
            f'{", ".join(map(str, content)) if isinstance(content, Mapping) else type(content)}. '
            f'{TOOL} makes such a file.'
        )
    metainfo = content.get('metainfo') or {}
    if not isinstance(metainfo, Mapping):
        raise ValueError(f'{path}: expected metainfo to be a dict, got {metainfo!r}.')
    metainfo = dict(metainfo)
    names = _names(path, metainfo, classes)
    for info in content['data_list']:
        _check_scan(path, info, len(names))
    return Infos(metainfo, content['data_list'], names)


def label_names(path: str | Path, known: Sequence[str], wanted: Sequence[str] | None) -> tuple:
    """``wanted``, checked, or all ``known`` names of an info file.

    Raises:
        ValueError: A wanted class is not in the file.
    """
    wanted = check_class_names(wanted, 'metainfo of the data set')
    unknown = [name for name in wanted if name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f' Did you mean {near[0]!r}?' if near else ''
        raise ValueError(
            f'{path} has the classes {", ".join(known)}, not {", ".join(unknown)}.{hint} '
            'metainfo=dict(classes=[...]) of the data set selects from them; leave it out for all.'
        )
    return wanted or tuple(known)


def _names(path: str | Path, metainfo: dict, classes: Sequence[str] | None) -> tuple[str, ...]:
    categories = metainfo.get('categories')
    if not categories:
        if not classes:
            raise ValueError(
                f"{path} does not name its classes: it has no metainfo['categories']. Set "
                'metainfo=dict(classes=[...]) of the data set, in the order of the labels.'
            )
        return check_class_names(classes, 'metainfo of the data set')
    numbers = list(categories.values()) if isinstance(categories, Mapping) else [None]
    if not all(isinstance(n, Integral) for n in numbers) or set(numbers) != set(
        range(len(numbers))
    ):
        raise ValueError(
            f"{path}: metainfo['categories'] numbers the classes from 0 without gaps, got "
            f'{str(categories)[:200]!r}.'
        )
    names = sorted(categories, key=categories.get)
    return check_class_names(names, f"{path}, metainfo['categories']")


def _numbers(values: Any) -> np.ndarray:
    """As an array; NaN if they are no numbers."""
    try:
        return np.asarray(values, float)
    except (TypeError, ValueError):
        return np.array(np.nan)


def _check_scan(path: str | Path, info: dict, num_classes: int) -> None:
    """Check the keys and boxes of a scan."""
    points = info.get('lidar_points') if isinstance(info, Mapping) else None
    known = isinstance(points, Mapping) and {'lidar_path', 'num_pts_feats'} <= points.keys()
    if not known or not isinstance(info.get('instances'), list):
        raise ValueError(
            f'{path}: every scan needs lidar_points=dict(lidar_path, num_pts_feats) and '
            f'a list of instances, got {str(info)[:200]}.'
        )
    for i, box in enumerate(info['instances']):
        where = f'{path}: box {i} of {points["lidar_path"]}'
        if not isinstance(box, Mapping) or not {'bbox_label_3d', 'bbox_3d'} <= box.keys():
            raise ValueError(f'{where} needs bbox_3d and bbox_label_3d, got {str(box)[:200]}.')
        label, values = box['bbox_label_3d'], _numbers(box['bbox_3d'])
        if label not in range(-1, num_classes):
            raise ValueError(f'{where} has the label {label}, but there are {num_classes} classes.')
        if values.shape not in ((6,), (7,)) or not np.isfinite(values).all():
            raise ValueError(
                f'{where}: expected the centre, the size and perhaps the yaw, 6 or 7 finite '
                f'numbers, got {box["bbox_3d"]}.'
            )
        if (values[3:6] <= 0).any():
            raise ValueError(f'{where} has the size {values[3:6].tolist()}: it must be above 0.')
