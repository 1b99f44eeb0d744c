"""The frozen teachers that a published pretraining file may carry.

Rules lead from the names below ``img_encoder.`` or ``text_encoder.`` to those
below ``net.`` of our teachers.
"""

from ..keymap import Rule

# timm's ViT; TimmTeacher with pre_logits=True.
IMG_IN21K = (
    Rule('cls_token', 'cls_token'),
    Rule('pos_embed', 'pos_embed'),
    Rule('patch_embed.', 'patch_embed.'),
    Rule('blocks.', 'blocks.'),
    Rule('norm.', 'norm.'),
    Rule('pre_logits.', 'head.'),
)

# CLIP's image tower, renamed; OpenClipTeacher.
IMG_CLIP = (
    Rule('cls_token', 'class_embedding'),
    Rule('pos_embed', 'positional_embedding'),
    Rule('conv1.', 'conv1.'),
    Rule('ln_pre.', 'ln_pre.'),
    Rule('blocks.', 'transformer.resblocks.'),
    Rule('ln_post.', 'ln_post.'),
    Rule('proj', 'proj'),
)

# CLIP's text tower; OpenClipTextTeacher.
TEXT_CLIP = (
    Rule('token_embedding.', 'token_embedding.'),
    Rule('positional_embedding', 'positional_embedding'),
    Rule('transformer.', 'transformer.'),
    Rule('ln_final.', 'ln_final.'),
    Rule('text_projection', 'text_projection'),
)
