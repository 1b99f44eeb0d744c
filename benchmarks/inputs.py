"""Random batches for models of shipped configs."""

import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor

IMAGE_SIZE = 224
NUM_CATEGORIES = 55  # ShapeNet-55
ROOM = (6.0, 5.0, 2.5)  # metres


def object_clouds(batch_size: int, num_points: int) -> Tensor:
    """Clouds (B, N, 3) that fill the unit sphere."""
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(batch_size, num_points, 3, generator=generator)
    radius = torch.rand(batch_size, num_points, 1, generator=generator) ** (1 / 3)
    return points / points.norm(dim=-1, keepdim=True) * radius


def room_clouds(batch_size: int, num_points: int) -> Tensor:
    """Clouds (B, N, 3) on walls, floor and ceiling of a room, in metres."""
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(batch_size, num_points, 3, generator=generator)
    axis = torch.randint(3, points.shape[:2], generator=generator)[..., None]
    points.scatter_(2, axis, points.gather(2, axis).round())
    return points * torch.tensor(ROOM)


def num_points_of(cfg: Config) -> int:
    """Points that the training pipeline of a config samples."""
    dataset = cfg.train_dataloader.dataset
    while 'pipeline' not in dataset:
        dataset = dataset.dataset
    sizes = [step['num_points'] for step in dataset.pipeline if 'Sample' in step['type']]
    return sizes[-1]


def object_batch(num_points: int, batch_size: int, with_images: bool) -> dict:
    """Shapes with names of categories, at least two of each, and an image each or none."""
    kinds = max(1, min(NUM_CATEGORIES, batch_size // 2))
    samples = []
    for i in range(batch_size):
        info = dict(sample_id=f'shape {i}', category=f'kind {i % kinds}')
        samples.append(BaseDataElement(metainfo=info))
        if with_images:
            samples[-1].image = torch.rand(3, IMAGE_SIZE, IMAGE_SIZE)
    points = [*object_clouds(batch_size, num_points)]
    return dict(inputs=dict(points=points), data_samples=samples)


def room_batch(
    num_points: int, batch_size: int, *, num_channels: int = 3, num_boxes: int = 8
) -> dict:
    """Rooms with boxes of 1 m full of points, all of class 0.

    Half of the points lie on the walls, the others in the boxes. A fourth channel is the height.
    """
    from mmdet3d.structures import DepthInstance3DBoxes, Det3DDataSample, PointData

    generator = torch.Generator().manual_seed(1)
    points, samples = [], []
    for cloud in room_clouds(batch_size, num_points):
        low = torch.rand(num_boxes, 3, generator=generator) * (torch.tensor(ROOM) - 1)
        instance = torch.arange(num_points) % (2 * num_boxes) - num_boxes  # negative: a wall
        inside = instance >= 0
        filled = torch.rand(int(inside.sum()), 3, generator=generator) + low[instance[inside]]
        cloud[inside] = filled
        points.append(torch.cat([cloud, cloud[:, 2:].expand(-1, num_channels - 3)], 1))
        boxes = DepthInstance3DBoxes(
            torch.cat([low, torch.ones(num_boxes, 3)], 1),
            box_dim=6,
            with_yaw=False,
            origin=(0, 0, 0),
        )
        sample = Det3DDataSample(metainfo=dict(box_type_3d=DepthInstance3DBoxes))
        sample.gt_instances_3d = InstanceData(
            bboxes_3d=boxes, labels_3d=torch.zeros(num_boxes, dtype=torch.long)
        )
        sample.gt_pts_seg = PointData(
            pts_instance_mask=instance.clamp(min=-1) + 1,
            pts_semantic_mask=torch.where(inside, 0, 40),
        )
        samples.append(sample)
    return dict(inputs=dict(points=points), data_samples=samples)
