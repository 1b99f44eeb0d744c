"""Base class of segmentation heads."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..layers.point_mlp import on_rows, shared_mlp


class BaseSegHead(nn.Module):
    """Base class of segmentation heads: final MLP, categories, loss, prediction.

    The input of the final MLP concatenates features of points and features of
    the whole cloud, which the published code repeats for every point. Here
    the first layer is split instead and its outputs are added, with the same
    weights and result but less computation.

    The heads can be the ``decode_head`` of mmdetection3d's
    ``EncoderDecoder3D``, without ``num_categories``.

    Subclasses implement ``forward`` and call ``add_classifier`` at the end of
    their ``__init__``.

    Args:
        num_classes: Number of point labels.
        hidden_dims: Widths of the hidden layers of the final MLP.
        point_channels: Input channels of each point: 3 for coordinates, as
            published, or 6 to add the colours that the backbone reads.
        num_categories: Number of object categories, 0 if there are none.
        category_dims: Width of the category embedding.
        dropout: Dropout rate after the first hidden layer.
        class_weight: Weight of each label in the loss. See also
            :class:`~mmkd3d.engine.hooks.class_weight.ClassWeightHook`.
        ignore_index: Label of points that do not contribute to the loss.

    Raises:
        ValueError: ``class_weight`` does not have ``num_classes`` values.
    """

    cloud_first = False  # whether cloud features precede point features in the MLP's input

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
        if class_weight is not None:
            if len(class_weight) != num_classes:
                raise ValueError(
                    f'class_weight must have num_classes={num_classes} values, '
                    f'got {len(class_weight)}.'
                )
            class_weight = torch.tensor(class_weight, dtype=torch.float32)
        self.register_buffer('class_weight', class_weight, persistent=False)
        self.num_classes = num_classes
        self.hidden_dims = tuple(hidden_dims)
        self.point_channels = point_channels
        self.num_categories = num_categories
        self.category_dims = category_dims
        self.dropout = dropout
        self.ignore_index = ignore_index

    def add_classifier(self, point_dims: int, cloud_dims: int) -> None:
        """Create the category embedding ``label`` and the final ``mlp``.

        Args:
            point_dims: Width of the point features.
            cloud_dims: Width of the cloud features, without the category.
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
        """Compute the logits of all points.

        Args:
            feats: Output of the backbone, with ``levels``.
            category: (B,) int64, required with ``num_categories``.

        Returns:
            (B, num_classes, N), as in mmdetection3d.
        """
        raise NotImplementedError

    def point_features(self, feats: dict) -> Tensor | None:
        """Return the input features (B, N, point_channels - 3) of the points, if any are used."""
        if self.point_channels == 3:
            return None
        channels = 3 + feats['features'].shape[2]
        if channels < self.point_channels:
            raise ValueError(
                f'The head has point_channels={self.point_channels}, the backbone '
                f'in_channels={channels}: set both to the same value.'
            )
        return feats['features'][..., : self.point_channels - 3]

    def with_category(self, cloud: Tensor, category: Tensor | None) -> Tensor:
        """Append the embedding of the category to cloud features (B, D)."""
        if self.label is None and category is None:
            return cloud
        return torch.cat([cloud, self.embed_category(category)], dim=1)

    def embed_category(self, category: Tensor | None) -> Tensor:
        """Embed categories (B,) as (B, category_dims)."""
        if category is None:
            raise ValueError(
                f'A head with num_categories={self.num_categories} needs the category of '
                'each cloud: pass data samples with gt_label.'
            )
        low, high = category.min(), category.max()
        if low < 0 or high >= self.num_categories:
            raise ValueError(
                f'Categories must lie in [0, num_categories={self.num_categories}), '
                f'got [{low}, {high}].'
            )
        one_hot = F.one_hot(category.long(), self.num_categories)
        return self.label(one_hot.to(self.label[0].weight.dtype))

    def categories(self, data_samples: list | None) -> Tensor | None:
        """Return the ``gt_label`` (B,) of the samples if the head uses categories."""
        if not self.num_categories or not data_samples:
            return None
        if any('gt_label' not in s for s in data_samples):
            return None
        return torch.stack([s.gt_label for s in data_samples]).view(-1)

    def classify(self, point_feats: Sequence[Tensor], cloud: Tensor) -> Tensor:
        """Apply the final MLP to the concatenation of point and cloud features.

        Args:
            point_feats: Tensors (B, N, D_i).
            cloud: (B, D).

        Returns:
            Logits (B, num_classes, N).
        """
        layer, dims = self.mlp[0], [x.shape[2] for x in point_feats]
        if self.cloud_first:
            cloud_weight, *weights = layer.weight.split([cloud.shape[1], *dims], dim=1)
        else:
            *weights, cloud_weight = layer.weight.split([*dims, cloud.shape[1]], dim=1)
        x = F.linear(point_feats[0], weights[0])
        for feats, weight in zip(point_feats[1:], weights[1:]):
            x += F.linear(feats, weight)
        x += F.linear(cloud, cloud_weight, layer.bias)[:, None]
        return on_rows(self.mlp[1:], x).transpose(1, 2)

    def loss(self, feats: dict, data_samples: list, train_cfg: dict | None = None) -> dict:
        """Compute the cross-entropy loss and the accuracy of the labelled points.

        Args:
            feats: Output of the backbone.
            data_samples: Data samples with ``gt_parts`` (N,), or mmdetection3d's
                ``gt_pts_seg``; with ``num_categories`` also ``gt_label``.
            train_cfg: Not used; passed by mmdetection3d.

        Returns:
            dict: ``loss_seg`` and ``accuracy``.
        """
        logits = self(feats, self.categories(data_samples))
        labels = point_labels(data_samples)  # (B, N)
        labelled = self._check_labels(labels, logits)
        loss = F.cross_entropy(
            logits.float(), labels, weight=self.class_weight, ignore_index=self.ignore_index
        )
        correct = logits.argmax(dim=1) == labels
        return dict(loss_seg=loss, accuracy=correct[labelled].float().mean())

    def predict(
        self, feats: dict, metas: list | None = None, test_cfg: dict | None = None
    ) -> Tensor:
        """Compute logits (B, num_classes, N), with mmdetection3d's signature."""
        return self(feats)

    def check_classes(self, metainfo: dict) -> None:
        """Check that the labels of a data set of mmdetection3d match the head.

        Args:
            metainfo: ``metainfo`` of the data set, with ``classes`` and
                ``ignore_index``, the label of unlabelled points.

        Raises:
            ValueError: The number of classes or the ``ignore_index`` differ.
        """
        num_classes, ignore_index = len(metainfo['classes']), metainfo['ignore_index']
        if num_classes != self.num_classes:
            raise ValueError(
                f'The data set has {num_classes} classes, the head has '
                f'num_classes={self.num_classes}: set '
                f'model.decode_head.num_classes={num_classes}, or use another data set.'
            )
        if ignore_index != self.ignore_index:
            raise ValueError(
                f'Unlabelled points have label {ignore_index} in the data set, the head has '
                f'ignore_index={self.ignore_index}: set '
                f'model.decode_head.ignore_index={ignore_index}.'
            )

    def _check_labels(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Check the labels (B, N); return a mask (B, N) of the labelled points."""
        if labels.shape != logits[:, 0].shape:
            raise ValueError(
                f'Labels have shape {tuple(labels.shape)}, points {tuple(logits[:, 0].shape)}: '
                'sample both together, e.g. with SamplePoints.'
            )
        labelled = labels != self.ignore_index
        if not labelled.any():
            raise ValueError(
                'No point of the batch has a label, all are '
                f'ignore_index={self.ignore_index}: check the labels.'
            )
        low, high = labels[labelled].min(), labels[labelled].max()
        if low < 0 or high >= self.num_classes:
            raise ValueError(
                f'Labels must lie in [0, num_classes={self.num_classes}) or be '
                f'ignore_index={self.ignore_index}, got [{low}, {high}].'
            )
        return labelled


def point_labels(data_samples: list) -> Tensor:
    """Return the point labels (B, N) of data samples of mmkd3d or mmdetection3d."""
    if all('gt_pts_seg' in s for s in data_samples):
        return torch.stack([s.gt_pts_seg.pts_semantic_mask for s in data_samples])
    if all('gt_parts' in s for s in data_samples):
        return torch.stack([s.gt_parts for s in data_samples])
    raise ValueError(
        'Data samples need point labels, gt_parts or gt_pts_seg, got '
        f'{data_samples[0].keys()}: load them, e.g. with parts_column of LoadPoints or parts '
        'of NpzPoints.'
    )
