"""ToyShapes: everyday objects made from a seed, for runs without downloads."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from mmkd3d.datasets.base import PointDataset
from mmkd3d.datasets.items import LazyItems
from mmkd3d.datasets.procedural.deform import deform as deformed
from mmkd3d.datasets.procedural.shapes.catalogue import CATEGORIES, part_table
from mmkd3d.datasets.procedural.shapes.scan import scan_shape, surface_points
from mmkd3d.datasets.procedural.shapes.symmetry import symmetries
from mmkd3d.datasets.procedural.solids import dot, mean_point, rotation
from mmkd3d.datasets.procedural.surface import Surface
from mmkd3d.ops.projection import orthographic, splat_depth
from mmkd3d.ops.views import gray_depth, turntable
from mmkd3d.registry import DATASETS

SPLITS = ('train', 'val', 'test')


@DATASETS.register_module()
class ToyShapes(PointDataset):
    """Objects built from parametric parts, with all labels that come for free.

    A shape depends on ``(seed, split, index)`` alone: proportions, optional
    parts, a scale per axis, any turn about the vertical axis, a small tilt,
    and noise. Points lie on the surface, by area; +y is up; the cloud is
    centred and fills the unit sphere. Categories take turns over the index.

    Beside ``points``, an item has ``category`` (its name in words, for text
    teachers), ``gt_label``, ``gt_parts`` (N,), ``gt_pose`` (3, 3) float32 and
    ``gt_symmetry`` (3,) bool. ``gt_pose`` rotates the upright shape that faces
    +z to the given one. ``gt_symmetry`` tells whether mirroring in x, mirroring
    in z and a quarter turn about y change nothing, for the upright shape before
    its scale per axis; see :func:`symmetries`. It is False for deformed shapes.

    ``metainfo``: ``classes`` in words; ``parts`` (class -> part ids) and
    ``part_names`` (name of each id).

    Args:
        split: 'train', 'val' or 'test': disjoint random streams.
        num_samples: Number of shapes.
        num_points: N of each.
        seed: Names the whole data set.
        categories: Names in ``CATEGORIES`` to make; None makes all, which
            grow in number with the version. Labels count within them.
        exclude: Names among them whose shapes are left out. All else stays: the
            other shapes, labels and ``sample_id``, which caches of teachers need.
        features: Columns after xyz: 'normal' (3) and 'color' (3, 0..1).
        views: Adds ``views`` (views, H, W): depth images from around the
            object, orthographic.
        view_size: H = W of these images.
        noise: Standard deviation of the points, in units of the radius.
        scan: Share of the shapes that are scans, seen from one to five
            viewpoints: no hidden surfaces, noise along the ray, uneven
            density, holes and outliers. See :func:`scan_shape`.
        deform: Share of the shapes that are bent, twisted or tapered.
        cache: Keep what was made (13 bytes per point and more).
        pipeline: Transforms.
        kwargs: See :class:`PointDataset`.

    Raises:
        ValueError: An unknown split, category or feature, a category twice,
            fewer than 2 points, or a share outside 0 to 1.
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
        exclude: Sequence[str] = (),
        features: Sequence[str] = (),
        views: int = 0,
        view_size: int = 64,
        noise: float = 0.015,
        scan: float = 0.0,
        deform: float = 0.0,
        cache: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ):
        categories = tuple(categories or CATEGORIES)
        for got, known, what in (
            ((split,), SPLITS, 'split'),
            (categories, CATEGORIES, 'category'),
            (exclude, categories, 'category to exclude,'),
            (features, ('normal', 'color'), 'feature'),
        ):
            unknown = set(got) - set(known)
            if unknown:
                raise ValueError(
                    f'ToyShapes: unknown {what} {sorted(unknown)}, expected some of {tuple(known)}.'
                )
        if len(set(categories)) < len(categories):
            raise ValueError(f'ToyShapes: give each category once, got {categories}.')
        if num_points < 2:  # one point has no extent
            raise ValueError(f'ToyShapes: num_points is 2 or more, got {num_points}.')
        if not (0 <= scan <= 1 and 0 <= deform <= 1):
            raise ValueError(
                f'ToyShapes: scan and deform are shares from 0 to 1, got {scan} and {deform}.'
            )
        self.split, self.num_samples, self.categories = split, num_samples, categories
        self.exclude, self.scan, self.deform = exclude, scan, deform
        self.num_points, self.seed = num_points, seed
        self.features, self.noise = tuple(features), noise
        self.views, self.view_size = views, view_size
        self._cache: dict[int, dict] | None = {} if cache else None
        super().__init__(pipeline=pipeline, **kwargs)
        self.part_ids, part_names = part_table()
        self._metainfo.update(
            classes=tuple(map(_words, categories)),
            parts={_words(name): self.part_ids[name] for name in categories},
            part_names=tuple(map(_words, part_names)),
        )

    def load_data_list(self) -> LazyItems:
        """One item per shape; points are made on access."""
        kept = [k for k, name in enumerate(self.categories) if name not in self.exclude]
        rounds, rest = divmod(self.num_samples, len(self.categories))
        number = rounds * len(kept) + sum(k < rest for k in kept)
        name = f'toy_{self.split}_{self.seed}'
        return LazyItems(number, partial(_item, name, len(self.categories), kept))

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
        name = self.categories[info['gt_label']]
        made['gt_parts'] = made['gt_parts'].astype(np.int64) + self.part_ids[name][0]
        return info | made | dict(category=_words(name))

    def get_cat_ids(self, idx: int) -> list[int]:
        """The label, without making the shape."""
        return [super().get_data_info(idx)['gt_label']]

    def _make(self, index: int) -> dict:
        """The item without what depends on its category only."""
        seeds = [self.seed, SPLITS.index(self.split), index]
        rng, more = (np.random.Generator(np.random.PCG64(s)) for s in (seeds, [*seeds, 1]))
        scanned, bent = more.random(2) < (self.scan, self.deform)
        category = CATEGORIES[self.categories[index % len(self.categories)]]
        solids = category.build(rng)
        surface = Surface(solids)
        count = surface_points(self.num_points) if scanned else self.num_points
        points, normals, owner = surface.draw(count, rng)
        if bent:
            points, normals = deformed(_centred(points), normals, more)
        points, normals, pose = _pose(points, normals, rng)
        if scanned:
            points, normals, chosen = scan_shape(
                points, normals, surface.open[owner], self.num_points, self.noise, more
            )
            points, owner = points - mean_point(points), owner[chosen]
        else:
            points = points + rng.normal(0, self.noise, points.shape)
        points /= np.sqrt(dot(points, points).max())
        parts = np.array([category.parts.index(s.part) for s in solids])[owner]
        columns = [points]
        if 'normal' in self.features:
            columns.append(normals)
        if 'color' in self.features:
            columns.append(_paint(parts, len(category.parts), rng))
        made = dict(
            points=np.concatenate(columns, axis=1).astype(np.float32),
            gt_parts=parts.astype(np.uint8),  # of the category
            gt_pose=pose.astype(np.float32),
            gt_symmetry=np.zeros(3, dtype=bool) if bent else symmetries(solids),
        )
        if self.views:
            made['views'] = depth_views(made['points'][:, :3], self.views, self.view_size)
        return made


