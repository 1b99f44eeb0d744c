"""Image and text teachers from CLIP."""

import math

import pytest
import torch

from mmkd3d.models.teachers import open_clip_teacher
from mmkd3d.registry import MODELS
from tests.models.teachers.nets import TOWER, PublishedClip

open_clip = pytest.importorskip('open_clip')

TEXT_TOWER = dict(context_length=12, vocab_size=49408, width=16, heads=2, layers=2)
TINY = dict(embed_dim=24, vision_cfg=TOWER, text_cfg=TEXT_TOWER)
NAME = 'ViT-B-32-quickgelu'


def build(kind: str, **kwargs):
    cfg = dict(type=kind, model_name=NAME, model_kwargs=TINY)
    cfg['random_weights'] = 'checkpoint' not in kwargs
    return MODELS.build(dict(cfg, **kwargs))


def image_teacher(**kwargs):
    return build('mmkd3d.OpenClipTeacher', **kwargs)


def text_teacher(**kwargs):
    return build('mmkd3d.OpenClipTextTeacher', **kwargs)


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(3)
    return open_clip.create_model(NAME, None, **TINY).eval()


@pytest.fixture(scope='module')
def checkpoint(model, tmp_path_factory):
    path = tmp_path_factory.mktemp('clip') / 'clip.pt'
    torch.save(model.state_dict(), path)
    return str(path)


@pytest.fixture(scope='module')
def archive(model, tmp_path_factory):
    """File like OpenAI's: a TorchScript archive with three extra entries."""
    path = tmp_path_factory.mktemp('openai') / 'ViT-B-32.pt'
    PublishedClip(model).save_archive(path)
    return str(path)


def test_projection_leads_into_the_joint_space(model, checkpoint):
    plain, teacher = (image_teacher(checkpoint=checkpoint, projection=p) for p in (False, True))
    images = torch.rand(2, 3, 32, 32)
    out, raw = teacher(images), plain(images)
    with torch.no_grad():
        expected = model.encode_image(teacher.prepare(images))
    torch.testing.assert_close(out['global'], expected)
    torch.testing.assert_close(raw['global'] @ plain.net.proj, expected)
    assert (teacher.global_dims, teacher.embed_dims) == (24, 64)
    assert (plain.global_dims, plain.embed_dims) == (64, 64)
    torch.testing.assert_close(out['tokens'], raw['tokens'])
    assert type(teacher.net).__name__ == 'VisionTransformer'  # no text tower


def test_text_is_encoded_as_by_the_whole_model(model, checkpoint):
    teacher = text_teacher(checkpoint=checkpoint)
    sentences = ['a chair', 'a point cloud of a night_stand.', 'A 3D model']
    with torch.no_grad():
        expected = model.encode_text(teacher.tokenize(sentences))
    feats = teacher.encode_text(sentences)
    torch.testing.assert_close(feats, expected)
    assert feats.shape == (3, teacher.embed_dims) == (3, 24)
    assert (feats.norm(dim=-1) - 1).abs().min() > 1e-3
    unit = text_teacher(checkpoint=checkpoint, normalize=True).encode_text(sentences)
    torch.testing.assert_close(unit, feats / feats.norm(dim=-1, keepdim=True))
    # no image tower
    assert not [name for name, _ in teacher.net.named_parameters() if 'visual' in name]
    assert type(teacher.net).__name__ == 'TextTransformer'


def test_long_sentences_are_refused_or_cut():
    ten, eleven = ('a ' * n for n in (10, 11))
    teacher = text_teacher()
    assert (teacher.tokenize([ten, 'a'])[:, -1] != 0).tolist() == [True, False]
    with pytest.raises(ValueError, match='1 sentences .* 12 tokens.* a a a'):
        teacher.encode_text(['a', eleven])
    with pytest.raises(ValueError, match='needs a list of sentences'):
        teacher.encode_text('a chair')
    cut = text_teacher(truncate=True)
    assert torch.equal(cut.tokenize([eleven]), teacher.tokenize([ten]))


