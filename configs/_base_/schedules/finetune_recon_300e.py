# ReCon's finetuning: what is called `cls` in the published code is trained ten
# times as fast and, unlike ACT's, decays as a whole (ReCon, section 5).
_base_ = './finetune_adamw_300e.py'

optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'head.': dict(lr_mult=10.0),
            'global_token.cls': dict(lr_mult=10.0),
            'global_pos.cls': dict(lr_mult=10.0),
        }
    )
)
