"""What the heads that label every point have in common."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..layers.point_mlp import on_rows, shared_mlp


class BaseSegHead(nn.Module):
    """Labels of points: the last MLP, categories, loss and prediction.

    The first layer of an MLP is linear in what is concatenated, and so is
    interpolation: each input is multiplied where there is least of it, tokens
    at their centres, the cloud's own features once per cloud. The published
    codes repeat them for every point; the weights are the same.

    The heads also are ``decode_head`` of mmdetection3d's ``EncoderDecoder3D``
    (without ``num_categories``, which its samples don't carry).

    Subclasses write ``forward(feats, category)`` and, with their other layers
    in place, call ``add_classifier``.

    Args:
        num_classes: Number of labels.
        hidden_dims: Widths of the MLP before the last layer.
        point_channels: What is known of each point by itself: 3, coordinates
            as published, or 6 with the colours that the student reads.
        num_categories: Categories of objects, for parts; 0: none is used.
        category_dims: Width of the category's feature.
        dropout: Rate after the first of ``hidden_dims``.
        class_weight: Weight of each label in the loss;
            :class:`~mmkd3d.engine.hooks.class_weight.ClassWeightHook` counts
            labels for them.
        ignore_index: Label of points without one; they have no loss.
    """

    cloud_first = False  # whether the cloud's features precede the points'

    def __init__(
        self,
        num_classes: int,
        *,
        hidden_dims: Sequence[int],
        point_channels: int = 3,
        num_categories: int = 0,
        category_dims: int = 64,
        dropout: float = 0.5,
        class_weight: Sequence[float] | None = None,
        ignore_index: int = -100,
    ):
        super().__init__()
        if class_weight is not None and len(class_weight) != num_classes:
            raise ValueError(
                f'class_weight has {len(class_weight)} numbers, one for each '
                f'of num_classes={num_classes} was expected.'
            )
        self.num_classes = num_classes
        self.hidden_dims = tuple(hidden_dims)
        self.point_channels = point_channels
        self.num_categories = num_categories
        self.category_dims = category_dims
        self.dropout = dropout
        self.ignore_index = ignore_index
        if class_weight is not None:
            class_weight = torch.tensor(class_weight, dtype=torch.float32)
        self.register_buffer('class_weight', class_weight, persistent=False)

    def add_classifier(self, point_dims: int, cloud_dims: int) -> None:
        """Create ``label`` and ``mlp``, whose input is concatenated.

        Args:
            point_dims: Channels of the features of a point.
            cloud_dims: Channels of those of the cloud, without its category.
        """
        self.label = None
        if self.num_categories:
            cloud_dims += self.category_dims
            self.label = nn.Sequential(
                nn.Linear(self.num_categories, self.category_dims, bias=False),
                nn.BatchNorm1d(self.category_dims),
                nn.LeakyReLU(0.2),
            )
        layers = shared_mlp(point_dims + cloud_dims, *self.hidden_dims)
        self.mlp = nn.Sequential(
            *layers[:3],
            nn.Dropout(self.dropout),
            *layers[3:],
            nn.Linear(self.hidden_dims[-1], self.num_classes),
        )

    def forward(self, feats: dict, category: Tensor | None = None) -> Tensor:
        """Logits of all points.

        Args:
            feats: Output of a student with ``levels``.
            category: (B,) long, with ``num_categories``.

        Returns:
            (B, num_classes, N), the layout of mmdetection3d.
        """
        raise NotImplementedError

    def point_features(self, feats: dict) -> Tensor | None:
        """What the head reads of points beside coordinates, (B, N, F)."""
        if self.point_channels == 3:
            return None
        channels = 3 + feats['features'].shape[2]
        if channels < self.point_channels:
            raise ValueError(
                f'The head expects point_channels={self.point_channels}, the '
                f'student reads in_channels={channels}: set both to the same.'
            )
        return feats['features'][..., : self.point_channels - 3]

    def with_category(self, cloud: Tensor, category: Tensor | None) -> Tensor:
        """Features (B, D) of clouds, followed by that of their category."""
        if self.label is None and category is None:
            return cloud
        return torch.cat([cloud, self.embed_category(category)], dim=1)

    def classify(self, parts: Sequence[Tensor], cloud: Tensor) -> Tensor:
        """Run ``mlp`` on features of points, and of the cloud they are in.

        Args:
            parts: Each (B, N, D); side by side they are the points' features.
            cloud: (B, D').

        Returns:
            Logits (B, num_classes, N).
        """
        layer, dims = self.mlp[0], [part.shape[2] for part in parts]
        if self.cloud_first:
            of_cloud, *of_points = layer.weight.split([cloud.shape[1], *dims], dim=1)
        else:
            *of_points, of_cloud = layer.weight.split([*dims, cloud.shape[1]], dim=1)
        x = F.linear(parts[0], of_points[0])
        for part, weight in zip(parts[1:], of_points[1:]):
            x += F.linear(part, weight)
        x += F.linear(cloud, of_cloud, layer.bias)[:, None]
        return on_rows(self.mlp[1:], x).transpose(1, 2)

    def embed_category(self, category: Tensor | None) -> Tensor:
        """The feature (B, 64) of the category (B,) of an object."""
        if category is None:
            raise ValueError(
                f'A head with num_categories={self.num_categories} needs the '
                'category of every cloud: give data samples with gt_label.'
            )
        low, high = category.min(), category.max()
        if low < 0 or high >= self.num_categories:
            raise ValueError(
                f'Categories lie in [{low}, {high}], the head has '
                f'num_categories={self.num_categories}.'
            )
        one_hot = F.one_hot(category.long(), self.num_categories)
        return self.label(one_hot.to(self.label[0].weight.dtype))

    def categories(self, data_samples: list | None) -> Tensor | None:
        """``gt_label`` of the samples (B,), if this head uses it."""
        if not self.num_categories or not data_samples:
            return None
        if any('gt_label' not in s for s in data_samples):
            return None
        return torch.stack([s.gt_label for s in data_samples]).view(-1)

    def loss(self, feats: dict, data_samples: list, train_cfg: dict | None = None) -> dict:
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
            logits.float(), labels, weight=self.class_weight, ignore_index=self.ignore_index
        )
        correct = logits.argmax(dim=1) == labels
        return dict(loss_seg=loss, accuracy=correct[known].float().mean())

    def check_classes(self, metainfo: dict) -> None:
        """Refuse mmdetection3d's data sets with other labels.

        Args:
            metainfo: Of the data set: ``classes`` and ``ignore_index``, the
                label of points without a class.

        Raises:
            ValueError: The head has another number of labels, or learns the
                one that is none.
        """
        classes = metainfo['classes']
        if len(classes) != self.num_classes:
            raise ValueError(
                f'The data set has {len(classes)} classes, the head '
                f'num_classes={self.num_classes}: set '
                f'model.decode_head.num_classes={len(classes)}, or choose '
                'the data that the model is for.'
            )
        unlabelled = metainfo['ignore_index']
        if unlabelled != self.ignore_index:
            raise ValueError(
                f'Points without a class have the label {unlabelled} in the '
                f'data set, the head has ignore_index={self.ignore_index}: '
                f'set model.decode_head.ignore_index={unlabelled}.'
            )

    def predict(
        self, feats: dict, metas: list | None = None, test_cfg: dict | None = None
    ) -> Tensor:
        """Logits (B, num_classes, N), as mmdetection3d asks for them."""
        return self(feats)

    def _check_labels(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Which points have a label, (B, N); all those labels are valid."""
        if labels.shape != logits[:, 0].shape:
            raise ValueError(
                f'Labels are of shape {tuple(labels.shape)}, the points are '
                f'{tuple(logits[:, 0].shape)}: sample both together '
                '(SamplePoints does).'
            )
        known = labels != self.ignore_index
        if not known.any():
            raise ValueError(
                'No point of the batch has a label: all are '
                f'ignore_index={self.ignore_index}. Check the labels.'
            )
        low, high = labels[known].min(), labels[known].max()
        if low < 0 or high >= self.num_classes:
            raise ValueError(
                f'Labels of points lie in [{low}, {high}], the head has '
                f'num_classes={self.num_classes} and '
                f'ignore_index={self.ignore_index}.'
            )
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
            'parts_column, or NpzPoints with parts).'
        )
    return torch.stack(labels)
