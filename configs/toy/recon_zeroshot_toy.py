# Zero-shot classification of the toy categories by name: tools/test.py with a checkpoint
# of recon_toy.py, which was trained with these names. Uses only the text token, since
# only the text teacher knows the names.
_base_ = [
    '../_base_/models/recon-zero-shot.py',
    '../_base_/datasets/toy_shapes_cls.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(embed_dims=128, depth=4, num_heads=4, num_groups=32, patch_dims=(32, 64)),
    proj=dict(img=1280, text=384),
    text=dict(teacher=dict(_delete_=True, type='TextTeacher', normalize=False)),
    mode='text',
)
test_cfg = dict(type='TestLoop')
custom_hooks = [dict(type='mmkd3d.ClassNamesHook')]
# There is nothing to train.
train_dataloader = train_cfg = optim_wrapper = None
val_dataloader = val_evaluator = val_cfg = None
auto_scale_lr = dict(enable=False, base_batch_size=32)