def _item(name: str, number: int, kept: Sequence[int], position: int) -> dict:
    """The item at ``position`` of those whose category, of ``number``, is ``kept``."""
    turn, place = divmod(position, len(kept))
    index = turn * number + kept[place]
    return dict(index=index, sample_id=f'{name}_{index:06d}', gt_label=kept[place])


def _words(name: str) -> str:
    return name.replace('_', ' ')


def _pose(points: np.ndarray, normals: np.ndarray, rng) -> tuple:
    """Stretch, turn and tilt; the mean goes to 0 and the radius to 1.

    Returns:
        points (N, 3), unit normals (N, 3) and the rotation (3, 3).
    """
    stretch = np.diag(np.exp(rng.uniform(-0.45, 0.45, 3)))
    turn = rotation(rng.uniform(0, 2 * np.pi))
    for axis in 'xz':
        turn = rotation(rng.normal(0, 0.12), axis) @ turn
    matrix = turn @ stretch
    normals = normals @ np.linalg.inv(matrix)
    return (_centred(points @ matrix.T), normals / np.sqrt(dot(normals, normals))[:, None], turn)


def _centred(points: np.ndarray) -> np.ndarray:
    """Points (N, 3) with mean 0 and radius 1."""
    points = points - mean_point(points)
    return points / np.sqrt(dot(points, points).max())


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
