"""References detect settings that do not match known weights."""

import json

import pytest
import torch
from mmengine.registry import init_default_scope

from mmkd3d.models.teachers import text_teacher
from mmkd3d.models.teachers.base import reference_image
from mmkd3d.models.teachers.references import (
    NUM_VALUES,
    SHIPPED,
    TOLERANCE,
    check_reference,
    read_references,
)
from mmkd3d.registry import MODELS
from tools import teacher_reference

TOWERS = dict(
    embed_dim=24,
    vision_cfg=dict(image_size=32, patch_size=8, width=64, layers=4, head_width=16),
    text_cfg=dict(context_length=12, vocab_size=49408, width=64, heads=2, layers=4),
)
IMAGENET = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def record(table, **config):
    """Record the entry of a teacher with the command, from a config file."""
    config.setdefault('random_weights', False)
    path = table.with_suffix('.py')
    path.write_text(f'model = dict(teacher={config!r})\n')
    return teacher_reference.main([str(path), '--name', 'tiny weights', '--record', str(table)])


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """Arguments of teachers that share a weights file, with their reference table."""
    open_clip = pytest.importorskip('open_clip')
    init_default_scope('mmkd3d')
    folder = tmp_path_factory.mktemp('clip')
    model = open_clip.create_model('ViT-B-32-quickgelu', None, **TOWERS)
    torch.save(model.state_dict(), folder / 'clip.pt')
    config = dict(
        model_name='ViT-B-32-quickgelu', checkpoint=str(folder / 'clip.pt'), model_kwargs=TOWERS
    )
    table = folder / 'table.json'
    for kind in ('OpenClipTeacher', 'OpenClipTextTeacher'):
        record(table, type=kind, **config)
    return dict(config, reference=str(table))


@pytest.fixture(scope='module')
def vit(tmp_path_factory):
    folder = tmp_path_factory.mktemp('vit')
    config = dict(
        type='TimmTeacher',
        model_name='vit_tiny_patch16_224',
        model_kwargs=dict(img_size=32, depth=2),
    )
    teacher = MODELS.build(dict(config, random_weights=True))
    torch.save(teacher.net.state_dict(), folder / 'vit.pth')
    config['checkpoint'] = str(folder / 'vit.pth')
    table = folder / 'table.json'
    record(table, **config)
    return dict(config, reference=str(table))


@pytest.mark.parametrize('kind', ['OpenClipTeacher', 'OpenClipTextTeacher'])
def test_wrong_activation_is_an_error(clip, kind):
    MODELS.build(dict(clip, type=kind))
    wrong = dict(clip, type=kind, model_name='ViT-B-32')
    with pytest.raises(ValueError, match='tiny weights.*QuickGELU'):
        MODELS.build(wrong)
    MODELS.build(dict(wrong, reference=False))


@pytest.mark.parametrize('name', ['mean', 'std'])
def test_wrong_statistics_of_a_model_are_an_error(clip, vit, name):
    wrong = {name: IMAGENET[name]}
    towers = dict(TOWERS, force_preprocess_cfg=wrong)
    overlay = dict(vit['model_kwargs'], pretrained_cfg_overlay=wrong)
    for cfg in (
        dict(clip, type='OpenClipTeacher', model_kwargs=towers),
        dict(vit, model_kwargs=overlay),
    ):
        with pytest.raises(ValueError, match='mean and std'):
            MODELS.build(cfg)


def test_what_is_asked_for_is_no_mistake(clip, vit):
    options = dict(IMAGENET, channel_order='bgr')
    MODELS.build(dict(vit, **options))
    MODELS.build(dict(clip, type='OpenClipTeacher', projection=True, **options))
    MODELS.build(dict(clip, type='OpenClipTextTeacher', normalize=True))
    with pytest.raises(ValueError, match='QuickGELU'):
        MODELS.build(dict(clip, type='OpenClipTeacher', model_name='ViT-B-32', **options))


def test_a_table_that_is_asked_has_to_know_the_weights(clip, vit):
    with pytest.raises(ValueError, match='does not know the weights.*tiny'):
        MODELS.build(dict(vit, reference=clip['reference']))
    with pytest.raises(ValueError, match='does not know the weights'):
        MODELS.build(dict(clip, type='OpenClipTeacher', checkpoint=None, random_weights=True))


def test_recording_adds_to_a_table(clip, vit, capsys):
    assert len(read_references(clip['reference'])) == 2
    known = read_references(vit['reference'])
    capsys.readouterr()
    options = [f'{key}={vit[key]}' for key in ('model_name', 'checkpoint')]
    options += ['model_kwargs.img_size=32', 'model_kwargs.depth=2']
    command = [vit['type'], '--name', 'tiny weights', '--options', *options]
    printed = teacher_reference.main(command)
    assert printed == known == json.loads(capsys.readouterr().out)


def test_command_says_where_it_looked():
    with pytest.raises(SystemExit, match='has no model.teacher: there is .*, no teacher'):
        teacher_reference.main(['point-mae_toy'])
    with pytest.raises(SystemExit, match='TimTeacher.*TimmTeacher'):
        teacher_reference.main(['TimTeacher'])


@pytest.mark.parametrize(
    'content', ['{', '[]', '{"0": {"name": "x"}}', '{"0": {"name": "x", "values": [1]}}']
)
def test_other_files_are_no_tables(vit, tmp_path, content):
    path = tmp_path / 'bad.json'
    path.write_text(content)
    with pytest.raises(ValueError, match='not a table of references'):
        MODELS.build(dict(vit, reference=str(path)))
    with pytest.raises(FileNotFoundError, match='teacher_reference.py'):
        MODELS.build(dict(vit, reference=str(tmp_path / 'nowhere.json')))


def sentence_teacher():
    pytest.importorskip('transformers')
    pytest.importorskip(text_teacher.PACKAGED)
    return MODELS.build(dict(type='mmkd3d.TextTeacher'))


def test_shipped_reference_knows_the_packaged_weights(monkeypatch):
    teacher = sentence_teacher()
    check_reference(teacher, str(SHIPPED))
    # Changed sentences simulate another tokenizer.
    embed = teacher.embed
    monkeypatch.setattr(teacher, 'embed', lambda words: embed([w + ' ?' for w in words]))
    with pytest.raises(ValueError, match='all-MiniLM-L6-v2.*tokenizer'):
        check_reference(teacher)


def test_weights_without_an_entry_are_not_run(vit, monkeypatch):
    read = []
    monkeypatch.setattr(
        'mmkd3d.models.teachers.timm_teacher.TimmTeacher.forward_pixels',
        lambda *args: read.append(args),
    )
    MODELS.build(dict(vit, reference=True))
    assert not read


def test_reference_image_tells_channels_and_axes_apart():
    image = reference_image((32, 48))
    assert image.shape == (1, 3, 32, 48)
    assert 0 <= image.min() and image.max() <= 1
    views = [image, image.flip(1), image.flip(2), image.flip(3)]
    for i, a in enumerate(views):
        for b in views[i + 1 :]:
            assert (a - b).abs().mean() > 0.1
    assert TOLERANCE < 0.01 and NUM_VALUES > 1
