# Finetuning of the small student with a class token, for ACT, on five
# labels of each of 21 classes of the Princeton Shape Benchmark; see cls_act-pointvit-mini_1xb32-400i_psb-21.py.
_base_ = [
    '../_base_/models/classifier_act-pointvit-mini.py',
    '../_base_/datasets/psb_21.py',
    '../_base_/schedules/finetune_few.py',
    '../_base_/iter_runtime.py',
]

model = dict(head=dict(num_classes=21))
train_dataloader = dict(dataset=dict(shots=5))
default_hooks = dict(precise_bn=dict(type='mmkd3d.PreciseBNHook'))
