"""The converted MobileNetV2 classifies an image correctly."""

import numpy as np
import pytest
import torch

from mmkd3d.registry import MODELS
from tests.helpers import DATA_ROOT
from tools.prepare_data import mobilenetv2_teacher

SOURCE = DATA_ROOT / 'teacher_mobilenetv2_imagenet_int8.npz'
TOILET_SEAT = 861  # ImageNet class index


def layers(count=53):
    return {f'w{i}': np.ones((1, 1), 'int8') for i in range(count)}


def test_another_network_is_refused(tmp_path):
    np.savez(tmp_path / 'net.npz', **layers(12))
    with pytest.raises(SystemExit, match='12 layers, a MobileNetV2 has 53'):
        mobilenetv2_teacher.main([str(tmp_path / 'net.npz')])


@pytest.mark.skipif(not SOURCE.is_file(), reason='needs the shared data')
def test_the_teacher_recognises_a_toilet(tmp_path):
    from PIL import Image

    out = tmp_path / 'mobilenetv2_100.safetensors'
    mobilenetv2_teacher.main([str(SOURCE), '--out', str(out)])
    colors = dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    net = dict(model_name='mobilenetv2_100', model_kwargs=dict(pad_type='same'))
    teacher = MODELS.build(dict(net, type='mmkd3d.TimmTeacher', checkpoint=str(out), **colors))
    frame = DATA_ROOT / 'scannet/posed_images/scene0000_00/00080.jpg'
    if not frame.is_file():
        pytest.skip('needs the posed frames')
    image = torch.from_numpy(np.array(Image.open(frame).convert('RGB')))
    feature = teacher(image.permute(2, 0, 1)[None] / 255)['global']
    with np.load(SOURCE) as arrays:
        weight = arrays['w52'].reshape(1000, -1) * arrays['s52'].reshape(-1, 1)
        logits = feature @ torch.from_numpy(weight).T + torch.from_numpy(arrays['b52'])
    assert logits.argmax() == TOILET_SEAT
