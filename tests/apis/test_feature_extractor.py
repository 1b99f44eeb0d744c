"""Feature extraction with the student of any checkpoint."""

import warnings

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

import mmkd3d
from mmkd3d.datasets.transforms.geometry import SamplePoints
from mmkd3d.registry import DATASETS, MODELS
from tests.apis.student_files import STUDENTS, close, clouds, config_of, extractor, save
from tests.apis.test_students import BACKBONE
from tests.helpers import load_case, parity_cases, reference_state, rejects
from tests.models.small_m2ae import student as pyramid
from tests.parity.test_recon_downstream import student as recon_student


@pytest.mark.parametrize(
    'name, shapes',
    [
        ('plain', dict(global_=(48,), token=(8, 24), point=(40, 24))),
        ('recon', dict(global_=(48,), token=(8, 24), point=(40, 24))),
        ('pyramid', dict(global_=(24,), token=(8, 24), point=(80, 54))),
    ],
)
def test_levels_are_those_of_the_student(name, shapes, files):
    points = clouds(size=shapes['point'][0])
    model = mmkd3d.load_student(None, files[name])
    for level, shape in shapes.items():
        level = level.strip('_')
        feats = extractor(files[name], level=level)(points)
        assert feats.shape == (5, *shape)
        assert not feats.requires_grad and feats.dtype == torch.float32
        with torch.no_grad():
            close(feats, model.extract_feat(torch.from_numpy(points), level))
        one = extractor(files[name], level=level)(points[2])
        close(one, feats[2])
    if name == 'pyramid':  # layers are the pyramid levels
        with torch.no_grad():
            out = model.backbone(torch.from_numpy(points))
        assert len(out['levels']) == 3
        for layer, tokens in enumerate(out['levels']):
            close(extractor(files[name], level='token', layer=layer)(points), tokens)


def test_global_features_are_those_of_a_probe(files):
    sample = dict(type='SamplePoints', num_points=40, method='fps')
    pipeline = [sample, dict(type='NormalizePoints'), dict(type='PackPoints')]
    toy = dict(type='mmkd3d.ToyShapes', split='test', num_samples=6, num_points=90)
    data = DATASETS.build(dict(toy, pipeline=pipeline))
    model = mmkd3d.load_student(None, files['plain'])
    with torch.no_grad():
        batch = model.data_preprocessor(pseudo_collate(list(data)))
        expected = model(**batch, mode='tensor')
    of_data = extractor(files['plain'])(data)
    close(of_data, expected)
    raw = [data.get_data_info(i)['points'] for i in range(6)]
    with pytest.warns(UserWarning, match='90 points.*trained on 40'):
        close(extractor(files['plain'])(raw), expected)


@pytest.mark.parametrize('layer', [0, 1, 2, -1, -3])
def test_a_layer_is_what_the_backbone_gives_with_out_indices(layer, files):
    points = clouds()
    backbone = MODELS.build(
        dict(BACKBONE, type='mmkd3d.PointTransformer', out_indices=(layer % 3,))
    )
    backbone.eval()
    mmkd3d.load_pretrained(backbone, files['plain'])
    with torch.no_grad():
        out = backbone(torch.from_numpy(points))
    (level,) = out['levels']
    tokens = extractor(files['plain'], level='token', layer=layer)(points)
    close(tokens, level)
    feats = extractor(files['plain'], layer=layer)(points)
    close(feats[:, 24:], level.amax(dim=1))
    if layer in (2, -1):
        close(feats, extractor(files['plain'])(points))
    else:
        assert (feats - extractor(files['plain'])(points)).abs().max() > 0.1


@pytest.mark.parametrize('level', ['global', 'token', 'point'])
@pytest.mark.parametrize('name', STUDENTS)
def test_batches_do_not_matter(name, level, files):
    points = clouds(7, size=80)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        whole = extractor(files[name], level=level)(points)
        for batch_size in (1, 3):
            close(extractor(files[name], level=level, batch_size=batch_size)(points), whole)


def test_a_published_slip_does_not_reach_the_features(tmp_path):
    cfg = config_of(pyramid(index_zero_visible=True), 80)
    points = clouds(4, size=80)
    feats = extractor(save(tmp_path / 'a.pth', cfg))(points)
    alone = torch.stack([extractor(tmp_path / 'a.pth')(x) for x in points])
    close(feats, alone)


