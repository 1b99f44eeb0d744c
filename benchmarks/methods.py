"""The training steps that are measured: shipped configs, and what their published code does."""

import importlib
from typing import NamedTuple

BF16_TEACHER = 'bf16 teacher'


class Method(NamedTuple):
    """A training step.

    Attributes:
        title: For people.
        config: Name of a shipped config, or a path in ``configs/``.
        parts: Part -> methods of the model that belong to it.
        published: Module with the published forms of its parts; None: there is no reference.
        published_teacher: Precision of the teacher in the published code on a GPU.
        with_teacher: Whether a frozen teacher takes part.
        caches: Options of targets whose features can be cached.
        with_images: Whether samples carry images.
        is_room: Whether samples are rooms with boxes.
        cpu_batch: Samples in a batch on a CPU.
    """

    title: str
    config: str
    parts: dict[str, tuple[str, ...]]
    published: str | None = None
    published_teacher: str = 'fp32'
    with_teacher: bool = True
    caches: tuple[str, ...] = ()
    with_images: bool = False
    is_room: bool = False
    cpu_batch: int = 8

    def forms(self) -> tuple[type, ...]:
        """Classes of the published form."""
        return importlib.import_module(f'benchmarks.{self.published}').FORMS

    def modes(self) -> dict[str, 'Mode']:
        """The ways to run this step, the first one is what the others are compared with."""
        modes = dict(published=Mode(published=True)) if self.published else {}
        modes['ours'] = Mode()
        if self.with_teacher:
            modes[f'ours, {BF16_TEACHER}'] = Mode(teacher='bf16')
        modes['ours, bf16'] = Mode(teacher='bf16', autocast=True)
        if self.caches:
            modes['ours, cached'] = Mode(cached=True)
            modes['ours, cached, bf16'] = Mode(cached=True, autocast=True)
        return modes


class Mode(NamedTuple):
    """A way to run a step.

    Attributes:
        published: Use the published forms, and the optimizer as they do.
        teacher: Precision of the teacher.
        autocast: Run the student in bf16, as with ``--amp``.
        cached: Read caches instead of running teachers.
    """

    published: bool = False
    teacher: str = 'fp32'
    autocast: bool = False
    cached: bool = False


STUDENT = {
    'grouping': ('backbone.group.forward',),
    'student': ('backbone.encode',),
    'decoder': ('decoder.forward',),
}
METHODS = dict(
    point_mae=Method(
        'Point-MAE',
        'point-mae_pointvit-s_1xb128-300e_shapenet55',
        STUDENT,
        published='published',
        with_teacher=False,
    ),
    act=Method(
        'ACT, stage II',
        'act_pointvit-s_1xb128-300e_shapenet55',
        STUDENT | {'teacher': ('teacher.forward_patches',)},
        published='published_act',
    ),
    act_autoencoder=Method(
        'ACT, stage I',
        'act-autoencoder_vit-b16_1xb64-300e_shapenet55',
        {
            'grouping': ('patch_group.forward',),
            'encoder': ('patch_embed.forward', 'graph_encoder.forward', 'quantizer.forward'),
            'teacher': ('transformer.forward',),
            'decoder': ('graph_decoder.forward', 'decoder.forward', 'loss_fn.forward'),
        },
        published='published_act',
    ),
    recon=Method(
        'ReCon',
        'recon-b_1xb128-300e_shapenet55',
        STUDENT | {'teacher': ('targets.img.forward', 'targets.text.forward')},
        published='published_recon',
        caches=('targets.img', 'targets.text'),
        with_images=True,
    ),
    i2p_mae=Method(
        'I2P-MAE',
        'i2p-mae-b_1xb64-300e_shapenet55',
        STUDENT
        | {'teacher': ('forward_teacher',), 'targets': ('target.saliency_at', 'forward_semantic')},
        published='published_i2p_mae',
        published_teacher='fp16',
        caches=('target',),
        cpu_batch=4,
    ),
    votenet=Method(
        'VoteNet, PointNet++',
        '_base_/detectors/votenet_scannet.py',
        {'backbone': ('backbone.forward',), 'head': ('bbox_head.forward',)},
        with_teacher=False,
        is_room=True,
        cpu_batch=2,
    ),
    three_detr=Method(
        '3DETR',
        '3detr_1xb8-1080e_scannet-3d',
        {'backbone': ('backbone.forward',)},
        with_teacher=False,
        is_room=True,
        cpu_batch=1,
    ),
)
