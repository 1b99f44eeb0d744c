# Detectors that learn from unlabelled rooms: VoteNet on 8, 32, 100 and 400 labelled ToyRooms,
# tested on 64 others; from scratch (also with all the steps that the pretrained ones had), from
# a student of shapes, and from a VoteNet that learned proposals of 400 rooms without labels.
#   python -c 'from mmkd3d.datasets.toy_rooms import write_toy_rooms
#   write_toy_rooms("data/toy_rooms_400", num_train=400, num_val=64, frames=8)'
#   python tools/prepare_data/propose_boxes.py data/toy_rooms_400
#   python tools/prepare_data/propose_boxes.py data/toy_rooms_400 --use both
#   python tools/prepare_data/propose_boxes.py data/toy_rooms_400 --use both --random-weights
#   python tools/study.py tools/studies/rooms.py --jobs 2
seeds = (0, 1, 2)
root = 'data/toy_rooms_400'
bf16 = 'optim_wrapper.type=mmkd3d.Bf16OptimWrapper'
detector = 'votenet_pointvit-mini_1xb4-1500i_'
student = ['model.backbone.init_cfg.type=Pretrained', 'model.backbone.init_cfg.checkpoint={}']
longer = ['train_cfg.max_iters=3000', 'train_cfg.val_interval=500', 'param_scheduler.1.T_max=3000']
# Cues of the proposals: folder in root, name in the tables.
cues = {
    'geometry': 'proposals of geometry',
    'both': 'proposals of geometry and an image teacher',
    'both_random': 'the same, teacher with random weights',
}
steps = {
    f'proposals/{cue}': dict(
        train=f'{detector}proposals',
        options=[bf16, f'train_dataloader.dataset.data_root={root}/proposals_{cue}'],
    )
    for cue in cues
}
starts = {
    'from scratch': [],
    'from scratch, 3,000 steps': longer,
    'student of shapes (joint-mini)': [option.format('joint-mini') for option in student],
    'backbone alone, proposals of geometry': [
        option.format('{proposals/geometry}') for option in student
    ],
}
starts.update({name: [f'load_from={{proposals/{cue}}}'] for cue, name in cues.items()})
numbers = (8, 32, 100, 400)
for number in numbers:
    rooms = ','.join(map(str, range(number)))
    for name, options in starts.items():
        steps[f'{number}/{name}'] = dict(
            train=f'{detector}toyrooms',
            test=True,
            arguments=['--curve', 'mAP_0.25'],
            options=[bf16, f'train_dataloader.dataset.indices=[{rooms}]', *options],
        )
tables = [
    dict(
        title=f'VoteNet, {number} labelled ToyRooms',
        rows={name: f'{number}/{name}' for name in starts},
        columns={'mAP_0.25': 'AP25', 'mAP_0.50': 'AP50'},
        scale=100,
        against={name: 'from scratch, 3,000 steps' for name in starts if 'scratch' not in name},
    )
    for number in numbers
]
tables += [
    dict(
        title=f'VoteNet, {number} labelled ToyRooms, AP25 over training steps',
        rows={name: f'{number}/{name}' for name in starts},
        curve='mAP_0.25',
        curve_is='AP25',
        steps_per_epoch=1,
        scale=100,
    )
    for number in numbers
]
