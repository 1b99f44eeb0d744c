"""Pretrainers from toy shape configs, trained on rooms in ScanNet's layout."""

import pytest
from mmengine.config import Config

from tests.helpers import REPO
from tests.models.small_m2ae import student
from tests.models.teachers.nets import TINY, VIT
from tests.runs import RUNTIME, Curve, train

pytest.importorskip('mmdet3d')

CONFIGS = REPO / 'configs'
TEACHER = dict(VIT, _delete_=True, model_kwargs=dict(TINY, img_size=32))
DIMS = (12, 18, 24)
MODELS = {
    'i2p-mae': dict(
        backbone={k: v for k, v in student().items() if k != 'type'},
        decoder=dict(stage_dims=DIMS[:0:-1], num_heads=3),
        target=dict(projector=dict(size=32), teacher=dict(TEACHER)),
    ),
    # Rooms have no category, so ReCon has no text branch here.
    'recon': dict(
        backbone=dict(
            embed_dims=24, depth=2, num_heads=2, group_size=16, global_tokens=('cls', 'img')
        ),
        decoder=dict(embed_dims=24, depth=1, num_heads=2),
        targets=dict(img=dict(renderer=dict(size=32), teacher=dict(TEACHER)), text=None),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize('name', MODELS)
def test_pretrainers_of_shapes_learn_on_rooms(name, tmp_path):
    scenes = Config.fromfile(CONFIGS / '_base_/datasets/scannet_scenes_unit.py')
    pipeline = scenes.train_dataloader.dataset.pipeline
    pipeline[3].num_points = 256
    pipeline.insert(3, dict(type='mmkd3d.KeepViewPoints'))
    cfg = Config.fromfile(CONFIGS / f'toy/{name}_toy.py')
    cfg.merge_from_dict(
        dict(
            RUNTIME,
            model=MODELS[name],
            train_cfg=dict(max_epochs=15),
            optim_wrapper=dict(optimizer=dict(lr=4e-3)),
            default_hooks=dict(checkpoint=dict(interval=15)),
        )
    )
    cfg.train_dataloader = scenes.train_dataloader
    cfg.merge_from_dict(
        dict(
            train_dataloader=dict(
                batch_size=4,
                num_workers=0,
                dataset=dict(
                    type='mmkd3d.ToyRooms',
                    data_root=str(tmp_path / 'rooms'),
                    rooms=dict(num_train=8, num_val=1, num_points=2000),
                ),
            )
        )
    )
    curve = Curve()
    train(cfg, tmp_path / 'run', curve)
    assert len(curve.losses) == 30
    assert curve.fell(0.9), list(curve.losses.values())
