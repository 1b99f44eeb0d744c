"""Point-MAE's pretraining."""

from ..keymap import KeyMap, Rule, under
from .inputs import SHAPENET_1K
from .student import STUDENT_WITH_CLASS

MAPS = dict(
    point_mae=KeyMap(
        'pretrain',
        ('MAE_encoder.norm.weight', 'increase_dim.0.weight'),
        (
            *under('MAE_encoder.', 'backbone.', STUDENT_WITH_CLASS),
            Rule('mask_token', 'decoder.mask_token'),
            Rule('decoder_pos_embed.', 'decoder.pos_embed.'),
            Rule('MAE_decoder.blocks.', 'decoder.blocks.'),
            Rule('MAE_decoder.norm.', 'decoder.norm.'),
            Rule('increase_dim.0.', 'to_points.', 1),
        ),
        input_spec=SHAPENET_1K,
    )
)
