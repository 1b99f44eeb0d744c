"""Checkpoints store the input specification of the student."""

import pytest
import torch
from mmengine.config import Config

import mmkd3d
from mmkd3d.checkpoints import (
    SOURCES,
    InputSpec,
    convert,
    export_backbone,
    read_checkpoint,
    spec_of_config,
    stored_spec,
)
from tests.checkpoints.published import PUBLISHED
from tests.helpers import rejects
from tests.runs import train
from tools import convert_checkpoint

OBJECTS = InputSpec(1024, 3, 'unit_sphere', None, 'y')
QUIET = dict(visualizer=dict(vis_backends=[]), log_level='ERROR')


def config_of(*pipeline, dataset='PointCloudFolder', **kwargs):
    dataset = dict(type=dataset, pipeline=list(pipeline), **kwargs)
    return dict(train_dataloader=dict(dataset=dataset))


def test_shipped_configs_say_it_by_their_pipelines():
    metres = InputSpec(2048, 3, 'none', 'm', 'z')
    for name, expected in {
        'point-mae_pointvit-s_1xb128-300e_shapenet55': OBJECTS,
        'i2p-mae-b_1xb64-300e_shapenet55': OBJECTS._replace(points=2048),
        'point-mae_toy': OBJECTS,
        'cls_act-pointvit-s_1xb32-300e_modelnet40': OBJECTS,
        'cls_act-pointvit-s_1xb32-300e_scanobjectnn-hardest': metres._replace(unit=None, up='y'),
        'partseg_act-pointvit-s_1xb16-300e_shapenetpart': OBJECTS._replace(points=2048),
        'semseg_act-pointvit-s_1xb32-60e_s3dis': metres,
        'votenet_pointvit-mini_1xb2-60e_scannet-small': metres._replace(points=20000),
        'zeroshot_recon-b_modelnet40': OBJECTS,
    }.items():
        assert spec_of_config(mmkd3d.get_config(name)) == expected, name


def test_steps_of_a_pipeline():
    load, sample = 'mmdet3d.LoadPointsFromFile', dict(type='mmdet3d.PointSample', num_points=99)
    depth = dict(type=load, coord_type='DEPTH', shift_height=True, use_dim=[0, 1, 2])
    patch = dict(type='mmdet3d.IndoorPatchPointSample', num_points=5, use_normalized_coord=True)
    center = dict(type='NormalizePoints', mode='center')
    for pipeline, expected in (
        ([dict(type='LoadPoints', channels=6), center], (None, 6, 'center')),
        ([dict(type='LoadPoints', channels=[0, 2, 1])], (None, 3, 'none')),
        (
            [depth, dict(type='mmdet3d.MultiScaleFlipAug3D', transforms=[sample])],
            (99, 4, 'none', 'm', 'z'),
        ),
        ([dict(type=load, coord_type='CAMERA', use_dim=4)], (None, 4, 'none')),
        ([dict(type='SamplePoints', num_points=n) for n in (7, 5)], (5, 3, 'none')),
        (
            [dict(type='mmkd3d.LoadPoints'), dict(type='ToDepthCoordinates')],
            (None, 4, 'none', 'm', 'z'),
        ),
        ([dict(type='ToDepthCoordinates', height=False)], (None, 3, 'none', 'm', 'z')),
        ([patch], (5, 6, 'none')),
        ([], (None, 3, 'none')),
    ):
        assert spec_of_config(config_of(*pipeline)) == InputSpec(*expected)


def test_a_transform_of_a_user_tells_its_own_effect(monkeypatch):
    from mmkd3d.registry import TRANSFORMS

    class AddHeight:
        @staticmethod
        def spec_effect(step, channels):
            return dict(channels=channels + 1)

    monkeypatch.setitem(TRANSFORMS.module_dict, 'AddHeight', AddHeight)
    steps = [dict(type='LoadPoints', channels=6), dict(type='AddHeight')]
    assert spec_of_config(config_of(*steps)).channels == 7
    assert spec_of_config(config_of(dict(type='Unknown'), dict(type='other.Unknown'))).channels == 3


