default_scope = 'mmkd3d'
custom_imports = dict(imports=['mmkd3d'], allow_failed_imports=False)

default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    logger=dict(type='LoggerHook', interval=20),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='mmkd3d.CheckpointHook', interval=1, max_keep_ckpts=3),
    loaders=dict(type='mmkd3d.CheckLoadersHook'),
    classes=dict(type='mmkd3d.CheckClassesHook'),
    visualization=dict(type='mmkd3d.DetectionVisualizationHook'),
)
custom_hooks = [dict(type='mmkd3d.ReseedHook'), dict(type='mmkd3d.FiniteLossHook')]

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
randomness = dict(seed=0)

# Weights & Biases: add dict(type='WandbVisBackend', init_kwargs=dict(
# project='mmkd3d', id='RUN', resume='allow')); the fixed id lets a resumed
# run go on in the same curve.
visualizer = dict(
    type='Visualizer',
    vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')],
)
log_processor = dict(by_epoch=True)
log_level = 'INFO'
load_from = None
resume = False
