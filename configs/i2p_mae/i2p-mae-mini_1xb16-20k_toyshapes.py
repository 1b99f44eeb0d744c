# I2P-MAE on generated shapes, 20,000 steps of 16. Ask the teacher once, before training:
# tools/cache_teacher.py i2p-mae-mini_1xb16-20k_toyshapes prints how to use the cache.
_base_ = [
    '../_base_/models/i2p-mae-mini.py',
    '../_base_/datasets/toy_shapes_pretrain.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]

train_dataloader = dict(dataset=dict(num_samples=10000))
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'backbone.embeds.': dict(decay_mult=0.0),
            'decoder.propagations.': dict(decay_mult=0.0),
        }
    )
)
