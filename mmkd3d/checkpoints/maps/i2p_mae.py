"""Point-M2AE and I2P-MAE: pretraining and finetuned models.

Published are three levels, two stages of the decoder and one residual MLP
between them. Files that the published codes write with other sizes are known
up to these:
"""

from ..keymap import KeyMap, Rule, under
from .inputs import OBJECTS, SHAPENET_2K, SHAPENETPART
from .student import PATCH_EMBED

LEVELS = range(6)
RESIDUALS = range(4)

PYRAMID = (
    *(rule for i in LEVELS for rule in under(f'token_embed.{i}.', f'embeds.{i}.', PATCH_EMBED)),
    Rule('encoder_pos_embeds.', 'pos_embeds.'),
    *(Rule(f'encoder_blocks.{i}.blocks.', f'blocks.{i}.') for i in LEVELS),
)
NORMS = (Rule('encoder_norms.', 'norms.'),)

PROPAGATION = (
    Rule('fuse.net.', 'fuse.', 1),
    *(
        Rule(f'extraction.operation.{j}.{theirs}.', f'extraction.{j}.{ours}.', 1)
        for j in RESIDUALS
        for theirs, ours in (('net1', 'first'), ('net2', 'second'))
    ),
)
DECODER = (
    *(Rule(f'h_decoder.{i}.blocks.', f'decoder.stages.{i}.') for i in LEVELS),
    *(
        rule
        for i in LEVELS
        for rule in under(f'token_prop.{i}.', f'decoder.propagations.{i}.', PROPAGATION)
    ),
    Rule('mask_token', 'decoder.mask_token'),
    Rule('decoder_pos_embeds.', 'decoder.pos_embeds.'),
    Rule('decoder_norm.', 'decoder.norm.'),
)
M2AE = (*under('h_encoder.', 'backbone.', PYRAMID + NORMS), *DECODER)

SEG_HEAD = (
    Rule('label_conv.', 'label.', 1),
    *(
        Rule(f'propagations.{i}.mlp_{kind}.{j}.', f'propagations.{i}.{3 * j + offset}.', 1)
        for i in LEVELS
        for j in (0, 1)
        for offset, kind in enumerate(('convs', 'bns'))
    ),
    Rule('convs1.', 'mlp.0.', 1),
    Rule('bns1.', 'mlp.1.'),
    Rule('convs2.', 'mlp.4.', 1),
    Rule('bns2.', 'mlp.5.'),
    Rule('convs3.', 'mlp.7.', 1),
    Rule('bns3.', 'mlp.8.'),
    Rule('convs4.', 'mlp.10.', 1),
)

ENCODER = 'h_encoder.token_embed.'

MAPS = dict(
    point_m2ae=KeyMap(
        'pretrain',
        (ENCODER, 'rec_head.'),
        (*M2AE, Rule('rec_head.', 'to_points.', 1)),
        input_spec=SHAPENET_2K,
    ),
    i2p_mae=KeyMap(
        'pretrain',
        (ENCODER, 'rec_head_3d.', 'rec_head_2d.'),
        (
            *M2AE,
            Rule('rec_head_3d.', 'to_points.', 1),
            Rule('rec_head_2d.', 'to_feats.', 1),
            # CLIP with its text tower, in half precision.
            Rule('clip_model.', None),
        ),
        input_spec=SHAPENET_2K,
    ),
    # Without the encoder's norms: one of its own instead.
    point_m2ae_classifier=KeyMap(
        'finetune',
        (ENCODER, 'norm.', 'cls_head_finetune.'),
        (
            *under('h_encoder.', 'backbone.', PYRAMID),
            Rule('norm.', 'head.norm.'),
            Rule('cls_head_finetune.', 'head.mlp.'),
        ),
        input_spec=OBJECTS,
    ),
    # More marks than of ACT's segmentor, whose head has some of these names.
    point_m2ae_partseg=KeyMap(
        'finetune',
        (ENCODER, 'propagations.', 'convs4.', 'label_conv.'),
        (*under('h_encoder.', 'backbone.', PYRAMID + NORMS), *under('', 'head.', SEG_HEAD)),
        entry='model_state_dict',
        input_spec=SHAPENETPART,
    ),
)
