"""Detection in rooms with classes of one's own; needs mmdetection3d."""

from pathlib import Path

import numpy as np
import torch
from mmdet3d.datasets import Det3DDataset
from mmdet3d.structures import DepthInstance3DBoxes
from torch import Tensor

from mmkd3d.datasets.infos import TOOL, Infos, label_names, read_infos
from mmkd3d.datasets.readers import existing
from mmkd3d.ops.boxes import points_in_boxes

BACKGROUND = 2**16  # more than there are classes: heads skip points with such labels


class IndoorDet3DDataset(Det3DDataset):
    """See :func:`mmkd3d.datasets.indoor.indoor_det3d_dataset`."""

    def __init__(
        self,
        data_root: str | Path = '',
        ann_file: str | Path = 'indoor_infos_train.pkl',
        *,
        metainfo: dict | None = None,
        data_prefix: dict | None = None,
        box_type_3d: str = 'Depth',
        **kwargs,
    ):
        metainfo = dict(metainfo or {})
        path = Path(data_root) / ann_file
        self.infos: Infos | None = read_infos(path, metainfo.get('classes'))
        known = self.infos.classes
        metainfo['classes'] = label_names(path, known, metainfo.get('classes'))
        self.METAINFO = dict(classes=known)  # the labels of the file, for mmdetection3d
        boxes = [box['bbox_3d'] for info in self.infos.data_list for box in info['instances']]
        self.with_yaw = any(any(box[6:]) for box in boxes)
        metainfo['with_yaw'] = self.with_yaw
        super().__init__(
            str(data_root),
            str(ann_file),
            metainfo=metainfo,
            data_prefix=data_prefix or dict(pts='points'),
            box_type_3d=box_type_3d,
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """One item per scan; checks that the files of points fit the pipeline."""
        infos = self.infos or read_infos(self.ann_file, self.metainfo['classes'])
        self.infos = None  # the items are kept, serialized
        for key, value in infos.metainfo.items():
            self._metainfo.setdefault(key, value)
        items = [self.parse_data_info(info) for info in infos.data_list]
        for item in items:
            self._check_points(item)
        if items and not self.test_mode:
            if not any(len(item['ann_info']['gt_labels_3d']) for item in items):
                raise ValueError(
                    f'{self.ann_file}: no scan has a box of {", ".join(self.metainfo["classes"])}: '
                    'there is nothing to learn.'
                )
        return items

    def _check_points(self, item: dict) -> None:
        path = existing(
            item['lidar_path'],
            f'{self.ann_file} lists it',
            f'Set data_root and data_prefix=dict(pts=FOLDER), or make the data again: {TOOL}.',
        )
        columns, size = item['num_pts_feats'], path.stat().st_size
        if size == 0 or size % (4 * columns):
            raise ValueError(
                f'{path}: {size} bytes are not a whole number of points with {columns} float32 '
                f'numbers each (num_pts_feats in {self.ann_file}), or there is none.'
            )
        for step in self.pipeline.transforms:
            load_dim = getattr(step, 'load_dim', columns)
            if type(step).__name__ == 'LoadPointsFromFile' and load_dim != columns:
                raise ValueError(
                    f'{path}: its points have {columns} numbers (num_pts_feats in '
                    f'{self.ann_file}), LoadPointsFromFile of the pipeline has '
                    f'load_dim={load_dim}. Set load_dim={columns}.'
                )

    def parse_data_info(self, info: dict) -> dict:
        """Paths, alignment and boxes of a scan."""
        matrix = np.asarray(info.get('axis_align_matrix', np.eye(4)))
        return super().parse_data_info(dict(info, axis_align_matrix=matrix))

    def parse_ann_info(self, info: dict) -> dict:
        """Boxes and labels of a scan, without those of classes that are left out."""
        box_dim = 7 if self.with_yaw else 6
        instances = [
            dict(box, bbox_3d=[*box['bbox_3d'], 0.0][:box_dim]) for box in info['instances']
        ]
        found = super().parse_ann_info(dict(info, instances=instances))
        if found is None:
            found = dict(
                gt_bboxes_3d=np.zeros((0, box_dim), np.float32), gt_labels_3d=np.zeros(0, np.int64)
            )
        else:
            found = self._remove_dontcare(found)
        boxes = DepthInstance3DBoxes(
            found['gt_bboxes_3d'], box_dim=box_dim, with_yaw=self.with_yaw, origin=(0.5, 0.5, 0.5)
        )
        return dict(found, gt_bboxes_3d=boxes.convert_to(self.box_mode_3d))

    def prepare_data(self, index: int) -> dict | None:
        """Run the pipeline; masks of the objects are made from aligned boxes."""
        sample = super().prepare_data(index)
        if sample is None or self.test_mode or self.with_yaw:
            return sample  # heads that predict the yaw make votes from the boxes themselves
        masks = sample['data_samples'].gt_pts_seg
        if 'pts_instance_mask' not in masks:
            boxes = sample['data_samples'].gt_instances_3d
            points = sample['inputs']['points'][:, :3]
            masks.pts_instance_mask, masks.pts_semantic_mask = box_masks(
                points, boxes.bboxes_3d.tensor, boxes.labels_3d
            )
        return sample


def box_masks(points: Tensor, boxes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Label points by the boxes that contain them.

    VoteNet and GroupFree3D without rotation learn from masks of the objects,
    which ScanNet has from its segmentation. Where boxes overlap, points belong
    to the smallest.

    Args:
        points: (N, 3).
        boxes: (T, 7), bottom centre.
        labels: (T,).

    Returns:
        Instance mask (N,), i + 1 in box i and 0 outside, and semantic mask
        (N,), the label of the box and ``BACKGROUND`` outside; long.
    """
    instance = points.new_zeros(len(points), dtype=torch.long)
    semantic = torch.full_like(instance, BACKGROUND)
    if len(boxes):
        inside = points_in_boxes(points[None], boxes[None], sides=True)[0]
        for i in boxes[:, 3:6].prod(1).argsort(descending=True).tolist():
            instance[inside[:, i]], semantic[inside[:, i]] = i + 1, labels[i]
    return instance, semantic
