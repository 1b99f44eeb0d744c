"""Models whose classes do not match the dataset are rejected before the first batch."""

import copy

import numpy as np
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd3d.engine.hooks.classes import CheckClassesHook
from mmkd3d.registry import DATASETS, MODELS
from tests.datasets import official
from tests.helpers import REPO, rejects

NAMES = ('bolt', 'cup', 'nut')
BACKBONE = dict(
    type='mmkd3d.PointTransformer',
    embed_dims=12,
    depth=1,
    num_heads=2,
    num_groups=4,
    group_size=4,
    patch_dims=(4, 4),
)
RUNTIME = Config.fromfile(REPO / 'configs/_base_/default_runtime.py')


def classifier(num_classes):
    head = dict(type='mmkd3d.ClsHead', in_channels=12, num_classes=num_classes, hidden_dims=())
    return dict(type='mmkd3d.PointClassifier', backbone=BACKBONE, head=head)


def write_folder(root, names=NAMES):
    for name in names:
        (root / name).mkdir(parents=True)
        for k in range(2):
            np.save(root / name / f'{k}.npy', np.random.randn(32, 3))


def loader(root, shuffle=False, **metainfo):
    pipeline = [dict(type='LoadPoints'), dict(type='PackPoints')]
    dataset = dict(type='mmkd3d.PointCloudFolder', data_root=str(root), metainfo=metainfo)
    return dict(
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=shuffle),
        collate_fn=dict(type='pseudo_collate'),
        dataset=dict(dataset, pipeline=pipeline),
    )


class NoBatch(Hook):
    """Fails if a batch is loaded."""

    def before_train_iter(self, runner, *args, **kwargs):
        raise AssertionError('a batch was trained on')

    before_val_iter = before_test_iter = before_train_iter


def make_runner(tmp_path, model, train=None, test=None, load_from=None):
    cfg = dict(
        model=model,
        work_dir=str(tmp_path / 'run'),
        load_from=load_from,
        default_hooks=RUNTIME.default_hooks,
        custom_hooks=RUNTIME.custom_hooks,
        visualizer=dict(type='Visualizer', vis_backends=[]),
        default_scope='mmkd3d',
        log_level='ERROR',
        experiment_name=f'{tmp_path.name}_{np.random.randint(10**9)}',
    )
    if train:
        cfg.update(
            train_dataloader=train,
            train_cfg=dict(by_epoch=True, max_epochs=1),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)),
        )
    if test:
        evaluator = dict(type='mmkd3d.Accuracy')
        for k in ('val', 'test') if train else ('test',):
            cfg |= {f'{k}_dataloader': test, f'{k}_cfg': dict(), f'{k}_evaluator': evaluator}
    return Runner.from_cfg(Config(copy.deepcopy(cfg)))


def test_a_head_of_another_size_or_other_classes_are_refused_before_a_batch(tmp_path):
    write_folder(tmp_path / 'data')
    write_folder(tmp_path / 'other', ('bolt', 'cup', 'ring'))
    data, other = loader(tmp_path / 'data'), loader(tmp_path / 'other')
    for phase, size in (('train', 4), ('test', 2)):
        runner = make_runner(tmp_path, classifier(size), **{phase: data})
        runner.register_hook(NoBatch())
        message = rf'3 classes \(bolt, cup, nut\).*num_classes={size}.*=3'
        rejects(message, getattr(runner, phase))
    runner = make_runner(tmp_path, classifier(3), data, other)
    runner.register_hook(NoBatch())
    rejects("class 2 .*'nut'.*'ring'.*in the same order", runner.train)


def test_a_checkpoint_stores_the_classes_it_was_trained_on(tmp_path):
    from tools import test as tool

    write_folder(tmp_path / 'data')
    data = loader(tmp_path / 'data')
    make_runner(tmp_path, classifier(3), data, data).train()
    checkpoint = str(tmp_path / 'run/epoch_1.pth')
    tester = make_runner(tmp_path, classifier(3), test=data, load_from=checkpoint)
    assert 0 <= tester.test()['acc/overall'] <= 100
    turned = loader(tmp_path / 'data', classes=NAMES[::-1])
    tester = make_runner(tmp_path, classifier(3), test=turned, load_from=checkpoint)
    rejects("class 0 .*'bolt'.*'nut'", tester.test)
    tester.cfg.dump(tmp_path / 'turned.py')
    words = [str(tmp_path / 'turned.py'), checkpoint, '--work-dir', str(tmp_path / 'tool')]
    rejects("class 0 .*'bolt'.*'nut'", tool.main, words)
    # finetuning may start from a checkpoint with other classes
    make_runner(tmp_path, classifier(3), turned, load_from=checkpoint).train()


