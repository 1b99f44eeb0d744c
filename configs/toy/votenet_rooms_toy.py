# votenet_toy.py on some hundred rooms, measured after every epoch: where a
# curve over training steps means something.
_base_ = './votenet_toy.py'

num_points = 10000
rooms = dict(num_train=400, num_val=64, num_points=20000, seed=0)
toy = dict(data_root='data/toy_rooms_400', rooms=rooms)
train_pipeline = _base_.train_pipeline
train_pipeline[4].update(num_points=num_points)
test_pipeline = _base_.test_pipeline
test_pipeline[2]['transforms'][2].update(num_points=num_points)
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline, **toy))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline, **toy))
test_dataloader = val_dataloader
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=20),
    dict(type='CosineAnnealingLR', T_max=8, eta_min_ratio=0.01, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=8, val_interval=1)
auto_scale_lr = dict(base_batch_size=8)
