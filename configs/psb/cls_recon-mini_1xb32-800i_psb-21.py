# Finetuning of the small student with global tokens, for ReCon, on the 21
# classes of the Princeton Shape Benchmark in both halves, from scratch. To start from a
# pretrained student: model.backbone.init_cfg.type=Pretrained
# model.backbone.init_cfg.checkpoint=NAME_OR_FILE.
_base_ = [
    '../_base_/models/classifier_recon-mini.py',
    '../_base_/datasets/psb_21.py',
    '../_base_/schedules/finetune_many.py',
    '../_base_/iter_runtime.py',
]

model = dict(head=dict(num_classes=21))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'token': dict(decay_mult=0.0)}))
default_hooks = dict(precise_bn=dict(type='mmkd3d.PreciseBNHook'))
