# The runtime of ACT's stage I: temperature and weight of the KL divergence are
# annealed by iteration, the use of the codebook is watched.
_base_ = './default_runtime.py'

custom_hooks = [
    dict(type='mmkd3d.ReseedHook'),
    dict(type='mmkd3d.FiniteLossHook'),
    dict(
        type='mmkd3d.AnnealHook',
        target='quantizer.temperature',
        start=1.0,
        end=0.0625,
        length=100000,
    ),
    dict(
        type='mmkd3d.AnnealHook', target='kl_weight', start=0.0, end=0.1, begin=10000, length=100000
    ),
    dict(type='mmkd3d.CodebookUsageHook'),
]
