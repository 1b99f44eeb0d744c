"""Files that are no checkpoints, and weights that no training wrote, are named."""

import collections
import gzip
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import mmkd3d
from mmkd3d.checkpoints import load_pretrained, read_checkpoint, state_dict_of
from tests.helpers import rejects

PAGE = b'<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head></html>'
POINTER = b'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n'
FILES = {
    'page.pth': (PAGE, 'an HTML page'),
    'page.safetensors': (b'\n' + PAGE.lower(), 'an HTML page'),
    'pointer.pt': (POINTER, 'a git-lfs pointer to a file of 12345 bytes'),
    'packed.pth': (gzip.compress(b'weights' * 99), 'a gzip archive'),
    'empty.pth': (b'', 'an empty file'),
    'zeros.pth': (bytes(4096), 'a file of zero bytes'),
    'text.pth': (b'hello world', "the first are b'hello world'"),
    'noise.pth': (bytes(range(256)) * 9, 'cannot be read'),
    'cut.safetensors': (b'\xff' * 30, 'a damaged safetensors file'),
    'short.safetensors': (b'\x08\0\0\0\0\0\0\0{"a":{', 'a damaged safetensors file'),
    'pickle.pth': (pickle.dumps([1, 2]), 'a Python pickle'),
    'error.pth': (b'{"error": "not found"}', 'a JSON text'),
}


@pytest.mark.parametrize('name', FILES)
@pytest.mark.parametrize('trust', [False, True])
def test_what_is_no_checkpoint_is_named_and_nobody_is_told_to_trust_it(name, trust, tmp_path):
    data, expected = FILES[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError) as error:
        read_checkpoint(tmp_path / name, trust=trust)
    text = str(error.value)
    assert expected in text and name in text and 'trust' not in text, text


