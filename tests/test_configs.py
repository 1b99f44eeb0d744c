"""Shipped configs: names, inheritance depth, paths, results and one training step."""

import os
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config, DictAction

import mmkd3d
from mmkd3d.models.targets.standardizer import fit_targets
from tests.helpers import REPO, rejects
from tests.small_models import build, objects, rooms

FILES = sorted((REPO / 'configs').rglob('*.py'))
CONFIGS = [path for path in FILES if '_base_' not in path.parts]
TRAINED = [path for path in CONFIGS if path.parent.name != 'baselines']
# One config for each combination of component types.
COMBINATIONS = """
    3detr_1xb8-1080e_scannet-3d
    3detr_i2p-mae-b_1xb8-1080e_scannet-3d
    3detr_point-mae-pointvit-s_1xb8-1080e_scannet-3d
    3detr_recon-b_1xb8-1080e_scannet-3d
    act-autoencoder_minilm_1xb16-2500i_psb
    act-autoencoder_vit-b16_1xb64-300e_shapenet55
    act_3detr-encoder_1xb16-300e_scannet
    act_pointvit-mini_minilm_1xb16-20k_psb
    act_pointvit-s_1xb128-300e_shapenet55
    act_pointvit-s_guided_1xb128-300e_shapenet55
    cls_act-pointvit-s_1xb32-300e_modelnet40
    cls_concept-pointvit-s_1xb32-300e_modelnet40
    cls_i2p-mae-b_1xb32-300e_modelnet40
    cls_recon-b_1xb32-300e_modelnet40
    cls_recon-twotower_1xb32-300e_scanobjectnn-hardest
    concept_3detr-encoder_1xb16-300e_scannet
    concept_pointnet2_1xb16-5k_psb
    concept_pointnet2_1xb64-300e_shapenet55
    concept_pointvit-mini_1xb16-20k_psb
    concept_pointvit-s_1xb128-300e_shapenet55
    concept_pointvit-s_depth_1xb128-300e_shapenet55
    concept_pointvit-s_masked_1xb128-300e_shapenet55
    concept_rooms_toy
    groupfree3d_point-mae-pointvit-s_4xb8-80e_scannet-3d
    groupfree3d_pointnet2_1xb2-60e_scannet-small
    i2p-mae-b_1xb64-300e_shapenet55
    i2p-mae-mini_1xb16-20k_psb
    i2p-mae-mini_random-mask_1xb16-20k_psb
    joint_pointvit-mini_1xb16-20k_toyshapes
    masked-distillation_pointvit-mini_minilm_1xb16-20k_psb
    masked-distillation_pointvit-s_vit-b16_1xb128-300e_shapenet55
    partseg_act-pointvit-s_1xb16-300e_shapenetpart
    partseg_i2p-mae-b_1xb16-300e_shapenetpart
    partseg_recon-b_1xb16-300e_shapenetpart
    point-m2ae-b_1xb128-300e_shapenet55
    point-mae_3detr-encoder_1xb16-300e_scannet
    point-mae_pointvit-s_1xb128-300e_shapenet55
    recon-b_1xb128-300e_shapenet55
    recon-b_guided_1xb128-300e_shapenet55
    recon-b_no-img_1xb128-300e_shapenet55
    recon-b_zeroshot_1xb128-300e_shapenet55
    recon-mini_1xb16-20k_psb
    recon-mini_no-text_1xb16-20k_psb
    recon-twotower_1xb128-300e_shapenet55
    semseg_act-pointvit-s_1xb32-60e_s3dis
    semseg_i2p-mae-b_1xb32-60e_s3dis
    semseg_pointnet2_1xb4-20e_scannet-small
    semseg_recon-b_1xb32-60e_s3dis
    votenet_concept-pointnet2_8xb8-36e_scannet-3d
    votenet_i2p-mae-b_8xb8-36e_scannet-3d
    votenet_point-mae-pointvit-s_8xb8-36e_scannet-3d
    votenet_recon-b_8xb8-36e_scannet-3d
    zeroshot_concept-pointvit-s_modelnet40
    zeroshot_recon-b_modelnet40
    zeroshot_recon-mini_psb
""".split()
# Options that turn a config into another combination or protocol.
VARIANTS = [
    ('act-autoencoder_vit-b16_1xb64-300e_shapenet55', options)
    for options in (
        'model.transformer=None model.encoder_dims=256 model.token_dims=256 model.decoder_dims=256',
        'model.transformer.teacher.type=OpenClipTeacher '
        'model.transformer.teacher.model_name=ViT-B-16-quickgelu',
        'model.transformer.num_prompts=132 '
        'model.transformer.teacher.model_name=mixer_b16_224.goog_in21k',
    )
]
VARIANTS += [('act_pointvit-s_1xb128-300e_shapenet55', 'model.shallow_layer=9')]
VARIANTS += [
    ('recon-b_1xb128-300e_shapenet55', options)
    for options in (
        'model.losses.chamfer=None model.backbone.stop_gradient=False',
        'model.losses.contrast.type=SingleModalContrast model.losses.contrast.embed_dims=384',
        'model.masker.type=BlockMasker model.losses.chamfer.norm=l1',
        'model.targets.text=None',
    )
]
VARIANTS += [
    ('cls_recon-b_1xb32-300e_modelnet40', options)
    for options in (
        'model.transfer_type=linear model.head.hidden_dims=[]',
        'model.transfer_type=mlp-3',
        'model.transfer_type=probe model.head.hidden_dims=[]',
    )
]
STEPS = [(name, '') for name in COMBINATIONS if not name.startswith('zeroshot_')] + VARIANTS
ZERO_SHOT = [name for name in COMBINATIONS if name.startswith('zeroshot_')]


