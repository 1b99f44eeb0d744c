"""What ReCon makes of bad samples, class lists, caches and checkpoints."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement

from mmkd3d.evaluation.accuracy import Accuracy
from mmkd3d.models.targets.cache import FeatureCache
from mmkd3d.registry import MODELS
from tests.helpers import REPO
from tests.models.classifiers.test_zero_shot import clouds, zero_shot
from tests.models.pretrainers.test_act_autoencoder import odd_clouds
from tests.models.pretrainers.test_recon import KINDS, SIZES, cloud, recon, samples
from tests.models.targets.test_teacher_cache import IDENTITY, write

CONSTANT = dict(type='mmkd3d.ConstantTarget')
TARGETS = dict(img=dict(CONSTANT, dims=6), text=dict(CONSTANT, dims=5))
BACKBONE = dict(type='mmkd3d.ReConTransformer', **SIZES)


def model(**kwargs):
    return recon(**{'targets': TARGETS, **kwargs})


def check_step(net, points, data_samples):
    losses = net(dict(points=points), data_samples, mode='loss')
    assert losses and all(torch.isfinite(v) for v in losses.values())
    sum(losses.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())
    return losses


@pytest.mark.parametrize('stop_gradient', [True, False])
@pytest.mark.parametrize('name', [*odd_clouds(), 'fewer_than_groups'])
def test_odd_clouds_give_finite_losses_and_gradients(name, stop_gradient):
    points = {**odd_clouds(), 'fewer_than_groups': cloud(2, 12)}[name]
    alone = dict(contrast=None) if len(points) == 1 else {}
    check_step(
        model(stop_gradient=stop_gradient, **alone), points, samples('chair', 'lamp')[: len(points)]
    )


def test_one_shape_trains_all_but_the_contrast():
    assert set(check_step(model(contrast=None), cloud(1), None)) == {
        'loss_chamfer',
        'loss_img',
        'loss_text',
    }
    with pytest.raises(ValueError, match='batch of 1.*drop_last=True'):
        model().loss(cloud(1), samples('chair'))
    net = model().eval()
    assert net.loss(cloud(1), samples('chair'))['loss_contrast'] == 0


@pytest.mark.parametrize('category', [{}, dict(category=None)])
def test_the_contrast_names_the_samples_without_a_category(category):
    unnamed = [BaseDataElement(metainfo=dict(sample_id=f'shape {i}', **category)) for i in range(2)]
    with pytest.raises(
        ValueError, match='2 of 4 samples have no category: shape 0, shape 1. .*contrast=None'
    ):
        model().loss(cloud(), KINDS[:2] + unnamed)
    check_step(model(contrast=None), cloud(), KINDS[:2] + unnamed)


def labelled(*labels):
    return [
        BaseDataElement(metainfo=dict(sample_id=f's{i}'), gt_label=torch.tensor([label]))
        for i, label in enumerate(labels)
    ]


def evaluate(net, labels):
    metric = Accuracy()
    out = net(dict(points=clouds(len(labels))), labelled(*labels), 'predict')
    metric.process({}, [sample.to_dict() for sample in out])
    return metric.evaluate(len(labels))


def classifier(num_classes, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='mmkd3d.PointClassifier',
            backbone=dict(BACKBONE, **kwargs),
            head=dict(
                type='mmkd3d.ClsHead',
                in_channels=32,
                hidden_dims=(),
                num_classes=num_classes,
                pooling=('cls', 'img', 'text', 'max'),
            ),
        )
    ).eval()


@pytest.mark.parametrize(
    'build',
    [
        lambda: zero_shot(text=dict(type='mmkd3d.StubNames'), class_names=('a', 'b', 'c')),
        lambda: classifier(3),
    ],
    ids=['zero-shot', 'classifier'],
)
def test_a_label_that_the_model_can_not_give_is_no_accuracy(build):
    assert set(evaluate(build(), [0, 2])) == {'acc/overall', 'acc/class_mean'}
    for label in (3, -1):
        with pytest.raises(
            ValueError, match=f's1 is {label}, .* 3 classes.*num_classes.*class_names'
        ):
            evaluate(build(), [0, label])


def test_a_classifier_of_other_classes_is_an_error_that_says_what_to_set():
    with pytest.raises(ValueError, match=r'\[0, 7\], .*num_classes=3: set num_classes'):
        classifier(3).train()(dict(points=clouds(2)), labelled(0, 7), mode='loss')


@pytest.mark.parametrize(
    'damage',
    [
        lambda path: path.write_bytes(path.read_bytes()[:-3]),
        lambda path: path.write_bytes(b'\xff\xfe\x00'),
        lambda path: path.unlink(),
    ],
    ids=['cut', 'bytes', 'missing'],
)
def test_a_cache_with_a_damaged_record_says_how_to_mend_it(tmp_path, damage):
    write(tmp_path)
    damage(tmp_path / 'cache.json')
    with pytest.raises(
        (ValueError, FileNotFoundError), match=r'tools/cache_teacher\.py CONFIG'
    ) as error:
        FeatureCache(tmp_path, IDENTITY)
    if not isinstance(error.value, FileNotFoundError):
        assert 'is damaged (' in str(error.value)


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory):
    """A checkpoint as a run writes it, and the model."""
    path = tmp_path_factory.mktemp('pretrained') / 'epoch_1.pth'
    net = model()
    for parameter in net.parameters():
        parameter.data.add_(0.01)  # no start of another model
    torch.save(dict(meta=dict(epoch=1), state_dict=net.state_dict()), path)
    return path, net


def start_from(path, **kwargs):
    return dict(init_cfg=dict(type='Pretrained', checkpoint=str(path), **kwargs))


def check_same(backbone, expected):
    """All that ``backbone`` has is what the pretrained one has."""
    found = expected.state_dict()
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, found[key]), key


def test_a_pretrained_student_fills_a_classifier_whole(pretrained, tmp_path):
    path, net = pretrained
    filled = classifier(3, **start_from(path))
    filled.init_weights()
    assert filled.backbone.state_dict().keys() == (net.backbone.state_dict().keys())
    check_same(filled.backbone, net.backbone)
    part = net.state_dict()
    del part['backbone.global_token.img']
    torch.save(dict(state_dict=part), tmp_path / 'part.pth')
    with pytest.raises(ValueError, match='missing: global_token.img'):
        classifier(3, **start_from(tmp_path / 'part.pth')).init_weights()
    with pytest.raises(ValueError, match='unexpected: blocks.2.attn.proj'):
        classifier(3, depth=2, **start_from(path)).init_weights()


@pytest.fixture(scope='module')
def votenet():
    """A backbone in mmdetection3d's VoteNet, as the shipped config has it."""
    registry = pytest.importorskip('mmdet3d.registry')
    cfg = Config.fromfile(
        REPO / 'configs/recon/benchmarks/votenet_recon-b_8xb8-36e_scannet-3d.py'
    ).model

    def build(checkpoint, **kwargs):
        detector = cfg.copy()
        detector.backbone.update({**SIZES, **kwargs})
        detector.backbone.init_cfg.checkpoint = str(checkpoint)
        detector.neck.in_channels = SIZES['embed_dims']
        with DefaultScope.overwrite_default_scope('mmdet3d'):
            return registry.MODELS.build(detector)

    return build


def test_a_pretrained_student_fills_a_detector_of_mmdet3d(pretrained, votenet, tmp_path):
    path, net = pretrained
    detector = votenet(path)
    assert type(detector).__name__ == 'VoteNet'
    detector.init_weights()
    check_same(detector.backbone, net.backbone)
    unused = net.backbone.state_dict().keys() - (detector.backbone.state_dict().keys())
    assert unused and all('global_' in key or '_contrast.' in key for key in unused)
    part = net.state_dict()
    del part['backbone.blocks.1.attn.qkv.weight']
    torch.save(dict(state_dict=part), tmp_path / 'part.pth')
    with pytest.raises(ValueError, match='missing: blocks.1.attn.qkv.weight'):
        votenet(tmp_path / 'part.pth').backbone.init_weights()


def test_a_detector_with_fewer_blocks_than_its_checkpoint_is_an_error(pretrained, votenet):
    with pytest.raises(ValueError, match='unexpected: blocks.2.attn.proj'):
        votenet(pretrained[0], depth=2).backbone.init_weights()
