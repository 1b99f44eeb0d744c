"""tools/probe.py on small shapes."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config

import mmkd3d
from mmkd3d.evaluation import features
from mmkd3d.registry import MODELS
from tests.helpers import rejects
from tests.models import stub_teachers  # noqa: F401  (registers them)
from tools import probe


@pytest.fixture(autouse=True)
def caches_stay_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    """A checkpoint of the toy pretrainer, with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('student') / 'epoch_0.pth'
    torch.save(dict(state_dict=mmkd3d.get_model('point-mae_toy').state_dict()), path)
    return path


def arrays():
    """Balls and sticks; half of each belongs to the test split."""
    points = np.random.default_rng(0).standard_normal((40, 300, 3), 'float32')
    points[20:, :, 1:] *= 0.05
    return dict(
        points=points,
        kind=np.repeat([0, 1], 20),
        kind_names=np.array(['ball', 'stick']),
        is_test=np.arange(40) % 2 == 1,
    )


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    path = tmp_path_factory.mktemp('shapes') / 'shapes.npz'
    np.savez(path, **arrays())
    return path


@pytest.fixture
def extracted(monkeypatch):
    """Records every dataset whose features were extracted in full."""
    found, original = [], features.extract_features

    def extract(model, dataset, **kwargs):
        result = original(model, dataset, **kwargs)
        if kwargs.get('progress', True):
            found.append((model, dataset, result))
        return result

    monkeypatch.setattr(features, 'extract_features', extract)
    return found


def of(file):
    options = '--label kind --names kind_names --split is_test --num-points 256'
    return ['--data', str(file), *options.split()]


def test_probes_tell_balls_from_sticks(student, shapes, capsys, extracted):
    accuracy = probe.main(['point-mae_toy', str(student), *of(shapes)])
    assert accuracy['svm'] == 100 and accuracy['knn'] > 75
    assert len(extracted) == 2  # each split once, shared by both probes
    printed = capsys.readouterr().out
    assert '20 test shapes, 2 classes' in printed
    assert 'linear SVM: 100.00 %' in printed and 'k-NN (cosine)' in printed
    argv = ['point-mae_toy', str(student), *of(shapes)]
    more = '--method svm logistic retrieval --few-labels 1 5 --few-shot 2 3 --queries 10 --folds 3'
    again = probe.main([*argv, *more.split()])
    assert len(extracted) == 2  # cached
    assert again['svm'] == 100
    assert set(again) == {'svm', 'logistic', 'retrieval', '1-label', '5-label', '2w3s'}
    probe.main([*argv, '--pooling', 'max-mean'])
    assert len(extracted) == 4


RECON = """
model = dict(
    type='ReCon',
    backbone=dict(
        type='ReConTransformer', embed_dims=24, depth=1, num_heads=3,
        num_groups=16, group_size=16, patch_dims=(8, 16)),
    targets=dict(text=dict(
        type='TextTarget', teacher=dict(type='StubTextTeacher'))),
    masker=dict(type='RandomMasker', ratio=0.),
    losses=dict(text=dict(type='SmoothL1Loss')))
"""


def test_the_probe_of_recon_is_the_published_one(shapes, tmp_path, capsys, extracted):
    config = tmp_path / 'recon.py'
    config.write_text(RECON)
    probe.main([str(config), 'none', *of(shapes), '--protocol', 'recon-modelnet40'])
    assert 'C=0.075' in capsys.readouterr().out
    for model, dataset, (found, _) in extracted:
        clouds = torch.stack([d['inputs']['points'] for d in dataset])
        out = model.backbone(clouds)
        top = torch.stack([*out['global_tokens'].values()]).amax(0)
        local = out['tokens']
        expected = torch.cat([top, local.amax(1) + local.mean(1)], 1).detach()
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert len(extracted) == 2


def test_a_probe_needs_no_teacher(shapes, tmp_path):
    config = tmp_path / 'recon.py'
    config.write_text(RECON.replace("'StubTextTeacher'", "'TextTeacher', checkpoint='gone'"))
    cfg = Config.fromfile(config).model
    rejects('gone', MODELS.build, cfg, error=FileNotFoundError)
    student = MODELS.build(cfg.backbone).state_dict()
    state = {f'backbone.{key}': value for key, value in student.items()}
    state['decoder.mask_token'] = torch.zeros(1, 1, 24)
    torch.save(dict(state_dict=state), tmp_path / 'epoch_1.pth')
    argv = [str(config), str(tmp_path / 'epoch_1.pth'), *of(shapes)]
    assert probe.main([*argv, '--C', '1', '--pairwise'])['svm'] > 75


