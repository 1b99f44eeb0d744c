# Finetuning on ModelNet40, 8,192 points in 512 patches.
_base_ = './cls_recon-b_1xb32-300e_modelnet40.py'

model = dict(backbone=dict(num_groups=512))
train_pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    dict(type='mmkd3d.SamplePoints', num_points=8192, method='fps'),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.ShufflePoints'),
    dict(type='mmkd3d.PackPoints'),
]
test_pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    # only for the text files of 10,000 points; the cached ones have 8,192
    dict(type='mmkd3d.SamplePoints', num_points=8192, method='fps'),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
