# The same in metres: a patch is then as large as the detector will cut it.
_base_ = ['./point-mae_3detr-encoder_1xb16-300e_scannet.py']

pipeline = [step for step in _base_.pipeline if step['type'] != 'mmkd3d.NormalizePoints']
train_dataloader = dict(dataset=dict(pipeline=pipeline))
model = dict(backbone=dict(pos_scale='scene'))
