"""Bad checkpoints: damaged files, other kinds of files, wrong weights, hostile configs."""

import gzip
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

import mmkd3d
from tests.apis.student_files import STUDENTS, config_of, save
from tests.bad_inputs.case import Case

OTHER = (None, [1], (), 3, 2.5, 'text', b'bytes', torch.ones(2), {1: torch.ones(1)}, {})
# What is written under the name of a checkpoint.
CONTENTS = (
    b'<!DOCTYPE html><html></html>',
    b'\n\n  <HTML><body>quota exceeded</body></HTML>',
    b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 44\n',
    gzip.compress(bytes(99)),
    b'',
    b'\0' * 999,
    b'{"message": "Not Found"}',
    b'hello world',
    b'\x89PNG\r\n\x1a\n' + bytes(40),
    b'%PDF-1.7',
    pickle.dumps(dict(a=1)),
    pickle.dumps(['x'] * 3, protocol=2),
)


def cases(rng: np.random.Generator, folder: Path, canary: Path, count: int) -> Iterator[Case]:
    """``count`` bad checkpoints of small students."""
    cfg = config_of(dict(STUDENTS['plain']))
    good = save(folder / 'good.pth', cfg)
    makers = (damaged, other_kind, other_content, wrong_weight, wrong_keys, wrong_meta, hostile)
    for number in range(count):
        make = makers[number % len(makers)]
        suffix = rng.choice(['.pth', '.pt', '.safetensors', '.ckpt'])
        path = folder / f'{make.__name__}_{number}{suffix}'
        kind = make(rng, good, path, canary)
        yield Case(f'{make.__name__}: {kind}', user(rng, path, cfg), named=path.name)


def user(rng, path: Path, cfg):
    """A way to use the checkpoint, by chance."""
    ways = (
        lambda: mmkd3d.FeatureExtractor(path, device='cpu'),
        lambda: mmkd3d.FeatureExtractor(path, cfg, device='cpu'),
        lambda: mmkd3d.load_student(cfg, path),
        lambda: mmkd3d.load_student(None, path),
    )
    if path.name.startswith(('wrong_meta', 'hostile')):  # told only where the config is used
        ways = (ways[0], ways[3])
    return ways[rng.integers(len(ways))]


def damaged(rng, good: Path, path: Path, canary: Path) -> str:
    """Cut off, or with bytes changed in the middle."""
    data = bytearray(good.read_bytes())
    if rng.random() < 0.5:
        end = int(rng.integers(1, len(data) - 1))
        path.write_bytes(data[:end])
        return f'cut at {end} of {len(data)}'
    at = int(rng.integers(len(data) - 64))
    data[at : at + 64] = rng.bytes(64)
    path.write_bytes(data)
    return f'64 bytes from {at} changed'


def other_kind(rng, good: Path, path: Path, canary: Path) -> str:
    content = CONTENTS[rng.integers(len(CONTENTS))]
    path.write_bytes(content)
    return repr(content[:20])


def other_content(rng, good: Path, path: Path, canary: Path) -> str:
    """Something else than a dict of weights, at the top or in it."""
    value = OTHER[rng.integers(len(OTHER))]
    inside = rng.random() < 0.5
    torch.save(dict(state_dict=value, meta={}) if inside else value, path)
    return f'{value!r} {"in it" if inside else "at the top"}'


def wrong_weight(rng, good: Path, path: Path, canary: Path) -> str:
    content = torch.load(good)
    state = content['state_dict']
    floating = [k for k, v in state.items() if v.is_floating_point() and k.startswith('backbone.')]
    key = str(rng.choice([k for k in floating if state[k].ndim > 1 and state[k].any()]))
    value = state[key]
    changes = dict(
        nan=value * torch.nan,
        one_nan=torch.where(torch.arange(value.numel()).view_as(value) == 1, torch.nan, value),
        inf=value / 0,
        zeros=torch.zeros_like(value),
        whole=value.long(),
        bool=value > 0,
        complex=value + 0j,
        shape=value[None],
        short=value[:-1],
        transposed=value.mT if value.shape[-1] != value.shape[-2] else value[..., :1],
        sparse=value.to_sparse(),
        meta=value.to('meta'),
        text='weights',
    )
    name = str(rng.choice(list(changes)))
    torch.save(dict(content, state_dict=dict(state, **{key: changes[name]})), path)
    return f'{name} {key}'


def wrong_keys(rng, good: Path, path: Path, canary: Path) -> str:
    content = torch.load(good)
    state = {k: v for k, v in content['state_dict'].items() if k.startswith('backbone.')}
    key = str(rng.choice(list(state)))
    value = state.pop(key)
    change = rng.choice(['missing', 'misspelt', 'added', 'twice'])
    if change == 'misspelt':
        state[key + 'x'] = value
    elif change == 'added':
        state.update({key: value, 'backbone.more': value})
    elif change == 'twice':
        state.update({key: value, 'module.' + key: value})
    torch.save(dict(content, state_dict=state), path)
    return f'{change} {key}'


def wrong_meta(rng, good: Path, path: Path, canary: Path) -> str:
    content = torch.load(good)
    loop: dict = {}
    loop['a'] = loop
    metas = (
        [1],
        'text',
        dict(cfg=3),
        dict(cfg='import os'),
        dict(cfg='model = 3'),
        dict(cfg='model = dict('),
        dict(cfg='model = dict(type="PointMAE", backbone=3)'),
        dict(cfg='(' * 5000),
        dict(cfg=loop),
        dict(cfg=dict(model=dict(backbone=dict(type='NoSuchBackbone')))),
        dict(backbone=[1]),
        dict(backbone=dict(depth=2)),
        dict(),
    )
    index = int(rng.integers(len(metas)))
    torch.save(dict(content, meta=metas[index]), path)
    return f'{index}'


def hostile(rng, good: Path, path: Path, canary: Path) -> str:
    """A call in the stored config, at a random depth of the student."""
    content = torch.load(good)
    call = [
        dict(type='os.mkdir', path=str(canary)),
        dict(type='pathlib.Path.touch', self=str(canary)),
        dict(type='subprocess.run', args=['mkdir', str(canary)]),
        dict(type='builtins.exec', source=f'import os; os.mkdir({str(canary)!r})'),
        dict(type='mmkd3d.os.mkdir', path=str(canary)),
        dict(type='torch.hub.os.mkdir', path=str(canary)),
        dict(type='mmdet3d.LoadAnnotations3D', seg_3d_dtype=f'os.mkdir({str(canary)!r})'),
        dict(type='Pretrained', checkpoint=os.fspath(path)),
    ][int(rng.integers(8))]
    part = call
    for _ in range(int(rng.integers(4))):
        name = str(rng.choice(['norm_cfg', 'neck', 'more']))
        part = {name: part} if rng.random() < 0.5 else {name: [part, 1]}
    backbone = dict(STUDENTS['plain'])
    backbone.update(part if part is not call else call)
    cfg = config_of(backbone)
    meta = dict(backbone=cfg.model.backbone.to_dict()) if rng.random() < 0.5 else None
    torch.save(dict(content, meta=meta or dict(cfg=cfg.pretty_text)), path)
    return str(part)
