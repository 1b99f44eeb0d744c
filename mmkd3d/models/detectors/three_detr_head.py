"""Head of 3DETR, from the tokens of a student to boxes."""

import torch
import torch.nn as nn
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor

from mmkd3d.ops import farthest_point_sample, gather
from mmkd3d.registry import MODELS

from ..layers.patches import RowBatchNorm
from ..layers.point_mlp import on_rows, run_mlp, shared_mlp
from .box_coding import MIN_EXTENT, RawBoxes, decode_boxes
from .box_selection import select_boxes
from .detr_layers import FourierPositions, ThreeDETRDecoder


@MODELS.register_module()
class ThreeDETRHead(BaseModule):
    """Query sampling, decoder and five MLPs (detection, 1.3-1.6).

    It reads ``tokens`` (B, T, C) and ``centers`` (B, T, 3) of any student (section 8.4).

    Args:
        num_classes: Number of classes, K.
        in_channels: Width of the student's tokens, C.
        num_queries: Boxes per scene, Q: 256, or 128 for SUN RGB-D.
        num_angle_bins: Bins of the heading, A: 12 for SUN RGB-D; 1: boxes are axis-aligned.
        embed_dims: Width of the decoder.
        num_proj_layers: Layers of the MLP before the decoder: 3, or 2 in 3DETR-m.
        depth: Layers of the decoder, L.
        num_heads, ffn_dims, dropout: See :class:`EncoderLayer`.
        mlp_dropout: Dropout rate of the MLPs of the boxes.
        fps_rule: Rule of the query sampling, see :func:`farthest_point_sample`.
        criterion: Config of the loss, ``dict(type='ThreeDETRCriterion')``.
        train_cfg: Ignored; mmdetection3d passes one to every head.
        test_cfg: Arguments of :func:`select_boxes`.
        init_cfg: See mmengine.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int = 256,
        num_queries: int = 256,
        num_angle_bins: int = 1,
        embed_dims: int = 256,
        num_proj_layers: int = 3,
        depth: int = 8,
        num_heads: int = 4,
        ffn_dims: int = 256,
        dropout: float = 0.1,
        mlp_dropout: float = 0.3,
        fps_rule: str = 'pointnet2',
        criterion: dict,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.num_queries = num_queries
        self.num_angle_bins = num_angle_bins
        self.fps_rule = fps_rule
        self.test_cfg = dict(test_cfg or {})
        self.projection = nn.Sequential(
            *shared_mlp(in_channels, *[embed_dims] * num_proj_layers, bias=False)
        )
        self.positions = FourierPositions(embed_dims)
        self.query_projection = nn.Sequential(
            nn.Linear(embed_dims, embed_dims),
            nn.ReLU(inplace=True),
            nn.Linear(embed_dims, embed_dims),
            nn.ReLU(inplace=True),
        )
        self.decoder = ThreeDETRDecoder(
            embed_dims, depth, num_heads=num_heads, ffn_dims=ffn_dims, dropout=dropout
        )
        widths = dict(
            cls=num_classes + 1,
            center=3,
            size=3,
            angle_cls=num_angle_bins,
            angle_res=num_angle_bins,
        )
        self.mlps = nn.ModuleDict(
            {name: box_mlp(embed_dims, width, mlp_dropout) for name, width in widths.items()}
        )
        self.criterion = MODELS.build(criterion)

    def forward(self, feats: dict, low: Tensor, high: Tensor) -> tuple[RawBoxes, Tensor]:
        """Predict boxes with every layer of the decoder.

        Args:
            feats: ``tokens`` (B, T, C), ``centers`` (B, T, 3) in metres.
            low, high: (B, 3) extrema of the points.

        Returns:
            Outputs of the MLPs, (L, B, Q, .) each, and positions of the queries, (B, Q, 3).
        """
        tokens, centers = feats['tokens'], feats['centers']
        self._check(tokens)
        memory = on_rows(self.projection, tokens)  # (B, T, D)
        query_xyz = self.sample_queries(centers)
        query_pos = self.query_projection(self.positions(query_xyz, low, high))  # (B, Q, D)
        x = self.decoder(memory, self.positions(centers, low, high), query_pos)
        rows = x.flatten(0, 2)  # (LBQ, D): the norms have the statistics of all layers
        return RawBoxes(
            **{name: run_mlp(mlp, rows).view(*x.shape[:3], -1) for name, mlp in self.mlps.items()}
        ), query_xyz

    def sample_queries(self, centers: Tensor) -> Tensor:
        """Sample query positions (B, Q, 3) from centres by farthest point sampling."""
        centers = centers.contiguous()
        return gather(centers, farthest_point_sample(centers, self.num_queries, rule=self.fps_rule))

    def loss(self, points: Tensor, feats: dict, data_samples: list) -> dict:
        """Compute the losses of all layers, see :class:`ThreeDETRCriterion`.

        Args:
            points: (B, N, 3+F), input of the student.
            feats: Features of the student, see ``forward``.
            data_samples: With ``gt_instances_3d``: ``bboxes_3d``, ``labels_3d``.
        """
        low, high = extrema(points)
        boxes = decode_boxes(*self(feats, low, high), low, high)
        gt = [sample.gt_instances_3d for sample in data_samples]
        return self.criterion(boxes, gt, low, high)

    def predict(self, points: Tensor, feats: dict, data_samples: list) -> list:
        """Predict boxes with the last layer.

        Args:
            points, feats: See ``loss``.
            data_samples: With ``box_type_3d``.

        Returns:
            For every scene InstanceData of ``bboxes_3d``, ``scores_3d`` and ``labels_3d``.
        """
        low, high = extrema(points)
        raw, query_xyz = self(feats, low, high)
        boxes = decode_boxes(raw, query_xyz, low, high).layer(-1)
        selected = select_boxes(boxes, points, **self.test_cfg)
        # The headings of mmdetection3d have the opposite sign.
        found = torch.cat([boxes.center, boxes.size, -boxes.angle[..., None]], dim=-1)  # (B, Q, 7)
        return [
            InstanceData(
                bboxes_3d=sample.box_type_3d(
                    scene[chosen.query], with_yaw=self.num_angle_bins > 1, origin=(0.5, 0.5, 0.5)
                ),
                scores_3d=chosen.scores,
                labels_3d=chosen.labels,
            )
            for sample, scene, chosen in zip(data_samples, found, selected)
        ]

    def _check(self, tokens: Tensor) -> None:
        """Raise ``ValueError`` if the tokens of the student do not fit."""
        _, T, C = tokens.shape
        if C != self.in_channels:
            raise ValueError(
                f"The student's tokens are {C} wide, the head expects "
                f'in_channels={self.in_channels}: set in_channels={C}.'
            )
        if T < self.num_queries:
            raise ValueError(
                f'num_queries={self.num_queries} exceeds the {T} tokens of the student: raise '
                'num_groups of the student, or lower num_queries.'
            )


def box_mlp(width: int, out: int, dropout: float) -> nn.Sequential:
    """MLP over rows of queries for one property of boxes."""
    layers = []
    for _ in range(2):
        layers += [
            nn.Linear(width, width, bias=False),
            RowBatchNorm(width),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        ]
    return nn.Sequential(*layers, nn.Linear(width, out))


def extrema(points: Tensor) -> tuple[Tensor, Tensor]:
    """Lowest and highest coordinates, (B, 3) each, of points (B, N, 3+F).

    They differ by at least ``MIN_EXTENT``, since positions are divided by the difference.
    """
    low, high = points[..., :3].aminmax(dim=1)
    return low, high.maximum(low + MIN_EXTENT)
