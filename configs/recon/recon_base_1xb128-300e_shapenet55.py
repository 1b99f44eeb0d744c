# As published: 1,024 points, batch 128, lr 5e-4, epochs 0..300.
_base_ = [
    '../_base_/models/recon_base.py',
    '../_base_/datasets/shapenet55_recon.py',
    '../_base_/schedules/pretrain_adamw_300e.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=5e-4))
