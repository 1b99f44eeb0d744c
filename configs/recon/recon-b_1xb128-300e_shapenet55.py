# ReCon as published: both splits of ShapeNet-55, 1,024 points, batch 128, epochs
# 0..300, with a rendering of each shape, DATA_ROOT/shapenet_images/
# SYNSET-MODEL.png. The text is the name of the category; for the published
# descriptions of categories add
#     dict(type='mmkd3d.LoadCaptions', file=..., by='synset',
#          key='catalogue', value='describe')
# before PackPoints, and source='caption' to the text target. The published
# code swaps red and blue when it reads; 'rgb' is the better choice.
_base_ = [
    '../_base_/models/recon-b.py',
    '../_base_/datasets/shapenet55.py',
    '../_base_/schedules/pretrain_300e.py',
    '../_base_/default_runtime.py',
]

pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    dict(type='mmkd3d.SamplePoints', num_points=1024),
    dict(type='mmkd3d.NormalizePoints'),
    dict(
        type='mmkd3d.LoadRendering', root='data/ShapeNet55-34/shapenet_images', channel_order='bgr'
    ),
    dict(type='mmkd3d.AugmentRendering'),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(num_workers=8, dataset=dict(whole=True, pipeline=pipeline))
optim_wrapper = dict(optimizer=dict(lr=5e-4))
