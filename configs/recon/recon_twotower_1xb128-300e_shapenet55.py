# Two towers: the ablation of the shared depth.
_base_ = [
    '../_base_/models/recon_twotower.py',
    '../_base_/datasets/shapenet55_recon.py',
    '../_base_/schedules/pretrain_adamw_300e.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=5e-4))