TOY = """
pipeline = [dict(type='mmkd3d.PackPoints')]
test_dataloader = dict(dataset=dict(
    type='mmkd3d.ToyShapes', {}num_samples=20, num_points=256,
    categories=('table', 'mug'), pipeline=pipeline))
"""


def test_probe_of_a_data_set_by_its_config(student, tmp_path, extracted):
    config = tmp_path / 'toy.py'
    config.write_text(TOY.format("split='test', "))
    argv = ['point-mae_toy', str(student), '--data', str(config)]
    assert probe.main([*argv, '--method', 'svm'])['svm'] > 50
    assert [(d.split, len(d)) for _, d, _ in extracted] == [('train', 20), ('test', 20)]
    config.write_text(TOY.format(''))
    rejects("no split='test'", probe.main, argv, error=SystemExit)


def test_probe_of_folders(student, tmp_path):
    found = arrays()
    for i, points in enumerate(found['points']):
        half = 'test' if found['is_test'][i] else 'train'
        name = found['kind_names'][found['kind'][i]]
        folder = tmp_path / 'shapes' / half / name
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f'{i}.npy', points)
    data = ['--data', str(tmp_path / 'shapes'), '--num-points', '256']
    argv = ['point-mae_toy', str(student), *data]
    assert probe.main(argv)['svm'] == 100
    (tmp_path / 'shapes/train/ball').rename(tmp_path / 'balls')
    rejects('at least two classes, got 1', probe.main, argv, error=SystemExit)
    (tmp_path / 'shapes/train').rename(tmp_path / 'sticks')
    rejects('holds the train shapes', probe.main, argv, error=SystemExit)


def test_a_checkpoint_of_each_seed(student, shapes, tmp_path, capsys):
    torch.manual_seed(1)
    other = mmkd3d.get_model('point-mae_toy').state_dict()
    torch.save(dict(state_dict=other), tmp_path / 'epoch_1.pth')
    (tmp_path / 'epoch_0.pth').write_bytes(student.read_bytes())
    options = '--method knn --k 3 --few-labels 1'.split()
    argv = ['point-mae_toy', str(tmp_path / 'epoch_{seed}.pth'), *of(shapes), *options]
    both = probe.main([*argv, '--seeds', '0', '1', '--out', 'out.json'])
    table = capsys.readouterr().out
    records = json.loads((tmp_path / 'out.json').read_text())
    expected = [(s, m) for s in (0, 1) for m in ('knn', '1-label')]
    assert [(r['seed'], r['method']) for r in records] == expected
    assert len({r['checkpoint_hash'] for r in records}) == 2
    assert records[0]['protocol'] == 'k-NN (cosine), k=3'
    assert set(records[0]['data_hash']) == {'train', 'test'}
    values = [r['metrics']['accuracy'] for r in records]
    knn, few = values[::2], values[1::2]
    assert both == pytest.approx({'knn': np.mean(knn), '1-label': np.mean(few)})
    cells = f'{np.mean(knn):.2f} | {np.std(knn, ddof=1):.2f}'
    assert f'| k-NN (cosine), k=3 | accuracy | {cells} |' in table
    for seed in (0, 1):
        path = str(tmp_path / f'epoch_{seed}.pth')
        one = probe.main([argv[0], path, *argv[2:], '--seed', str(seed)])
        assert list(one.values()) == values[2 * seed : 2 * seed + 2]
    says = 'epoch_2.pth, .*epoch_3.pth'
    rejects(says, probe.main, [*argv, '--seeds', '1', '2', '3'], error=SystemExit)


def test_random_weights_of_each_seed_and_draws_alone_of_one_student(
    shapes, student, extracted, tmp_path
):
    def run(checkpoint, options):
        words = [*of(shapes), *options.split(), '--out', 'out.json']
        probe.main(['point-mae_toy', checkpoint, *words])
        return json.loads((tmp_path / 'out.json').read_text())

    records = run('none', '--method svm --seeds 0 1')
    trains = [found[0] for _, dataset, found in extracted if dataset.split_value is False]
    assert len(trains) == 2 and not np.allclose(*trains)
    assert [r['checkpoint'] for r in records] == [None, None]
    # methods without random draws run once
    records = run(str(student), '--few-labels 1 --seeds 3 4')
    expected = [(3, 'svm'), (3, 'knn'), (3, '1-label'), (4, '1-label')]
    assert [(r['seed'], r['method']) for r in records] == expected
    assert records[2]['metrics'] != records[3]['metrics']


@pytest.fixture
def trained(student, tmp_path):
    """A checkpoint that stores its training dataset."""

    def write(**dataset):
        cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
        content = dict(torch.load(student), meta=dict(cfg=cfg.pretty_text))
        torch.save(content, tmp_path / 'trained.pth')
        return str(tmp_path / 'trained.pth')

    return write


