"""Configs of the training and the test split of any labelled shapes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config

from mmkd3d.datasets.find import visible
from mmkd3d.datasets.readers import existing

Splits = dict[str, dict]  # 'train' and 'test' -> config of a data set


def config_splits(file: str | Path) -> Splits:
    """Splits of the data set in the ``test_dataloader`` of a config.

    Raises:
        ValueError: Its data set has neither ``split='test'`` nor a
            ``split_value``.
    """
    cfg = Config.fromfile(file)
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    if isinstance(dataset.get('split_value'), bool):
        test = dataset.split_value
        return dict(train=dict(dataset, split_value=not test), test=dataset)
    if dataset.get('split') != 'test':
        raise ValueError(
            f"The test_dataloader of {file} has no split='test' in its data "
            f'set ({dataset.get("type")}), so there is no training split to '
            'learn from. Use an npz file with --split, or a config such as '
            'configs/_base_/datasets/modelnet40.py.'
        )
    return {split: dict(dataset, split=split) for split in ('train', 'test')}


def npz_splits(
    file: str | Path,
    *,
    num_points: int,
    subset_of_classes: str | Sequence[str] | None = None,
    **keys: str | None,
) -> Splits:
    """Splits of an npz file.

    Args:
        file: The file.
        num_points: Points of a shape, by farthest point sampling.
        subset_of_classes: See :class:`NpzPoints`.
        keys: Names of arrays: ``points``, ``label``, ``names``, ``split``.
    """
    return {
        split: dict(
            type='mmkd3d.NpzPoints',
            file=str(file),
            split_value=split == 'test',
            subset_of_classes=subset_of_classes,
            pipeline=farthest(num_points),
            **keys,
        )
        for split in ('train', 'test')
    }


def folder_splits(root: str | Path, *, num_points: int) -> Splits:
    """Splits of the folders ``ROOT/train/CLASS/FILE`` and ``ROOT/test/CLASS/FILE``.

    Raises:
        FileNotFoundError: One of the two folders is missing.
    """
    splits = {
        split: existing(
            Path(root) / split,
            f'it holds the {split} shapes, one folder for each class',
            'Make it, or give an npz file or a config.',
        )
        for split in ('train', 'test')
    }
    classes = sorted(
        {path.name for folder in splits.values() for path in visible(folder) if path.is_dir()}
    )
    return {
        split: dict(
            type='mmkd3d.PointCloudFolder',
            data_root=str(folder),
            classes=True,
            metainfo=dict(classes=classes),
            pipeline=farthest(num_points),
        )
        for split, folder in splits.items()
    }


def farthest(num_points: int) -> list[Mapping]:
    """Pipeline: farthest points, normalised to the unit sphere."""
    return [
        dict(type='mmkd3d.LoadPoints'),
        dict(type='mmkd3d.SamplePoints', num_points=num_points, method='fps'),
        dict(type='mmkd3d.NormalizePoints'),
        dict(type='mmkd3d.PackPoints'),
    ]
