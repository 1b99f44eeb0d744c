"""Mistakes in configs and arguments: misspelt names, values that cannot be, wrong arrays."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config

import mmkd3d
from tests.apis.student_files import STUDENTS, config_of, save
from tests.bad_inputs.case import Case
from tools import train

CONFIGS = ('point-mae_toy', 'act-autoencoder_toy', 'recon_toy', 'i2p-mae_toy')
NAN = float('nan')
# Keys of configs -> values that cannot be, and the name that the error must contain.
VALUES = {
    'optim_wrapper.optimizer.lr': (-1e-3, NAN, float('inf')),
    'optim_wrapper.optimizer.weight_decay': (-0.1, NAN),
    'optim_wrapper.clip_grad': (dict(max_norm=-1.0), dict(max_norm=0), dict(max_norm=NAN)),
    'train_dataloader.batch_size': (0, -4, 10**6),
    'train_dataloader.num_workers': (-1,),
    'train_cfg.max_epochs': (0, -1),
    'model.masker.mask_ratio': (0.0, 1.0, -0.1, 1.5, NAN),
    'model.backbone.num_groups': (0, -1, 10**5),
    'model.backbone.group_size': (0, -1, 10**5),
    'model.backbone.depth': (-1,),
    'model.backbone.num_heads': (0, 7, -1),
    'model.backbone.drop_path_rate': (-0.1, 1.0, 2, NAN),
}


def cases(rng: np.random.Generator, folder: Path, canary: Path, count: int) -> Iterator[Case]:
    """``count`` mistakes in shipped configs, in arguments and in arrays."""
    good = save(folder / 'good.pth', config_of(dict(STUDENTS['plain'])))
    extract = mmkd3d.FeatureExtractor(good, device='cpu')
    for number in range(count):
        if number % 4 == 0:
            yield wrong_array(rng, extract)
        elif number % 4 == 1:
            yield wrong_option(rng, good)
        else:
            yield wrong_config(rng, folder / f'config_{number}.py')


def wrong_config(rng, path: Path) -> Case:
    """A shipped config with one mistake, given to ``tools/train.py``."""
    name, options = str(rng.choice(CONFIGS)), []
    cfg = mmkd3d.get_config(name)
    if rng.random() < 0.5:
        key, value = None, None
        while key is None or holder(cfg, key) is None:
            key = str(rng.choice(list(VALUES)))
        value = VALUES[key][rng.integers(len(VALUES[key]))]
        kind, named = f'{key}={value}', key.rpartition('.')[2]
        if isinstance(value, dict):
            key, value = f'{key}.max_norm', value['max_norm']
        options = ['--cfg-options', f'{key}={value}']
    else:
        where, part, key = named_argument(rng, cfg)
        wrong = misspelt(rng, key)
        part[wrong] = part.pop(key)
        kind, named = f'{where}.{wrong}', key
    cfg.dump(path)
    words = [str(path), '--work-dir', str(path.with_suffix('')), *options]
    return Case(f'{name}: {kind}', lambda: train.main(words), None, named)


def holder(cfg: Config, key: str) -> Mapping | None:
    """The dict that has the last part of a key, if the config has it."""
    part = cfg
    *parts, last = key.split('.')
    for name in parts:
        part = part.get(name) if isinstance(part, Mapping | Config) else None
        if part is None:
            return None
    if last == 'clip_grad' or key.startswith('train_'):
        return part
    return part if last in part else None


def named_argument(rng, cfg: Config) -> tuple[str, dict, str]:
    """A name that may be misspelt: its path, its dict and itself."""
    top = [k for k in ('model', 'train_dataloader', 'optim_wrapper', 'train_cfg') if k in cfg]
    found = [('top', cfg._cfg_dict, key) for key in top]
    for where in ('model', 'model.backbone', 'train_dataloader', 'optim_wrapper', 'train_cfg'):
        part = cfg
        for name in where.split('.'):
            part = part.get(name, {})
        found += [(where, part, key) for key in part if key != 'type' and len(key) > 4]
    return found[rng.integers(len(found))]


def misspelt(rng, word: str) -> str:
    """The word without a letter, with one doubled, or with two swapped."""
    at = int(rng.integers(1, len(word) - 1))
    wrong = (
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    )[rng.integers(3)]
    return misspelt(rng, word) if wrong == word else wrong


def wrong_option(rng, good: Path) -> Case:
    """An argument of the Python functions that cannot be."""
    options = (
        dict(level='globel'),
        dict(layer=99),
        dict(layer=-9),
        dict(num_points=-1),
        dict(num_points='all of them'),
        dict(normalize='unit_spere'),
        dict(up='w'),
        dict(batch_size=0),
        dict(device='gpu'),
    )
    option = options[rng.integers(len(options))]
    calls: tuple[Callable, ...] = (
        lambda: mmkd3d.FeatureExtractor(good, **{'device': 'cpu', **option}),
        lambda: mmkd3d.get_config('point-mae_toi'),
        lambda: mmkd3d.load_student('no such config'),
        lambda: mmkd3d.FeatureExtractor('nowhere.pth'),
        lambda: mmkd3d.Det3DInferencer(None, good),
        lambda: mmkd3d.Det3DInferencer('point-mae_toy', None, 'cpu'),
    )
    pick = 0 if rng.random() < 0.7 else int(rng.integers(len(calls)))
    kind = f'{option}' if pick == 0 else f'call {pick}'
    named = next(iter(option)) if pick == 0 else ''
    return Case(kind, calls[pick], None, named)


def wrong_array(rng, extract: mmkd3d.FeatureExtractor) -> Case:
    """An array that is no cloud, or a good one in an unusual form."""
    points = rng.normal(size=(64, 3))
    right = extract(points.astype('f4'))

    def same(got) -> bool:
        return got.shape == right.shape and torch.allclose(got, right, atol=1e-3)

    far = np.array([431_000.0, 5_400_000.0, 300.0])
    good = dict(
        float64=points,
        torch=torch.from_numpy(points),
        columns=np.concatenate([points, rng.normal(size=(64, 3))], axis=1),
        strided=np.repeat(points, 2, axis=0)[::2],
        fortran=np.asfortranarray(points),
        utm=points + far,
        moved=points + 50,
    )
    bad = dict(
        transposed=points.T,
        batch_transposed=points.T[None],
        flat=points.ravel(),
        four_dims=points[None, None],
        two=points[:, :2],
        empty=points[:0],
        no_clouds=points[None][:0],
        few=points[:2],
        nan=np.where(np.arange(64)[:, None] == 5, np.nan, points),
        inf=np.where(np.arange(64)[:, None] == 5, np.inf, points),
        huge=points * 1e300,
        equal=np.ones((64, 3)),
        complex=points + 1j,
        text=points.astype(str),
        objects=points.astype(object),
        flags=points > 0,
        none=None,
        number=3,
        dict=dict(points=points),
        nested=[[1, 2, 3]],
        mixed=[points, 'cloud'],
    )
    kind = str(rng.choice([*good, *bad]))
    if kind in good:
        return Case(kind, lambda: extract(good[kind]), same)
    return Case(kind, lambda: extract(bad[kind]))
