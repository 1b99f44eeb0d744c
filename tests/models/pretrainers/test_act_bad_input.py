"""What ACT's second stage makes of bad configs, files and clouds."""

import pytest
import torch

from tests.checkpoints.test_stages import autoencoder
from tests.models.pretrainers.test_act import GLOBAL, NO_MASK, act, step, teacher, trained_stage_one
from tests.models.pretrainers.test_act_autoencoder import cloud, lent, odd_clouds, stage_one, total
from tests.models.pretrainers.test_pretrainers import STUDENT
from tests.models.teachers.test_token_transformer import bert, mixer

WITHOUT_CLASS = dict(backbone=STUDENT)


@pytest.mark.parametrize('name', odd_clouds())
def test_odd_clouds_give_finite_losses_and_gradients(name):
    model, points = act(**GLOBAL), odd_clouds()[name]
    losses = step(model, points)
    assert torch.isfinite(total(losses))
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    drawn = model.eval()(dict(points=points), mode='predict')
    assert all(torch.isfinite(out['cosine']).all() for out in drawn)


@pytest.mark.parametrize(
    'options, error, text',
    [
        (
            dict(projection=False),
            ValueError,
            'student has width 24, the target 12: set projection=True',
        ),
        (dict(loss=dict(type='mmkd3d.BarlowLoss')), KeyError, 'BarlowLoss'),
        (dict(shallow_layer=2), ValueError, r'lies in \[0, 2\), got 2'),
        (dict(shallow_layer=-1), ValueError, r'lies in \[0, 2\), got -1'),
        (dict(GLOBAL, **WITHOUT_CLASS), ValueError, 'with_cls_token=True'),
        (dict(GLOBAL, **NO_MASK), ValueError, 'needs masked patches'),
        (dict(decoder=None), ValueError, 'need a decoder'),
        (dict(teacher=teacher('no/where.pth')), FileNotFoundError, 'no/where.pth'),
        (
            dict(teacher=dict(teacher(), random_weights=False)),
            ValueError,
            'needs the checkpoint of a stage I run',
        ),
    ],
)
def test_a_wrong_config_is_an_error(options, error, text):
    with pytest.raises(error, match=text):
        act(**options)


def test_equal_widths_need_no_projection():
    of = dict(autoencoder(), decoder_dims=24)
    model = act(projection=False, teacher=teacher(of=of))
    assert not [key for key in model.state_dict() if key.startswith('proj')]
    assert torch.isfinite(total(step(model, cloud())))


@pytest.mark.parametrize(
    'options, points, text',
    [
        (dict(), cloud(2, N=7), 'group_size=8 can not be cut from a cloud of 7'),
        (
            dict(backbone=dict(STUDENT, num_groups=3, with_cls_token=True)),
            cloud(2),
            'joins 4 patches, got clouds of 3: raise num_groups',
        ),
        (
            dict(
                teacher=teacher(
                    of=dict(autoencoder(), transformer=lent(mixer) | dict(num_prompts=10))
                )
            ),
            cloud(2),
            'got 10 prompts and 16 patches: set num_prompts=180',
        ),
    ],
)
def test_what_does_not_fit_is_an_error(options, points, text):
    model = act(**options)
    with pytest.raises(ValueError, match=text):
        model(dict(points=points), mode='loss')


def test_a_teacher_that_reads_no_patches_is_an_error():
    model = act(teacher=lent(bert)['teacher'])
    with pytest.raises(NotImplementedError, match='can not read patches'):
        model(dict(points=cloud()), mode='loss')


@pytest.mark.parametrize(
    'make, text',
    [
        (lambda: act().state_dict(), 'pretraining .stage II. file.*stage I file'),
        (
            lambda: trained_stage_one(num_codes=24).state_dict(),
            r'quantizer.codebook: file \(24, 12\), module \(20, 12\)',
        ),
        (lambda: stage_one(transformer=None).state_dict(), 'missing: transformer.deep_prompt_pos'),
        (
            lambda: stage_one(
                transformer=dict(autoencoder()['transformer'], deep_prompts=False)
            ).state_dict(),
            'missing: transformer.deep_prompt_tokens',
        ),
        (
            lambda: dict(stage_one().state_dict(), **{'transformer.fingerprint': torch.tensor(1)}),
            'another frozen transformer',
        ),
    ],
)
def test_a_file_that_is_not_this_teacher_is_an_error(make, text, tmp_path):
    torch.save(make(), tmp_path / 'file.pth')
    with pytest.raises(ValueError, match=f'(?s){text}'):
        act(teacher=teacher(tmp_path / 'file.pth'))


def test_a_file_that_was_cut_off_is_an_error(tmp_path):
    torch.save(stage_one().state_dict(), tmp_path / 'file.pth')
    content = (tmp_path / 'file.pth').read_bytes()
    (tmp_path / 'file.pth').write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match='file.pth can not be read'):
        act(teacher=teacher(tmp_path / 'file.pth'))
