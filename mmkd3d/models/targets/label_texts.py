"""What the names of classes say of places with labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.ops import knn
from mmkd3d.registry import MODELS

from ..distillation.student import stack_padded
from .places import PlaceFeatures
from .text import TextTarget


@MODELS.register_module()
class LabelTexts(nn.Module):
    """Vectors of class names at places, by the labels of the points.

    The label of a place is that of the nearest point; the features are the
    vector of its name. Places whose label names no class, or an ignored one,
    are not seen. The labels are ``gt_pts_seg.pts_semantic_mask`` of the
    samples, in which mmdet3d's pipelines give what is in no class the number
    behind the last.

    Args:
        vectors: ``.npz`` file of vectors and names.
        key: Of the vectors in it, (K, D).
        names_key: Of their names in it, (K,).
        teacher: Config of a teacher that reads text, instead of a file.
        prompts: What the teacher reads, see :class:`TextTarget`; features of
            several templates are averaged at unit length.
        class_names: In the order of the labels; None: those of the data set.
        aliases: What the teacher reads, or what the file has, in place of
            some names: ``dict(showercurtrain='shower curtain')``.
        ignore: Names of classes that are left out.

    Attributes:
        dims: D.
        names: Of the classes, once they are set.
        table: (C, D) vectors of the classes, at unit length; 0 if ignored.
        known: (C,) bool, which classes are not ignored.

    Raises:
        ValueError: Neither a file nor a teacher, or both; a file without
            these keys.
        FileNotFoundError: There is no such file.
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
                'LabelTexts takes a file of vectors or a teacher '
                f'that reads text, got {vectors!r} and '
                f'{teacher!r}.'
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
        """Say what labels mean; ``class_names``, if given, count instead.

        Raises:
            ValueError: No names, names without a vector, or aliases and
                ignored names that are of no class.
        """
        if self.fixed:
            return
        if not names:
            raise ValueError(
                'The data set names no classes: give LabelTexts '
                'class_names, in the order of the labels.'
            )
        self._read(names)

    @torch.no_grad()
    def forward(self, points: Tensor, data_samples: list, places: Tensor) -> PlaceFeatures:
        """Features of places (B, M, 3); see :class:`PlaceTarget`."""
        label = self.labels(points, data_samples)  # (B, N)
        if not torch.equal(places, points[..., :3]):
            nearest = knn(places, points[..., :3], 1).idx[..., 0]
            label = label.take_along_dim(nearest, 1)  # (B, M)
        seen = label >= 0
        return PlaceFeatures(self.table[label].where(seen[..., None], 0), seen)

    def labels(self, points: Tensor, data_samples: list) -> Tensor:
        """Labels (B, N) of points (B, N, 3+F); -1 where there is none.

        Raises:
            ValueError: The samples have none, or not one for each point.
        """
        if self.names is None:
            raise ValueError(
                'LabelTexts does not know what the labels mean: '
                'give class_names, or call set_classes.'
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
                f'There are labels {tuple(label.shape)} for points '
                f'{tuple(points.shape[:2])}: what samples points must sample '
                'their labels, too.'
            )
        in_class = (label >= 0) & (label < len(self.known))
        known = in_class & self.known[label.where(in_class, 0)]
        return label.where(known, -1)

    def _read(self, names: Sequence[str]) -> None:
        """Fill the table."""
        self.names = tuple(names)
        odd = sorted({*self.aliases, *self.ignore}.difference(names))
        if odd:
            raise ValueError(f'aliases and ignore speak of {odd}, the classes are {self.names}.')
        wanted = [name for name in names if name not in self.ignore]
        spoken = [self.aliases.get(name, name) for name in wanted]
        feats = self._vectors(spoken).to(self.table)
        known = [name in wanted for name in names]
        self.known = torch.tensor(known, device=self.table.device)
        self.table = feats.new_zeros(len(names), self.dims)
        self.table[self.known] = F.normalize(feats, dim=-1)

    def _vectors(self, names: Sequence[str]) -> Tensor:
        """Vectors (len(names), D)."""
        if self.source is None:
            feats = self.text.class_features(names)  # (C, P, D)
            return F.normalize(feats, dim=-1).mean(1)
        missing = [name for name in names if name not in self.rows]
        if missing:
            raise ValueError(
                f'{self.source} has no vectors for {missing}, it has '
                f'{list(self.rows)}. Give aliases=dict(NAME=...) that say '
                'which of these to take, or leave classes out with ignore.'
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
