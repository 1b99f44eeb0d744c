"""Text features of class names as targets of labelled points."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.ops import knn
from mmkd3d.registry import MODELS
from mmkd3d.utils.samples import stack_padded

from .points import PointTargets
from .text import TextTarget


@MODELS.register_module()
class LabelTexts(nn.Module):
    """Text features of class names, by the labels of the points.

    A target point gets the label of the nearest point of the cloud. Points
    without a class, or of an ignored one, are invisible. Labels are
    ``gt_pts_seg.pts_semantic_mask`` of the samples, where mmdet3d's pipelines
    label points without a class with the number of classes.

    Args:
        vectors: ``.npz`` file with text features and their names.
        key: Array of the features in it, (K, D).
        names_key: Array of the names in it, (K,).
        teacher: Config of a text teacher, instead of a file.
        prompts: Prompts of the teacher, see :class:`TextTarget`; normalised
            features of several templates are averaged.
        class_names: In the order of the labels; None: those of the data set.
        aliases: Other names for some classes, used by the teacher or in the
            file: ``dict(showercurtrain='shower curtain')``.
        ignore: Names of ignored classes.

    Attributes:
        dims: D.
        names: Of the classes, once they are set.
        table: (C, D) normalised features of the classes; 0 if ignored.
        known: (C,) bool, False for ignored classes.

    Raises:
        ValueError: Neither a file nor a teacher, or both; arrays missing in
            the file.
        FileNotFoundError: No such file.
    """

    def __init__(
        self,
        vectors: str | Path | None = None,
        *,
        key: str = 'vectors',
        names_key: str = 'names',
        teacher: dict | None = None,
        prompts: str | Sequence[str] | None = ('a {} in a scene.',),
        class_names: Sequence[str] | None = None,
        aliases: dict | None = None,
        ignore: Sequence[str] = (),
    ):
        super().__init__()
        if (vectors is None) == (teacher is None):
            raise ValueError(
                'LabelTexts needs either a file of vectors or a text teacher, '
                f'got {vectors!r} and {teacher!r}.'
            )
        self.source = vectors
        self.aliases = aliases or {}
        self.ignore = tuple(ignore)
        if vectors is None:
            self.text = TextTarget(teacher, prompts)
            self.dims = self.text.dims
        else:
            self.rows, self.vectors = read_vectors(vectors, key, names_key)
            self.dims = self.vectors.shape[1]
        self.names = None
        self.fixed = class_names is not None
        self.register_buffer('table', torch.empty(0, self.dims), False)
        self.register_buffer('known', torch.empty(0, dtype=torch.bool), False)
        if self.fixed:
            self._read(class_names)

    @torch.no_grad()
    def set_classes(self, names: Sequence[str] | None) -> None:
        """Set the names of the classes unless ``class_names`` was given.

        Raises:
            ValueError: No names, names without a feature, or aliases and
                ignored names of unknown classes.
        """
        if self.fixed:
            return
        if not names:
            raise ValueError(
                'The data set has no class names: give LabelTexts class_names, in '
                'the order of the labels.'
            )
        self._read(names)

    @torch.no_grad()
    def forward(self, points: Tensor, data_samples: list, at: Tensor) -> PointTargets:
        """Features of points ``at`` (B, M, 3); see :class:`PointTarget`."""
        label = self.labels(points, data_samples)  # (B, N)
        if not torch.equal(at, points[..., :3]):
            nearest = knn(at, points[..., :3], 1).idx[..., 0]
            label = label.take_along_dim(nearest, 1)  # (B, M)
        visible = label >= 0
        return PointTargets(self.table[label].where(visible[..., None], 0), visible)

    def labels(self, points: Tensor, data_samples: list) -> Tensor:
        """Labels (B, N) of points (B, N, 3+F), -1 for invisible points.

        Raises:
            ValueError: Labels are missing, or not one per point.
        """
        if self.names is None:
            raise ValueError(
                'LabelTexts has no class names: give class_names, or call set_classes.'
            )
        masks = [
            getattr(sample.get('gt_pts_seg'), 'pts_semantic_mask', None) for sample in data_samples
        ]
        if any(mask is None for mask in masks):
            raise ValueError(
                'LabelTexts needs gt_pts_seg.pts_semantic_mask in each '
                'sample. Load it with LoadAnnotations3D(with_seg_3d=True), '
                'map it with PointSegClassMapping, and keep '
                "'pts_semantic_mask' in the keys of the last step."
            )
        label = stack_padded(masks).to(points.device).long()
        if label.shape != points.shape[:2]:
            raise ValueError(
                f'Got labels {tuple(label.shape)} for points '
                f'{tuple(points.shape[:2])}: steps that sample points must also '
                'sample their labels.'
            )
        in_class = (label >= 0) & (label < len(self.known))
        known = in_class & self.known[label.where(in_class, 0)]
        return label.where(known, -1)

    def _read(self, names: Sequence[str]) -> None:
        """Fill the table with the features of the classes."""
        self.names = tuple(names)
        odd = sorted({*self.aliases, *self.ignore}.difference(names))
        if odd:
            raise ValueError(f'aliases and ignore name {odd}, the classes are {self.names}.')
        wanted = [name for name in names if name not in self.ignore]
        texts = [self.aliases.get(name, name) for name in wanted]
        feats = self._vectors(texts).to(self.table)
        known = [name in wanted for name in names]
        self.known = torch.tensor(known, device=self.table.device)
        self.table = feats.new_zeros(len(names), self.dims)
        self.table[self.known] = F.normalize(feats, dim=-1)

    def _vectors(self, names: Sequence[str]) -> Tensor:
        """Features (len(names), D)."""
        if self.source is None:
            feats = self.text.class_features(names)  # (C, P, D)
            return F.normalize(feats, dim=-1).mean(1)
        missing = [name for name in names if name not in self.rows]
        if missing:
            raise ValueError(
                f'{self.source} has no vectors for {missing}, only for '
                f'{list(self.rows)}. Map names with aliases=dict(NAME=...), or ignore '
                'these classes.'
            )
        return self.vectors[[self.rows[name] for name in names]]


def read_vectors(path: str | Path, key: str, names_key: str) -> tuple[dict[str, int], Tensor]:
    """Rows by name, and vectors (K, D) float32, of an ``.npz`` file."""
    if not Path(path).is_file():
        raise FileNotFoundError(f'No file of vectors at {path}.')
    with np.load(path) as arrays:
        if key not in arrays or names_key not in arrays:
            raise ValueError(
                f'{path} has {sorted(arrays)}, not {key!r} and '
                f'{names_key!r}: set key and names_key.'
            )
        vectors, names = arrays[key], arrays[names_key]
    if vectors.ndim != 2 or len(vectors) != len(names):
        raise ValueError(
            f'{path}: {key} has shape {vectors.shape}, expected (K, D) for K={len(names)} names.'
        )
    rows = {str(name): row for row, name in enumerate(names)}
    return rows, torch.from_numpy(vectors).float()
