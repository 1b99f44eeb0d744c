"""``tools/visualize.py mask`` and ``teacher`` on the command line."""

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from mmengine.config import Config

import mmkd3d
from mmkd3d.checkpoints import load_pretrained
from mmkd3d.models.teachers.base import BaseTeacher
from mmkd3d.registry import MODELS
from tests.helpers import REPO
from tests.models.small_m2ae import build, i2p_mae, m2ae
from tools import visualize


def write_config(folder, model):
    """Write a config with ToyShapes and the given model."""
    shapes = REPO / 'configs/_base_/datasets/toy_shapes.py'
    path = folder / 'config.py'
    path.write_text(
        f'_base_ = [{str(shapes)!r}]\n'
        "default_scope = 'mmkd3d'\n"
        f'model = {model!r}\n'
        'train_dataloader = dict(dataset=dict(num_samples=5, '
        'num_points=128))\n'
    )
    return path


def check_written(paths, folder, what, num):
    """Check that exactly the printed files were written."""
    names = [f'{what}_{i}.png' for i in range(num)] + [f'{what}.html']
    assert paths.split() == [str(folder / name) for name in names]
    assert sorted(p.name for p in folder.iterdir()) == sorted(names)
    assert all(imread(folder / n).std() > 0.01 for n in names[:-1])
    page = (folder / names[-1]).read_text()
    assert page.count('"picture"') == num


@pytest.mark.parametrize('model', [i2p_mae(), m2ae()])
@pytest.mark.parametrize('trained', [True, False])
def test_masks_are_drawn_without_a_display(model, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv('DISPLAY', raising=False)
    config, checkpoint = write_config(tmp_path, model), 'none'
    loaded = []
    if trained:
        checkpoint = str(tmp_path / 'epoch_1.pth')
        torch.save(dict(state_dict=build(model).state_dict()), checkpoint)
        monkeypatch.setattr(
            'mmkd3d.visualization.inputs.load_pretrained',
            lambda *args, **kwargs: loaded.append(load_pretrained(*args, **kwargs)),
        )
    out = tmp_path / 'out'
    visualize.main(['mask', str(config), checkpoint, '--out', str(out), '--num', '2'])
    written = '\n'.join(
        line for line in capsys.readouterr().out.split('\n') if line.startswith(str(out))
    )
    check_written(written, out, 'mask', 2)
    assert len(loaded) == trained
    drawn = '"title": "predicted"' in (out / 'mask.html').read_text()
    assert drawn == trained


def test_shapes_may_come_from_a_file(tmp_path, capsys):
    config, data = write_config(tmp_path, i2p_mae()), tmp_path / 'a.npz'
    np.savez(data, points=np.random.default_rng(0).random((9, 128, 3)))
    for what in ('mask', 'teacher'):
        out = tmp_path / what
        visualize.main([what, str(config), '--data', str(data), '--out', str(out), '--num', '1'])
        check_written(capsys.readouterr().out, out, what, 1)
        assert '"a_0"' in (out / f'{what}.html').read_text()
    torch.rand(1)  # images do not depend on the generator's state
    words = ['--data', str(data), '--out', str(tmp_path / 'again'), '--num', '1']
    visualize.main(['mask', str(config), *words])
    pages = [(tmp_path / name / 'mask.html').read_bytes() for name in ('mask', 'again')]
    assert pages[0] == pages[1]


@MODELS.register_module(force=True)
class AbsentTeacher(BaseTeacher):
    """Teacher whose weights are missing."""

    def __init__(self, **kwargs):
        raise FileNotFoundError('no weights')


def test_without_a_checkpoint_no_other_teacher_is_looked_for(tmp_path):
    name = 'act_toy'
    model = Config.fromfile(mmkd3d.config_path(name)).model.to_dict()
    model['teacher'] = dict(type='mmkd3d.AbsentTeacher')
    config = write_config(tmp_path, model)
    visualize.main(['mask', str(config), 'none', '--out', str(tmp_path / 'out'), '--num', '1'])
    assert (tmp_path / 'out' / 'mask_0.png').is_file()
    with pytest.raises(SystemExit, match='no weights'):
        visualize.main(['mask', str(config), str(tmp_path / 'x.pth')])


def test_what_does_not_go_together_is_said(capsys):
    for arguments, message in {
        'teacher point-mae_toy x.pth': 'teacher takes no checkpoint',
        'views point-mae_toy --data a.npz': 'views draws the data of its',
        'recon point-mae_toy x.pth --data a.npz': 'recon draws the data',
        'recon point-mae_toy': 'recon needs a checkpoint',
        'views recon_toy x.pth': 'views takes no checkpoint',
    }.items():
        with pytest.raises(SystemExit):
            visualize.main(arguments.split())
        assert message in capsys.readouterr().err
