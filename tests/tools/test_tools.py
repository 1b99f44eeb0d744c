"""The command-line tools on small inputs."""
import numpy as np
import pytest
import torch
from matplotlib.image import imread
from mmengine.config import Config

import mmkd3d
from mmkd3d.evaluation.probes import extract_features
from mmkd3d.registry import MODELS
from tests.helpers import REPO
from tests.models import stub_teachers  # noqa: F401  (registers them)
from tools import probe, test, train, visualize


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    """A checkpoint of the toy pretrainer, with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('student') / 'epoch_1.pth'
    torch.save(
        dict(state_dict=mmkd3d.get_model('point-mae_toy').state_dict()), path)
    return path


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    """Balls and sticks, half of each for the test."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((40, 300, 3)).astype('float32')
    points[20:, :, 1:] *= 0.05
    path = tmp_path_factory.mktemp('shapes') / 'shapes.npz'
    np.savez(
        path, points=points, kind=np.repeat([0, 1], 20),
        kind_names=np.array(['ball', 'stick']), is_test=np.arange(40) % 2 == 1)
    return path


def test_probes_tell_balls_from_sticks(student, shapes, capsys, monkeypatch):
    extracted = []

    def extract(*args):
        extracted.append(extract_features(*args))
        return extracted[-1]

    monkeypatch.setattr(probe, 'extract_features', extract)
    accuracy = probe.main([
        'point-mae_toy', str(student), '--data', str(shapes), '--label', 'kind',
        '--names', 'kind_names', '--split', 'is_test', '--num-points', '256'
    ])
    assert accuracy['svm'] == 100 and accuracy['knn'] > 75
    assert len(extracted) == 2  # Each half once, for both probes.
    printed = capsys.readouterr().out
    assert '20 test shapes, 2 classes' in printed
    assert 'linear SVM: 100.00 %' in printed and 'k-NN (cosine)' in printed


RECON = '''
model = dict(
    type='ReCon',
    backbone=dict(
        type='ReConTransformer', embed_dims=24, depth=1, num_heads=3,
        num_groups=16, group_size=16, patch_dims=(8, 16)),
    targets=dict(text=dict(
        type='TextTarget', teacher=dict(type='StubTextTeacher'))),
    masker=dict(type='RandomMasker', ratio=0.),
    cross_modal=dict(type='SmoothL1Loss'))
'''


def test_the_probe_of_recon_is_the_published_one(shapes, tmp_path, capsys,
                                                 monkeypatch):
    extracted = []

    def extract(model, dataset):
        extracted.append(extract_features(model, dataset))
        clouds = torch.stack([d['inputs']['points'] for d in dataset])
        out = model.backbone(clouds)
        top = torch.stack([*out['global_tokens'].values()]).amax(0)
        local = out['tokens']
        np.testing.assert_allclose(
            extracted[-1][0],
            torch.cat([top, local.amax(1) + local.mean(1)], 1).detach(),
            atol=1e-5)
        return extracted[-1]

    monkeypatch.setattr(probe, 'extract_features', extract)
    config = tmp_path / 'recon.py'
    config.write_text(RECON)
    probe.main([
        str(config), 'none', '--data', str(shapes), '--label', 'kind',
        '--split', 'is_test', '--num-points', '256', '--method', 'svm', '--C',
        '0.075', '--pairwise'
    ])
    assert len(extracted) == 2
    assert 'C=0.075' in capsys.readouterr().out


def test_a_probe_needs_no_teacher(shapes, tmp_path):
    config = tmp_path / 'recon.py'
    config.write_text(
        RECON.replace("'StubTextTeacher'", "'TextTeacher', checkpoint='gone'"))
    cfg = Config.fromfile(config).model
    with pytest.raises(FileNotFoundError, match='gone'):
        MODELS.build(cfg)
    student = MODELS.build(cfg.backbone).state_dict()
    state = {f'backbone.{key}': value for key, value in student.items()}
    state['decoder.mask_token'] = torch.zeros(1, 1, 24)
    torch.save(dict(state_dict=state), tmp_path / 'epoch_1.pth')
    accuracy = probe.main([
        str(config), str(tmp_path / 'epoch_1.pth'), '--data', str(shapes),
        '--label', 'kind', '--split', 'is_test', '--num-points', '256'
    ])
    assert accuracy['svm'] > 75


TOY = '''
pipeline = [dict(type='mmkd3d.PackPoints')]
test_dataloader = dict(dataset=dict(
    type='mmkd3d.ToyShapes', {}num_samples=20, num_points=256,
    categories=('table', 'mug'), pipeline=pipeline))
'''


