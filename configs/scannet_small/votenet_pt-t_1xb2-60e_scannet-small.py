# The 13 unpacked ScanNet scans (10 train, 3 val) on two CPU cores; the student
# is that of ../point_mae/point-mae_pt-t_1xb64-30e_psb.py.
_base_ = [
    '../_base_/models/votenet_pt-t.py',
    '../_base_/datasets/scannet_small.py',
    '../_base_/schedules/detect_adamw_60e.py',
    '../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/point-mae_pt-t_1xb64-30e_psb/epoch_30.pth'
        )
    )
)
train_dataloader = dict(batch_size=2)
auto_scale_lr = dict(base_batch_size=2)
