# ReCon on a folder of your shapes, without pictures: set data_root. Two CPU
# cores bear it; for a larger student take the sizes of recon_base.py.
_base_ = [
    '../_base_/models/recon_pt-t.py',
    '../_base_/datasets/point_cloud_folder_views.py',
    '../_base_/schedules/pretrain_adamw_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    targets=dict(
        img=dict(
            teacher=dict(
                model_name='vit_base_patch16_224',
                pre_logits=False,
                checkpoint='weights/vit_base_patch16_224.safetensors',
            )
        )
    )
)
auto_scale_lr = dict(base_batch_size=32)
