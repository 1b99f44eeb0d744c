# ReCon on the 904 training shapes of the Princeton Shape Benchmark, with the
# budget of ../point_mae/point-mae_pt-t_1xb64-30e_psb.py. Two CPU cores.
# Teachers: a MobileNetV2 that sees four views of the cloud (make its weights
# with tools/prepare_data/mobilenetv2_teacher.py) and a sentence transformer
# that reads the names of the categories. Ask both once, before training:
# tools/cache_teacher.py recon_pt-t_1xb64-30e_psb prints how to use the cache.
_base_ = [
    '../_base_/models/recon_pt-t.py',
    '../_base_/datasets/psb_views.py',
    '../_base_/schedules/pretrain_adamw_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    targets=dict(
        img=dict(
            reduce='mean',
            renderer=dict(num_views=4),
            teacher=dict(
                _delete_=True,
                type='TimmTeacher',
                model_name='mobilenetv2_100',
                model_kwargs=dict(pad_type='same'),
                mean=(0.5, 0.5, 0.5),
                std=(0.5, 0.5, 0.5),
                checkpoint='weights/mobilenetv2_100.safetensors',
            ),
        )
    )
)
train_dataloader = dict(batch_size=64)
param_scheduler = dict(period=30, warmup=3, lag=0)
train_cfg = dict(max_epochs=30)
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=64)
