"""Our metric against mmdetection3d's on synthetic detections."""

import pytest
import torch

from tests.helpers import load_case, parity_cases
from tests.parity.detections import average_precision

pytest.importorskip('mmdet3d')


@pytest.mark.parametrize('case', parity_cases('detection/indoor_eval*'), ids=lambda path: path.name)
def test_average_precision_is_mmdetection3ds(case):
    manifest, arrays = load_case(case)
    config = manifest['config']
    assert config['iou_thr'] == [0.25, 0.5]
    x = {key: torch.from_numpy(value) for key, value in arrays.items()}
    there = [x.pop(f'gt_{name}') for name in ('scene', 'boxes', 'labels')]
    found = [x.pop(f'det_{name}') for name in ('scene', 'boxes', 'labels', 'scores')]
    scenes = [
        tuple([value[parts[0] == i] for value in parts[1:]] for parts in (there, found))
        for i in range(1 + int(max(there[0].max(), found[0].max())))
    ]
    got = average_precision(scenes, len(config['classes']), 'skip')
    assert set(got) == set(x)
    for name, value in got.items():
        torch.testing.assert_close(
            value, x[name], **manifest['tolerance'], msg=lambda text, name=name: f'{name}: {text}'
        )
