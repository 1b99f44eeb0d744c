# Zero-shot classification of the Princeton Shape Benchmark: the 71 leaf classes of the
# test split without a shape in the training split. Class names are paths, such as
# 'aircraft/airplane/glider'. Uses only the text token, since image and text teacher share
# no space.
_base_ = [
    '../../_base_/models/recon-zero-shot.py',
    '../../_base_/datasets/psb_21.py',
    '../../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        embed_dims=128,
        depth=4,
        num_heads=4,
        num_groups=32,
        patch_dims=(32, 64),
        global_tokens=('cls', 'img', 'text'),
        stop_gradient=True,
    ),
    proj=dict(img=1280, text=384),
    text=dict(teacher=dict(_delete_=True, type='TextTeacher', normalize=False)),
    mode='text',
)
test_dataloader = dict(dataset=dict(subset_of_classes='in_this_split_only'))
test_cfg = dict(type='TestLoop')
custom_hooks = [dict(type='mmkd3d.ClassNamesHook')]
# There is nothing to train.
train_dataloader = train_cfg = optim_wrapper = None
val_dataloader = val_evaluator = val_cfg = None
auto_scale_lr = dict(enable=False, base_batch_size=32)