def test_class_names_that_are_no_list_of_names_are_told():
    hook = CheckClassesHook()
    hook.after_load_checkpoint(None, dict(meta=dict(dataset_meta=dict(classes=['a', 'b']))))
    assert hook.trained_on == ('a', 'b')
    for checkpoint in (dict(), dict(meta=None), dict(meta=dict(dataset_meta=dict(classes=None)))):
        hook.after_load_checkpoint(None, checkpoint)
        assert hook.trained_on == ()
    for meta in ([1], 'x', dict(dataset_meta=[1]), dict(dataset_meta='x')):
        rejects('meta: expected a dict', hook.after_load_checkpoint, None, dict(meta=meta))
    for classes, message in (
        (7, "list of texts.*got '7'"),
        ('abc', "list of texts.*got 'abc'"),
        ([1, 2], 'list of texts'),
        (['a', 'a'], "'a' is there twice"),
        (['a', 'b\x1b[31m'], r"'b\\x1b\[31m' is no class name"),
        (['a', ' '], "' ' is no class name"),
    ):
        checkpoint = dict(meta=dict(dataset_meta=dict(classes=classes)))
        rejects(message, hook.after_load_checkpoint, None, checkpoint)


def test_an_episode_fits_heads_of_its_own_size_and_of_the_whole_set(tmp_path, data_root):
    official.write_few_shot(tmp_path / '5way_1shot/0.pkl', official.real_modelnet(data_root))
    data = DATASETS.build(dict(type='ModelNetFewShot', data_root=tmp_path, way=5, shot=1, fold=0))
    for size in (5, 40):
        MODELS.build(classifier(size)).check_classes(data.metainfo)
    for size in (4, 6, 39, 41):
        check = MODELS.build(classifier(size)).check_classes
        rejects(f'5 classes.*={size}. If these are the classes, set', check, data.metainfo)
    check({})  # data without class names


PARTS = dict(mug=(0, 1), lamp=(2, 3, 4))
META = dict(classes=('mug', 'lamp'), parts=PARTS)


def segmentor(num_classes=5, num_categories=2, category_parts=None):
    backbone = dict(BACKBONE, with_cls_token=False, out_indices=(0,))
    sizes = dict(num_classes=num_classes, num_categories=num_categories)
    head = dict(type='mmkd3d.PointSegHead', in_channels=12, num_levels=1, **sizes)
    cfg = dict(type='mmkd3d.PointSegmentor', backbone=backbone, head=head)
    return MODELS.build(dict(cfg, category_parts=category_parts))


def test_a_segmentor_refuses_other_parts():
    lists = ([(0, 1), (2, 3, 4)], [(0, 1, 2), (2, 3, 4)])
    for cfg in (dict(), dict(num_categories=0), *(dict(category_parts=x) for x in lists)):
        segmentor(**cfg).check_classes(META)
    swapped = dict(category_parts=[(2, 3, 4), (0, 1)])
    for cfg, message in (
        (dict(num_categories=3), '2 categories.*num_categories=3.*=2'),
        (dict(num_categories=1), '2 categories.*num_categories=1.*=2'),
        (dict(num_classes=4), '0 to 4.*num_classes=4.*num_classes=5.*part_offset'),
        (dict(num_classes=50), '0 to 4.*num_classes=50'),
        (swapped, r'mug has the parts \(0, 1\).*allows \[2, 3, 4\].*mug.*lamp'),
        (dict(category_parts=[(0, 1), (2, 3)]), r'lamp has .*\(2, 3, 4\)'),
    ):
        rejects(message, segmentor(**cfg).check_classes, META)


def test_shipped_heads_fit_the_data_of_their_configs():
    """Compared with the datasets' metadata; reads no data."""
    from mmkd3d.datasets.base import read_meta

    parts = [row['parts'] for row in read_meta('shapenetpart').values()]
    sizes = {'mmkd3d.ModelNet40': 40, 'mmkd3d.ScanObjectNN': 15, 'mmkd3d.ModelNetFewShot': 40}
    checked = {kind: 0 for kind in (*sizes, 'mmkd3d.ShapeNetPart')}
    for path in sorted((REPO / 'configs').glob('*/benchmarks/[cp]*.py')):
        cfg = Config.fromfile(path)
        kind = cfg.train_dataloader.dataset.type
        if kind not in checked:
            continue
        checked[kind] += 1
        assert cfg.default_hooks.classes.type == 'mmkd3d.CheckClassesHook'
        head = cfg.model.head
        if kind == 'mmkd3d.ShapeNetPart':
            assert (head.num_classes, head.num_categories) == (50, 16), path.stem
            assert cfg.model.category_parts == parts, path.stem
        else:
            assert head.num_classes == sizes[kind], path.stem
    assert all(checked.values()), checked
