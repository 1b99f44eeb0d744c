# Ablation of i2p-mae-mini_1xb16-20k_psb.py: the mask is random, features are
# learned as there.
_base_ = [
    '../_base_/models/i2p-mae-mini.py',
    '../_base_/datasets/psb.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]

model = dict(masker=dict(_delete_=True, type='RandomMasker', ratio=0.8))

optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'backbone.embeds.': dict(decay_mult=0.0),
            'decoder.propagations.': dict(decay_mult=0.0),
        }
    )
)
