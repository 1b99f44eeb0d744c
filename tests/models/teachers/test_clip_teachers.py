"""What the teachers that are made of CLIP claim."""

import math

import pytest
import torch

from mmkd3d.models.teachers import open_clip_teacher
from mmkd3d.registry import MODELS

open_clip = pytest.importorskip('open_clip')

TINY = dict(
    embed_dim=24,
    vision_cfg=dict(image_size=32, patch_size=16, width=64, layers=2, head_width=16),
    text_cfg=dict(context_length=12, vocab_size=49408, width=16, heads=2, layers=2),
)
NAME = 'ViT-B-32-quickgelu'


def build(kind: str, **kwargs):
    kwargs = dict(dict(random_weights=True, model_kwargs=TINY), **kwargs)
    return MODELS.build(dict(dict(type=kind, model_name=NAME), **kwargs))


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
    return path


@pytest.fixture(scope='module')
def archive(model, tmp_path_factory):
    """A file as OpenAI's: a TorchScript archive, with three more entries."""

    class Published(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.__dict__['_modules'] = model._modules
            self.__dict__['_parameters'] = model._parameters
            for name in ('input_resolution', 'context_length', 'vocab_size'):
                self.register_buffer(name, torch.tensor(1))

        def forward(self, x):
            return x

    path = tmp_path_factory.mktemp('openai') / 'ViT-B-32.pt'
    torch.jit.trace(Published(), torch.ones(1)).save(str(path))
    return path


def test_projection_leads_into_the_joint_space(model, checkpoint):
    plain, teacher = (
        image_teacher(random_weights=False, checkpoint=str(checkpoint), projection=p)
        for p in (False, True)
    )
    images = torch.rand(2, 3, 32, 32)
    out = teacher(images)
    with torch.no_grad():
        expected = model.encode_image(teacher.prepare(images))
    torch.testing.assert_close(out['global'], expected)
    assert (teacher.global_dims, teacher.embed_dims) == (24, 64)
    assert (plain.global_dims, plain.embed_dims) == (64, 64)
    torch.testing.assert_close(out['tokens'], plain(images)['tokens'])


def test_text_is_encoded_as_by_the_whole_model(model, checkpoint):
    teacher = text_teacher(random_weights=False, checkpoint=str(checkpoint))
    sentences = ['a chair', 'a point cloud of a night_stand.', 'A 3D model']
    with torch.no_grad():
        expected = model.encode_text(teacher.tokenize(sentences))
    feats = teacher.encode_text(sentences)
    torch.testing.assert_close(feats, expected)
    assert feats.shape == (3, teacher.embed_dims) == (3, 24)
    assert (feats.norm(dim=-1) - 1).abs().min() > 1e-3


def test_unit_length_is_an_option():
    sentences = ['a chair', 'a table']
    raw = text_teacher().encode_text(sentences)
    unit = text_teacher(normalize=True).encode_text(sentences)
    torch.testing.assert_close(unit, raw / raw.norm(dim=-1, keepdim=True))


def test_no_image_tower_is_kept():
    net = text_teacher().net
    assert not [name for name, _ in net.named_parameters() if 'visual' in name]
    assert type(net).__name__ == 'TextTransformer'


def test_random_text_tower_is_reproducible_and_disturbs_nothing():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    a = text_teacher()
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(a.encode_text(['chair']), text_teacher().encode_text(['chair']))


def test_long_sentences_are_refused_or_cut():
    ten, eleven = ('a ' * n for n in (10, 11))
    teacher = text_teacher()
    assert (teacher.tokenize([ten, 'a'])[:, -1] != 0).tolist() == [True, False]
    with pytest.raises(ValueError, match='1 sentences .* 12 tokens.* a a a'):
        teacher.encode_text(['a', eleven])
    cut = text_teacher(truncate=True)
    assert torch.equal(cut.tokenize([eleven]), teacher.tokenize([ten]))


def test_one_string_is_no_list_of_sentences():
    with pytest.raises(ValueError, match='needs a list of sentences'):
        text_teacher().encode_text('a chair')


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
        text_teacher(
            random_weights=False, checkpoint=str(checkpoint), model_kwargs=dict(TINY, embed_dim=32)
        )
    with pytest.raises(FileNotFoundError, match='nowhere'):
        text_teacher(random_weights=False, checkpoint='nowhere.pt')


def test_tag_with_the_other_activation_is_refused_before_any_download():
    for teacher in (image_teacher, text_teacher):
        with pytest.raises(ValueError, match='Take ViT-B-32-quickgelu'):
            teacher(model_name='ViT-B-32', random_weights=False)
    with pytest.raises(ValueError, match='with GELU, and ViT-B-32 has Quick'):
        image_teacher(
            model_name='ViT-B-32',
            pretrained='laion2b_e16',
            random_weights=False,
            model_kwargs=dict(force_quick_gelu=True),
        )


def test_archive_of_openai_is_read(model, archive):
    teacher = text_teacher(random_weights=False, checkpoint=str(archive))
    assert torch.equal(teacher.net.text_projection, model.text_projection)
    teacher = image_teacher(random_weights=False, checkpoint=str(archive))
    assert torch.equal(teacher.net.conv1.weight, model.visual.conv1.weight)


def test_file_of_openai_with_the_other_activation_is_refused(archive, checkpoint, monkeypatch):
    gelu = dict(model_name='ViT-B-32', random_weights=False)
    image_teacher(checkpoint=str(archive), **gelu)  # Not a known file.
    known = open_clip_teacher.openai_checksums()
    # ViT-B/32, from its address in openai/CLIP.
    assert '40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af' in known
    monkeypatch.setattr(
        open_clip_teacher, 'openai_checksums', lambda: {open_clip_teacher.file_digest(str(archive))}
    )
    with pytest.raises(ValueError, match='Take ViT-B-32-quickgelu'):
        image_teacher(checkpoint=str(archive), **gelu)
    image_teacher(checkpoint=str(checkpoint), **gelu)


def test_the_config_beside_a_file_tells_its_activation(model, tmp_path):
    path = tmp_path / 'open_clip_model.pt'
    torch.save(model.state_dict(), path)
    given = dict(random_weights=False, checkpoint=str(path))
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
        text_teacher(random_weights=False, checkpoint=str(path))
