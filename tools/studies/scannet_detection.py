# Detection on a few ScanNet scans in data/scannet_small (10 to learn from, 3 for
# testing): three detectors, each on its own backbone and on the plain student,
# from scratch, from Point-MAE on single shapes (Princeton Shape Benchmark) and
# from Point-MAE on the 10 scans without their boxes; as many steps for all.
#   python tools/study.py tools/studies/scannet_detection.py --jobs 2
seeds = (0, 1, 2)
small = '1xb2-60e_scannet-small'
scratch = ['model.backbone.init_cfg=None']
start = ('model.backbone.init_cfg.type=Pretrained', 'model.backbone.init_cfg.checkpoint={}')
steps = {
    'shapes': dict(train='point-mae_pointvit-mini_1xb16-20k_psb'),
    'scans': dict(train='point-mae_pointvit-mini_1xb2-100e_scannet-small'),
    'scans-3detr': dict(train='point-mae_3detr-encoder_1xb2-100e_scannet-small'),
    'votenet/own': dict(train=f'votenet_pointnet2_{small}', test=True),
    'groupfree3d/own': dict(train=f'groupfree3d_pointnet2_{small}', test=True),
    '3detr/own': dict(train=f'3detr_{small}', test=True),
    '3detr/own-scans': dict(
        train=f'3detr_{small}',
        test=True,
        options=[
            *(option.format('{scans-3detr}') for option in start),
            "model.backbone.init_cfg.allow_unexpected=['pos_embed.','norm.']",
        ],
    ),
}
for detector in ('votenet', 'groupfree3d', '3detr'):
    steps[f'{detector}/scratch'] = dict(
        train=f'{detector}_pointvit-mini_{small}', test=True, options=scratch
    )
    for name in ('shapes', 'scans'):
        steps[f'{detector}/{name}'] = dict(
            train=f'{detector}_pointvit-mini_{small}',
            test=True,
            options=[option.format(f'{{{name}}}') for option in start],
        )
rows = {}
for detector, called in (
    ('votenet', 'VoteNet'),
    ('groupfree3d', 'GroupFree3D'),
    ('3detr', '3DETR'),
):
    own = '3DETR encoder' if detector == '3detr' else 'PointNet++'
    rows[f'{called}, {own}'] = f'{detector}/own'
    if detector == '3detr':
        rows[f'{called}, {own}, Point-MAE on the scans'] = '3detr/own-scans'
    rows[f'{called}, plain student, from scratch'] = f'{detector}/scratch'
    rows[f'{called}, plain student, Point-MAE on shapes'] = f'{detector}/shapes'
    rows[f'{called}, plain student, Point-MAE on the scans'] = f'{detector}/scans'
tables = [
    dict(
        title='Detection, 10 scans, 300 steps of 2 scans, last epoch',
        rows=rows,
        columns={'mAP_0.25': 'AP25', 'mAP_0.50': 'AP50'},
        scale=100,
    )
]
