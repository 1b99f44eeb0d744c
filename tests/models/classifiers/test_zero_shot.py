"""Zero-shot classification by class names."""

import pytest
import torch
import torch.nn as nn
from mmengine.structures import BaseDataElement

from mmkd3d.checkpoints import load_pretrained
from mmkd3d.engine.hooks.classes import ClassNamesHook
from mmkd3d.registry import MODELS
from tests.models.steps import SMALL
from tests.models.stub_teachers import TEXT, StubTextTeacher
from tools import test as test_tool

NAMES = ('chair', 'night_stand', 'toilet')
P, D = 4, 6
STUDENT = dict(SMALL, type='mmkd3d.ReConTransformer', depth=1, num_groups=8)


@MODELS.register_module()
class StubNames(nn.Module):
    """Text target that records the names it encodes."""

    dims = D

    def __init__(self):
        super().__init__()
        self.read = []

    def class_features(self, names):
        self.read.append(tuple(names))
        return torch.stack([stub_features(name) for name in names])


def stub_features(name):
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    return torch.randn(P, D, generator=generator) * torch.arange(1, P + 1.0)[:, None]


def zero_shot(**kwargs):
    torch.manual_seed(0)
    parts = dict(backbone=STUDENT, proj=dict(img=D, text=D), text=dict(type='StubNames'))
    return MODELS.build(dict(parts, type='mmkd3d.ZeroShotClassifier') | kwargs).eval()


def clouds(B=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(B, 64, 3, generator=generator)


@pytest.mark.parametrize(
    'mode, reduction', [('full', 'sum'), ('full', 'mean'), ('image', 'mean'), ('text', 'sum')]
)
@torch.no_grad()
def test_the_nearest_name_is_predicted(mode, reduction):
    model = zero_shot(mode=mode, ratio=0.25, reduction=reduction)
    model.set_classes(NAMES)
    tokens = model.backbone(clouds())['global_tokens']
    image, text = (model.proj[n](tokens[n]) for n in ('img', 'text'))
    expected = dict(full=0.25 * text + image, image=image, text=text)[mode]
    samples = [BaseDataElement() for _ in range(3)]
    cosines = model(dict(points=clouds()))
    model(dict(points=clouds()), samples, mode='predict')
    for feature, sample, row in zip(expected, samples, cosines):
        scores = []
        for name in NAMES:
            of_class = torch.zeros(D)
            for prompt in stub_features(name):
                of_class += prompt / (prompt.norm() if reduction == 'mean' else 1)
            scores.append(feature @ of_class / feature.norm() / of_class.norm())
        scores = torch.stack(scores)
        torch.testing.assert_close(row, scores)
        torch.testing.assert_close(sample.pred_scores, scores)
        assert sample.pred_label == scores.argmax()


def test_names_are_read_once_and_aliases_in_their_place():
    model = zero_shot(class_names=NAMES, aliases=dict(toilet='toile'))
    for _ in range(3):
        model(dict(points=clouds()))
    read = model.targets['text'].read
    assert read == [('chair', 'night_stand', 'toile')]
    assert 'class_features' not in model.state_dict()


class Runner:
    """The attributes of a runner that the hook uses."""

    def __init__(self, model, dataset):
        self.model = model
        self.test_dataloader = self.val_dataloader = type('Loader', (), dict(dataset=dataset))


class Data:
    def __init__(self, classes):
        self.metainfo = dict(classes=classes) if classes else {}


@pytest.mark.parametrize('phase', ['before_val', 'before_test'])
def test_names_come_from_the_data_set(phase):
    model = zero_shot()
    getattr(ClassNamesHook(), phase)(Runner(model, Data(NAMES)))
    assert model.targets['text'].read == [NAMES]
    assert model(dict(points=clouds())).shape == (3, 3)


@pytest.mark.parametrize(
    'classes, message',
    [
        (NAMES[:2], "class_names has 3 names, the data set 2, and label 2 is 'toilet' .* None"),
        (
            ('chair', 'night stand', 'toilet'),
            "label 1 is 'night_stand' in class_names and 'night stand' in the data",
        ),
        ((), 'has no class names'),
    ],
)
def test_names_that_do_not_match_are_an_error_before_any_is_read(classes, message):
    model = zero_shot(class_names=NAMES)
    with pytest.raises(ValueError, match=message):
        ClassNamesHook().before_test(Runner(model, Data(classes)))
    assert not model.targets['text'].read


def test_it_needs_names_and_can_not_be_trained():
    with pytest.raises(ValueError, match='ClassNamesHook'):
        zero_shot()(dict(points=clouds()))
    with pytest.raises(ValueError, match='Linear does not use class names'):
        ClassNamesHook().before_test(Runner(nn.Linear(2, 2), Data(NAMES)))
    with pytest.raises(ValueError, match="'loss'.* nothing to train"):
        zero_shot(class_names=NAMES)(dict(points=clouds()), [], mode='loss')


WITHOUT_IMAGE = dict(STUDENT, global_tokens=('cls', 'text'))


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(mode='both'), "one of .*'image', 'text'.* 'both'"),
        (dict(reduction='max'), "'sum' or 'mean', got 'max'"),
        (dict(proj=dict(img=D)), "mode='full' needs the global token 'text'"),
        (dict(backbone=WITHOUT_IMAGE), "global token 'img' .*'cls', 'text'"),
        (dict(proj=dict(img=9, text=D)), 'proj.img has width 9, the text features 6'),
        (dict(class_names=NAMES, aliases=dict(sofa='couch')), "'sofa'.*chair"),
    ],
)
def test_parts_that_do_not_fit_are_an_error(change, message):
    with pytest.raises(ValueError, match=message):
        zero_shot(**change)
    # a single mode needs a single projection
    assert zero_shot(mode='text', proj=dict(text=D)).proj.keys() == {'text'}
    zero_shot(mode='image', proj=dict(img=D, text=9))


