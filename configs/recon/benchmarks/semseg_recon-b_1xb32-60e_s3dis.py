# Semantic segmentation on S3DIS, tested on area 5: three levels of the student and the
# maximum of its global tokens. Ours, with ACT's data and schedule.
_base_ = [
    '../../_base_/models/scene-segmentor_pointvit-s.py',
    '../../_base_/datasets/s3dis.py',
    '../../_base_/schedules/segment_60e.py',
    '../../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmkd3d.ReConTransformer',
        embed_dims=384,
        depth=12,
        num_heads=6,
        num_groups=128,
        group_size=32,
        drop_path_rate=0.1,
        out_indices=(3, 7, 11),
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/recon-b_1xb128-300e_shapenet55/epoch_301.pth'
        ),
    ),
    decode_head=dict(with_global=True),
)
# As ACT: classes weighted by (max(n) / n)**(1/3) for n points of the class.
default_hooks = dict(class_weight=dict(type='mmkd3d.ClassWeightHook'))
