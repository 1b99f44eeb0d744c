"""A label for every point, from the tokens of a student."""
from typing import Optional, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.ops import three_interpolate
from mmkd3d.registry import MODELS

from ..modules.transformer import init_transformer


def shared_mlp(*dims: int) -> list[nn.Module]:
    """Linear, BatchNorm, ReLU from width to width, over rows of points."""
    layers = []
    for width, out in zip(dims, dims[1:]):
        layers += [
            nn.Linear(width, out), nn.BatchNorm1d(out), nn.ReLU(inplace=True)
        ]
    return layers


@MODELS.register_module()
class PointSegHead(nn.Module):
    """Segmentation of scenes and of the parts of objects (ACT, section 9.1).

    Three levels of the student are carried from the centres of the patches to
    the points; their maximum and mean over the patches, for ReCon (section 8)
    the maximum over its global tokens and, for parts, the category of the
    object are added to every point.

    The first layers of both MLPs are linear in what is concatenated, and so
    is interpolation: each input is multiplied where there is least of it, the
    levels at the centres, the cloud's own features once per cloud. The
    published code repeats them for every point; the weights are the same.

    The head also is a ``decode_head`` of mmdetection3d's ``EncoderDecoder3D``
    (without ``num_categories``, which its samples don't carry).

    Args:
        in_channels: Width of the student, C.
        num_classes: Number of labels.
        num_levels: Levels of the student, L (its ``out_indices``).
        propagation_dims: Widths of the MLP after the interpolation.
        hidden_dims: Widths of the MLP before the last layer.
        num_categories: Categories of objects, for parts; 0: none is used.
        category_dims: Width of the category's feature.
        with_global: Whether the maximum over the global tokens of the
            student, as the last block leaves them, is used.
        dropout: Rate after the first of ``hidden_dims``.
        class_weight: Weight of each label in the loss. Published for S3DIS:
            ``(max(n) / n) ** (1 / 3)`` with n points per label.
        ignore_index: Label of points without one; they have no loss.
    """

    def __init__(self,
                 in_channels: int,
                 num_classes: int,
                 *,
                 num_levels: int = 3,
                 propagation_dims: Sequence[int] = (1536, 1024),
                 hidden_dims: Sequence[int] = (512, 256),
                 num_categories: int = 0,
                 category_dims: int = 64,
                 with_global: bool = False,
                 dropout: float = 0.5,
                 class_weight: Optional[Sequence[float]] = None,
                 ignore_index: int = -100):
        super().__init__()
        if class_weight is not None and len(class_weight) != num_classes:
            raise ValueError(
                f'class_weight has {len(class_weight)} numbers, one for each '
                f'of num_classes={num_classes} was expected.')
        self.num_classes = num_classes
        self.num_levels = num_levels
        self.num_categories = num_categories
        self.with_global = with_global
        self.ignore_index = ignore_index
        if class_weight is not None:
            class_weight = torch.tensor(class_weight, dtype=torch.float32)
        self.register_buffer('class_weight', class_weight, persistent=False)
        width = num_levels * in_channels
        self.propagation = nn.Sequential(
            *shared_mlp(3 + width, *propagation_dims))
        self.label = None
        cloud_dims = 2 * width + with_global * in_channels
        if num_categories:
            cloud_dims += category_dims
            self.label = nn.Sequential(
                nn.Linear(num_categories, category_dims, bias=False),
                nn.BatchNorm1d(category_dims), nn.LeakyReLU(0.2))
        layers = shared_mlp(propagation_dims[-1] + cloud_dims, *hidden_dims)
        self.mlp = nn.Sequential(*layers[:3], nn.Dropout(dropout), *layers[3:],
                                 nn.Linear(hidden_dims[-1], num_classes))
        init_transformer(self)

    def forward(self,
                feats: dict,
                category: Optional[Tensor] = None) -> Tensor:
        """Logits of all points.

        Args:
            feats: Output of a student with ``levels``.
            category: (B,) long, with ``num_categories``.

        Returns:
            (B, num_classes, N), the layout of mmdetection3d.
        """
        points, levels = feats['points'], self.concat(feats['levels'])
        up = self.propagate(points, feats['centers'], levels)  # (B, N, D)
        cloud = [levels.amax(dim=1), levels.mean(dim=1)]
        if self.with_global:
            cloud.append(self.join_global_tokens(feats))
        if self.label is not None or category is not None:
            cloud.append(self.embed_category(category))
        cloud = torch.cat(cloud, dim=1)  # (B, 2LC [+ C] [+ 64])
        layer = self.mlp[0]
        of_points, of_cloud = layer.weight.split(
            [up.shape[2], cloud.shape[1]], dim=1)
        x = F.linear(up, of_points)
        x = x + F.linear(cloud, of_cloud, layer.bias)[:, None]
        x = self.mlp[1:](x.flatten(0, 1))
        return x.view(*points.shape[:2], -1).transpose(1, 2)

    def concat(self, levels: Sequence[Tensor]) -> Tensor:
        """The levels side by side, (B, G, LC)."""
        if len(levels) != self.num_levels:
            raise ValueError(
                f'The head expects num_levels={self.num_levels}, the student '
                f'returns {len(levels)}: name as many blocks in out_indices.')
        return torch.cat(tuple(levels), dim=-1)

    def join_global_tokens(self, feats: dict) -> Tensor:
        """Their element-wise maximum, without the final norm, (B, C)."""
        tokens = feats.get('raw_global_tokens')
        if not tokens:
            raise ValueError(
                'with_global=True needs a student that has some, a '
                'ReConTransformer; set it to False for this one.')
        return torch.stack([*tokens.values()]).amax(dim=0)

    def propagate(self, points: Tensor, centers: Tensor,
                  levels: Tensor) -> Tensor:
        """Carry ``levels`` (B, G, LC) of the centres to points (B, N, 3).

        Returns:
            (B, N, D), from inverse squared distances to three centres.
        """
        layer = self.propagation[0]
        of_points, of_levels = layer.weight.split([3, levels.shape[2]], dim=1)
        x = F.linear(points, of_points, layer.bias) + three_interpolate(
            points, centers, F.linear(levels, of_levels), squared=True)
        x = self.propagation[1:](x.flatten(0, 1))
        return x.view(*points.shape[:2], -1)

    def embed_category(self, category: Optional[Tensor]) -> Tensor:
        """The feature (B, 64) of the category (B,) of an object."""
        if category is None:
            raise ValueError(
                f'A head with num_categories={self.num_categories} needs the '
                'category of every cloud: give data samples with gt_label.')
        low, high = category.min(), category.max()
        if low < 0 or high >= self.num_categories:
            raise ValueError(
                f'Categories lie in [{low}, {high}], the head has '
                f'num_categories={self.num_categories}.')
        one_hot = F.one_hot(category.long(), self.num_categories)
        return self.label(one_hot.to(self.label[0].weight.dtype))

    def categories(self, data_samples: Optional[list]) -> Optional[Tensor]:
        """``gt_label`` of the samples (B,), if this head uses it."""
        if not self.num_categories or not data_samples:
            return None
        if any('gt_label' not in s for s in data_samples):
            return None
        return torch.stack([s.gt_label for s in data_samples]).view(-1)

    def loss(self,
             feats: dict,
             data_samples: list,
             train_cfg: Optional[dict] = None) -> dict:
        """Negative log-likelihood of the labels, and the accuracy.

        Args:
            feats: Output of a student.
            data_samples: With ``gt_parts`` (N,), or ``gt_pts_seg`` as in
                mmdetection3d; with ``num_categories`` also ``gt_label``.
            train_cfg: Given by mmdetection3d, not used.
        """
        logits = self(feats, self.categories(data_samples))
        labels = point_labels(data_samples)  # (B, N)
        known = self._check_labels(labels, logits)
        loss = F.cross_entropy(
            logits.float(),
            labels,
            weight=self.class_weight,
            ignore_index=self.ignore_index)
        correct = logits.argmax(dim=1) == labels
        return dict(loss_seg=loss, accuracy=correct[known].float().mean())

    def predict(self,
                feats: dict,
                metas: Optional[list] = None,
                test_cfg: Optional[dict] = None) -> Tensor:
        """Logits (B, num_classes, N), as mmdetection3d asks for them."""
        return self(feats)

    def _check_labels(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Which points have a label, (B, N); all those labels are valid."""
        if labels.shape != logits[:, 0].shape:
            raise ValueError(
                f'Labels are of shape {tuple(labels.shape)}, the points are '
                f'{tuple(logits[:, 0].shape)}: sample both together '
                '(SamplePoints does).')
        known = labels != self.ignore_index
        if not known.any():
            raise ValueError(
                'No point of the batch has a label: all are '
                f'ignore_index={self.ignore_index}. Check the labels.')
        low, high = labels[known].min(), labels[known].max()
        if low < 0 or high >= self.num_classes:
            raise ValueError(
                f'Labels of points lie in [{low}, {high}], the head has '
                f'num_classes={self.num_classes} and '
                f'ignore_index={self.ignore_index}.')
        return known


def point_labels(data_samples: list) -> Tensor:
    """Labels (B, N) of our samples or of mmdetection3d's."""
    if all('gt_pts_seg' in s for s in data_samples):
        labels = [s.gt_pts_seg.pts_semantic_mask for s in data_samples]
    elif all('gt_parts' in s for s in data_samples):
        labels = [s.gt_parts for s in data_samples]
    else:
        raise ValueError(
            'The samples need a label per point, gt_parts or gt_pts_seg, got '
            f'{data_samples[0].keys()}: load them (LoadPoints with '
            'parts_column, or NpzPoints with parts).')
    return torch.stack(labels)
