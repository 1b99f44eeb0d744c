# The shipped students: pretraining on made shapes, probes of frozen features on five sets of
# real shapes, and finetuning on few and on all labels.
#   python tools/prepare_data/hold_out.py data/scannet_objects.npz --by scene \
#       --test scene0004 scene0005 --up z --out work_dirs/scannet_rooms.npz
#   python tools/prepare_data/hold_out.py data/modelnet40_subset_156.npz --label label \
#       --every 2 --out work_dirs/modelnet40_156.npz
#   python tools/study.py tools/studies/students.py --jobs 2
#   python tools/ship_students.py work_dirs/studies/students
seeds = (0, 1, 2, 3, 4)
bf16 = 'optim_wrapper.type=mmkd3d.Bf16OptimWrapper'
start = ['model.backbone.init_cfg.type=Pretrained', 'model.backbone.init_cfg.checkpoint={%s}']
data = '{{$MMKD3D_DATA:data}}'
made = '_1xb16-20k_toyshapes'

# Name: config of the pretraining, what it starts from, the finetuning of its kind.
pretrained = {
    'point-mae-mini': ('point-mae_pointvit-mini', [], 'pointvit-mini'),
    'concept-mini': (
        'concept_pointvit-mini',
        ['model.target.cache={concept-cache}/target'],
        'pointvit-mini',
    ),
    'joint-mini': (
        'joint_pointvit-mini',
        ['model.targets.img.cache={image-cache}/img'],
        'pointvit-mini',
    ),
    'act-mini': (
        'act_pointvit-mini_minilm-std',
        ['model.teacher.checkpoint={act-autoencoder}'],
        'act-pointvit-mini',
    ),
    'recon-mini': ('recon-mini', ['model.targets.img.cache={image-cache}/img'], 'recon-mini'),
    'i2p-mae-mini': ('i2p-mae-mini', ['model.target.cache={i2p-cache}/target'], 'm2ae-mini'),
}
# Students of the same sizes with random weights.
random = {
    'random, plain': 'point-mae_pointvit-mini',
    'random, class token': 'act_pointvit-mini_minilm-std',
    'random, global tokens': 'recon-mini',
    'random, hierarchical': 'i2p-mae-mini',
}
scratch = {
    'scratch, plain': 'pointvit-mini',
    'scratch, class token': 'act-pointvit-mini',
    'scratch, global tokens': 'recon-mini',
    'scratch, hierarchical': 'm2ae-mini',
}
# Name: file, its arrays.
psb = ['--names', 'fine_names', '--label', 'fine']
sets = {
    'psb-21': [f'{data}/psb_1809.npz', '--label', 'fine', '--names', 'fine_names'],
    'psb-coarse': [f'{data}/psb_1809.npz', '--label', 'coarse', '--names', 'coarse_names'],
    'scannet': ['work_dirs/scannet_rooms.npz', '--label', 'label', '--names', 'names'],
    'modelnet': ['work_dirs/modelnet40_156.npz', '--label', 'label', '--names', 'names'],
}
