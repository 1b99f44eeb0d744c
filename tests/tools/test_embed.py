"""tools/embed.py: features of clouds as a picture."""

import numpy as np
import pytest

from mmkd3d.visualization.embedding import draw_embedding, flatten
from tests.helpers import rejects
from tools import embed


@pytest.fixture
def features(tmp_path):
    """Three groups of 20 features, far apart; each in a folder of its own."""
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1, 2], 20)
    values = 10 * rng.normal(size=(3, 16))[label] + rng.normal(size=(60, 16))
    ids = [f'shapes/{"abc"[k]}/{i}.ply' for i, k in enumerate(label)]
    np.savez(tmp_path / 'f.npz', features=values, ids=ids)
    np.savez(tmp_path / 'y.npz', label=label, names=['chair', 'table', 'lamp'], few=label[:5])
    return tmp_path / 'f.npz'


@pytest.mark.parametrize('method', ['tsne', 'pca'])
def test_groups_stay_groups(features, method):
    with np.load(features) as arrays:
        points = flatten(arrays['features'], method)
    distance = np.linalg.norm(points[:, None] - points, axis=2) + np.diag([np.inf] * 60)
    label = np.repeat([0, 1, 2], 20)
    assert points.shape == (60, 2) and (label[distance.argmin(1)] == label).mean() == 1
    assert np.array_equal(points, flatten(np.load(features)['features'], method))


def test_the_picture_names_the_classes(features, tmp_path, capsys):
    embed.main([str(features), '--out', str(tmp_path / 'a.svg'), '--method', 'pca'])
    assert '60 clouds, 3 classes' in capsys.readouterr().out
    words = ['--labels', str(tmp_path / 'y.npz'), 'label', 'names', '--method', 'pca']
    for out in ('b.svg', 'c.svg', 'd.png', 'e.pdf'):
        embed.main([str(features), '--out', str(tmp_path / out), *words])
    assert (tmp_path / 'b.svg').read_bytes() == (tmp_path / 'c.svg').read_bytes()
    assert (tmp_path / 'b.svg').read_bytes() != (tmp_path / 'a.svg').read_bytes()
    embed.main([str(features), '--out', str(tmp_path / 'f.svg'), '--depth', '2'])
    assert '60 clouds, 1 classes' in capsys.readouterr().out


def test_many_classes_and_few_clouds(tmp_path):
    rng = np.random.default_rng(0)
    names = [f'class {k}' for k in range(80)]
    draw_embedding(rng.normal(size=(80, 4)), names, tmp_path / 'many.png', method='pca')
    draw_embedding(rng.normal(size=(3, 1)), ['a', 'b', 'b'], tmp_path / 'few.png')
    rejects('3 clouds or more, got 2', flatten, np.zeros((2, 4)))
    rejects("method is 'pca' or 'tsne'", flatten, np.zeros((5, 4)), 'umap')


def test_wrong_files_say_what_is_wrong(features, tmp_path):
    stop = dict(error=SystemExit)
    labels = str(tmp_path / 'y.npz')
    rejects('no features of whole clouds', embed.main, [labels], **stop)
    rejects(
        "no 'lable', only label", embed.main, [str(features), '--labels', labels, 'lable'], **stop
    )
    rejects('60 clouds, .* 5', embed.main, [str(features), '--labels', labels, 'few'], **stop)
