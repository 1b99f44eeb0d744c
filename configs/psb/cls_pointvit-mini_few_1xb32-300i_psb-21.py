# Finetuning of the small plain student, for Point-MAE, concept distillation and joint pretraining, on five
# labels of each of 21 classes of the Princeton Shape Benchmark; see cls_pointvit-mini_1xb32-400i_psb-21.py.
_base_ = [
    '../_base_/models/classifier_pointvit-mini.py',
    '../_base_/datasets/psb_21.py',
    '../_base_/schedules/finetune_few.py',
    '../_base_/iter_runtime.py',
]

model = dict(head=dict(num_classes=21))
train_dataloader = dict(dataset=dict(shots=5))
default_hooks = dict(precise_bn=dict(type='mmkd3d.PreciseBNHook'))
