"""Commands whose arguments name files that are something else, or nothing."""

import importlib
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from mmkd3d.datasets.scannet_layout import CLASSES
from tests.apis.student_files import STUDENTS, config_of, save
from tests.bad_inputs.case import Case
from tests.detection_runs import small_detector, write_checkpoint

# Commands with {places}; one place at a time gets something wrong.
COMMANDS = {
    'extract_features': '{checkpoint} {cloud} --out o.npz --device cpu',
    'infer': '{cloud} --checkpoint {detector} --device cpu --out found',
    'convert_checkpoint': '{checkpoint} out.pth --backbone-only',
    'probe': '{config} {checkpoint} --data {folder}',
    'visualize': 'recon {config} {checkpoint} --out pictures --num 1',
    'test': '{config} {checkpoint}',
    'train': '{config} --work-dir out --resume {checkpoint}',
    'cache_teacher': '{config}',
    'teacher_reference': 'TimmTeacher {weights}',
    'study': '{study} --list',
    'multi_seed': '{config} --work-dir runs',
    'prepare_data.psb': '--archive {archive} --out psb',
    'prepare_data.class_vectors': '{words} --out vectors.npz',
    'prepare_data.scannet_small': '--root {folder} --out small',
}
SUFFIXES = dict(
    checkpoint='.pth',
    detector='.pth',
    weights='.safetensors',
    cloud='.npy',
    config='.py',
    study='.py',
    archive='.zip',
    words='.txt',
    folder='',
)


def cases(rng: np.random.Generator, folder: Path, canary: Path, count: int) -> Iterator[Case]:
    """``count`` commands with one wrong file each."""
    good = dict.fromkeys(SUFFIXES, 'missing')
    cfg = config_of(dict(STUDENTS['plain']))
    good['checkpoint'] = str(save(folder / 'good.pth', cfg))
    good['cloud'] = str(folder / 'good.npy')
    np.save(good['cloud'], rng.normal(size=(60, 3)))
    good.update(config='point-mae_toy', folder=str(folder / 'shapes'))
    for name in ('train/a/0', 'train/b/0', 'test/a/0', 'test/b/0'):
        (folder / 'shapes' / name).parent.mkdir(parents=True)
        np.save(folder / 'shapes' / f'{name}.npy', rng.normal(size=(60, 3)))
    detector = small_detector()
    meta = dict(cfg=detector.pretty_text, dataset_meta=dict(classes=CLASSES))
    good['detector'] = str(write_checkpoint(detector, folder / 'detector.pth', **meta))
    for number in range(count):
        name = str(rng.choice(list(COMMANDS)))
        words = COMMANDS[name]
        place = str(rng.choice([place for place in SUFFIXES if f'{{{place}}}' in words]))
        path = folder / f'wrong_{number}{SUFFIXES[place]}'
        kind = make_wrong(rng, path, canary)
        given = dict(good, **{place: str(path)})
        words = words.format(**given).split()
        main = importlib.import_module(f'tools.{name}').main
        yield Case(f'{name} with {kind} as {place}', lambda m=main, w=words: m(w), None, path.stem)


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, canary: Path):
        self.canary = canary

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.canary),)


def make_wrong(rng, path: Path, canary: Path) -> str:
    kinds = dict(
        page=b'<!DOCTYPE html><html></html>',
        pointer=b'version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 99\n',
        empty=b'',
        noise=b'\xff\xfe\xfd\xfc' * 30,
        pickle=pickle.dumps(Hostile(canary)),
        syntax=b'model = dict(\n',
        error=b'1 / 0\n',
    )
    kind = str(rng.choice([*kinds, 'missing', 'folder', 'tensor']))
    if kind == 'folder':
        path.mkdir()
    elif kind == 'tensor':
        torch.save(torch.ones(3), path)
    elif kind != 'missing':
        path.write_bytes(kinds[kind])
    return kind
