import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.runner import Runner

from mmkd3d.registry import DATASETS, TRANSFORMS
from tests.helpers import REPO

CONFIGS = sorted((REPO / 'configs/_base_/datasets').glob('*.py'))


@pytest.fixture(params=['mmkd3d', 'mmdet3d'])
def scope(request):
    """Set each default scope; restores the previous one afterwards."""
    before = DefaultScope._instance_dict.copy()
    init_default_scope(request.param)
    yield request.param
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


BY_ITERATIONS = (
    'toy_shapes_pretrain',
    'psb',
    'coseg',
    'folder_cls',
    'npz_cls',
    'npz_parts',
    'toy_rooms',
)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_loaders_follow_the_same_rules(path):
    cfg = Config.fromfile(path)
    assert 'train_dataloader' in cfg
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader is None:
            continue
        # schedules by iterations draw without epochs
        infinite = split == 'train' and path.stem.startswith(BY_ITERATIONS)
        assert loader.sampler.type == ('InfiniteSampler' if infinite else 'DefaultSampler')
        assert loader.sampler.shuffle == (split == 'train')
        # base configs of mmdetection3d omit mmengine's defaults and the scope
        stock = loader.sampler.get('_scope_') == 'mmdet3d'
        assert loader.get('collate_fn', dict(type='pseudo_collate'))['type'] == 'pseudo_collate'
        if not stock or 'persistent_workers' in loader:
            assert loader.persistent_workers is False
        if split == 'train' and loader.num_workers:
            # mmengine's default repeats the random numbers in every epoch
            assert loader.worker_init_fn.type == 'mmkd3d.seed_worker'
        dataset = loader.dataset
        if dataset.type == 'RepeatDataset':
            dataset = dataset.dataset
        kind, name = scoped(dataset.type, stock)
        if kind == 'mmkd3d':
            assert DATASETS.get(name) is not None
        for step in dataset.pipeline:
            kind, name = scoped(step.type, stock)
            assert kind == 'mmdet3d' or TRANSFORMS.get(name) is not None


def scoped(name, stock):
    """Scope and name; mmdet3d's scope if a stock base config has none."""
    return (f'mmdet3d.{name}' if stock and '.' not in name else name).split('.')


def first_batch(loader):
    loader.batch_size, loader.num_workers = 2, 0
    return next(iter(Runner.build_dataloader(loader, seed=0)))


def config(name):
    return Config.fromfile(REPO / f'configs/_base_/datasets/{name}.py')


def save_clouds(folder, *sizes, name='{}.npy'):
    folder.mkdir(exist_ok=True)
    for k, size in enumerate(sizes):
        np.save(folder / name.format(k), np.random.default_rng(k).normal(size=(size, 3)))


def test_shapes_load_with_a_dense_cloud_for_views(scope, data_root, monkeypatch):
    cfg = config('toy_shapes_cls')
    for split in ('train', 'val', 'test'):
        batch = first_batch(cfg[f'{split}_dataloader'])
        assert [p.shape for p in batch['inputs']['points']] == [(1024, 3)] * 2
        assert all(hasattr(s, 'gt_label') for s in batch['data_samples'])
    monkeypatch.setenv('MMKD3D_DATA', str(data_root))
    for name in ('toy_shapes_views', 'toy_shapes_pretrain_views', 'psb_views'):
        batch = first_batch(config(name).train_dataloader)
        for points, sample in zip(batch['inputs']['points'], batch['data_samples']):
            assert points.shape == (1024, 3)
            assert sample.view_points.shape == (2048, 3) and sample.category


def test_an_inherited_config_loads_with_workers(scope, tmp_path):
    save_clouds(tmp_path / 'shapes', 2000, 2000)
    child = tmp_path / 'child.py'
    child.write_text("_base_ = 'mmkd3d::_base_/datasets/point_cloud_folder.py'")
    loader = Config.fromfile(child).train_dataloader
    assert loader.worker_init_fn.type == 'mmkd3d.seed_worker'
    loader.dataset.data_root = str(tmp_path / 'shapes')
    loader.update(batch_size=2, num_workers=1)
    batch = next(iter(Runner.build_dataloader(loader, seed=0)))
    assert [p.shape for p in batch['inputs']['points']] == [(1024, 3)] * 2


