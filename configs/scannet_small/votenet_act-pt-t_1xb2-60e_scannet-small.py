# As votenet_pt-t_1xb2-60e_scannet-small.py, from the student of
# ../act/act_pt-t_minilm_1xb64-30e_psb.py.
_base_ = './votenet_pt-t_1xb2-60e_scannet-small.py'

model = dict(
    backbone=dict(
        init_cfg=dict(
            checkpoint='work_dirs/act_pt-t_minilm_1xb64-30e_psb/epoch_30.pth',
            allow_unexpected=['cls_'],
        )
    )
)  # VoteNet has no class token