@cache
def load(path: Path) -> Config:
    return Config.fromfile(path)


def bases(path: Path) -> list[Path]:
    """Base files of a config within the repository."""
    names = Config._get_base_files(str(path))
    return [(path.parent / name).resolve() for name in names if not name.startswith('mmdet3d::')]


def levels(path: Path) -> int:
    return 1 + max(map(levels, bases(path)), default=0)


def strings(node):
    """All strings in a config."""
    for part in node.values() if isinstance(node, dict) else node:
        if isinstance(part, str):
            yield part
        elif isinstance(part, (dict, list, tuple)):
            yield from strings(part)


def types(node) -> frozenset:
    """Component types of a model, without scopes."""
    found = set()
    if isinstance(node, dict):
        found |= {str(node.get('type', '')).split('.')[-1]}
        node = [part for key, part in node.items() if key not in ('data_preprocessor', 'init_cfg')]
    if isinstance(node, (list, tuple)):
        found = found.union(*map(types, node))
    return frozenset(found - {''})


def test_names_are_unique_and_found(monkeypatch, tmp_path):
    names = [path.stem for path in CONFIGS]
    assert len(set(names)) == len(names)
    assert mmkd3d.list_models() == sorted(names)
    assert mmkd3d.list_models('point-mae_t*') == ['point-mae_toy']
    monkeypatch.chdir(tmp_path)
    for path in CONFIGS:
        assert mmkd3d.config_path(path.stem) == path
    toy = REPO / 'configs' / 'toy' / 'act_toy.py'
    for name in ('act_toy.py', 'toy/act_toy', 'configs/toy/act_toy.py', toy):
        assert mmkd3d.config_path(name) == toy
    Path('act_toy.py').write_text('')
    assert mmkd3d.config_path('act_toy.py') == Path('act_toy.py')


def test_an_unknown_name_lists_similar_ones():
    missing = dict(error=FileNotFoundError)
    for name in ('point-mae_toys', 'elsewhere/point-mae_toy.py'):
        rejects(f"'{name}'. Did you mean point-mae_toy, ", mmkd3d.config_path, name, **missing)
    rejects("'0'. mmkd3d.list_models", mmkd3d.config_path, '0', **missing)


def test_names_follow_the_rule():
    schedule = re.compile(r'\d+xb\d+-\d+[eik]')  # epochs, iterations, thousands of them
    for path in TRAINED:
        parts = path.stem.split('_')
        assert all(re.fullmatch('[a-z0-9-]+', part) for part in parts), path.stem
        assert not {'base', 'pt-s', 'pt-t'} & set(parts), path.stem
        if path.parent.name != 'toy' and parts[0] != 'zeroshot':
            assert schedule.fullmatch(parts[-2]), path.stem


def test_a_config_has_three_levels_at_most_and_every_base_is_used():
    used = set()
    for path in FILES:
        assert levels(path) <= 3, path
        used.update(bases(path))
    unused = {path.stem for path in set(FILES) - set(CONFIGS) - used}
    assert unused == {'modelnet40_svm', 'scanobjectnn_svm'}  # data of tools/probe.py


def test_no_path_leaves_the_repository():
    for path in CONFIGS:
        for text in strings(load(path).to_dict()):
            text = text.replace(os.environ['MMKD3D_DATA'], 'data')
            assert '..' not in text and not text.startswith(('/', '~')), (path.stem, text)


def test_a_config_names_the_batch_of_its_learning_rate_and_keeps_the_last_epoch():
    for path in TRAINED:
        cfg = load(path)
        assert cfg.auto_scale_lr.base_batch_size, path.stem
        if 'test_dataloader' in cfg:
            assert not cfg.default_hooks.checkpoint.get('save_best'), path.stem


def test_every_combination_of_parts_takes_a_step_below():
    tested = {types(load(mmkd3d.config_path(name)).model) for name in COMBINATIONS}
    assert len(tested) == len(COMBINATIONS)
    assert {types(load(path).model) for path in TRAINED} == tested


def test_the_documents_quote_the_variants():
    text = ' '.join(
        path.read_text() for folder in ('configs', 'docs') for path in (REPO / folder).rglob('*.md')
    )
    text = ' '.join(text.replace('\\\n', ' ').split())
    assert [options for _, options in VARIANTS if options not in text] == []


