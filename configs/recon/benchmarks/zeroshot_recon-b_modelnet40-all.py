# Training and test split together: the published numbers with a star.
_base_ = './zeroshot_recon-b_modelnet40.py'

shapes = dict(
    type='mmkd3d.ModelNet40',
    data_root={{_base_.data_root}},
    num_classes=40,
    pipeline={{_base_.test_pipeline}},
)
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[dict(split='test', **shapes), dict(split='train', **shapes)],
    )
)
