# ReCon on ToyShapes, with one view of every cloud. The control of the image teacher:
# model.targets.img.teacher.random_weights=True.
_base_ = [
    '../_base_/models/recon-mini.py',
    '../_base_/datasets/toy_shapes_views.py',
    '../_base_/schedules/pretrain_300e.py',
    '../_base_/default_runtime.py',
]

# Small steps, since the text token needs some hundred to tell names apart.
model = dict(
    backbone=dict(drop_path_rate=0.0),
    decoder=dict(drop_path_rate=0.0),
    targets=dict(img=dict(renderer=dict(num_views=1, size=128), teacher=dict(size=128))),
)
train_dataloader = dict(batch_size=8)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = dict(period=6, warmup=1, lag=0)
train_cfg = dict(max_epochs=6)
default_hooks = dict(logger=dict(interval=32))
auto_scale_lr = dict(base_batch_size=8)
