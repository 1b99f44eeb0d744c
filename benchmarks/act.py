"""A training step of ACT, part by part, against the published code."""

from typing import NamedTuple

import torch
import torch.nn as nn

from mmkd3d.registry import MODELS

from .ops import SIZES, Inputs
from .published import make_published
from .published_act import FORMS
from .step import Method

# stage -> part -> methods of the model that make it up
PARTS = {
    1: {
        'grouping': ('patch_group.forward',),
        'encoder': ('patch_embed.forward', 'graph_encoder.forward', 'quantizer.forward'),
        'transformer': ('transformer.forward',),
        'decoder': ('graph_decoder.forward', 'decoder.forward', 'loss_fn.forward'),
    },
    2: {
        'grouping': ('backbone.group.forward',),
        'teacher': ('teacher.forward_patches',),
        'student': ('backbone.encode',),
        'decoder': ('decoder.forward', 'proj.forward', 'loss_fn.forward'),
    },
}
NOTE = (
    'reference: what the published code does, around the same weights, with a '
    'stage I network in train mode as teacher. Samplers (farthest points) and '
    'Chamfer distance are ours there too, in place of compiled operators; '
    'neighbours are found by a loop over clouds.'
)


class Mode(NamedTuple):
    """Options of a measured step.

    Attributes:
        published: Use the published implementation.
        train_mode: Whether stage II's teacher is in train mode.
        precision: Precision of the frozen transformer.
        autocast: Run the whole step in bf16.
    """

    published: bool = False
    train_mode: bool = False
    precision: str = 'fp32'
    autocast: bool = False


MODES = {
    'reference': Mode(published=True, train_mode=True),
    'ours': Mode(),
    'ours, train-mode teacher': Mode(train_mode=True),
    'ours, bf16 teacher': Mode(precision='bf16'),
    'ours, bf16': Mode(precision='bf16', autocast=True),
}


def build_model(stage: int, mode: Mode, *, quick: bool = False) -> nn.Module:
    """Build one stage of ACT at the published size, with a random ViT-B/16.

    Args:
        stage: 1: :class:`ACTAutoencoder`; 2: :class:`ACT`.
        mode: See :class:`Mode`.
        quick: Build a tiny model instead.
    """
    torch.manual_seed(0)
    teacher = dict(
        type='mmkd3d.TimmTeacher', model_name='vit_base_patch16_384', random_weights=True
    )
    transformer = dict(precision=mode.precision, teacher=teacher)
    sizes, codes, depths = {}, {}, {}
    if quick:
        teacher['model_kwargs'] = dict(embed_dim=32, depth=2, num_heads=2)
        transformer['num_prompts'] = 4
        sizes = dict(num_groups=16, group_size=8, patch_dims=(8, 16))
        codes = dict(num_codes=64, edge_dims=(8, 16, 16, 16, 16), folding_dims=(32, 16))
        depths = dict(depth=2)
    model = dict(type='mmkd3d.ACTAutoencoder', transformer=transformer, **sizes, **codes)
    if stage == 2:
        model = dict(
            type='mmkd3d.ACT',
            backbone=dict(type='mmkd3d.PointTransformer', **sizes, **depths),
            decoder=dict(type='mmkd3d.MaskedDecoder', depth=2),
            masker=dict(type='mmkd3d.RandomMasker', ratio=0.8),
            loss=dict(type='mmkd3d.CosineLoss'),
            teacher=dict(
                type='mmkd3d.ACTTeacher',
                autoencoder=model,
                train_mode=mode.train_mode,
                random_weights=True,
            ),
        )
    model = MODELS.build(model)
    if mode.published:
        make_published(model, FORMS)
    return model.train()


class ACTStage(Method):
    """One stage of ACT.

    Args:
        stage: 1 or 2.
    """

    note = NOTE

    def __init__(self, stage: int):
        self.stage = stage
        self.title = f'ACT, stage {stage}'
        self.batch_size = {1: 64, 2: 128}[stage]
        self.parts = PARTS[stage]
        self.modes = {
            name: mode
            for name, mode in MODES.items()
            if stage == 2 or mode.published or not mode.train_mode
        }

    def build(self, mode, case, folder):
        return build_model(self.stage, mode, quick=case.quick)

    def losses(self, model, case):
        size = SIZES['objects']._replace(num_points=1024)
        points = Inputs(size, case.batch_size, case.device).points
        return lambda: model.loss(points, None)
