# Finetuning of the hierarchical student (I2P-MAE, spec, section 10).
_base_ = './finetune_adamw_300e.py'

optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone.embeds.': dict(decay_mult=0.0)}))
