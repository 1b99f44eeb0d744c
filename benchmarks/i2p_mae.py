"""A training step of I2P-MAE, part by part, against the published code."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mmkd3d.models.layers.pyramid import propagate_mask
from mmkd3d.models.pretrainers.i2p_mae import I2PMAE
from mmkd3d.registry import MODELS

from .measure import Measurement, format_bytes, format_seconds, isolate, measure
from .ops import SIZES, Inputs
from .published import make_published
from .published_i2p_mae import FORMS
from .step import Case, Method

TARGET_HEADER = (
    'targets',
    'time',
    'time of whole maps / this',
    'peak',
    'peak of whole maps / this',
)


class Mode(NamedTuple):
    """Options of a measured step.

    Attributes:
        published: Use the published implementation.
        precision: Precision of the teacher.
        embed_masked: See :class:`PointM2AE`.
        autocast: Run the whole step in bf16.
    """

    published: bool = False
    precision: str = 'fp32'
    embed_masked: bool = True
    autocast: bool = False


class I2PMAEStep(Method):
    """I2P-MAE's base config."""

    title = 'I2P-MAE, base'
    batch_size = 64
    modes = {
        'reference': Mode(published=True),
        'ours': Mode(),
        'ours, bf16 teacher': Mode(precision='bf16'),
        'ours, visible only': Mode(embed_masked=False),
        'ours, visible only, bf16 teacher': Mode(precision='bf16', embed_masked=False),
        'ours, bf16': Mode(precision='bf16', autocast=True),
        'ours, visible only, bf16': Mode(precision='bf16', embed_masked=False, autocast=True),
    }
    parts = {
        'projection': ('target.projector.frame', 'target.projector.forward'),
        'teacher': ('target.teacher.forward_dense',),
        'grouping': ('backbone.group.forward',),
        'student': ('backbone.encode',),
        'decoder': ('decoder.forward', 'loss_chamfer.forward', 'loss_semantic.forward'),
        'targets': ('target.saliency_at', 'forward_semantic'),
    }
    note = (
        'Clouds of 2,048 points, 3 views each.\n'
        'reference: what the published code does, around the same weights; on '
        'a GPU its teacher runs in fp16, as there. The sampler (farthest '
        'points), Chamfer distance and the pass of the teacher are ours there '
        'too; neighbours are found by a loop over clouds.\n'
        'ours: the same losses and gradients. visible only: patches that are '
        'masked are not embedded (embed_masked=False), so that the norms have '
        'other statistics in training: the same losses in eval mode only.\n'
        'projection: drawing the views. decoder: its losses, too. targets: '
        "saliency and features of points from the teacher's maps; "
        '"benchmark.py targets" measures their memory.'
    )

    def build(self, mode, case, folder):
        published_on_gpu = mode.published and case.device.startswith('cuda')
        return build_model(
            mode,
            clip_config(case.quick, 'fp16' if published_on_gpu else mode.precision),
            quick=case.quick,
        )

    def losses(self, model, case):
        points = make_points(case)
        return lambda: model.loss(points, None)


def make_points(case: Case) -> Tensor:
    """Random points (B, 2048, 3)."""
    return Inputs(SIZES['objects'], case.batch_size, case.device).points


