# VoteNet with distillation beside detection: the backbone's features of each seed learn
# CLIP's vector of its class name. To use other vectors, give an .npz file, or
# teacher=dict(type='mmkd3d.OpenClipTextTeacher', ...) instead of vectors.
_base_ = '../scannet_small/votenet_pointnet2_1xb2-60e_scannet-small.py'

custom_hooks = _base_.custom_hooks + [
    dict(
        type='mmkd3d.DistillationHook',
        student='backbone',
        target=dict(
            type='mmkd3d.LabelTexts',
            vectors='{{$MMKD3D_DATA:data}}/clip_text_scannet_matterport.npz',
            key='scannet_512',
            names_key='scannet_names',
            aliases=dict(showercurtrain='shower curtain'),
            ignore=('garbagebin',),
        ),  # has no vector there
        loss=dict(type='mmkd3d.CosineLoss', loss_weight=0.5),
        until=0.8,
    )
]
