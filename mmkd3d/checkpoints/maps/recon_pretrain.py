"""ReCon's pretraining, with its teachers or without."""

from ..keymap import KeyMap, Rule, under
from .inputs import SHAPENET_1K
from .recon import CONTRAST_TOWER, PROJECTIONS, RECON_TRUNK, TEACHERS, teachers
from .student import STUDENT
from .teachers import IMG_CLIP, IMG_IN21K

DECODER = (
    Rule('mask_token', 'decoder.mask_token'),
    Rule('decoder_pos_embed.', 'decoder.pos_embed.'),
    Rule('MAE_decoder.blocks.', 'decoder.blocks.'),
    Rule('MAE_decoder.norm.', 'decoder.norm.'),
    Rule('increase_dim.0.', 'to_points.', 1),
)
RECON = (
    *under('MAE_encoder.', 'backbone.', RECON_TRUNK),
    *DECODER,
    *PROJECTIONS,
    Rule('cls_proj.', 'contrast.proj.'),
)
TWO_TOWER = (
    *under('MAE_encoder.', 'backbone.masked.', STUDENT),
    *under('Dis_encoder.', 'backbone.contrast.', CONTRAST_TOWER),
    *DECODER,
    *PROJECTIONS,
)
# More of them than Point-MAE's file, which a part of this one is.
MARKS = ('MAE_encoder.norm.', 'increase_dim.0.', 'img_proj.')

MAPS = dict(
    recon=KeyMap(
        'pretrain',
        ('MAE_encoder.img_token', *MARKS),
        RECON + teachers(IMG_IN21K),
        optional=TEACHERS,
        input_spec=SHAPENET_1K,
    ),
    recon_clip=KeyMap(
        'pretrain',
        ('MAE_encoder.img_token', *MARKS, 'img_encoder.conv1.'),
        RECON + teachers(IMG_CLIP),
        optional=TEACHERS,
        input_spec=SHAPENET_1K,
    ),
    recon_twotower=KeyMap(
        'pretrain',
        ('Dis_encoder.img_token', *MARKS),
        TWO_TOWER + teachers(IMG_CLIP),
        optional=TEACHERS,
        input_spec=SHAPENET_1K,
    ),
)
