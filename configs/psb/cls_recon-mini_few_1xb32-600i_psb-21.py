# cls_recon-mini_1xb32-800i_psb-21.py on five labels of each class, with the recipe for few
# labels.
_base_ = [
    '../_base_/models/classifier_recon-mini.py',
    '../_base_/datasets/psb_21.py',
    '../_base_/schedules/finetune_few.py',
    '../_base_/iter_runtime.py',
]

model = dict(head=dict(num_classes=21))
train_dataloader = dict(dataset=dict(shots=5))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'token': dict(decay_mult=0.0)}))
default_hooks = dict(precise_bn=dict(type='mmkd3d.PreciseBNHook'))
