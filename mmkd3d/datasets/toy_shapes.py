"""ToyShapes: everyday objects made from a seed, for runs without downloads."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from mmkd3d.datasets.base import PointDataset
from mmkd3d.datasets.items import LazyItems
from mmkd3d.datasets.procedural.catalogue import CATEGORIES, part_table
from mmkd3d.datasets.procedural.solids import Surface, rotation
from mmkd3d.ops.projection import orthographic, splat_depth
from mmkd3d.ops.views import gray_depth, turntable
from mmkd3d.registry import DATASETS

SPLITS = ('train', 'val', 'test')


@DATASETS.register_module()
class ToyShapes(PointDataset):
    """Sixteen categories of objects built from parametric parts.

    A shape depends on ``(seed, split, index)`` alone: proportions, optional
    parts, a scale per axis, any turn about the vertical axis, a small tilt,
    and noise. Points lie on the surface, by area; +y is up; the cloud is
    centred and fills the unit sphere. Categories take turns over the index.

    ``metainfo``: ``classes``; ``parts`` (category -> part ids) and
    ``part_names`` (name of each id).

    Args:
        split: 'train', 'val' or 'test': disjoint random streams.
        num_samples: Number of shapes.
        num_points: N of each.
        seed: Names the whole data set.
        categories: Names to make; None makes all. Labels count within them.
        features: Columns after xyz: 'normal' (3) and 'color' (3, 0..1).
        views: Adds ``views`` (views, H, W): depth images from around the
            object, orthographic.
        view_size: H = W of these images.
        noise: Standard deviation of the points, in units of the radius.
        cache: Keep what was made (12 bytes per point and more).
        pipeline: Transforms.
        kwargs: See :class:`PointDataset`.

    Raises:
        ValueError: An unknown split, category or feature.
    """

    METAINFO = dict(up_axis='y')

    def __init__(
        self,
        split: str = 'train',
        num_samples: int = 1000,
        *,
        num_points: int = 1024,
        seed: int = 0,
        categories: Sequence[str] | None = None,
        features: Sequence[str] = (),
        views: int = 0,
        view_size: int = 64,
        noise: float = 0.015,
        cache: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ):
        categories = tuple(categories or CATEGORIES)
        for got, known, what in (
            ((split,), SPLITS, 'split'),
            (categories, CATEGORIES, 'category'),
            (features, ('normal', 'color'), 'feature'),
        ):
            unknown = set(got) - set(known)
            if unknown:
                raise ValueError(
                    f'ToyShapes: unknown {what} {sorted(unknown)}, expected some of {tuple(known)}.'
                )
        self.split, self.num_samples = split, num_samples
        self.num_points, self.seed = num_points, seed
        self.features, self.noise = tuple(features), noise
        self.views, self.view_size = views, view_size
        self._cache = {} if cache else None
        super().__init__(pipeline=pipeline, **kwargs)
        self.part_ids, part_names = part_table()
        self._metainfo.update(
            classes=categories,
            parts={name: self.part_ids[name] for name in categories},
            part_names=part_names,
        )
        self.categories = categories

    def load_data_list(self) -> LazyItems:
        """One item per shape; points are made on access."""
        return LazyItems(self.num_samples, partial(_item, f'toy_{self.split}_{self.seed}'))

    def get_data_info(self, idx: int) -> dict:
        """The item with its points."""
        info = super().get_data_info(idx)
        index = info.pop('index')
        if self._cache is None:
            made = self._make(index)
        else:
            if index not in self._cache:
                self._cache[index] = self._make(index)
            made = {k: np.copy(v) for k, v in self._cache[index].items()}
        label = index % len(self.categories)
        return info | made | dict(gt_label=label, category=self.categories[label])

    def get_cat_ids(self, idx: int) -> list[int]:
        """The label, without making the shape."""
        index = super().get_data_info(idx)['index']
        return [index % len(self.categories)]

    def _make(self, index: int) -> dict:
        name = self.categories[index % len(self.categories)]
        rng = np.random.Generator(np.random.PCG64([self.seed, SPLITS.index(self.split), index]))
        category = CATEGORIES[name]
        solids = category.build(rng)
        points, normals, owner = Surface(solids).draw(self.num_points, rng)
        parts = np.array([category.parts.index(s.part) for s in solids])[owner]
        points, normals = _pose(points, normals, rng)
        points = points + rng.normal(0, self.noise, points.shape)
        points /= np.linalg.norm(points, axis=1).max()
        columns = [points]
        if 'normal' in self.features:
            columns.append(normals)
        if 'color' in self.features:
            columns.append(_paint(parts, len(category.parts), rng))
        made = dict(
            points=np.concatenate(columns, axis=1).astype(np.float32),
            gt_parts=parts + self.part_ids[name][0],
        )
        if self.views:
            made['views'] = depth_views(made['points'][:, :3], self.views, self.view_size)
        return made


def _item(name: str, index: int) -> dict:
    return dict(index=index, sample_id=f'{name}_{index:06d}')


def _pose(points: np.ndarray, normals: np.ndarray, rng) -> tuple:
    """Stretch, turn and tilt; the mean goes to 0 and the radius to 1."""
    stretch = np.diag(np.exp(rng.uniform(-0.45, 0.45, 3)))
    turn = rotation(rng.uniform(0, 2 * np.pi))
    for axis in 'xz':
        turn = rotation(rng.normal(0, 0.12), axis) @ turn
    matrix = turn @ stretch
    points = points @ matrix.T
    normals = normals @ np.linalg.inv(matrix)
    points = points - points.mean(0)
    return (
        points / np.linalg.norm(points, axis=1).max(),
        normals / np.linalg.norm(normals, axis=1, keepdims=True),
    )


def _paint(parts: np.ndarray, num_parts: int, rng) -> np.ndarray:
    """One random colour per part, with grain."""
    color = rng.uniform(0.1, 0.9, (num_parts, 3))[parts]
    return np.clip(color + rng.normal(0, 0.04, color.shape), 0, 1)


def depth_views(points: np.ndarray, num_views: int, size: int) -> np.ndarray:
    """Orthographic depth images from around the vertical axis.

    Args:
        points: (N, 3) in the unit sphere.
        num_views: V cameras, evenly spaced, all slightly from above.
        size: H = W.

    Returns:
        (V, H, W) float32: 1 nearest, towards 0 farther, 0 background.
    """
    cloud = torch.from_numpy(points)[None].expand(num_views, -1, -1)
    azimuth = torch.arange(num_views).double() * (2 * np.pi / num_views)
    pixels = orthographic(cloud, size, rotation=turntable(azimuth, 0.35), margin=1)
    image = splat_depth(pixels.uv, pixels.depth, size, radius=1)
    # one scale of grey for all views of the shape
    return gray_depth(image[None], pixels.depth[None])[0].numpy()
