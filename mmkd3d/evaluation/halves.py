"""Configs of the training and the test half of any labelled shapes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config

from mmkd3d.datasets.readers import existing

Halves = dict[str, dict]  # 'train' and 'test' -> config of a data set


def config_halves(file: str | Path) -> Halves:
    """Of a config whose ``test_dataloader`` has a data set with both.

    Raises:
        ValueError: Its data set knows neither ``split='test'`` nor a
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
            f'set ({dataset.get("type")}), so there is no training half to '
            'learn from. Use an npz file with --split, or a config such as '
            'configs/_base_/datasets/modelnet40.py.'
        )
    return {half: dict(dataset, split=half) for half in ('train', 'test')}


def npz_halves(
    file: str | Path,
    *,
    num_points: int,
    subset_of_classes: str | Sequence[str] | None = None,
    **keys: str | None,
) -> Halves:
    """Of an npz file.

    Args:
        file: The file.
        num_points: Farthest points that are taken of each shape.
        subset_of_classes: See :class:`NpzPoints`.
        keys: Names of arrays: ``points``, ``label``, ``names``, ``split``.
    """
    return {
        half: dict(
            type='mmkd3d.NpzPoints',
            file=str(file),
            split_value=half == 'test',
            subset_of_classes=subset_of_classes,
            pipeline=farthest(num_points),
            **keys,
        )
        for half in ('train', 'test')
    }


def folder_halves(root: str | Path, *, num_points: int) -> Halves:
    """Of ``ROOT/train/CLASS/FILE`` and ``ROOT/test/CLASS/FILE``.

    Raises:
        FileNotFoundError: One of the two folders is missing.
    """
    halves = {
        half: existing(
            Path(root) / half,
            f'it holds the {half} shapes, one folder for each class',
            'Make it, or give an npz file or a config.',
        )
        for half in ('train', 'test')
    }
    classes = sorted(
        {path.name for folder in halves.values() for path in folder.iterdir() if path.is_dir()}
    )
    return {
        half: dict(
            type='mmkd3d.PointCloudFolder',
            data_root=str(folder),
            classes=True,
            metainfo=dict(classes=classes),
            pipeline=farthest(num_points),
        )
        for half, folder in halves.items()
    }


def farthest(num_points: int) -> list[Mapping]:
    """Pipeline: farthest points in the unit sphere."""
    return [
        dict(type='mmkd3d.LoadPoints'),
        dict(type='mmkd3d.SamplePoints', num_points=num_points, method='fps'),
        dict(type='mmkd3d.NormalizePoints'),
        dict(type='mmkd3d.PackPoints'),
    ]
