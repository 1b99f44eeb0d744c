"""Finetuned models: the classifier and the segmentors."""

from ..keymap import KeyMap, Rule, under
from .inputs import OBJECTS, S3DIS, SHAPENETPART
from .student import PATCH_EMBED, STUDENT, STUDENT_WITH_CLASS

CLASSIFIER = (
    *under('', 'backbone.', STUDENT_WITH_CLASS),
    Rule('cls_head_finetune.', 'head.mlp.'),
    # Side tuning.
    *under('side.', 'side.patch_embed.', PATCH_EMBED),
    Rule('side_projection.', 'side.proj.'),
    Rule('side_alpha', 'side.alpha'),
)


def segmentor_head(suffix: str, *, has_label: bool) -> tuple:
    """Rules of a segmentor's head that has names with a suffix.

    Args:
        suffix: ``'_cls'``, or ``''`` for older files.
        has_label: Whether it reads the category, as part segmentation does.
    """
    label = [Rule(f'label_conv{suffix}.', 'label.', 1)] if has_label else []
    return (
        Rule(f'propagation_0{suffix}.mlp_convs.0.', 'propagation.0.', 1),
        Rule(f'propagation_0{suffix}.mlp_bns.0.', 'propagation.1.'),
        Rule(f'propagation_0{suffix}.mlp_convs.1.', 'propagation.3.', 1),
        Rule(f'propagation_0{suffix}.mlp_bns.1.', 'propagation.4.'),
        Rule(f'convs1{suffix}.', 'mlp.0.', 1),
        Rule(f'bns1{suffix}.', 'mlp.1.'),
        Rule(f'convs2{suffix}.', 'mlp.4.', 1),
        Rule(f'bns2{suffix}.', 'mlp.5.'),
        Rule(f'convs3{suffix}.', 'mlp.7.', 1),
        *label,
    )


def segmentor(suffix: str, *, has_label: bool) -> KeyMap:
    """A segmentor on the student without a class token."""
    head = segmentor_head(suffix, has_label=has_label)
    marks = [rule.source for rule in head[8:]]
    return KeyMap(
        'finetune',
        marks,
        (*under('', 'backbone.', STUDENT), *under('', 'head.', head)),
        entry='model_state_dict',
        input_spec=SHAPENETPART if has_label else S3DIS,
    )


MAPS = dict(
    point_classifier=KeyMap(
        'finetune',
        ('encoder.first_conv.', 'blocks.blocks.', 'cls_head_finetune.'),
        CLASSIFIER,
        input_spec=OBJECTS,
    ),
    act_semseg=segmentor('_cls', has_label=False),
    act_partseg=segmentor('_cls', has_label=True),
    act_semseg_old=segmentor('', has_label=False),
    act_partseg_old=segmentor('', has_label=True),
)
