"""3DETR and 3DETR-m; MaskPoint, which pretrains their encoder."""

from ..input_spec import InputSpec
from ..keymap import KeyMap, Rule, under
from .inputs import SCENES


def pointnet(source: str, target: str) -> tuple:
    """Rules of a set abstraction."""
    return under(
        f'{source}mlp_module.',
        f'{target}mlp.',
        [
            rule
            for i in range(3)
            for rule in (
                Rule(f'layer{i}.conv.', f'{3 * i}.', 2),
                Rule(f'layer{i}.bn.bn.', f'{3 * i + 1}.'),
            )
        ],
    )


ENCODER = (*pointnet('pre_encoder.', 'pre_encoder.'), Rule('encoder.layers.', 'blocks.'))

HEAD = (
    Rule('encoder_to_decoder_projection.layers.', 'projection.', 1),
    Rule('pos_embedding.', 'positions.'),
    Rule('query_projection.layers.', 'query_projection.', 1),
    Rule('decoder.', 'decoder.'),
    *(
        Rule(f'mlp_heads.{theirs}_head.layers.', f'mlps.{ours}.', 1)
        for theirs, ours in dict(
            sem_cls='cls',
            center='center',
            size='size',
            angle_cls='angle_cls',
            angle_residual='angle_res',
        ).items()
    ),
)

DETECTOR = under('', 'backbone.', ENCODER) + under('', 'bbox_head.', HEAD)

MARKS = ('pre_encoder.mlp_module.', 'mlp_heads.', 'decoder.norm.')

MAPS = dict(
    three_detr=KeyMap(
        'finetune',
        (*MARKS, 'encoder_to_decoder_projection.layers.6.weight'),
        DETECTOR,
        entry='model',
        input_spec=SCENES,
    ),
    three_detr_m=KeyMap(
        'finetune',
        (*MARKS, 'encoder.interim_downsampling.'),
        DETECTOR + pointnet('encoder.interim_downsampling.', 'backbone.downsample.'),
        entry='model',
        input_spec=SCENES,
    ),
    # The pretraining. What it has beside the encoder is not described (a
    # position MLP and a norm, a decoder, ...), and no detector starts from
    # it. A detector finetuned from it is a file of 3DETR.
    maskpoint=KeyMap(
        'pretrain',
        ('transformer_q.encoder.mlp_module.', 'transformer_q.blocks.layers.'),
        (
            *pointnet('transformer_q.encoder.', 'backbone.pre_encoder.'),
            Rule('transformer_q.blocks.layers.', 'backbone.blocks.'),
        ),
        input_spec=InputSpec(20000, 3, 'unit_sphere'),
        partial=True,
    ),
)
