# ReCon on ToyShapes. The text teacher is pretrained. The image teacher has random
# weights, since none can be shipped: its branch only shows that it runs, on one small
# view of every cloud.
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
    targets=dict(
        img=dict(
            renderer=dict(num_views=1, size=64),
            teacher=dict(
                _delete_=True,
                type='TimmTeacher',
                model_name='vit_tiny_patch16_224',
                model_kwargs=dict(img_size=64, depth=2),
                random_weights=True,
            ),
        )
    ),
)
train_dataloader = dict(batch_size=8)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = dict(period=6, warmup=1, lag=0)
train_cfg = dict(max_epochs=6)
default_hooks = dict(logger=dict(interval=32))
auto_scale_lr = dict(base_batch_size=8)
