# As MaskPoint takes them: whole rooms in the unit sphere, so that the radius of
# a patch is no longer 0.2 m.
_base_ = './scannet_scenes.py'

pipeline = _base_.pipeline[:-1] + [
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
