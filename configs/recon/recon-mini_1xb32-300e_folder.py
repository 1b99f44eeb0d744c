# ReCon on a folder of your shapes, without images: set data_root. Two CPU
# cores are enough; for a larger student use the sizes of _base_/models/recon-b.py.
_base_ = [
    '../_base_/models/recon-mini.py',
    '../_base_/datasets/point_cloud_folder_views.py',
    '../_base_/schedules/pretrain_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(targets=dict(img=dict(renderer=dict(num_views=1))))
auto_scale_lr = dict(base_batch_size=32)
