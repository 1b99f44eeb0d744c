"""Check that the folder of a published data set is complete, or that one's own can be read."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mmkd3d.datasets import modelnet, scannet_layout, scanobjectnn, shapenet55, shapenetpart
from mmkd3d.datasets.folder import PointCloudFolder
from mmkd3d.datasets.readers import attempt, read_points
from mmkd3d.datasets.safe_pickle import load_pickle

QUICK = dict(serialize_data=False)  # that is for the workers of a loader


@dataclass
class Report:
    """Result of a check: lines to print, and whether the data set is complete.

    ``word`` begins the lines of findings that are not good.
    """

    lines: list[str] = field(default_factory=list)
    complete: bool = True
    word: str = 'MISSING'

    def add(self, good: bool, text: str) -> None:
        """Add a finding."""
        self.lines.append(f'{"ok     " if good else self.word} {text}')
        self.complete &= bool(good)

    def count(self, what: str, got: int, expected: int) -> None:
        """Compare a number with the published one."""
        text = '' if got == expected else f', expected {expected:,}'
        self.add(got == expected, f'{what}: {got:,}{text}')

    def files(self, what: str, purpose: str, paths: Iterable) -> None:
        """Check that files exist; each folder is listed once."""
        present: dict[str, set] = {}
        missing, total = [], 0
        for path in paths:
            folder, name = os.path.split(path)
            if folder not in present:
                present[folder] = set(os.listdir(folder) if os.path.isdir(folder) else ())
            missing += [] if name in present[folder] else [path]
            total += 1
        text = f'{what}: {total - len(missing):,} of {total:,} files'
        if missing:
            text += f'; {purpose}; the first that lacks: {missing[0]}'
        self.add(not missing, text)

    def load(self, what: str, build: Callable, *args, **kwargs):
        """Load a data set or a file; None and a finding if that fails."""
        try:
            return build(*args, **kwargs)
        except (OSError, ValueError, ImportError) as error:
            self.add(False, f'{what}: {error}')
            return None


def _paths(dataset) -> Iterable[str]:
    return (dataset.get_data_info(i)['path'] for i in range(len(dataset)))


def check_shapenet55(root: Path) -> Report:
    """Check both lists, the points of all shapes, and renderings if any."""
    report = Report()
    for split, expected in (('train', 41952), ('test', 10518)):
        data = report.load(split, shapenet55.ShapeNet55, root, split=split, **QUICK)
        if data is not None:
            report.count(f'{split} shapes', len(data), expected)
            report.files(f'points of {split}', 'pretraining reads them', _paths(data))
            if (root / 'shapenet_images').is_dir():
                report.files(
                    f'renderings of {split}',
                    'ReCon reads them',
                    (
                        root / 'shapenet_images' / Path(p).with_suffix('.png').name
                        for p in _paths(data)
                    ),
                )
    return report


def check_modelnet40(root: Path) -> Report:
    """Check the counts of ModelNet40 and, if its lists exist, ModelNet10."""
    report = Report()
    for classes, sizes in ((40, (9843, 2468)), (10, (3991, 908))):
        for split, expected in zip(('train', 'test'), sizes):
            what = f'ModelNet{classes} {split}'
            if classes == 10 and not list(root.glob(f'modelnet10_{split}*')):
                report.lines.append(f'none    {what} (optional)')
                continue
            data = report.load(
                what, modelnet.ModelNet40, root, num_classes=classes, split=split, **QUICK
            )
            if data is None:
                continue
            report.count(f'{what} shapes', len(data), expected)
            if not len(data.clouds):
                report.files(f'points of {what}', 'classification reads them', _paths(data))
    return report


def check_modelnet_fewshot(root: Path) -> Report:
    """Check forty episodes of way x shot training and way x 20 test shapes."""
    report = Report()
    for way in (5, 10):
        for shot in (10, 20):
            for fold in range(10):
                what = f'{way} way {shot} shot fold {fold}'
                for split, each in (('train', shot), ('test', 20)):
                    data = report.load(
                        what,
                        modelnet.ModelNetFewShot,
                        root,
                        way=way,
                        shot=shot,
                        fold=fold,
                        split=split,
                        **QUICK,
                    )
                    if data is None:
                        break
                    report.count(f'{what} {split}', len(data), way * each)
    return report


def check_scanobjectnn(root: Path) -> Report:
    """Check the counts of the three variants."""
    report = Report()
    sizes = dict(obj_bg=(2309, 581), obj_only=(2309, 581), pb_t50_rs=(11416, 2882))
    for variant, counts in sizes.items():
        for split, expected in zip(('train', 'test'), counts):
            data = report.load(
                f'{variant} {split}',
                scanobjectnn.ScanObjectNN,
                root,
                variant=variant,
                split=split,
                **QUICK,
            )
            if data is not None:
                report.count(f'{variant} {split}', len(data), expected)
    return report


def check_shapenetpart(root: Path) -> Report:
    """Check the three lists, and the points of all shapes."""
    report = Report()
    for split, expected in (('train', 12137), ('val', 1870), ('test', 2874)):
        data = report.load(split, shapenetpart.ShapeNetPart, root, split=split, **QUICK)
        if data is not None:
            report.count(f'{split} shapes', len(data), expected)
            report.files(f'points of {split}', 'part segmentation reads them', _paths(data))
    return report


def check_scannet(root: Path, *, partial: bool = False) -> Report:
    """Check scenes, files, boxes per class and axis alignment.

    Args:
        root: Folder in mmdetection3d's layout.
        partial: Accept any number of scenes, for a part of ScanNet.
    """
    report = Report()
    for split, expected in (('train', 1201), ('val', 312)):
        content = report.load(
            split,
            load_pickle,
            root / f'scannet_infos_{split}.pkl',
            'it lists the scenes and boxes',
            'Run tools/create_data.py scannet of mmdetection3d.',
        )
        if content is None:
            continue
        infos = content['data_list']
        report.count(f'{split} scenes', len(infos), len(infos) if partial else expected)
        _check_scenes(report, root, split, infos)
        report.files(
            f'{split} seg_info',
            'semantic segmentation samples scenes by it',
            [
                root / 'seg_info' / f'{split}_{name}.npy'
                for name in ('resampled_scene_idxs', 'label_weight')
            ],
        )
    return report


def _check_scenes(report: Report, root: Path, split: str, infos: list) -> None:
    names = [info['lidar_points']['lidar_path'] for info in infos]
    for folder, purpose in (
        ('points', 'every model reads them'),
        ('semantic_mask', 'labels of the points'),
        ('instance_mask', 'vote targets'),
    ):
        report.files(
            f'{split} {folder}', purpose, [root / folder / os.path.basename(n) for n in names]
        )
    turned = sum(
        not np.allclose(info.get('axis_align_matrix', np.eye(4)), np.eye(4)) for info in infos
    )
    report.add(turned, f'{split} axis alignment: {turned} of {len(infos)} scenes have a matrix')
    labels = [box['bbox_label_3d'] for info in infos for box in info['instances']]
    counts = np.bincount(np.array(labels, dtype=int), minlength=len(scannet_layout.CLASSES))
    table = dict(zip(scannet_layout.CLASSES, counts.tolist()))
    digest = hashlib.sha256(json.dumps(table).encode()).hexdigest()[:12]
    report.add(labels, f'{split} boxes: {len(labels):,}, hash of the class counts {digest}')
    report.lines.append('        ' + ', '.join(f'{k} {v}' for k, v in table.items()))


def check_folder(root: Path, **options) -> tuple[Report, list[str]]:
    """Read each shape of a :class:`PointCloudFolder` once and list all that fail.

    Args:
        root: The folder.
        options: Of :func:`~mmkd3d.datasets.readers.read_points`.

    Returns:
        The report, and the paths of the good files, relative to ``root``, as
        ``file_list`` of the data set takes them.
    """
    report, good = Report(word='BAD    '), []
    data = report.load('folder', PointCloudFolder, root, **QUICK)
    if data is None:
        return report, good
    for path in tqdm(list(_paths(data)), unit='file', disable=None):
        bad: list[str] = []
        if attempt(bad, read_points, path, **options):
            good.append(Path(path).relative_to(root).as_posix())
        else:
            report.add(False, bad[0])
    classes = data.metainfo.get('classes')
    what = 'without classes' if classes is None else f'of {len(classes)} classes'
    report.lines.append(f'{len(good):,} of {len(data):,} shapes {what} can be read')
    return report, good


CHECKS: dict[str, Callable[..., Report]] = dict(
    shapenet55=check_shapenet55,
    modelnet40=check_modelnet40,
    modelnet_fewshot=check_modelnet_fewshot,
    scanobjectnn=check_scanobjectnn,
    shapenetpart=check_shapenetpart,
    scannet=check_scannet,
)
