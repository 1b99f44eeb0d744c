# Detection on ToyRooms (400 rooms to learn from, 64 for testing): VoteNet on
# the small student from scratch, from Point-MAE on single shapes (ToyShapes)
# and from Point-MAE on the same 400 rooms, without their boxes. AP over the
# course of the training.
#   python tools/study.py tools/studies/toy_rooms.py --jobs 2
seeds = (0, 1, 2)
start = ('model.backbone.init_cfg.type=Pretrained', 'model.backbone.init_cfg.checkpoint={}')
detector = dict(train='votenet_rooms_toy', test=True, arguments=['--curve', 'mAP_0.25'])
steps = {
    'shapes': dict(train='point-mae_toy'),
    'rooms': dict(train='point-mae_rooms_toy'),
    'votenet/scratch': detector,
}
steps.update(
    {
        f'votenet/{name}': dict(
            detector, options=[option.format(f'{{{name}}}') for option in start]
        )
        for name in ('shapes', 'rooms')
    }
)
rows = {
    'from scratch': 'votenet/scratch',
    'Point-MAE on single shapes': 'votenet/shapes',
    'Point-MAE on the rooms': 'votenet/rooms',
}
tables = [
    dict(
        title='VoteNet on ToyRooms, AP25 over training steps of 8 rooms',
        rows=rows,
        curve='mAP_0.25',
        curve_is='AP25',
        steps_per_epoch=50,
        scale=100,
    ),
    dict(
        title='VoteNet on ToyRooms, last epoch',
        rows=rows,
        columns={'mAP_0.25': 'AP25', 'mAP_0.50': 'AP50'},
        scale=100,
    ),
]
