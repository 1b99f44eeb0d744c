"""Room datasets in ScanNet's layout, read with mmdetection3d's pipelines."""

import subprocess
import sys

from mmkd3d.datasets.scannet_layout import CLASSES
from mmkd3d.registry import DATASETS

MASKS = ['pts_semantic_mask', 'pts_instance_mask']


def make_scannet(data_root, out):
    """Write the real scans; scene0000_00 has 15 frames."""
    command = [sys.executable, data_root / 'make_scannet.py', out]
    subprocess.run(command, check=True, capture_output=True)
    return out


def load(columns, boxes):
    annotations = {f'with_{k}_3d': boxes for k in ('bbox', 'label', 'mask')}
    points = dict(coord_type='DEPTH', load_dim=6, use_dim=list(range(columns)))
    return [
        dict(type='mmdet3d.LoadPointsFromFile', **points),
        dict(type='mmdet3d.LoadAnnotations3D', with_seg_3d=True, **annotations),
    ]


def build(root, pipeline, keys, pack=(), **cfg):
    packing = dict(type='mmdet3d.Pack3DDetInputs', keys=['points', *keys], **dict(pack))
    cfg = dict(ann_file='scannet_infos_train.pkl', data_root=str(root)) | cfg
    return DATASETS.build(dict(cfg, pipeline=[*pipeline, packing]))


def detection(root, steps=(), type='mmdet3d.ScanNetDataset', **cfg):
    keys = ['gt_bboxes_3d', 'gt_labels_3d', *MASKS]
    metainfo = dict(classes=CLASSES)
    return build(root, [*load(3, True), *steps], keys, type=type, metainfo=metainfo, **cfg)


def segmentation(root, steps=(), type='mmdet3d.ScanNetSegDataset', columns=3, **cfg):
    from mmdet3d.datasets import ScanNetSegDataset

    pipeline = [*load(columns, False), dict(type='mmdet3d.PointSegClassMapping'), *steps]
    masks = dict(pts_instance_mask='', pts_semantic_mask='semantic_mask')
    return build(
        root,
        pipeline,
        MASKS[:1],
        type=type,
        data_prefix=dict(pts='points', img='', **masks),
        scene_idxs='seg_info/train_resampled_scene_idxs.npy',
        metainfo=dict(classes=ScanNetSegDataset.METAINFO['classes']),
        **cfg,
    )