def test_shapenet_loads_renderings(scope, tmp_path):
    from PIL import Image

    cfg = Config.fromfile(REPO / 'configs/recon/recon-b_1xb128-300e_shapenet55.py')
    dataset = cfg.train_dataloader.dataset
    dataset.data_root = str(tmp_path)
    loading = dataset.pipeline[3]
    assert loading.root == 'data/ShapeNet55-34/shapenet_images'
    loading.root = str(tmp_path)
    save_clouds(tmp_path / 'shapenet_pc', 2000, 2000, name='02691156-{}.npy')
    for k in range(2):
        Image.new('RGBA', (60, 50)).save(tmp_path / f'02691156-{k}.png')
    batch = first_batch(cfg.train_dataloader)
    assert batch['inputs']['points'][0].shape == (1024, 3)
    for sample in batch['data_samples']:
        assert sample.image.shape == (3, 224, 224)
        assert sample.category == 'airplane'


PRETRAINING = [
    path
    for path in sorted((REPO / 'configs').glob('*/*.py'))
    if Config.fromfile(path).get('model', {}).get('type') in ('ReCon', 'ConceptDistillation')
]


@pytest.mark.parametrize('path', PRETRAINING, ids=lambda p: p.stem)
def test_pictures_and_view_points_are_loaded_where_they_are_read(path):
    cfg = Config.fromfile(path)
    steps = [s.type for s in cfg.train_dataloader.dataset.pipeline]
    img = cfg.model.get('target') or cfg.model.targets.get('img')
    views = img and img.get('views', dict(img, type='RenderedViews'))
    kind = views['type'] if img and not img.get('cache') else None
    drawn = kind == 'RenderedViews' and bool(views.get('renderer'))
    assert ('mmkd3d.KeepViewPoints' in steps) == drawn
    for step in ('mmkd3d.LoadRendering', 'mmkd3d.AugmentRendering'):
        assert (step in steps) == (kind == 'RenderedViews' and not drawn)
    assert ('mmkd3d.LoadPosedFrames' in steps) == (kind == 'PosedFrames')


def test_clouds_of_a_folder_load_and_keep_view_points_of_one_size(scope, tmp_path):
    save_clouds(tmp_path, 1500, 5000, 50)
    loader = config('point_cloud_folder_views').train_dataloader
    loader.dataset.data_root = str(tmp_path)
    dataset = DATASETS.build(loader.dataset)
    for i in range(2):
        first, again = (dataset[i]['data_samples'].view_points for _ in range(2))
        assert first.shape == (2048, 3) and (first == again).all()
    loader = config('point_cloud_folder').train_dataloader
    loader.dataset.data_root = str(tmp_path)
    assert first_batch(loader)['inputs']['points'][0].shape == (1024, 3)


def test_toy_rooms_load(scope, tmp_path):
    pytest.importorskip('mmdet3d')
    cfg = Config.fromfile(REPO / 'configs/toy/votenet_toy.py')
    rooms = dict(num_train=2, num_val=1, num_points=2000)
    for split in ('train', 'val'):
        loader = cfg[f'{split}_dataloader']
        loader.dataset.update(data_root=str(tmp_path / 'rooms'), rooms=rooms)
        loader.dataset.pop('_scope_', None)
        batch = first_batch(loader)
        points = batch['inputs']['points'][0]
        points = points[0] if isinstance(points, list) else points
        assert points.shape == (20000, 3)  # xyz only
        sample = batch['data_samples'][0]
        sample = sample[0] if isinstance(sample, list) else sample
        if split == 'train':
            assert len(sample.gt_instances_3d.bboxes_3d) > 3
        else:
            assert len(sample.eval_ann_info['gt_labels_3d']) > 3
