# Segmentation with the hierarchical student (I2P-MAE, spec, section 12).
# There, each batch made two steps: optim_wrapper.type=
# mmkd3d.RepeatStepOptimWrapper does so.
_base_ = './segment_adamw_300e.py'

optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone.embeds.': dict(decay_mult=0.0)}))