def npz(file, **kwargs):
    absent = dict(type='mmkd3d.LoadRendering', folder='not there')
    pipeline = [absent, dict(type='mmkd3d.LoadPoints')]
    return dict(type='mmkd3d.NpzPoints', file=str(file), pipeline=pipeline, **kwargs)


def test_test_shapes_of_the_pretraining_are_refused(shapes, trained, tmp_path, caplog):
    own_half = trained(**npz(shapes, split='is_test', split_value=False))
    argv = [*of(shapes), '--method', 'knn', '--out', 'out.json']
    probe.main(['point-mae_toy', own_half, *argv])
    (record,) = json.loads((tmp_path / 'out.json').read_text())
    assert record['protocol'] == 'k-NN (cosine), k by cross-validation'
    all_shapes = trained(type='RepeatDataset', times=2, dataset=npz(shapes))
    says = r'20 of 20 test shapes \(shapes_1, shapes_3.*\) are in the pretraining.*--allow-shared'
    rejects(says, probe.main, ['point-mae_toy', all_shapes, *argv], error=SystemExit)
    probe.main(['point-mae_toy', all_shapes, *argv, '--allow-shared-shapes'])
    (record,) = json.loads((tmp_path / 'out.json').read_text())
    assert record['protocol'].endswith('; 20 test shapes are in the pretraining data')


@pytest.mark.parametrize('dataset', [npz('gone.npz'), dict(type='mmkd3d.OfSomebodyElse'), {}])
def test_data_that_are_not_there_can_not_be_checked(shapes, trained, dataset, monkeypatch):
    from mmkd3d.evaluation import held_out

    lines = []
    monkeypatch.setattr(held_out, 'print_log', lambda m, *a: lines.append(m))
    probe.main(['point-mae_toy', trained(**dataset), *of(shapes), '--method', 'knn'])
    assert len(lines) == 1 and lines[0].startswith('Did not check whether')


def test_test_shapes_of_the_training_half_are_refused(student, tmp_path):
    found = arrays()
    found['points'][2] = found['points'][1]  # sample 1 is in the test split
    np.savez(tmp_path / 'leak.npz', **found)
    argv = ['point-mae_toy', str(student), *of(tmp_path / 'leak.npz')]
    rejects(
        r'1 of 20 test shapes \(leak_1\) are in the training split',
        probe.main,
        argv,
        error=SystemExit,
    )
    probe.main([*argv, '--allow-shared-shapes', '--method', 'knn', '--out', 'out.json'])
    (record,) = json.loads((tmp_path / 'out.json').read_text())
    assert '; 1 test shapes are in the training split' in record['protocol']


def test_zero_shot_of_a_student_of_text(shapes, tmp_path, capsys, student):
    config = tmp_path / 'zero.py'
    config.write_text(
        RECON.split('targets')[0].replace("'ReCon',", "'ZeroShotClassifier',")
        + "text=dict(type='TextTarget', teacher=dict("
        "type='StubTextTeacher')), proj=dict(text=3), mode='text')\n"
    )
    dims = MODELS.build(Config.fromfile(config).model.text).dims
    config.write_text(config.read_text().replace('text=3', f'text={dims}'))
    argv = [str(config), 'none', *of(shapes), '--out', 'out.json']
    accuracy = probe.main(argv)
    assert list(accuracy) == ['zero-shot'] and 0 <= accuracy['zero-shot']
    both = probe.main([*argv, '--method', 'zero-shot', 'svm'])
    assert both['zero-shot'] == accuracy['zero-shot'] and 'svm' in both
    no_names = [a for a in argv if a not in ('--names', 'kind_names')]
    assert probe.main(no_names)  # numbers also serve as names
    argv = ['point-mae_toy', str(student), *of(shapes), '--method', 'zero-shot']
    says = 'point-mae_toy trains a student.*recon_zeroshot_toy.*zeroshot_recon-b_modelnet40'
    rejects(says, probe.main, argv, error=SystemExit)


def test_probe_refuses_arguments_that_lack_or_contradict(student, shapes, capsys):
    argv = ['point-mae_toy', str(student)]
    rejects('two classes', probe.main, [*argv, *of(shapes), '--classes', 'ball'], error=SystemExit)
    rejects('On which shapes', probe.main, argv, error=SystemExit)
    rejects('no training split', probe.main, ['classifier_toy', str(student)], error=SystemExit)
    for arguments, message in {
        '--data shapes.npz': '--label and --split',
        '--seeds 2 2': 'seeds, each once, got [2, 2]',
        '--protocol recon-modelnet40 --C 1': '--protocol sets C',
    }.items():
        with pytest.raises(SystemExit):
            probe.parse_args(['point-mae_toy', 'none', *arguments.split()])
        assert message in capsys.readouterr().err
