"""ACT: the teacher autoencoder (stage I) and the student (stage II).

The frozen transformer of stage I is published as ``visual_embed``, a list of
modules that differs with the family: timm's models and their like (ViT, DeiT,
BEiT, Mixer, ResMLP) give blocks and norm, CLIP a norm before them too, BERT
its encoder alone. The plain autoencoder, Point-BERT's, has no transformer.
"""

from ..keymap import KeyMap, Rule, under
from .inputs import SHAPENET_1K
from .student import PATCH_EMBED, STUDENT_WITH_CLASS

DGCNN = (
    Rule('input_trans.', 'input.', 1),
    *(Rule(f'layer{i + 1}.0.', f'edges.{i}.linear.', 2) for i in range(4)),
    *(Rule(f'layer{i + 1}.1.', f'edges.{i}.norm.') for i in range(4)),
    Rule('layer5.0.', 'output.', 1),
    Rule('layer5.1.', 'norm.'),
)

AUTOENCODER = (
    *under('encoder.', 'patch_embed.', PATCH_EMBED),
    *under('dgcnn_1.', 'graph_encoder.', DGCNN),
    *under('dgcnn_2.', 'graph_decoder.', DGCNN),
    Rule('codebook', 'quantizer.codebook'),
    Rule('decoder.mlp.', 'decoder.coarse.'),
    Rule('decoder.final_conv.', 'decoder.fold.', 1),
)

PROMPTED = under(
    '',
    'transformer.',
    (
        Rule('visual_prompt_token', 'prompt_token'),
        Rule('visual_prompt_pos', 'prompt_pos'),
        Rule('deep_prompt_tokens', 'deep_prompt_tokens'),
        Rule('deep_prompt_pos', 'deep_prompt_pos'),
        Rule('visual_pos_embed.', 'pos_embed.'),
        Rule('proj_pre.', 'proj_pre.'),
        Rule('proj_post.', 'proj_post.'),
        Rule(None, 'fingerprint'),
    ),
)


def frozen(**parts: str) -> tuple:
    """Rules of the frozen transformer."""
    return under(
        'visual_embed.',
        'transformer.frozen.net.',
        [Rule(f'{place}.', f'{name}.') for name, place in parts.items()],
    )


# The marks of a family include those of the families that it is built on.
PLAIN = ('codebook', 'dgcnn_1.')
TEACHERS = dict(
    plain=(PLAIN, AUTOENCODER),
    vit=((*PLAIN, 'proj_pre.'), AUTOENCODER + PROMPTED + frozen(blocks='0', norm='1')),
    clip=(
        (*PLAIN, 'proj_pre.', 'visual_embed.1.0.'),
        AUTOENCODER + PROMPTED + frozen(pre='0', blocks='1', norm='2'),
    ),
    bert=(
        (*PLAIN, 'proj_pre.', 'visual_embed.0.layer.'),
        AUTOENCODER + PROMPTED + frozen(blocks='0.layer'),
    ),
)

UNTRAINED = ('lm_head.', 'cls_head.')
STUDENT = (
    *under('ACT_encoder.', 'backbone.', STUDENT_WITH_CLASS),
    *under('ACT_encoder.', '', [Rule(head, head) for head in UNTRAINED]),
    Rule('cls_pos', 'cls_pos'),
    Rule('mask_token', 'decoder.mask_token'),
    Rule('decoder_pos_embed.', 'decoder.pos_embed.'),
    Rule('ACT_decoder.blocks.', 'decoder.blocks.'),
    Rule('ACT_decoder.norm.', 'decoder.norm.'),
    Rule('proj_head.', 'proj.'),
)


def stage_one(family: str) -> KeyMap:
    """The autoencoder around one family of frozen transformers."""
    marks, rules = TEACHERS[family]
    return KeyMap('teacher', marks, rules, input_spec=SHAPENET_1K)


def stage_two(family: str) -> KeyMap:
    """The student, beside an autoencoder of one family."""
    marks, rules = TEACHERS[family]
    inside = 'dvae_tokenizer.'
    return KeyMap(
        'pretrain',
        ('ACT_encoder.', *(inside + mark for mark in marks)),
        STUDENT + under(inside, 'teacher.net.', rules),
        optional=UNTRAINED,
        input_spec=SHAPENET_1K,
    )


MAPS = dict(
    act_autoencoder=stage_one('vit'),
    act_autoencoder_clip=stage_one('clip'),
    act_autoencoder_bert=stage_one('bert'),
    act_autoencoder_plain=stage_one('plain'),
    act=stage_two('vit'),
    act_clip=stage_two('clip'),
    act_bert=stage_two('bert'),
    act_plain=stage_two('plain'),
    # A stage II file whose teacher was taken out.
    act_student=KeyMap(
        'pretrain', ('ACT_encoder.',), STUDENT, optional=UNTRAINED, input_spec=SHAPENET_1K
    ),
)
