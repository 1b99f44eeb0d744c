# ReCon's pretraining: both splits of ShapeNet-55, with a rendering of every
# shape, DATA_ROOT/shapenet_images/SYNSET-MODEL.png. The text is the name of
# the category; for the published descriptions of categories add
#     dict(type='mmkd3d.LoadCaptions', file=..., by='synset',
#          key='catalogue', value='describe')
# before PackPoints, and source='caption' to the text target. The published
# code swaps red and blue when it reads; the sane choice is 'rgb'.
_base_ = './shapenet55.py'

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