@pytest.mark.parametrize(
    'name, part',
    [
        ('roberta-ViT-B-32', "hf_model_name='roberta-base'"),
        ('ViT-B-16-SigLIP', 'no_causal_mask=True'),
        ('coca_ViT-B-32', 'embed_cls=True'),
    ],
)
def test_other_text_towers_are_refused(name, part):
    with pytest.raises(ValueError, match=f'{name} is not a plain.*{part}'):
        text_teacher(model_name=name, model_kwargs=None)


def test_file_of_another_model_is_refused(checkpoint):
    with pytest.raises(FileNotFoundError, match='clip.pt'):
        text_teacher(checkpoint=checkpoint, model_kwargs=dict(TINY, embed_dim=32))
    for build in (image_teacher, text_teacher):
        for name, published in (
            ('nowhere.pt', r'nowhere\.pt\. Download https://openaipublic.*ViT-B-32\.pt'),
            ('nowhere.safetensors', f'open_clip_model.safetensors of {NAME}'),
        ):
            with pytest.raises(FileNotFoundError, match=published):
                build(checkpoint=name)


def test_a_tag_with_the_other_activation_is_refused_before_any_download():
    given = dict(model_name='ViT-B-32', random_weights=False)
    for teacher in (image_teacher, text_teacher):
        with pytest.raises(ValueError, match='Take ViT-B-32-quickgelu'):
            teacher(**given)
    quick = dict(force_quick_gelu=True)
    with pytest.raises(ValueError, match='with GELU, and ViT-B-32 has Quick'):
        image_teacher(pretrained='laion2b_e16', model_kwargs=quick, **given)


def test_archive_of_openai_is_read_and_refused_with_the_other_activation(
    model, archive, checkpoint, monkeypatch
):
    teacher = text_teacher(checkpoint=archive)
    assert torch.equal(teacher.net.text_projection, model.text_projection)
    teacher = image_teacher(checkpoint=archive)
    assert torch.equal(teacher.net.conv1.weight, model.visual.conv1.weight)
    gelu = dict(model_name='ViT-B-32')
    image_teacher(checkpoint=archive, **gelu)  # Not a known checksum.
    known = open_clip_teacher.openai_checksums()
    # ViT-B/32, from its URL in openai/CLIP.
    assert '40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af' in known
    digest = open_clip_teacher.file_digest(archive)
    monkeypatch.setattr(open_clip_teacher, 'openai_checksums', lambda: {digest})
    with pytest.raises(ValueError, match='Take ViT-B-32-quickgelu'):
        image_teacher(checkpoint=archive, **gelu)
    image_teacher(checkpoint=checkpoint, **gelu)


def test_the_config_beside_a_file_tells_its_activation(model, tmp_path):
    path = tmp_path / 'open_clip_model.pt'
    torch.save(model.state_dict(), path)
    given = dict(checkpoint=str(path))
    config = tmp_path / 'open_clip_config.json'
    config.write_text('{"model_cfg": {"quick_gelu": true}}')
    text_teacher(**given)
    with pytest.raises(ValueError, match='Take ViT-B-32-quickgelu'):
        text_teacher(model_name='ViT-B-32', **given)
    config.write_text('{"model_cfg": {"embed_dim": 24}}')
    text_teacher(model_name='ViT-B-32', **given)
    with pytest.raises(ValueError, match='Take ViT-B-32[.]'):
        image_teacher(**given)


def test_a_pickle_that_runs_code_is_not_read(tmp_path):
    class Bomb:
        def __reduce__(self):
            return math.sqrt, (4.0,)

    path = tmp_path / 'bomb.pt'
    torch.save(dict(weights=Bomb()), path)
    with pytest.raises(FileNotFoundError, match='(?s)bomb.pt.*math.sqrt'):
        text_teacher(checkpoint=str(path))
