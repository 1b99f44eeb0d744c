# ReCon without the image teacher, which needs no images.
_base_ = [
    '../_base_/models/recon-b.py',
    '../_base_/datasets/shapenet55.py',
    '../_base_/schedules/pretrain_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(targets=dict(img=None))
train_dataloader = dict(dataset=dict(whole=True))
optim_wrapper = dict(optimizer=dict(lr=5e-4))