def test_probe_of_a_data_set_by_its_config(student, tmp_path, monkeypatch):
    splits = []

    def extract(model, dataset):
        splits.append((dataset.split, len(dataset)))
        return extract_features(model, dataset)

    monkeypatch.setattr(probe, 'extract_features', extract)
    config = tmp_path / 'toy.py'
    config.write_text(TOY.format("split='test', "))
    argv = ['point-mae_toy', str(student), '--data', str(config)]
    assert probe.main([*argv, '--method', 'svm'])['svm'] > 50
    assert splits == [('train', 20), ('test', 20)]
    config.write_text(TOY.format(''))
    with pytest.raises(ValueError, match="no split='test'"):
        probe.main(argv)


def test_probe_asks_for_the_label_and_split_of_a_file(capsys):
    with pytest.raises(SystemExit):
        probe.parse_args(['point-mae_toy', 'none', '--data', 'shapes.npz'])
    assert '--label and --split' in capsys.readouterr().err


def test_probe_refuses_one_class(student, shapes):
    with pytest.raises(ValueError, match='two classes'):
        probe.main([
            'point-mae_toy', str(student), '--data', str(shapes), '--label',
            'kind', '--names', 'kind_names', '--split', 'is_test',
            '--classes', 'ball'
        ])


def test_visualize_writes_what_it_says(student, tmp_path, capsys):
    visualize.main([
        'recon', str(mmkd3d.config_path('point-mae_toy')), str(student),
        '--out', str(tmp_path), '--num', '1'
    ])
    paths = capsys.readouterr().out.split()
    written = {str(p) for p in tmp_path.iterdir()}
    assert written == {p for p in paths if p.startswith(str(tmp_path))}
    assert {'pretraining.png', 'pretraining_predicted.ply'} <= {
        p.rsplit('/', 1)[-1] for p in written}


VIEWS = dict(
    _base_=[str(REPO / 'configs/_base_/datasets/toy_shapes_views.py')],
    default_scope='mmkd3d',
    train_dataloader=dict(dataset=dict(num_samples=5)),
    model=dict(targets=dict(img=dict(renderer=dict(
        type='ViewRenderer', num_views=2, size=60)))))


def test_visualize_draws_the_views_of_the_config(tmp_path, capsys):
    config = tmp_path / 'config.py'
    config.write_text('\n'.join(f'{k} = {v!r}' for k, v in VIEWS.items()))
    visualize.main([
        'views', str(config), '--out', str(tmp_path / 'out'), '--num', '3'
    ])
    path, = capsys.readouterr().out.split()
    picture = imread(path)
    # three rows of two, with two pixels between and around
    assert picture.shape[:2] == (3 * 62 + 2, 2 * 62 + 2)
    cells = picture[2:, 2:].reshape(3, 62, 2, 62, -1)[:, :60, :, :60, :3]
    assert (cells[:, 0] == 1).all() and (cells.std((1, 3)) > 0.05).all()


def test_visualize_says_which_needs_a_checkpoint(capsys):
    for arguments, message in ((['recon', 'c.py'], 'recon takes a checkpoint'),
                               (['views', 'c.py', 'x.pth'],
                                'views takes no checkpoint')):
        with pytest.raises(SystemExit):
            visualize.main(arguments)
        assert message in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason='has a GPU')
def test_amp_without_a_gpu_is_a_clear_error(tmp_path):
    with pytest.raises(SystemExit, match='--amp needs a GPU'):
        train.main([
            str(mmkd3d.config_path('point-mae_toy')), '--amp', '--work-dir',
            str(tmp_path)
        ])


def test_scaling_needs_the_batch_that_the_rate_is_for(tmp_path):
    config = tmp_path / 'config.py'
    config.write_text("optim_wrapper = dict(type='OptimWrapper')\n")
    with pytest.raises(SystemExit, match='base_batch_size'):
        train.main([str(config), '--auto-scale-lr'])


def test_evaluation_without_a_checkpoint_is_a_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.pth'):
        test.main([
            str(mmkd3d.config_path('classifier_toy')),
            str(tmp_path / 'none.pth'), '--work-dir',
            str(tmp_path)
        ])


def test_evaluation_of_a_checkpoint_that_does_not_fit_is_an_error(
        student, tmp_path):
    with pytest.raises(ValueError, match='This is a pretraining'):
        test.main([
            str(mmkd3d.config_path('classifier_toy')),
            str(student), '--work-dir',
            str(tmp_path)
        ])
