"""3DETR as a detector of mmdetection3d, with any student."""

from collections.abc import Sequence

import torch
from mmdet3d.models.detectors.single_stage import SingleStage3DDetector
from torch import Tensor

from .three_detr_head import extrema


class ThreeDETR(SingleStage3DDetector):
    """Detector with a student, an optional neck and a :class:`ThreeDETRHead`.

    With a :class:`ThreeDETREncoder` it is 3DETR (detection, section 1) or 3DETR-m.

    Args:
        backbone: Config of the student.
        neck: Config of a module that maps the student's dict to one with ``tokens`` and
            ``centers``, or None.
        bbox_head: Config of the head.
        train_cfg: Ignored.
        test_cfg: Arguments of :func:`select_boxes`.
        data_preprocessor: ``dict(type='mmdet3d.Det3DDataPreprocessor')``.
        init_cfg: As in mmengine.
    """

    def loss(self, batch_inputs_dict: dict, batch_data_samples: list, **kwargs) -> dict:
        """Compute the losses, see the head."""
        return self.bbox_head.loss(
            *self.read(batch_inputs_dict, batch_data_samples), batch_data_samples
        )

    def predict(self, batch_inputs_dict: dict, batch_data_samples: list, **kwargs) -> list:
        """Return the samples with ``pred_instances_3d``, see the head."""
        found = self.bbox_head.predict(
            *self.read(batch_inputs_dict, batch_data_samples), batch_data_samples
        )
        return self.add_pred_to_datasample(batch_data_samples, found)

    def _forward(
        self, batch_inputs_dict: dict, data_samples: list | None = None, **kwargs
    ) -> tuple:
        """Return raw boxes and queries (``mode='tensor'``), see the head."""
        points, feats = self.read(batch_inputs_dict, data_samples)
        return self.bbox_head(feats, *extrema(points))

    def read(
        self, batch_inputs_dict: dict, data_samples: list | None = None
    ) -> tuple[Tensor, dict]:
        """Return the scenes (B, N, 3+F) and the features of student and neck."""
        points = stack_scenes(batch_inputs_dict['points'], data_samples)
        feats = self.backbone(points)
        return points, self.neck(feats) if self.with_neck else feats


def stack_scenes(scenes: Sequence[Tensor], samples: Sequence | None = None) -> Tensor:
    """Stack B scenes (N, C) to (B, N, C).

    Args:
        scenes: Point clouds of the same size.
        samples: Data samples, for error messages.

    Raises:
        ValueError: Sizes differ, or points are not finite.
    """
    sizes = [len(points) for points in scenes]
    if len(set(sizes)) > 1:
        raise ValueError(
            f'Scenes of a batch must have the same number of points, got {sizes}: add '
            "dict(type='PointSample', num_points=...) to the pipeline."
        )
    points = torch.stack(list(scenes))
    finite = points.sum(dim=(1, 2)).isfinite()
    if not finite.all():
        odd = int(finite.logical_not().nonzero()[0])
        path = samples[odd].get('lidar_path') if samples else None
        raise ValueError(
            f'Scene {odd} of the batch ({path or "of unknown path"}) has '
            'points that are not finite: repair its file, or drop them in '
            'the pipeline.'
        )
    return points
