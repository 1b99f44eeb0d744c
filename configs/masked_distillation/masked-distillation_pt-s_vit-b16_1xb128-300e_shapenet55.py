# The teacher is an image transformer of timm; put its weights beside the data.
_base_ = '../point_mae/point-mae_pt-s_1xb128-300e_shapenet55.py'

model = dict(
    type='MaskedDistillation',
    teacher=dict(
        type='TimmTeacher',
        model_name='vit_base_patch16_384.augreg_in21k_ft_in1k',
        checkpoint='data/teachers/vit_base_patch16_384/model.safetensors',
    ),
    loss=dict(_delete_=True, type='CosineLoss'),
)
