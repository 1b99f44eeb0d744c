# Indoor detection on rooms that are made from a seed on first use.
_base_ = './scannet_small.py'

data_root = 'data/toy_rooms'
rooms = dict(num_train=48, num_val=16, num_points=20000, seed=0)
val_evaluator = dict(type='mmdet3d.IndoorMetric')
test_evaluator = val_evaluator
toy = dict(type='mmkd3d.ToyRooms', data_root=data_root, rooms=rooms)
train_dataloader = dict(dataset=toy)
val_dataloader = dict(dataset=toy)
test_dataloader = dict(dataset=toy)
