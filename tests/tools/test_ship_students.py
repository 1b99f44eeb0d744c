"""tools/ship_students.py: from the records of a study to students with cards."""

import json

import pytest
import torch

import mmkd3d
from mmkd3d.checkpoints import read_card, shipped
from mmkd3d.registry import MODELS
from tests.helpers import REPO, rejects
from tests.models.steps import SMALL
from tools import ship_students

STUDY = REPO / 'tools/studies/students.py'  # an absolute path
BACKBONE = dict(SMALL, type='mmkd3d.PointTransformer', with_cls_token=False)


@pytest.fixture
def ship(tmp_path, monkeypatch):
    """Run the tool on records; the students go to a folder of the test."""
    for module in (shipped, ship_students):
        monkeypatch.setattr(module, 'FOLDER', tmp_path / 'students')
    (tmp_path / 'students').mkdir()

    def run(records):
        (tmp_path / 'records.json').write_text(json.dumps(records))
        ship_students.main([str(STUDY), '--records', str(tmp_path / 'records.json')])

    return run


def trained(path):
    """Record of a pretraining that is finished."""
    torch.manual_seed(0)
    state = {f'backbone.{k}': v for k, v in MODELS.build(BACKBONE).state_dict().items()}
    config = f'model = dict(type="PointMAE", backbone={BACKBONE})\ninput_spec = dict(points=512)'
    torch.save(dict(state_dict=state, meta=dict(cfg=config)), path)
    name = 'joint_pointvit-mini_1xb16-20k_toyshapes'
    return dict(
        name='joint-mini', seed=0, metrics={}, checkpoint=str(path), config=name, commit='a1' * 20
    )


def test_a_card_tells_where_a_student_comes_from(ship, tmp_path, capsys):
    probes = [
        dict(name='probe/psb-21/joint-mini', seed=s, method='svm', metrics=dict(accuracy=80.0 + s))
        for s in (0, 2)
    ]
    for step, values in {'joint-mini': (70.0, 80.0), 'scratch, plain': (60.0, 68.0)}.items():
        probes += [
            dict(name=f'finetune/5/{step}', seed=seed, metrics={'acc/overall': value})
            for seed, value in enumerate(values)
        ]
    probes.append(dict(probes[0], name='probe/psb-21/joint-other'))
    ship([trained(tmp_path / 'iter_9.pth'), *probes])
    assert 'Not pretrained yet: point-mae-mini' in capsys.readouterr().out
    card = read_card('joint-mini')
    for text in (
        '**Input**: 512 points',
        'all-MiniLM-L6-v2',
        'EfficientNet-Lite2',
        '20,000 steps of 16, bf16, commit a1a1a1a1a1.',
        '`python tools/study.py tools/studies/students.py --only joint-mini`',
        '| Princeton Shape Benchmark, 21 classes | 81.0 ± 1.4 | not run |',
        '| Princeton Shape Benchmark, 21 classes, * | 80.0 | not run |',
        '* pretrained without the categories',
        '| PSB, 21 classes, 5 labels a class, accuracy | 75.0 ± 7.1 | 64.0 ± 5.7 | +11.0 [',
    ):
        assert text in card
    assert 'ModelNet40, 33' not in card and 'COSEG' not in card  # not run
    assert str(REPO) not in card and str(tmp_path) not in card
    values = ship_students.fixed_feature(mmkd3d.load_student('joint-mini'))
    assert f'{values}.' in card
    # results alone: the same student, another card
    (tmp_path / 'iter_9.pth').unlink()
    ship(probes[:1])
    again = read_card('joint-mini')
    assert '21 classes | 80.0 | not run |' in again and 'finetuned' not in again
    assert again.partition('## Results')[0] == card.partition('## Results')[0]


def test_a_study_without_a_student_is_refused(ship):
    rejects('None of point-mae-mini, .*tools/study.py', ship, [], error=SystemExit)
