# Voting on ModelNet40 with a finetuned model: 49 rounds of 10 votes. The plain
# accuracy is reported first.
_base_ = './cls_i2p-mae_1xb32-300e_modelnet40.py'

pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.SamplePoints', num_points=1200, method='fps'),
    dict(type='mmkd3d.PackPoints'),
]
test_dataloader = dict(dataset=dict(pipeline=pipeline))
test_cfg = dict(
    type='mmkd3d.VotingTestLoop', num_points=1024, rounds=49, augment=dict(type='ScaleTranslate')
)
