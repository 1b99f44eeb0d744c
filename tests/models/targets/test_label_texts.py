"""Text features of class names as point targets, and classification of points by them."""

import numpy as np
import pytest
import torch
import torch.nn as nn
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement

from mmkd3d.evaluation.open_vocabulary import open_vocabulary_accuracy
from mmkd3d.models.targets.label_texts import LabelTexts
from mmkd3d.registry import MODELS
from tests.models import stub_teachers  # noqa: F401

NAMES = ('wall', 'chair', 'shower curtain')


@pytest.fixture
def vectors(tmp_path):
    """Vectors of three names, neither float32 nor of unit length."""
    path = tmp_path / 'texts.npz'
    values = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float16)
    np.savez(path, vectors=3 * values, names=np.array(NAMES))
    return path


def unit(path):
    values = np.load(path)['vectors'].astype(np.float32)
    return dict(zip(NAMES, values / np.linalg.norm(values, axis=1)[:, None]))


def samples(labels):
    fields = (BaseDataElement(pts_semantic_mask=torch.as_tensor(label)) for label in labels)
    return [BaseDataElement(gt_pts_seg=field) for field in fields]


def test_points_get_the_vector_of_the_nearest_points_class(vectors):
    target = LabelTexts(vectors, ignore=('wall',))
    target.set_classes(('chair', 'wall'))
    points, at = torch.rand(2, 20, 5), torch.rand(2, 7, 3)
    labels = torch.randint(-1, 4, (2, 20))
    got = target(points, samples(labels), at)
    want = unit(vectors)['chair']
    for b in range(2):
        for m in range(7):
            far = (points[b, :, :3] - at[b, m]).norm(dim=1)
            is_chair = bool(labels[b, far.argmin()] == 0)
            assert bool(got.visible[b, m]) == is_chair
            assert np.allclose(got.feats[b, m], want if is_chair else 0, atol=1e-6)
    assert 0 < got.visible.sum() < 14
    assert got.feats.dtype == torch.float32 and target.dims == 4


def test_points_that_are_the_points_keep_their_own_labels(vectors):
    target = LabelTexts(vectors, class_names=NAMES)
    assert not target.state_dict() and not list(target.parameters())
    points = torch.zeros(1, 3, 3)  # all points coincide
    got = target(points, samples([[2, 0, 3]]), points)
    assert got.visible.tolist() == [[True, True, False]]
    assert np.allclose(got.feats[0, 0], unit(vectors)['shower curtain'], atol=1e-6)
    # clouds of different sizes are padded together with their labels
    points = torch.rand(4, 3)
    padded = torch.stack([points, points[[0, 1, 0, 1]]])
    got = target(padded, samples([[0, 1, 2, 0], [1, 2]]), padded)
    assert torch.equal(got.feats[1, :2], got.feats[1, 2:])
    assert torch.equal(got.feats[0, 1], got.feats[1, 0])


def test_names_are_given_or_those_of_the_data_set_or_aliases(vectors):
    target = LabelTexts(vectors, aliases=dict(showercurtrain='shower curtain'))
    target.set_classes(('showercurtrain',))
    assert np.allclose(target.table[0], unit(vectors)['shower curtain'])
    target = LabelTexts(vectors, class_names=('chair',))
    target.set_classes(('something', 'else'))
    assert target.names == ('chair',)


def test_a_teacher_reads_the_names_in_prompts():
    teacher = dict(type='mmkd3d.StubTextTeacher')
    target = LabelTexts(teacher=teacher, prompts=['a {}', 'the {}'], aliases=dict(a='sofa'))
    target.set_classes(('a', 'bed'))
    net = MODELS.build(teacher)
    both = net.encode_text(['a sofa', 'the sofa'])
    want = nn.functional.normalize(both, dim=-1).mean(0)
    assert torch.allclose(target.table[0], want / want.norm(), atol=1e-6)
    assert target.dims == 6


def test_the_vectors_of_clip_are_found_for_scannet(data_root):
    target = LabelTexts(
        data_root / 'clip_text_scannet_matterport.npz',
        key='scannet_512',
        names_key='scannet_names',
        aliases=dict(showercurtrain='shower curtain'),
        ignore=('garbagebin',),
    )
    from mmkd3d.datasets.scannet_layout import CLASSES

    target.set_classes(CLASSES)
    assert target.dims == 512 and int(target.known.sum()) == 17
    assert torch.allclose(target.table[:17].norm(dim=1), torch.ones(17), atol=1e-5)


UNKNOWN = r"no vectors for \['lamp', 'wok'\], only for \['wall', 'chair', 'sho"


@pytest.mark.parametrize(
    'change, match',
    [
        (dict(vectors='no.npz'), 'No file of vectors'),
        (dict(key='other'), r"has \['names', 'vectors'\]"),
        (dict(names_key='vectors', key='names'), r'shape \(3,\)'),
        (dict(vectors=None), 'got None and None'),
        (dict(teacher=dict(type='X')), 'file of vectors or a'),
        (dict(class_names=('chair', 'lamp', 'wok')), UNKNOWN),
        (dict(class_names=NAMES, ignore=('walls',)), r"name \['walls'\]"),
    ],
)
def test_a_wrong_setting_is_refused(vectors, change, match):
    with pytest.raises((ValueError, FileNotFoundError), match=match):
        LabelTexts(**(dict(vectors=vectors) | change))


def test_classes_and_labels_must_be_known(vectors):
    target, points, at = LabelTexts(vectors), torch.rand(1, 3, 3), torch.rand(1, 2, 3)
    with pytest.raises(ValueError, match='LabelTexts has no class names'):
        target(points, samples([[0, 0, 0]]), at)
    with pytest.raises(ValueError, match='has no class names'):
        target.set_classes(None)
    target = LabelTexts(vectors, class_names=NAMES)
    with pytest.raises(ValueError, match='needs gt_pts_seg.pts_semantic_mask'):
        target(points, [BaseDataElement()], at)
    with pytest.raises(ValueError, match=r'labels \(1, 2\) for points \(1, 3\)'):
        target(points, samples([[0, 1]]), at)


class Echo(BaseModel):
    """Its backbone returns the fourth to the last column as tokens."""

    def __init__(self):
        super().__init__(dict(type='mmkd3d.PointDataPreprocessor'))
        self.backbone = nn.Identity()

    def forward(self, inputs, data_samples=None, mode='tensor'):
        points = inputs['points']
        self.backbone(dict(tokens=points[..., 3:], centers=points[..., :3]))
        raise AssertionError('not needed')


def test_accuracy_of_points_by_the_nearest_name(vectors):
    target = LabelTexts(vectors, ignore=('wall',), class_names=NAMES)
    says = torch.tensor([1, 1, 2, 2, 2, 1])
    label = torch.tensor([1, 1, 1, 2, 0, 3])  # 2 of 3 and 1 of 1 correct; two points ignored
    feats = torch.from_numpy(np.stack([unit(vectors)[NAMES[i]] for i in says]))
    cloud = torch.cat([torch.rand(6, 3), feats], dim=1)
    batch = dict(inputs=dict(points=[cloud]), data_samples=samples([label]))
    got = open_vocabulary_accuracy(Echo(), nn.Identity(), target, [batch] * 2)
    assert got == pytest.approx(
        dict(overall=75.0, class_mean=100 * (2 / 3 + 1) / 2, majority=75.0, chance=50.0)
    )
    batch['data_samples'] = samples([[0] * 6])
    with pytest.raises(ValueError, match='No point has a label'):
        open_vocabulary_accuracy(Echo(), nn.Identity(), target, [batch])
