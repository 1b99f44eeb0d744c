"""The command mmkd3d: it reaches every tool, and says what a checkpoint is."""

import re
import sys

import pytest
import torch

import mmkd3d
from mmkd3d import command
from mmkd3d.apis.describe import describe
from mmkd3d.registry import MODELS
from tests.helpers import REPO, rejects


@pytest.mark.parametrize('name', command.TOOLS)
def test_each_tool_has_its_name(name, capsys):
    before = sys.argv
    with pytest.raises(SystemExit) as end:
        command.main([name, '--help'])
    printed = capsys.readouterr().out
    assert end.value.code == 0 and printed.startswith(f'usage: mmkd3d {name}')
    assert sys.argv is before


def test_the_overview_names_every_command(capsys):
    command.main([])
    printed = capsys.readouterr().out
    assert all(f'\n  {name} ' in printed for name in (*command.TOOLS, *command.OWN))
    command.main(['completion'])
    assert 'train' in capsys.readouterr().out
    command.main(['--version'])
    assert capsys.readouterr().out.strip() == mmkd3d.__version__


def test_all_tools_for_data_are_listed_and_run(capsys):
    command.main(['prepare'])
    printed = capsys.readouterr().out
    files = {p.stem for p in (REPO / 'tools/prepare_data').glob('*.py')} - {'dataset'}
    assert files == set(re.findall(r'^  (\w+)  .*\w', printed, re.M))
    with pytest.raises(SystemExit) as end:
        command.main(['prepare', 'hold_out', '--help'])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith('usage: mmkd3d prepare hold_out')


def test_wrong_commands_are_corrected():
    stop = dict(error=SystemExit)
    rejects('no command .tran.. Did you mean train', command.main, ['tran'], **stop)
    rejects('prepare has no .psp., only .*psb', command.main, ['prepare', 'psp'], **stop)
    rejects('Did you mean joint-mini', command.main, ['show', 'jont-mini'], **stop)
    rejects('task is one of', command.main, ['list', '--task', 'sport'], **stop)


def test_names_are_listed(capsys):
    command.main(['list', 'votenet*', '--task', 'detection'])
    assert capsys.readouterr().out.split() == mmkd3d.list_models('votenet*', task='detection')
    command.main(['list', '--pretrained'])
    assert 'joint-mini' in capsys.readouterr().out.split()


@pytest.mark.parametrize('name', ['joint-mini', 'i2p-mae-mini'])
def test_what_is_shown_can_be_pasted(name, capsys):
    command.main(['show', name])
    printed = capsys.readouterr().out
    assert f'# {name}' in printed and 'input: ' in printed
    given = eval(f'dict({printed.partition("In a config of mmdetection3d:")[2]})')
    given['backbone'].pop('_delete_')
    if name == 'i2p-mae-mini':
        given['backbone'].update(num_groups=(64, 32, 16))
    else:
        given['backbone'].update(num_groups=32)
    backbone, neck = (
        MODELS.build(given[key] if key == 'backbone' else dict(given[key], out_channels=256))
        for key in ('backbone', 'neck')
    )
    backbone.init_weights()
    found = neck(backbone.eval()(torch.rand(1, 2048, 3)))
    assert found['fp_features'][-1].shape[1] == 256


def test_published_weights_are_shown_without_a_download():
    text = describe('act')
    for part in ('name: act-pointvit-s', 'MIT', 'drive.google.com', "pretrained='act-pointvit-s'"):
        assert part in text
    assert 'in_channels=384' in text


def test_a_file_is_described(tmp_path):
    student = mmkd3d.load_student('joint-mini').backbone
    torch.save(dict(state_dict=student.state_dict()), tmp_path / 'a.pth')
    text = describe(tmp_path / 'a.pth')
    assert 'tensors' in text and 'no config' in text
    (tmp_path / 'b.pth').write_text('<html></html>')
    rejects('HTML page', describe, tmp_path / 'b.pth')
