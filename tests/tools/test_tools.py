"""The command-line tools on small inputs."""

import pytest
import torch
from matplotlib.image import imread

import mmkd3d
from tests.helpers import REPO, rejects
from tools import test, train, visualize


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    """A checkpoint of the toy pretrainer, with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('student') / 'epoch_1.pth'
    torch.save(dict(state_dict=mmkd3d.get_model('point-mae_toy').state_dict()), path)
    return path


def test_visualize_writes_what_it_says(student, tmp_path, capsys):
    config = str(mmkd3d.config_path('point-mae_toy'))
    visualize.main(['recon', config, str(student), '--out', str(tmp_path), '--num', '1'])
    paths = capsys.readouterr().out.split()
    written = {str(p) for p in tmp_path.iterdir()}
    assert written == {p for p in paths if p.startswith(str(tmp_path))}
    names = {p.rsplit('/', 1)[-1] for p in written}
    assert {'pretraining.png', 'pretraining_predicted.ply'} <= names


VIEWS = dict(
    _base_=[str(REPO / 'configs/_base_/datasets/toy_shapes_views.py')],
    default_scope='mmkd3d',
    train_dataloader=dict(dataset=dict(num_samples=5)),
    model=dict(
        targets=dict(
            img=dict(
                type='ImageTarget',
                renderer=dict(type='ViewRenderer', num_views=2, size=90),
                teacher=dict(
                    type='TimmTeacher',
                    model_name='vit_tiny_patch16_224',
                    checkpoint='weights/none.safetensors',  # is not needed
                    model_kwargs=dict(depth=1, img_size=64),
                    channel_order='bgr',
                ),
            )
        )
    ),
)


def test_visualize_draws_the_views_of_the_config(tmp_path, capsys):
    config = tmp_path / 'config.py'
    config.write_text('\n'.join(f'{k} = {v!r}' for k, v in VIEWS.items()))
    visualize.main(['views', str(config), '--out', str(tmp_path / 'out'), '--num', '3'])
    path = capsys.readouterr().out.split()[-1]
    picture = imread(path)
    # three rows of two images, with two pixels between and around them
    assert picture.shape[:2] == (3 * 66 + 2, 2 * 66 + 2)
    cells = picture[2:, 2:].reshape(3, 66, 2, 66, -1)[:, :64, :, :64, :3]
    assert (cells[:, 0] == 1).all() and (cells.std((1, 3)) > 0.05).all()
    text = config.read_text().partition('model')[0]
    config.write_text(text + "model = dict(type='MaskedAutoencoder')")
    rejects('no image teacher', visualize.main, ['views', str(config)], error=SystemExit)


def test_what_does_not_fit_is_a_clear_error(student, tmp_path):
    evaluate = lambda file: test.main([config, str(file), '--work-dir', str(tmp_path)])
    config = str(mmkd3d.config_path('classifier_toy'))
    rejects('none.pth', evaluate, tmp_path / 'none.pth', error=FileNotFoundError)
    rejects('This is a pretraining', evaluate, student)
    # scaling needs the base batch size
    (tmp_path / 'config.py').write_text(
        "model = dict()\noptim_wrapper = dict(type='OptimWrapper')\n"
    )
    words = [str(tmp_path / 'config.py'), '--auto-scale-lr']
    rejects('base_batch_size', train.main, words, error=SystemExit)
