"""Checkpoints whose stored config runs a function: no way in builds it."""

import contextlib
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

import mmkd3d
from mmkd3d.datasets.identity import Identity
from mmkd3d.evaluation.held_out import HeldOut
from tests.apis.student_files import config_of
from tests.apis.test_students import BACKBONE
from tests.bad_inputs.commands import Hostile
from tests.detection_runs import small_detector
from tools import convert_checkpoint, extract_features, infer

TOOLS = Path(extract_features.__file__).parent


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A folder that exists once something was run."""
    made = tmp_path / 'executed'
    package = tmp_path / 'packages' / 'hostile'
    package.mkdir(parents=True)
    for name in ('__init__', 'registry'):
        (package / f'{name}.py').write_text(f'import os; os.makedirs({str(made)!r}, exist_ok=True)')
    monkeypatch.syspath_prepend(str(package.parent))
    yield made
    for name in [name for name in sys.modules if name.split('.')[0] == 'hostile']:
        del sys.modules[name]


def hostile_configs(canary) -> dict:
    """Honest configs of a student and of a detector, with a hostile part each."""
    run = dict(type='os.mkdir', path=str(canary))
    code = dict(
        type='mmdet3d.LoadAnnotations3D', seg_3d_dtype=f'__import__("os").mkdir({str(canary)!r})'
    )

    def student(**changes) -> Config:
        cfg = config_of(dict(BACKBONE))
        cfg.train_dataloader.dataset.num_samples = 2
        cfg.merge_from_dict(changes)
        return cfg

    def detector(**changes) -> Config:
        cfg = small_detector()
        cfg.merge_from_dict(changes)
        return cfg

    step = dict(type='mmdet3d.LoadPointsFromFile', coord_type='DEPTH')
    nested = dict(type='mmdet3d.MultiScaleFlipAug3D', img_scale=(1, 1), transforms=[code])
    script, pickled = canary.with_name('script.py'), canary.with_name('evil.pth')
    if canary.is_absolute():
        script.write_text(f'import os; os.mkdir({str(canary)!r}); model = dict(type="VoteNet")')
        pickled.write_bytes(pickle.dumps(Hostile(canary)))
    act = mmkd3d.get_config('act-autoencoder_toy').model
    teacher = dict(type='ACTTeacher', autoencoder=act, checkpoint=str(pickled), trust=True)
    distilled = dict(
        type='mmdet.KnowledgeDistillationSingleStageDetector', teacher_config=str(script)
    )
    crowd = dict(type='mmdet.CrowdHumanDataset', ann_file='', extra_ann_file=str(pickled))
    clip = dict(
        type='OpenClipTeacher', model_name='local-dir:x', model_kwargs=dict(weights_only=False)
    )
    named = dict(type='mmkd3d.Student', pretrained=str(pickled))
    return {
        'student of another file': student(**{'model.backbone': named}),
        'teacher that trusts': student(**{'model.backbone': teacher}),
        'teacher of a hub': student(**{'model.backbone': clip}),
        'config file of a teacher': detector(model=distilled),
        'annotations': student(**{'train_dataloader.dataset': crowd}),
        'whole model': Config(dict(model=run)),
        'backbone': student(**{'model.backbone': run}),
        'part of a backbone': student(**{'model.backbone.norm_cfg': run}),
        'list in a backbone': student(**{'model.backbone.more': [dict(a=(run,))]}),
        'preprocessor': student(**{'model.data_preprocessor': run}),
        'scope of a part': student(**{'model.backbone._scope_': 'hostile'}),
        'default scope': student(default_scope='hostile'),
        'module': student(**{'model.backbone.type': 'hostile'}),
        'training data': student(**{'train_dataloader.dataset': run}),
        'whole detector': detector(model=run),
        'head': detector(**{'model.bbox_head': run}),
        'test data': detector(**{'test_dataloader.dataset.type': 'os.mkdir'}),
        'transform': detector(**{'test_dataloader.dataset.pipeline': [step, run]}),
        'evaluated argument': detector(**{'test_dataloader.dataset.pipeline': [step, nested]}),
    }


KINDS = [*hostile_configs(Path('x'))]


def write_forms(cfg: Config, folder: Path) -> list[Path]:
    """Checkpoints with the config as text, as a dict and as that of an exported student."""
    state = {'backbone.a': torch.zeros(1)}
    plain = cfg.to_dict()
    metas = dict(text=dict(cfg=cfg.pretty_text), dict=dict(cfg=plain))
    backbone = plain['model'].get('backbone')
    if backbone:
        metas['exported'] = dict(backbone=backbone)
    paths = []
    for name, meta in metas.items():
        paths.append(folder / f'{name}.pth')
        torch.save(dict(meta=meta, state_dict=state), paths[-1])
        torch.load(paths[-1], weights_only=True)  # plain data
    return paths


def ways_in(path: Path, folder: Path) -> dict:
    """All functions and commands that read the config of a checkpoint."""
    cloud = folder / 'cloud.npy'
    np.save(cloud, np.random.default_rng(0).random((300, 3), dtype=np.float32))
    identity = Identity(np.zeros(1, dtype=np.int64), ['a'], 'hash')
    return dict(
        features=lambda: mmkd3d.FeatureExtractor(path),
        student=lambda: mmkd3d.load_student(None, path),
        content=lambda: mmkd3d.load_student(None, torch.load(path)),
        detector=lambda: mmkd3d.Det3DInferencer(None, path),
        export=lambda: mmkd3d.export_backbone(path, folder / 'out.pth'),
        exported=lambda: mmkd3d.FeatureExtractor(folder / 'out.pth'),
        held_out=lambda: HeldOut(identity).compare_pretraining(path),
        extract_features=lambda: extract_features.main(
            [str(path), str(cloud), '--out', str(folder / 'o.npz')]
        ),
        infer=lambda: infer.main([str(cloud), '--checkpoint', str(path)]),
        convert_checkpoint=lambda: convert_checkpoint.main(
            [str(path), str(folder / 'c.pth'), '--backbone-only']
        ),
    )


@pytest.mark.parametrize('kind', KINDS)
def test_no_way_in_runs_what_a_checkpoint_names(kind, canary, tmp_path):
    for path in write_forms(hostile_configs(canary)[kind], tmp_path):
        for name, enter in ways_in(path, tmp_path).items():
            try:
                enter()
            except (OSError, ValueError, SystemExit) as error:
                assert 'Traceback' not in str(error)
            assert not canary.exists(), (path.name, name)


def test_trust_opens_it(canary, tmp_path):
    path, *_ = write_forms(hostile_configs(canary)['whole model'], tmp_path)
    with contextlib.suppress(TypeError, AttributeError):  # a folder is no model
        mmkd3d.FeatureExtractor(path, trust=True)
    assert canary.exists()


def test_all_commands_that_can_trust_a_checkpoint_are_tried():
    able = {path.stem for path in TOOLS.glob('*.py') if 'add_trust_option' in path.read_text()}
    others = {'probe', 'test'}  # they read the config of a file that the user names
    assert able <= {*ways_in(Path('x'), Path('/tmp'))} | others


@pytest.mark.parametrize(
    'change',
    [
        dict(depth=10**9),
        dict(depth=900),
        dict(embed_dims=10**7),
        dict(embed_dims='128'),
        dict(depth=4.0),
        dict(embed_dims=-128),
        dict(patch_dims='ab'),
    ],
)
def test_sizes_that_the_file_cannot_have_are_refused(change, tmp_path):
    cfg = config_of({**BACKBONE, **change})
    path = tmp_path / 'a.pth'
    torch.save(dict(meta=dict(cfg=cfg.pretty_text), state_dict={'backbone.a': torch.ones(1)}), path)
    with pytest.raises(ValueError, match='config in .*a.pth cannot be built'):
        mmkd3d.FeatureExtractor(path)