@pytest.mark.parametrize('given, found', [({}, 'fp32'), (dict(precision='bf16'), 'bf16')])
def test_names_are_read_in_float32_on_every_machine(given, found):
    text = dict(type='TextTarget', teacher=TEXT, prompts=['{}'], **given)
    assert zero_shot(text=text).targets['text'].precision == found


def pretrained():
    torch.manual_seed(1)
    smooth = dict(type='mmkd3d.SmoothL1Loss')
    return MODELS.build(
        dict(
            type='mmkd3d.ReCon',
            backbone=STUDENT,
            targets={n: dict(type='StubNames') for n in ('img', 'text')},
            masker=dict(type='mmkd3d.RandomMasker', ratio=0.6),
            losses=dict(chamfer=dict(type='mmkd3d.ChamferLoss'), img=smooth, text=smooth),
            decoder=dict(type='mmkd3d.MaskedDecoder', embed_dims=24, depth=1, num_heads=3),
        )
    )


def test_the_checkpoint_of_a_pretraining_loads():
    source, model = pretrained().state_dict(), zero_shot()
    report = load_pretrained(model, source, prefix='')
    assert {k.split('.')[0] for k in report.left_out} == {'decoder', 'to_points'}
    for key, value in model.state_dict().items():
        assert torch.equal(value, source[key])
    damaged = dict(source)
    del damaged['proj.img.bias']
    with pytest.raises(ValueError, match='missing: proj.img.bias'):
        load_pretrained(model, damaged, prefix='')


CONFIG = """
default_scope = 'mmkd3d'
custom_hooks = [dict(type='mmkd3d.ClassNamesHook')]
model = dict(
    type='ZeroShotClassifier', backbone={student}, proj=dict(img=6, text=6),
    text=dict(type='TextTarget', teacher={text}, prompts=['{{}}', 'A {{}}.']),
    aliases=dict(chair='seat'))
test_dataloader = dict(
    batch_size=8, num_workers=0, sampler=dict(type='DefaultSampler',
                                              shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='ToyShapes', split='test', num_samples=24, num_points=64,
        categories=['chair', 'lamp', 'mug'],
        pipeline=[dict(type='PackPoints')]))
test_evaluator = dict(type='Accuracy')
test_cfg = dict(type='TestLoop')
"""


def test_the_tool_asks_the_names_of_the_data_set(tmp_path, capsys):
    config, checkpoint = tmp_path / 'zero_shot.py', tmp_path / 'epoch_1.pth'
    config.write_text(CONFIG.format(student=STUDENT, text=TEXT))
    torch.save(dict(state_dict=pretrained().state_dict()), checkpoint)
    StubTextTeacher.sentences.clear()
    arguments = [str(config), str(checkpoint), '--work-dir', str(tmp_path)]
    test_tool.main(arguments)
    read = StubTextTeacher.sentences
    assert len(read) == 2 * 3 and len(set(read)) == 6
    assert 'A seat.' in read and 'chair' not in read
    assert 'acc/overall' in capsys.readouterr().out
    StubTextTeacher.sentences.clear()
    with pytest.raises(ValueError, match='has 2 names, the data set 3'):
        test_tool.main([*arguments, '--cfg-options', 'model.class_names=[chair,table]'])
    assert not StubTextTeacher.sentences
    torch.save(dict(state_dict=zero_shot().backbone.state_dict()), checkpoint)
    with pytest.raises(ValueError, match='does not fit'):
        test_tool.main(arguments)