COMMAND = re.compile(r'python tools/\w+\.py [^\n`#]*')


def test_commands_of_the_documents_name_configs_and_options_that_exist():
    for page in [REPO / 'README.md', *REPO.glob('docs/*.md'), *REPO.glob('configs/*/README.md')]:
        for command in COMMAND.findall(page.read_text().replace('\\\n', ' ')):
            words = command.split()[2:]
            if not words or not re.search('[0-9a-z]_[0-9a-z]', words[0]) or '/studies/' in words[0]:
                continue
            if words[0].endswith('.pth') or page.name == 'new_method.md':  # uses its own config
                continue
            cfg = load(mmkd3d.config_path(words[0]))
            for option in filter(re.compile(r'\w+(\.\w+)+=').match, words):
                first, second = option.split('=')[0].split('.')[:2]
                assert second in cfg.get(first, {}), (page, option)


@pytest.mark.parametrize('name, options', STEPS, ids=[' '.join(step).strip() for step in STEPS])
def test_a_small_model_of_the_config_takes_a_training_step(name, options, tmp_path):
    """Tested through a user config that inherits it, because mmengine adds scopes there."""
    path = mmkd3d.config_path(name).relative_to(REPO / 'configs')
    (tmp_path / 'child.py').write_text(f"_base_ = 'mmkd3d::{path}'")
    cfg = Config.fromfile(tmp_path / 'child.py')
    pairs = (option.split('=', 1) for option in options.split())
    cfg.merge_from_dict({key: DictAction._parse_iterable(value) for key, value in pairs})
    model = build(cfg).train()
    target = cfg.model.get('target', {})
    views = target.get('views', {}).get('num_views')
    channels = cfg.model.get('backbone', {}).get('in_channels', 3)
    batch = objects(4 if channels == 4 else 3, views and (views,))
    if cfg.default_scope == 'mmdet3d':  # 18 classes plus background, or 13 with clutter
        batch = rooms(12 if 'decode_head' in cfg.model else 18, channels)
    data = model.data_preprocessor(batch, training=True)
    if target.get('type') == 'ConceptTargets':
        fit_targets(model, torch.randn(9, *model.target.shape[1:]))
    total, log_vars = model.parse_losses(model(**data, mode='loss'))
    assert torch.isfinite(total)
    total.backward()
    part = getattr(model, 'backbone', model)
    if cfg.model.get('transfer_type') in ('linear', 'mlp-3', 'probe'):
        assert cfg.model.transfer_type != 'probe' or not any(
            p.requires_grad for p in part.parameters()
        )
        part = model.head
    norms = [p.grad.norm() for p in part.parameters() if p.grad is not None]
    assert torch.stack(norms).sum() > 0


@pytest.mark.parametrize('name', ZERO_SHOT)
def test_a_small_model_of_the_config_names_classes(name):
    cfg = mmkd3d.get_config(name)
    model = build(cfg).eval()
    for part in getattr(model, 'standardizers', {}).values():
        part.fit(torch.randn(9, part.dims))
    model.aliases = {}
    model.set_classes(('bed', 'night_stand', 'chair'))
    data = model.data_preprocessor(objects())
    with torch.no_grad():
        samples = model(**data, mode='predict')
    scores = torch.stack([sample.pred_scores for sample in samples])
    assert scores.shape == (2, 3) and scores.abs().max() <= 1.001
    assert [sample.pred_label for sample in samples] == [*scores.argmax(1)]
    assert cfg.custom_hooks[-1].type == 'mmkd3d.ClassNamesHook'


def test_get_model_builds_shipped_models():
    model = mmkd3d.get_model('point-mae_toy')
    assert not model.training
    assert model(dict(points=torch.randn(1, 256, 3))).shape == (1, 256)
    pytest.importorskip('mmdet3d')
    detector = mmkd3d.get_model('votenet_toy')
    assert type(detector).__name__ == 'VoteNet'
    assert type(detector.backbone).__module__.startswith('mmkd3d.')


def metafiles():
    index = yaml.safe_load((REPO / 'model-index.yml').read_text())
    return [
        model for p in index['Import'] for model in yaml.safe_load((REPO / p).read_text())['Models']
    ]


def test_the_model_index_lists_every_config_but_the_toys():
    for model in metafiles():
        assert Path(model['Config']).stem == model['Name']
        assert (REPO / model['Config']).is_file(), model['Config']
    names = [model['Name'] for model in metafiles()]
    assert sorted(names) == sorted(p.stem for p in TRAINED if p.parent.name != 'toy')


def test_a_result_was_published_or_measured():
    for model in metafiles():
        for result in model.get('Results', []):
            values = result['Metrics'].values()
            assert all(value == 'not run' or np.isfinite(value) for value in values)
            assert 'Published' in result or set(values) != {'not run'}, model['Name']
