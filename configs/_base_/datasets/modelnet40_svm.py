# ModelNet40 for the linear SVM of Point-M2AE and I2P-MAE: the first 1,024 points of the
# clouds in modelnet40_ply_hdf5_2048, as stored. tools/probe.py CONFIG CHECKPOINT --data
# this file --method svm --pairwise --C 0.0093 (I2P-MAE) or 0.012 (Point-M2AE).
_base_ = './modelnet40.py'

test_dataloader = dict(
    batch_size=128,
    dataset=dict(
        data_root='data/ModelNet/modelnet40_ply_hdf5_2048',
        source='h5',
        pipeline=[
            dict(type='mmkd3d.LoadPoints'),
            dict(type='mmkd3d.SamplePoints', num_points=1024, method='first'),
            dict(type='mmkd3d.PackPoints'),
        ],
    ),
)
