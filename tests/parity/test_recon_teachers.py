"""ReCon's teachers against the published ones under reference weights."""

import pytest
import torch

from mmkd3d.checkpoints.keymap import rename
from mmkd3d.checkpoints.maps.teachers import IMG_CLIP, IMG_IN21K, TEXT_CLIP
from mmkd3d.models.teachers.prompts import load_prompts
from mmkd3d.registry import MODELS
from tests.helpers import load_case, parity_cases, reference_state

IN21K = dict(
    type='mmkd3d.TimmTeacher',
    model_name='vit_base_patch16_224.orig_in21k',
    pre_logits=True,
    random_weights=True,
)
CLIP = dict(
    type='mmkd3d.OpenClipTeacher',
    model_name='ViT-B-32-quickgelu',
    projection=True,
    random_weights=True,
)
TEXT = dict(type='mmkd3d.OpenClipTextTeacher', model_name='ViT-B-32-quickgelu', random_weights=True)


def filled(config: dict, manifest: dict, rules: tuple):
    """Teacher with the reference weights; every key is used."""
    if 'OpenClip' in config['type']:
        pytest.importorskip('open_clip')
    teacher = MODELS.build(config)
    state, dropped, unknown = rename(reference_state(manifest), rules)
    assert not dropped and not unknown
    teacher.load_state_dict({f'net.{k}': v for k, v in state.items()})
    return teacher


def load(case):
    manifest, arrays = load_case(case)
    arrays = {k: torch.from_numpy(v) for k, v in arrays.items()}
    tolerance = {k: manifest['tolerance'][k] for k in ('atol', 'rtol')}
    return manifest, arrays, tolerance


def check_image(teacher, last_norm, arrays, tolerance):
    """Compare the global feature, and the class token after the last block."""
    tokens = []
    last_norm.register_forward_pre_hook(lambda module, inputs: tokens.append(inputs[0]))
    out = teacher.forward_pixels(arrays['image'])
    torch.testing.assert_close(tokens[0][:, 0], arrays['last_block_cls'], **tolerance)
    torch.testing.assert_close(out['global'], arrays['feature'], **tolerance)
    assert teacher.global_dims == arrays['feature'].shape[1]
    rows, columns = out['grid_size']
    assert out['tokens'].shape[1:] == (rows * columns, teacher.embed_dims)


@pytest.mark.parametrize('case', parity_cases('recon/teacher_image_in21k*'))
def test_recon_image_teacher_in21k(case):
    manifest, arrays, tolerance = load(case)
    teacher = filled(IN21K, manifest, IMG_IN21K)
    check_image(teacher, teacher.net.norm, arrays, tolerance)


@pytest.mark.parametrize('case', parity_cases('recon/teacher_image_clip*'))
def test_recon_image_teacher_clip(case):
    manifest, arrays, tolerance = load(case)
    teacher = filled(CLIP, manifest, IMG_CLIP)
    check_image(teacher, teacher.net.ln_post, arrays, tolerance)


@pytest.mark.parametrize('case', parity_cases('recon/teacher_text*'))
def test_recon_text_teacher(case):
    manifest, arrays, tolerance = load(case)
    teacher = filled(TEXT, manifest, TEXT_CLIP)
    templates = load_prompts('recon-60-v1')
    for i, name in enumerate(manifest['names']):
        sentences = [template.replace('{}', name) for template in templates]
        assert sentences == manifest.get('prompts', {}).get(name, sentences)
        assert torch.equal(teacher.tokenize(sentences), arrays[f'tokens_{i}'].long())
        feats = teacher.encode_text(sentences)
        torch.testing.assert_close(feats, arrays[f'features_{i}'], **tolerance)
        atol = manifest['tolerance'].get('class_feature_atol')
        if atol is not None:
            torch.testing.assert_close(
                feats.sum(0), arrays[f'class_feature_{i}'], atol=atol, rtol=0
            )