def test_archives_of_other_kinds_are_named(tmp_path):
    np.savez(tmp_path / 'arrays.npz', a=np.ones(3))
    os.rename(tmp_path / 'arrays.npz', tmp_path / 'arrays.pth')
    rejects('a zip archive with a.npy', read_checkpoint, tmp_path / 'arrays.pth')
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), tmp_path / 'script.pt')
    for trust in (False, True):
        rejects('TorchScript.*torch.jit', read_checkpoint, tmp_path / 'script.pt', trust=trust)
    with zipfile.ZipFile(tmp_path / 'bomb.pth', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('bomb/data.pkl', bytes(10**7))
    rejects('unpacks to 0.01 GB', read_checkpoint, tmp_path / 'bomb.pth')
    rejects('a folder', read_checkpoint, tmp_path, error=FileNotFoundError)
    os.mkfifo(tmp_path / 'fifo.pth')
    rejects('a device', read_checkpoint, tmp_path / 'fifo.pth', error=FileNotFoundError)


@pytest.mark.parametrize(
    'content, named',
    [
        (None, 'holds None'),
        ([1], 'holds a list'),
        (torch.ones(2, 3), r'a single tensor of shape \(2, 3\)'),
        (7, 'holds a int'),
        ('text', 'holds a str'),
        ({1: torch.ones(1)}, r'a dict with the keys \[1\]'),
        (dict(meta=[1], state_dict={}), "a list under 'meta'"),
        (dict(state_dict={}), 'holds no tensors'),
    ],
)
def test_what_is_not_a_dict_of_weights_is_named(content, named, tmp_path):
    torch.save(content, tmp_path / 'a.pth')
    rejects(named, mmkd3d.load_student, 'point-mae_toy', tmp_path / 'a.pth')


def test_a_whole_model_is_named_and_never_loaded(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / 'whole.pth')
    rejects(r'Linear.*state_dict\(\).*trust', read_checkpoint, tmp_path / 'whole.pth')
    rejects('whole model, a Linear', read_checkpoint, tmp_path / 'whole.pth', trust=True)


def test_nobody_is_told_to_switch_safety_off(tmp_path):
    path = tmp_path / 'evil.pth'
    torch.save(Call(), path)
    with pytest.raises(ValueError, match='posix.system') as error:
        read_checkpoint(path)
    assert 'Re-running' not in str(error.value)


class Call:
    def __reduce__(self):
        return os.system, ('true',)


def test_formats_are_told_by_content_and_not_by_name(tmp_path):
    state = dict(a=torch.ones(2))
    save_file(state, tmp_path / 'a.pth')
    torch.save(state, tmp_path / 'b.safetensors')
    torch.save(state, tmp_path / 'c.pth', _use_new_zipfile_serialization=False)
    for name in ('a.pth', 'b.safetensors', 'c.pth'):
        assert torch.equal(read_checkpoint(tmp_path / name)['a'], state['a'])


@pytest.mark.parametrize('start', ['module.', '_orig_mod.', 'module._orig_mod.'])
def test_what_wrappers_add_to_keys_is_removed(start):
    model = nn.Sequential(nn.Linear(2, 2))
    state = {start + key: value for key, value in model.state_dict().items()}
    load_pretrained(nn.Sequential(nn.Linear(2, 2)), state, prefix='')
    inner = {'0._orig_mod.weight': torch.ones(2, 2), '0.bias': torch.ones(2)}
    assert set(state_dict_of(inner)) == {'0.weight', '0.bias'}
    state.update(model.state_dict())
    rejects('0.weight twice', state_dict_of, state)


def changed(key, change):
    """A model, and its state dict with one weight changed."""
    torch.manual_seed(0)
    model = nn.Sequential(collections.OrderedDict(fc=nn.Linear(3, 2), norm=nn.BatchNorm1d(2)))
    state = model.state_dict()
    return model, dict(state, **{key: change(state[key])})


WRONG = dict(
    nan=('fc.weight', lambda x: x * torch.nan, 'fc.weight are NaN'),
    too_large=('fc.weight', lambda x: x.double() * 1e300, 'fc.weight are NaN or infinite'),
    one_nan=('fc.bias', lambda x: x / torch.tensor([1, 0.0]), 'fc.bias are NaN or infinite'),
    zeros=('fc.weight', torch.zeros_like, 'fc.weight are all zero'),
    whole=('fc.weight', lambda x: x.long(), 'are torch.int64, expected torch.float32'),
    yes_no=('fc.weight', lambda x: x > 0, 'are torch.bool, expected torch.float32'),
    complex=('fc.weight', lambda x: x + 1j, 'are torch.complex64'),
    sparse=('fc.weight', lambda x: x.to_sparse(), 'hold no values'),
    meta=('fc.weight', lambda x: x.to('meta'), 'hold no values'),
    count=('norm.num_batches_tracked', lambda x: x.float(), 'are torch.float32'),
    variance=('norm.running_var', lambda x: -x, 'negative variances'),
)


@pytest.mark.parametrize('kind', WRONG)
def test_weights_that_no_training_wrote_are_refused(kind):
    key, change, named = WRONG[kind]
    model, state = changed(key, change)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    rejects(f'given dict: the weights .*{named}', load_pretrained, model, state, prefix='')
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize('kind', [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_and_zero_biases_load(kind):
    model, state = changed('fc.bias', torch.zeros_like)
    state = {k: v.to(kind) if v.is_floating_point() else v for k, v in state.items()}
    load_pretrained(model, state, prefix='')
    assert not model.fc.bias.any()


def test_a_matrix_that_starts_at_zero_may_be_zero():
    model = nn.Linear(3, 2)
    nn.init.zeros_(model.weight)
    report = load_pretrained(model, model.state_dict(), prefix='')
    assert report.loaded == ['bias', 'weight']


def test_random_weights_are_told(monkeypatch):
    told = []
    monkeypatch.setattr('mmkd3d.apis.load.print_log', lambda text, *_: told.append(text))
    mmkd3d.load_student('point-mae_toy')
    mmkd3d.load_student('shape-distributions')  # has no weights
    assert told == ['PointTransformer has random weights: no checkpoint was given.']


@pytest.mark.parametrize('content', [[1], (1,), torch.ones(2), nn.Linear(1, 1), 3])
def test_objects_in_memory_are_named_too(content):
    rejects('given dict holds', load_pretrained, nn.Linear(1, 1), content)
    rejects('given dict holds', mmkd3d.load_student, 'point-mae_toy', content)