@pytest.mark.parametrize('level', ['global', 'token', 'point'])
@pytest.mark.filterwarnings('ignore:The clouds have')
def test_clouds_of_many_sizes_are_as_one_by_one(level, files):
    ragged = [clouds(1, size)[0] for size in (40, 64, 25, 64, 41, 40)]
    extract = extractor(files['plain'], level=level, batch_size=4)
    together = extract(ragged)
    for cloud, feats in zip(ragged, together, strict=True):
        alone = extract(cloud)
        assert level != 'point' or len(feats) == len(cloud)
        close(feats, alone)


@pytest.mark.filterwarnings('ignore:The clouds have')
def test_all_points_get_features_in_their_order(files):
    dense = clouds(1, size=70)[0]
    extract = extractor(files['plain'], level='point')
    feats = extract(dense)
    assert feats.shape == (70, 24)
    # keep the first point fixed: sampling starts there
    order = np.r_[0, 1 + np.random.default_rng(1).permutation(69)]
    close(extract(dense[order]), feats[order], atol=1e-4)
    # sampled points have the same features as when only they are the input
    seen = SamplePoints(40, 'fps')
    index = seen._choose(dense)
    close(feats[index], extract(dense[index]), atol=1e-4)


def test_a_file_that_says_nothing_is_a_warning(files, tmp_path):
    content = torch.load(files['plain'], weights_only=True)
    torch.save(content['state_dict'], tmp_path / 'bare.pth')
    rejects('bare.pth carries no config: name', extractor, tmp_path / 'bare.pth')
    config = config_of(dict(BACKBONE))
    points = clouds()
    close(extractor(tmp_path / 'bare.pth', config)(points), extractor(files['plain'])(points))
    config.pop('train_dataloader')
    with pytest.warns(UserWarning, match='does not record whether'):
        extractor(tmp_path / 'bare.pth', config)


def test_exported_and_downstream_checkpoints(files, tmp_path):
    points = clouds()
    expected = extractor(files['plain'])(points)
    out = mmkd3d.export_backbone(files['plain'], tmp_path / 'student.pth')
    assert extractor(out).spec == extractor(files['plain']).spec
    close(extractor(out)(points), expected)
    cfg = config_of(dict(BACKBONE))
    head = dict(type='HeadOfAnotherProject')  # not built
    cfg.model = dict(type='PointClassifier', backbone=dict(BACKBONE), head=head)
    head = {'head.mlp.0.bias': torch.ones(3)}
    path = save(tmp_path / 'cls.pth', cfg, **head)
    close(extractor(path)(points), expected)


@pytest.mark.parametrize('case', parity_cases('recon/svm_*'), ids=lambda p: p.name)
def test_a_published_checkpoint_gives_its_published_feature(case, tmp_path):
    manifest, arrays = load_case(case)
    torch.save(dict(base_model=reference_state(manifest)), tmp_path / 'a.pth')
    config = Config(dict(model=dict(backbone=recon_student(manifest['config']))))
    extract = extractor(tmp_path / 'a.pth', config, normalize='none', num_points=None)
    assert extract.spec == (1024, 3, 'unit_sphere', None, 'y')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        feats = extract(arrays['points'])
    np.testing.assert_allclose(feats, arrays['feature'], atol=1e-3, rtol=1e-3)


def test_stage_one_of_act_gives_tokens_and_global_features():
    cfg = mmkd3d.get_config('act-autoencoder_toy')
    extract = extractor(None, cfg, level='token')
    tokens = extract(clouds(2, 1024))
    assert tokens.ndim == 3 and len(tokens) == 2
    rejects("no layers to choose.*'token'", extractor, None, cfg, level='point')


def test_wrong_options_are_named(files):
    for kwargs, says in (
        (dict(level='pixel'), "level is one of .*'pixel'"),
        (dict(batch_size=0), 'batch_size is 1 or more, got 0'),
        (dict(up='w'), "up is 'x', 'y', 'z' or None, got 'w'"),
        (dict(num_points=0), "num_points is 'spec'.*got 0"),
        (dict(num_points='all'), "got 'all'"),
        (dict(normalize='sphere'), "unit_sphere.*got 'sphere'"),
    ):
        rejects(says, extractor, files['plain'], **kwargs)
    for layer, what in ((3, 'plain'), (-4, 'recon'), (3, 'pyramid')):
        rejects(f'no layer {layer}: .* has 3 ', extractor, files[what], layer=layer)