def build_model(mode: Mode, target: dict, *, quick: bool) -> I2PMAE:
    """Build I2P-MAE in train mode at the published size.

    Args:
        mode: See :class:`Mode`.
        target: Config of the target.
        quick: Build a tiny model instead.
    """
    torch.manual_seed(0)
    dims, heads, drop, sizes = (96, 192, 384), 6, 0.1, {}
    if quick:
        dims, heads = (12, 24, 48), 3
        sizes = dict(
            depths=(2, 1, 1), num_groups=(48, 24, 10), group_sizes=(8, 4, 4), patch_dims=(8, 16)
        )
    model = MODELS.build(
        dict(
            type='mmkd3d.I2PMAE',
            backbone=dict(
                type='mmkd3d.PointM2AE',
                level_dims=dims,
                num_heads=heads,
                drop_path_rate=drop,
                embed_masked=mode.embed_masked,
                index_zero_visible=True,
                **sizes,
            ),
            decoder=dict(
                type='mmkd3d.M2AEDecoder',
                stage_dims=dims[:0:-1],
                num_heads=heads,
                drop_path_rate=drop,
            ),
            masker=dict(type='mmkd3d.SaliencyMasker', ratio=0.8),
            target=target,
            losses=dict(
                chamfer=dict(type='mmkd3d.ChamferLoss', norm='l2'),
                semantic=dict(type='mmkd3d.L2Loss'),
            ),
        )
    )
    if mode.published:
        make_published(model, FORMS)
    return model.train()


def clip_config(quick: bool, precision: str = 'fp32') -> dict:
    """Config of a target with CLIP's ViT-B/16 and random weights.

    Args:
        quick: Use a tiny ViT instead.
        precision: Precision of the teacher.
    """
    sizes = thin_clip(24, 32, 8) if quick else None
    return dict(
        type='mmkd3d.DenseTarget',
        precision=precision,
        projector=dict(type='mmkd3d.AxisProjector', size=32 if quick else 224),
        teacher=dict(
            type='mmkd3d.OpenClipTeacher',
            model_name='ViT-B-16-quickgelu',
            random_weights=True,
            projection=True,
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            model_kwargs=sizes,
        ),
    )


def thin_clip(embed_dims: int, image_size: int, patch_size: int) -> dict:
    """Model arguments of a CLIP with a single narrow block."""
    return dict(
        embed_dim=embed_dims,
        vision_cfg=dict(image_size=image_size, patch_size=patch_size, width=64, layers=1),
        text_cfg=dict(context_length=8, vocab_size=64, width=16, heads=2, layers=1),
    )


def target_rows(case: Case) -> list[list[str]]:
    """Compare saliency and point features read from whole maps with our implementation."""
    found = {}
    for name, mode in (('whole maps', Mode(published=True)), ('ours', Mode())):
        found[name] = (
            measure_targets(mode, case) if case.quick else isolate(measure_targets, mode, case)
        )
    reference = found['whole maps']
    return [
        [
            name,
            format_seconds(took.seconds),
            _ratio(reference.seconds, took.seconds),
            format_bytes(took.peak),
            _ratio(reference.peak, took.peak),
        ]
        for name, took in found.items()
    ]


def _ratio(reference: float | None, this: float | None) -> str:
    """Format the ratio; empty if the memory is unknown."""
    return f'{reference / this:.1f}x' if reference and this else ''


def measure_targets(mode: Mode, case: Case) -> Measurement:
    """Measure point saliency and point features with a thin teacher.

    Its maps have the size of the real teacher's maps.
    """
    torch.set_num_threads(case.num_threads)
    target = clip_config(case.quick)
    if not case.quick:
        target['teacher']['model_kwargs'] = thin_clip(512, 224, 16)
    model = build_model(mode, target, quick=case.quick).to(case.device)
    points = make_points(case)
    # warm up: the first call also loads libraries, whose memory must not count
    make_targets(model, points[:1])()
    return measure(
        make_targets(model, points), device=case.device, budget=0.0 if case.quick else 2.0
    )


def make_targets(model: I2PMAE, points: Tensor) -> Callable[[], Tensor]:
    """Return a function that computes the targets of clouds (B, N, 3) for a fixed mask."""
    patches = model.backbone.group(points)
    seen = model.target.forward_views(points)
    torch.manual_seed(0)
    mask = propagate_mask(model.draw_mask(points, patches, seen), patches, True)

    def construct() -> Tensor:
        model.target.saliency_at(seen, patches[-1].centers)
        return model.forward_semantic(points, patches, mask[model.level], seen)

    return construct
