# The teacher is an image transformer of timm.
_base_ = '../point_mae/point-mae_pointvit-s_1xb128-300e_shapenet55.py'

model = dict(
    type='MaskedDistillation',
    teacher=dict(
        type='TimmTeacher',
        model_name='vit_base_patch16_384.augreg_in21k_ft_in1k',
        checkpoint='weights/vit_base_patch16_384.augreg_in21k_ft_in1k.safetensors',
    ),
    loss=dict(_delete_=True, type='CosineLoss'),
)
