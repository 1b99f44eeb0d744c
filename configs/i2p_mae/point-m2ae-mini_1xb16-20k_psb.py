# Point-M2AE on the 904 training shapes of the Princeton Shape Benchmark, 20
# epochs. Two CPU cores.
_base_ = [
    '../_base_/models/point-m2ae-mini.py',
    '../_base_/datasets/psb.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]

optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'backbone.embeds.': dict(decay_mult=0.0),
            'decoder.propagations.': dict(decay_mult=0.0),
        }
    )
)