def test_wrappers_metainfo_and_what_is_stated():
    inner = config_of(metainfo=dict(up_axis='x'))['train_dataloader']
    expected = InputSpec(None, 3, 'none', None, 'x')
    for wrapper in (dict(dataset=inner['dataset']), dict(datasets=[inner['dataset']])):
        cfg = dict(train_dataloader=dict(dataset=wrapper))
        assert spec_of_config(cfg) == expected
    stated = dict(cfg, input_spec=dict(unit='m', points=8))
    assert spec_of_config(stated) == expected._replace(unit='m', points=8)
    assert spec_of_config(dict(input_spec=dict(up='z'))).up == 'z'
    assert spec_of_config({}) == InputSpec()
    colour, up = (dict(input_spec=x) for x in (dict(colour=1), dict(up='w')))
    rejects('has no colour: its fields are points,', spec_of_config, colour)
    rejects("up is one of x, y, z.*got 'w'", spec_of_config, up)
    for number in (0, 1.5, True, 10**30):  # the last would fill the memory with repeated points
        rejects(
            'points is a number from 1 to', spec_of_config, dict(input_spec=dict(points=number))
        )


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Folder of a resumed training run."""
    folder = tmp_path_factory.mktemp('spec')
    cfg = mmkd3d.get_config('point-mae_toy')
    small = dict(embed_dims=12, depth=1, num_heads=2)
    backbone = dict(small, num_groups=8, group_size=4, patch_dims=(4, 8))
    dataset = dict(num_samples=4, num_points=64)
    cfg.merge_from_dict(
        dict(
            train_dataloader=dict(batch_size=4, dataset=dataset),
            model=dict(backbone=backbone, decoder=small),
            train_cfg=dict(max_epochs=1),
            **QUIET,
        )
    )
    train(cfg, folder)
    cfg.train_cfg.max_epochs = 2
    train(cfg, folder, resume=True, load_from=str(folder / 'epoch_1.pth'))
    return folder


TOY = OBJECTS._replace(points=64)


def test_a_training_writes_it_and_a_resumed_one_too(run):
    for epoch in (1, 2):
        content = torch.load(run / f'epoch_{epoch}.pth', weights_only=False)
        assert content['meta']['input_spec'] == TOY._asdict()
        assert stored_spec(content) == TOY
    del content['meta']['input_spec']  # older files only store it in their config
    assert stored_spec(content) == TOY
    content['meta']['cfg'] = 'import os'
    assert stored_spec(content) == InputSpec()
    assert stored_spec(content, Config(dict(input_spec=dict(up='z')))).up == 'z'
    assert stored_spec(dict(weight=torch.ones(1))) == InputSpec()


def test_it_survives_exports_and_conversions(run, tmp_path):
    out = export_backbone(run / 'epoch_2.pth', tmp_path / 'student.pth')
    assert stored_spec(torch.load(out, weights_only=True)) == TOY
    alone, whole = (mmkd3d.load_student(None, path) for path in (out, run / 'epoch_2.pth'))
    points = torch.rand(2, 64, 3)
    assert torch.equal(alone.extract_feat(points), whole.extract_feat(points))
    torch.save(dict(base_model=PUBLISHED['act']), tmp_path / 'theirs.pth')
    paths = [str(tmp_path / name) for name in ('theirs.pth', 'ours.pth', 'other.pth', 'bare.pth')]
    convert_checkpoint.main(paths[:2])
    convert_checkpoint.main([*paths[1:3], '--without-teacher'])
    convert_checkpoint.main([*paths[2:4], '--backbone-only'])
    for path in paths:
        assert stored_spec(read_checkpoint(path)) == OBJECTS


def test_every_published_file_has_one():
    config = Config(dict(input_spec=dict(points=77, channels=9)))
    for source, published in PUBLISHED.items():
        spec = stored_spec(dict(base_model=published))
        assert spec == SOURCES[source].input_spec
        assert spec.channels == 3
        # unknown for MaskPoint's depth frames
        assert spec.up in ('y', 'z') or source == 'maskpoint'
        _, meta = convert(published, source)
        assert stored_spec(dict(state_dict=published, meta=meta)) == spec
        filled = stored_spec(dict(base_model=published), config)
        assert filled.channels == 3 and filled.points == (spec.points or 77)


def test_a_wrong_one_is_refused_before_training(tmp_path):
    cfg = mmkd3d.get_config('point-mae_toy')
    cfg.merge_from_dict(dict(input_spec=dict(normalize='sphere'), **QUIET))
    cfg.train_dataloader.dataset.num_samples = 32
    rejects("unit_cube.*got 'sphere'", train, cfg, tmp_path / 'run')
    assert not list((tmp_path / 'run').glob('*.pth'))
