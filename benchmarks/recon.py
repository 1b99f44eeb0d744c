"""A training step of ReCon, part by part, against the published code."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.structures import BaseDataElement

from mmkd3d.models.losses.modal_contrast import SingleModalContrast
from mmkd3d.models.targets.cache import CacheWriter
from mmkd3d.registry import MODELS

from .measure import format_seconds, measure
from .ops import SIZES, Inputs
from .published import make_published
from .published_recon import FORMS, PublishedContrast
from .step import Case, Method

NUM_CATEGORIES = 55  # ShapeNet-55
IMAGE_SIZE = 224
CONTRAST_HEADER = ('contrast', 'forward', 'with backward', 'double loop / this, with backward')


class Mode(NamedTuple):
    """Options of a measured step.

    Attributes:
        published: Use the published implementation.
        cached: Replace both teachers by their caches.
        precision: Precision of the teachers.
        autocast: Run the whole step in bf16.
    """

    published: bool = False
    cached: bool = False
    precision: str = 'fp32'
    autocast: bool = False


class ReConStep(Method):
    """ReCon's base config plus the contrastive loss, which no published config enables."""

    title = 'ReCon, base'
    batch_size = 128
    modes = {
        'reference': Mode(published=True),
        'ours': Mode(),
        'ours, bf16 teacher': Mode(precision='bf16'),
        'ours, cached': Mode(cached=True),
        'ours, bf16': Mode(precision='bf16', autocast=True),
        'ours, cached, bf16': Mode(cached=True, autocast=True),
    }
    parts = {
        'data': ('data_preprocessor.forward',),
        'image': ('targets.img.forward',),
        'text': ('targets.text.forward',),
        'grouping': ('backbone.group.forward',),
        'student': ('backbone.encode',),
        'decoder': (
            'decoder.forward',
            'to_points.forward',
            'loss_chamfer.forward',
            'proj.img.forward',
            'proj.text.forward',
            'loss_fns.img.forward',
            'loss_fns.text.forward',
        ),
        'contrast': ('contrast.forward',),
    }
    note = (
        'reference: what the published code does, around the same weights: '
        'both teachers read the whole batch in every step. The sampler '
        '(farthest points), Chamfer distance and the stacking of samples are '
        'ours there too.\n'
        'ours: the image teacher in every step; the text teacher reads every '
        'category in all 60 prompts when it is first met, so none is read in '
        'the steps that are timed. cached: neither teacher is there, and '
        'samples carry no image.\n'
        'data: copies to the device and augmentation. image, text: what the '
        'teachers say. decoder: its losses and those of the teachers, too. '
        'The contrast is on in all modes, in no published config.'
    )

    def build(self, mode, case, folder):
        torch.manual_seed(0)
        cfg = model_config(mode.precision, case.quick)
        if mode.cached:
            samples = make_samples(case)
            keys = dict(
                img=[sample.sample_id for sample in samples],
                text=sorted({sample.category for sample in samples}),
            )
            for name, target in cfg['targets'].items():
                write_cache(target, keys[name], folder / name)
                target['cache'] = str(folder / name)
        model = MODELS.build(cfg)
        if mode.published:
            make_published(model, FORMS)
        return model.train()

    def losses(self, model, case):
        size = SIZES['objects']._replace(num_points=1024)
        samples = make_samples(case)
        if model.targets.img.cache is None:
            for sample in samples:
                sample.image = torch.rand(3, IMAGE_SIZE, IMAGE_SIZE)
        batch = dict(
            inputs=dict(points=[*Inputs(size, case.batch_size, 'cpu').points]), data_samples=samples
        )
        return lambda: model(**model.data_preprocessor(batch, True), mode='loss')


def make_samples(case: Case) -> list[BaseDataElement]:
    """Data samples of a batch, at least two per category."""
    kinds = max(1, min(NUM_CATEGORIES, case.batch_size // 2))
    infos = (
        dict(sample_id=f'shape {i}', category=f'kind {i % kinds}') for i in range(case.batch_size)
    )
    return [BaseDataElement(metainfo=info) for info in infos]


def model_config(precision: str, quick: bool) -> dict:
    """Config of ReCon with the sizes of the published base config.

    Args:
        precision: Precision of the teachers.
        quick: Use tiny sizes instead.
    """
    image = dict(
        type='mmkd3d.TimmTeacher',
        model_name='vit_base_patch16_224.orig_in21k',
        pre_logits=True,
        random_weights=True,
        channel_order='bgr',
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )
    text = dict(
        type='mmkd3d.OpenClipTextTeacher', model_name='ViT-B-32-quickgelu', random_weights=True
    )
    backbone, decoder = dict(embed_dims=384), dict(depth=4)
    if quick:
        image['model_kwargs'] = dict(embed_dim=32, depth=2, num_heads=2)
        text['model_kwargs'] = dict(
            embed_dim=24,
            vision_cfg=dict(image_size=32, patch_size=16, width=64, layers=1),
            text_cfg=dict(context_length=32, vocab_size=49408, width=16, heads=2, layers=2),
        )
        backbone = dict(
            embed_dims=48, depth=2, num_heads=3, num_groups=16, group_size=8, patch_dims=(8, 16)
        )
        decoder = dict(depth=2, num_heads=3)
    width = backbone['embed_dims']
    return dict(
        type='mmkd3d.ReCon',
        data_preprocessor=dict(
            type='mmkd3d.PointDataPreprocessor',
            augments=[dict(type='mmkd3d.RandomRotation', axis=1)],
        ),
        backbone=dict(type='mmkd3d.ReConTransformer', stop_gradient=True, **backbone),
        decoder=dict(type='mmkd3d.MaskedDecoder', embed_dims=width, **decoder),
        masker=dict(type='mmkd3d.RandomMasker', ratio=0.6),
        losses=dict(
            chamfer=dict(type='mmkd3d.ChamferLoss', norm='l2'),
            img=dict(type='mmkd3d.SmoothL1Loss'),
            text=dict(type='mmkd3d.SmoothL1Loss'),
            contrast=dict(type='mmkd3d.SingleModalContrast', embed_dims=width),
        ),
        targets=dict(
            img=dict(type='mmkd3d.ImageTarget', teacher=image, precision=precision),
            text=dict(type='mmkd3d.TextTarget', teacher=text, precision=precision),
        ),
    )


def write_cache(target: dict, keys: Sequence[str], folder: Path) -> None:
    """Write a cache of random features for the keys of one batch."""
    target = MODELS.build(target)
    views = len(getattr(target, 'templates', [None]))
    features = np.random.rand(len(keys), views, target.dims)
    writer = CacheWriter(folder, keys, features.shape[1:], identity=target.identity())
    writer.write(features)


def contrast_rows(batch_size: int, device: str, quick: bool) -> list[list[str]]:
    """Compare our contrastive loss with the published double loop on one batch."""
    torch.manual_seed(0)
    case = Case(batch_size, device, quick, torch.get_num_threads(), 'highest')
    categories = [sample.category for sample in make_samples(case)]
    feats = torch.randn(batch_size, 384, device=device, requires_grad=True)
    found = {}
    for name, kind in (('double loop', PublishedContrast), ('ours', SingleModalContrast)):
        loss = kind(384).to(device)
        found[name] = [
            measure(call, device=device, budget=0.0 if quick else 2.0).seconds
            for call in (
                lambda loss=loss: loss(feats, categories),
                lambda loss=loss: loss(feats, categories).backward(),
            )
        ]
    return [
        [name, *map(format_seconds, seconds), f'{found["double loop"][1] / seconds[1]:.1f}x']
        for name, seconds in found.items()
    ]
