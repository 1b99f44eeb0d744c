# Zero-shot classification of the Princeton Shape Benchmark: the 71 leaf
# classes of the test split that have no shape in the training split. Both are
# named by their path, 'aircraft/airplane/glider'; the text token alone is
# asked, since image and text teacher share no space.
_base_ = [
    '../../_base_/models/recon_pt-t.py',
    '../../_base_/datasets/psb_21.py',
    '../../_base_/default_runtime.py',
]

model = dict(
    _delete_=True,
    type='ZeroShotClassifier',
    backbone={{_base_.model.backbone}},
    proj=dict(img=1280, text=384),
    text=dict(
        type='TextTarget', prompts='recon-60-v1', teacher=dict(type='TextTeacher', normalize=False)
    ),
    mode='text',
)
test_dataloader = dict(dataset=dict(subset_of_classes='in_this_split_only'))
test_cfg = dict(type='TestLoop')
custom_hooks = [dict(type='mmkd3d.ClassNamesHook')]
# There is nothing to train.
train_dataloader = train_cfg = optim_wrapper = None
val_dataloader = val_evaluator = val_cfg = None
auto_scale_lr = dict(enable=False, base_batch_size=32)
