"""ReCon: the student and its downstream models."""

from ..keymap import KeyMap, Rule, under
from .downstream import segmentor_head
from .inputs import OBJECTS, SHAPENET_1K, SHAPENETPART
from .student import STUDENT, STUDENT_WITH_CLASS
from .teachers import IMG_CLIP, TEXT_CLIP


def global_tokens(*names: str) -> tuple:
    """Rules of the global tokens and of their positions."""
    return tuple(
        Rule(f'{name}_{kind}', f'global_{kind}.{name}')
        for name in names
        for kind in ('token', 'pos')
    )


RECON_TRUNK = STUDENT + global_tokens('cls', 'img', 'text')
CONTRAST_TOWER = STUDENT + global_tokens('img', 'text')


def teachers(image: tuple, text: tuple = TEXT_CLIP) -> tuple:
    """Rules of the frozen teachers, which a file may hold or not."""
    return (
        *under('img_encoder.', 'targets.img.teacher.net.', image),
        *under('text_encoder.', 'targets.text.teacher.net.', text),
    )


TRUNK = under('', 'backbone.', RECON_TRUNK)
PROJECTIONS = tuple(Rule(f'{name}_proj.', f'proj.{name}.') for name in ('img', 'text'))
HEAD = (Rule('cls_head_finetune.', 'head.mlp.'),)

# A model that reads a cache has no teacher.
TEACHERS = ('targets.img.teacher.net.', 'targets.text.teacher.net.')

# ACT's classifier and segmentor have no token of an image.
MARKS = ('img_token', 'encoder.first_conv.', 'blocks.blocks.')

MAPS = dict(
    # The student alone, as it is read for the linear SVM.
    recon_student=KeyMap('pretrain', MARKS, TRUNK, input_spec=SHAPENET_1K),
    recon_zeroshot=KeyMap(
        'pretrain',
        (*MARKS, 'img_proj.', 'text_proj.'),
        TRUNK + PROJECTIONS + teachers(IMG_CLIP),
        optional=TEACHERS,
        input_spec=SHAPENET_1K,
    ),
    recon_classifier=KeyMap(
        'finetune', (*MARKS, 'cls_head_finetune.'), TRUNK + HEAD, input_spec=OBJECTS
    ),
    recon_twotower_classifier=KeyMap(
        'finetune',
        ('Dis_encoder.img_token', *MARKS[1:], 'cls_head_finetune.'),
        (
            *under('', 'backbone.masked.', STUDENT_WITH_CLASS),
            *under('Dis_encoder.', 'backbone.contrast.', CONTRAST_TOWER),
            *HEAD,
        ),
        input_spec=OBJECTS,
    ),
    recon_partseg=KeyMap(
        'finetune',
        (*MARKS, 'convs3.', 'label_conv.'),
        TRUNK + under('', 'head.', segmentor_head('', has_label=True)),
        entry='model_state_dict',
        input_spec=SHAPENETPART,
    ),
)
