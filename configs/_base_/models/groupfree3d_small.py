# GroupFree3D for two CPU cores: a smaller PointNet++, 128 proposals, 3 layers.
_base_ = './groupfree3d_scannet.py'

model = dict(
    backbone=dict(num_points=(1024, 512, 256, 128), num_samples=(32, 32, 16, 16)),
    bbox_head=dict(num_decoder_layers=3, num_proposal=128),
)
