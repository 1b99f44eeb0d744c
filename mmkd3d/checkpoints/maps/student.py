"""The transformer student that the published families share."""

from ..keymap import Rule, under

PATCH_EMBED = (Rule('first_conv.', 'first.', 1), Rule('second_conv.', 'second.', 1))

STUDENT = (
    *under('encoder.', 'patch_embed.', PATCH_EMBED),
    Rule('pos_embed.', 'pos_embed.'),
    Rule('blocks.blocks.', 'blocks.'),
    Rule('norm.', 'norm.'),
)

STUDENT_WITH_CLASS = (*STUDENT, Rule('cls_token', 'cls_token'), Rule('cls_pos', 'cls_pos'))
