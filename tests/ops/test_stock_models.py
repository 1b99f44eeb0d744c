"""Stock indoor models of mmdet3d on the CPU with our operators."""

import numpy as np
import pytest
import torch

import mmkd3d  # noqa: F401
from tests.ops.rooms import CLASSES, random_room

pytest.importorskip('mmdet3d')
from mmdet3d.registry import METRICS, MODELS  # noqa: E402
from mmdet3d.structures import DepthInstance3DBoxes, Det3DDataSample, PointData  # noqa: E402
from mmdet3d.utils import register_all_modules  # noqa: E402
from mmengine.hub import get_config  # noqa: E402
from mmengine.structures import InstanceData  # noqa: E402

SSG = dict(num_points=(64, 32, 16, 16), num_samples=(8, 8, 8, 8))
MSG = dict(num_points=(64, 32, 16, 16), num_samples=((4, 8),) * 4)
SLIDE = dict(num_points=256, batch_size=2)
VOTENET = 'votenet/votenet_8xb8_scannet-3d'
DETECTORS = {
    VOTENET: dict(backbone=SSG, bbox_head=dict(vote_aggregation_cfg=dict(num_point=16))),
    'groupfree3d/groupfree3d_head-L6-O256_4xb8_scannet-seg': dict(
        backbone=SSG, bbox_head=dict(num_proposal=16, num_decoder_layers=3)
    ),
}
SEGMENTORS = {
    'pointnet2/pointnet2_ssg_2xb16-cosine-200e_scannet-seg': dict(backbone=SSG, test_cfg=SLIDE),
    'pointnet2/pointnet2_msg_2xb16-cosine-250e_scannet-seg': dict(backbone=MSG, test_cfg=SLIDE),
}


@pytest.fixture(autouse=True)
def scope():
    register_all_modules()


def build(name, smaller):
    """Build a model from its published config with reduced sizes."""
    config = get_config(f'mmdet3d::{name}.py')
    config.merge_from_dict(dict(model=smaller))
    return MODELS.build(config.model)


def scenes(num_features, extra=()):
    """Two rooms in the batch format of mmdet3d's data loaders."""
    points, samples = [], []
    for i in range(2):
        room = random_room(i, num_points=600)
        cloud = torch.from_numpy(room['points'])
        height = cloud[:, 2:3] - cloud[:, 2].min()
        features = dict(height=height, color=cloud[:, 3:] / 255)
        points.append(torch.cat([cloud[:, :3], *(features[key] for key in extra)], 1))
        assert points[-1].shape[1] == num_features
        sample = Det3DDataSample()
        sample.set_metainfo(dict(box_type_3d=DepthInstance3DBoxes))
        form = dict(box_dim=6, with_yaw=False, origin=(0.5, 0.5, 0.5))
        boxes = DepthInstance3DBoxes(room['boxes'], **form)
        labels = torch.from_numpy(room['labels'])
        sample.gt_instances_3d = InstanceData(bboxes_3d=boxes, labels_3d=labels)
        # in these configs, class 18 of 18 and class 20 of 20 mean background
        instance = torch.from_numpy(room['instance'])
        semantic = torch.where(instance > 0, room['labels'][0], 18)
        sample.gt_pts_seg = PointData(pts_instance_mask=instance, pts_semantic_mask=semantic)
        sample.eval_ann_info = dict(gt_bboxes_3d=boxes, gt_labels_3d=room['labels'])
        samples.append(sample)
    return dict(inputs=dict(points=points), data_samples=samples)


def train_step(model, data):
    """Forward and backward pass; checks that the loss and gradients are finite."""
    data = model.data_preprocessor(data, training=True)
    losses = model(**data, mode='loss')
    total = sum(value for key, value in losses.items() if 'loss' in key)
    total.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert total.isfinite()
    assert all(grad.isfinite().all() for grad in gradients)
    first = [p.grad for p in model.backbone.SA_modules[0].parameters() if p.grad is not None]
    assert any(grad.abs().sum() > 0 for grad in first)


@pytest.mark.parametrize('name', DETECTORS)
def test_detector_trains_predicts_and_is_evaluated(name):
    model = build(name, DETECTORS[name])
    extra = ('height',) if name == VOTENET else ()
    data = scenes(3 + len(extra), extra)
    train_step(model.train(), data)

    model.eval()
    results = []
    for i in range(2):  # one at a time: GroupFree3D of mmdet3d 1.4 mixes up larger batches
        data = scenes(3 + len(extra), extra)
        data['inputs']['points'] = data['inputs']['points'][i : i + 1]
        data['data_samples'] = data['data_samples'][i : i + 1]
        with torch.no_grad():
            results += model(**model.data_preprocessor(data), mode='predict')
    for result in results:
        found = result.pred_instances_3d
        assert len(found.bboxes_3d) == len(found.scores_3d)
        assert len(found.scores_3d) > 0
        assert found.labels_3d.max() < 18
    assert 0 <= evaluate(results)['chair_AP_0.25'] <= 1


def evaluate(samples):
    """AP of predictions by our version of mmdet3d's metric, which supports any numpy."""
    metric = METRICS.build(dict(type='mmkd3d.IndoorMetric'))
    metric.dataset_meta = dict(classes=CLASSES, box_type_3d='Depth')
    metric.process(None, [sample.to_dict() for sample in samples])
    return metric.evaluate(len(samples))


def test_metric_gives_full_marks_to_the_truth():
    samples = scenes(3)['data_samples']
    for sample in samples:
        truth = sample.gt_instances_3d
        sample.pred_instances_3d = InstanceData(
            bboxes_3d=truth.bboxes_3d,
            labels_3d=truth.labels_3d,
            scores_3d=torch.ones(len(truth.labels_3d)),
        )
    assert evaluate(samples)['chair_AP_0.50'] == pytest.approx(1.0)


@pytest.mark.parametrize('name', SEGMENTORS)
def test_segmentor_trains_and_predicts(name):
    model = build(name, SEGMENTORS[name])
    train_step(model.train(), scenes(6, ('color',)))
    model.eval()
    data = scenes(6, ('color',))
    for sample in data['data_samples']:
        sample.set_metainfo(dict(pcd_rotation=np.eye(3)))
    with torch.no_grad():
        results = model(**model.data_preprocessor(data), mode='predict')
    for result in results:
        labels = result.pred_pts_seg.pts_semantic_mask
        assert labels.shape == (600,)
        assert labels.min() >= 0 and labels.max() < 20
