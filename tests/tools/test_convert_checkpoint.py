"""Checkpoint conversion in both directions, and splitting of stage II files."""

import argparse

import pytest
import torch

from mmkd3d.checkpoints import SOURCES, convert, detect
from tests.checkpoints.published import PUBLISHED
from tests.helpers import rejects
from tools import convert_checkpoint


@pytest.fixture
def run(tmp_path):
    """Write a file, convert it and read the result."""

    def run(content: dict, *options: str) -> dict:
        torch.save(content, tmp_path / 'in.pth')
        paths = [str(tmp_path / 'in.pth'), str(tmp_path / 'new' / 'out.pth')]
        convert_checkpoint.main([*paths, *options])
        return torch.load(tmp_path / 'new' / 'out.pth', weights_only=True)

    return run


def assert_same(got: dict, expected: dict) -> None:
    assert list(got) == list(expected)
    assert all(got[key].equal(expected[key]) for key in expected)


# One file per layout; tests/checkpoints tests all key maps.
@pytest.mark.parametrize(
    'source', ['act_bert', 'act_autoencoder_plain', 'point_mae', 'act_semseg', 'three_detr']
)
def test_published_to_ours_and_back(run, source, capsys):
    entry = SOURCES[source].entry
    entries = dict(act_semseg='model_state_dict', three_detr='model')
    assert entry == entries.get(source, 'base_model')
    ours = run({entry: PUBLISHED[source], 'epoch': 300})
    assert ours['meta']['source'] == source
    assert f'({source}, {SOURCES[source].stage}' in capsys.readouterr().out
    theirs = run(ours, '--to-published', '--source', source)
    assert_same(theirs[entry], PUBLISHED[source])
    assert detect(theirs[entry]) == source
    has_fingerprint = any('fingerprint' in key for key in ours['state_dict'])
    assert len(theirs['meta']['dropped']) == has_fingerprint


@pytest.mark.parametrize(
    'family, ours_first', [('', False), ('_bert', True), ('_clip', True), ('_plain', False)]
)
def test_stage_two_files_are_taken_apart(run, family, ours_first):
    content = dict(base_model=PUBLISHED[f'act{family}'])
    if ours_first:
        content = run(content)
    student = run(content, '--without-teacher')
    assert student['meta']['stage'] == 'pretrain'
    assert student['meta']['source'] == f'act{family}'
    start, whole = 'dvae_tokenizer.', PUBLISHED[f'act{family}']
    rest = {k: v for k, v in whole.items() if not k.startswith(start)}
    assert_same(student['state_dict'], convert(rest, 'act_student')[0])
    teacher = run(content, '--teacher-only')
    assert teacher['meta']['stage'] == 'teacher'
    stage_one = {k.removeprefix(start): v for k, v in whole.items() if k not in rest}
    source = f'act_autoencoder{family}'
    assert_same(teacher['state_dict'], convert(stage_one, source)[0])
    if ours_first:
        published = run(content, '--teacher-only', '--to-published', '--source', source)
        assert_same(published['base_model'], stage_one)


def test_what_can_not_be_done_is_said(run, tmp_path, capsys):
    theirs = dict(base_model=PUBLISHED['act'])
    ours = run(theirs)
    with pytest.raises(SystemExit):
        run(ours, '--to-published')
    assert 'needs --source' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(theirs, '--teacher-only', '--without-teacher')
    one, two = (dict(base_model=PUBLISHED[k]) for k in ('act_autoencoder', 'act_student'))
    unsafe, back = dict(theirs, args=argparse.Namespace(lr=1)), ('--to-published', '--source')
    only = 'Only a pretraining file'
    for content, options, text in (
        (theirs, (*back, 'act'), 'published file already: act'),
        (ours, (), 'none of the published files'),
        (ours, (*back, 'point_mae'), 'source point_mae has no place'),
        (theirs, ('--source', 'act_plain'), 'source act_plain'),
        (one, ('--teacher-only',), only),
        (two, ('--without-teacher',), f'{only}.* leave out --without-teacher'),
        (unsafe, (), 'argparse.Namespace.*--trust-checkpoint'),
    ):
        rejects(text, run, content, *options, error=SystemExit)
    assert 'state_dict' in run(unsafe, '--trust-checkpoint')


def test_recon_teachers_can_be_left_out_but_not_taken_alone(tmp_path):
    torch.save(dict(base_model=PUBLISHED['recon']), tmp_path / 'recon.pth')
    out = tmp_path / 'student.pth'
    convert_checkpoint.main([str(tmp_path / 'recon.pth'), str(out), '--without-teacher'])
    student = torch.load(out, weights_only=True)['state_dict']
    assert 'backbone.global_token.img' in student
    assert not any('teacher' in key for key in student)
    words = [str(tmp_path / 'recon.pth'), str(out), '--teacher-only']
    rejects('no stage I file', convert_checkpoint.main, words, error=SystemExit)
