"""Maps come with the feature of the whole image, that of ``forward``."""

import pytest
import torch

from tests.models.teachers.test_dense_teachers import (
    ALL,
    SIZE,
    build,
    clip_resnet,
    clip_vit,
    images_of,
)


def with_pre_logits():
    return build(
        'TimmTeacher',
        'vit_tiny_patch16_224',
        pre_logits=True,
        model_kwargs=dict(img_size=SIZE, depth=2),
    )


@pytest.mark.parametrize(
    'make',
    [
        *ALL.values(),
        with_pre_logits,
        lambda: clip_vit(projection=True),
        lambda: clip_resnet(projection=True),
        lambda: clip_vit(saliency='activation'),
    ],
    ids=[*ALL, 'pre_logits', 'clip_joint', 'resnet_joint', 'clip_activation'],
)
def test_maps_come_with_the_feature_of_the_whole_image(make):
    teacher = make()
    images = images_of(teacher)
    exact = teacher(images)['global']
    got = teacher.forward_dense(images)['global']
    assert got.shape == (2, teacher.global_dims) and not got.requires_grad
    torch.testing.assert_close(got, exact, rtol=1e-5, atol=1e-5)
    assert (exact[0] - exact[1]).norm() > 1e-3 * exact[0].norm()
    with torch.autocast('cpu', torch.bfloat16):
        got, half = (f(images)['global'] for f in (teacher.forward_dense, teacher))
    assert got.dtype == half.dtype
    assert (got - half).norm() < 2**-7 * half.norm()  # as bf16 rounds
