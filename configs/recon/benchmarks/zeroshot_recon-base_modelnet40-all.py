# Training and test split together: the numbers that are published with a star.
_base_ = './zeroshot_recon-base_modelnet40.py'

test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='mmkd3d.ModelNet40',
                data_root={{_base_.data_root}},
                split=split,
                num_classes=40,
                pipeline={{_base_.test_pipeline}},
            )
            for split in ('test', 'train')
        ],
    )
)
