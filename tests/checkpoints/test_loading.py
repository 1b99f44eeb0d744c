"""Strict loading of checkpoints."""

import argparse

import pytest
import torch
import torch.nn as nn

from mmkd3d.checkpoints import SOURCES, load_pretrained, read_checkpoint, state_dict_of
from mmkd3d.registry import MODELS
from tests.helpers import rejects
from tests.models.pretrainers.test_pretrainers import point_mae
from tools import convert_checkpoint


def published_point_mae(model) -> dict:
    """State dict of ``model`` with the keys of Point-MAE's release."""
    names = (
        ('backbone.patch_embed.first.', 'MAE_encoder.encoder.first_conv.'),
        ('backbone.patch_embed.second.', 'MAE_encoder.encoder.second_conv.'),
        ('backbone.blocks.', 'MAE_encoder.blocks.blocks.'),
        ('backbone.', 'MAE_encoder.'),
        ('decoder.mask_token', 'mask_token'),
        ('decoder.pos_embed.', 'decoder_pos_embed.'),
        ('decoder.', 'MAE_decoder.'),
        ('to_points.', 'increase_dim.0.'),
    )
    state = {}
    for key, value in model.state_dict().items():
        ours, theirs = next(n for n in names if key.startswith(n[0]))
        if value.ndim == 2 and ('_conv' in theirs or 'increase' in theirs):
            value = value.unsqueeze(-1)
        state['module.' + theirs + key[len(ours) :]] = value
    return dict(base_model=state, epoch=300)


def test_published_checkpoint_fills_every_parameter():
    source, model = point_mae(), point_mae()
    report = load_pretrained(model, published_point_mae(source), prefix='')
    assert set(report.loaded) == set(model.state_dict())
    for key, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


def test_backbone_alone_leaves_the_decoder_out():
    source, model = point_mae(), point_mae()
    report = load_pretrained(model.backbone, published_point_mae(source))
    assert not report.missing and not report.unexpected
    assert {k.split('.')[0] for k in report.left_out} == {'decoder', 'to_points'}


def test_nothing_is_loaded_when_something_does_not_fit():
    source, model = point_mae(), point_mae()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = source.state_dict()
    state['backbone.norm.weight'] = torch.ones(7)
    del state['decoder.mask_token']
    state['backbone.extra'] = torch.ones(1)
    with pytest.raises(ValueError) as error:
        load_pretrained(model, state, prefix='')
    text = str(error.value)
    assert 'missing: decoder.mask_token' in text
    assert 'unexpected: backbone.extra' in text
    assert 'backbone.norm.weight: file (7,), module (24,)' in text
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_what_may_differ_is_said_by_name():
    model = nn.Linear(2, 2)
    state = dict(weight=torch.ones(2, 2), old=torch.ones(1))
    allowed = dict(allow_missing=['bias'], allow_unexpected=['old'])
    report = load_pretrained(model, state, prefix='', **allowed)
    assert report.missing == ['bias'] and report.unexpected == ['old']
    assert torch.equal(model.weight, torch.ones(2, 2))


def test_files_that_can_not_be_read_say_why(tmp_path):
    rejects('none.pth', read_checkpoint, tmp_path / 'none.pth', error=FileNotFoundError)
    cut = tmp_path / 'cut.pth'
    torch.save(dict(a=torch.ones(1000)), cut)
    cut.write_bytes(cut.read_bytes()[:2000])
    rejects('cut off after 2000 bytes', read_checkpoint, cut)
    unsafe = tmp_path / 'unsafe.pth'
    torch.save(dict(a=torch.ones(1), args=argparse.Namespace(lr=1)), unsafe)
    rejects('argparse.Namespace.*trust', read_checkpoint, unsafe)
    assert read_checkpoint(unsafe, trust=True)['args'].lr == 1
    rejects('no tensors', state_dict_of, dict(epoch=3))
    # only the prefix "module." is stripped
    state = state_dict_of({'state_dict': {'module.a': torch.ones(1), 'b.module.c': torch.ones(1)}})
    assert set(state) == {'a', 'b.module.c'}


def test_converted_file_is_plain_and_loads(tmp_path, capsys):
    source, model = point_mae(), point_mae()
    torch.save(published_point_mae(source), tmp_path / 'theirs.pth')
    convert_checkpoint.main([str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours.pth')])
    assert 'point_mae, pretrain' in capsys.readouterr().out
    content = torch.load(tmp_path / 'ours.pth', weights_only=True)
    assert content['meta']['source'] == 'point_mae'
    load_pretrained(model, tmp_path / 'ours.pth', prefix='')
    assert torch.equal(model.to_points.weight, source.to_points.weight)
    torch.save(model.state_dict(), tmp_path / 'plain.pth')
    paths = [str(tmp_path / 'plain.pth'), str(tmp_path / 'out.pth')]
    rejects('none of the published', convert_checkpoint.main, paths, error=SystemExit)


def test_sources_are_told_apart_by_their_marks():
    from mmkd3d.checkpoints.sources import detect

    for name, source in SOURCES.items():
        assert detect(dict.fromkeys(source.marks, torch.ones(1))) == name
    head = MODELS.build(dict(type='mmkd3d.ClsHead', in_channels=4, num_classes=2))
    assert detect(head.state_dict()) is None
