# Classification on ScanObjectNN. VARIANT in the environment selects the variant: obj_bg,
# obj_only or pb_t50_rs (the hardest, the default). Points are not normalised, as
# published.
variant = '{{$VARIANT:pb_t50_rs}}'
data_root = 'data/ScanObjectNN'
train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=False,
    drop_last=True,
    worker_init_fn=dict(type='mmkd3d.seed_worker'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmkd3d.ScanObjectNN',
        data_root=data_root,
        variant=variant,
        split='train',
        pipeline=[
            dict(type='mmkd3d.LoadPoints'),
            dict(type='mmkd3d.ShufflePoints'),
            dict(type='mmkd3d.PackPoints'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmkd3d.ScanObjectNN',
        data_root=data_root,
        variant=variant,
        split='test',
        pipeline=[dict(type='mmkd3d.LoadPoints'), dict(type='mmkd3d.PackPoints')],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmkd3d.Accuracy')
test_evaluator = val_evaluator
