# The published schedule for segmentation (ACT, section 9.1): epochs 0..299.
# There, each batch made two steps: optim_wrapper.type=
# mmkd3d.RepeatStepOptimWrapper does so.
_base_ = './finetune_adamw_300e.py'

optim_wrapper = dict(optimizer=dict(lr=2e-4))
train_cfg = dict(max_epochs=300)
auto_scale_lr = dict(base_batch_size=16)
