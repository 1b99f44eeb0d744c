"""Features of clouds in any form, by the student in any checkpoint."""
import warnings

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

import mmkd3d
from mmkd3d.datasets.transforms.geometry import NormalizePoints, SamplePoints
from mmkd3d.models.backbones.point_transformer import PointTransformer
from mmkd3d.registry import DATASETS
from tests.apis.test_students import BACKBONE
from tests.datasets.test_readers import CLOUD, write
from tests.helpers import load_case, parity_cases, reference_state
from tests.models.small_m2ae import student as pyramid
from tests.parity.test_recon_downstream import student as recon_student

RECON = dict(BACKBONE, type='ReConTransformer')
STUDENTS = dict(plain=BACKBONE, recon=RECON, pyramid=pyramid())


def config_of(backbone: dict, num_points=40, **kwargs) -> Config:
    pipeline = [
        dict(type='LoadPoints'),
        dict(type='SamplePoints', num_points=num_points),
        dict(type='NormalizePoints'),
        dict(type='PackPoints')
    ]
    dataset = dict(type='ToyShapes', pipeline=pipeline)
    return Config(
        dict(
            default_scope='mmkd3d',
            model=dict(type='PointMAE', backbone=backbone),
            train_dataloader=dict(dataset=dataset),
            **kwargs))


def save(path, cfg: Config, **more):
    """A checkpoint of a model with random weights, as a runner writes it."""
    torch.manual_seed(3)
    model = mmkd3d.load_student(cfg)
    for name, p in model.named_parameters():
        if p.ndim == 1:
            torch.nn.init.normal_(p, 1., 0.3)
    state = {k: v for k, v in model.state_dict().items()}
    torch.save(
        dict(state_dict={**state, **more}, meta=dict(cfg=cfg.pretty_text)),
        path)
    return path


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A checkpoint of each student, by its name."""
    folder = tmp_path_factory.mktemp('students')
    sizes = dict(pyramid=80)
    return {
        name: save(folder / f'{name}.pth',
                   config_of(backbone, sizes.get(name, 40)))
        for name, backbone in STUDENTS.items()
    }


def clouds(count=5, size=40, seed=0) -> np.ndarray:
    """In the unit sphere."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, size, 3)).astype(np.float32)
    return np.stack(
        [NormalizePoints()(dict(points=cloud))['points'] for cloud in points])


def extractor(path, *args, **kwargs):
    return mmkd3d.FeatureExtractor(path, *args, device='cpu', **kwargs)


def close(got, expected, atol=2e-5):
    torch.testing.assert_close(got, expected, atol=atol, rtol=0)


@pytest.mark.parametrize('name, shapes', [
    ('plain', dict(global_=(48, ), token=(8, 24), point=(40, 24))),
    ('recon', dict(global_=(48, ), token=(8, 24), point=(40, 24))),
    ('pyramid', dict(global_=(24, ), token=(8, 24), point=(80, 54))),
])
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


def test_global_features_are_those_of_a_probe(files):
    data = DATASETS.build(
        dict(
            type='mmkd3d.ToyShapes',
            split='test',
            num_samples=6,
            num_points=90,
            pipeline=[
                dict(type='SamplePoints', num_points=40, method='fps'),
                dict(type='NormalizePoints'),
                dict(type='PackPoints')
            ]))
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
    backbone = PointTransformer(**{
        k: v for k, v in BACKBONE.items() if k != 'type'
    }, out_indices=(layer % 3, )).eval()
    mmkd3d.load_pretrained(backbone, files['plain'])
    with torch.no_grad():
        out = backbone(torch.from_numpy(points))
    level, = out['levels']
    tokens = extractor(files['plain'], level='token', layer=layer)(points)
    close(tokens, level)
    feats = extractor(files['plain'], layer=layer)(points)
    close(feats[:, 24:], level.amax(dim=1))
    if layer in (2, -1):
        close(feats, extractor(files['plain'])(points))
    else:
        assert (feats - extractor(files['plain'])(points)).abs().max() > 0.1


@pytest.mark.parametrize('layer, what', [(3, 'plain'), (-4, 'recon'),
                                         (3, 'pyramid')])
def test_a_layer_that_is_not_there_says_how_many_there_are(
        layer, what, files):
    with pytest.raises(ValueError, match=f'no layer {layer}: .* has 3 '):
        extractor(files[what], layer=layer)


def test_levels_of_a_pyramid_are_its_layers(files):
    points = clouds(size=80)
    with torch.no_grad():
        out = mmkd3d.load_student(None, files['pyramid']).backbone(
            torch.from_numpy(points))
    for layer, level in enumerate(out['levels']):
        tokens = extractor(
            files['pyramid'], level='token', layer=layer)(points)
        close(tokens, level)


@pytest.mark.parametrize('level', ['global', 'token', 'point'])
@pytest.mark.parametrize('name', STUDENTS)
def test_batches_do_not_matter(name, level, files):
    points = clouds(7, size=80)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        whole = extractor(files[name], level=level)(points)
        for batch_size in (1, 3):
            close(extractor(
                files[name], level=level, batch_size=batch_size)(points),
                whole)


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
    # the first one stays, where the sampling starts
    order = np.r_[0, 1 + np.random.default_rng(1).permutation(69)]
    close(extract(dense[order]), feats[order], atol=1e-4)
    # what was seen has the features that a student of these points gives
    seen = SamplePoints(40, 'fps')
    index = seen._choose(dense)
    close(feats[index], extract(dense[index]), atol=1e-4)


@pytest.mark.parametrize('suffix', [
    '.npy', '.npz', '.h5', '.txt', '.xyz', '.pts', '.csv', '.bin', '.pcd',
    '.ply'
])
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_every_format_gives_the_features_of_the_array(suffix, files,
                                                      tmp_path):
    path = write(tmp_path / f'cloud{suffix}')
    extract = extractor(files['plain'])
    expected = extract(CLOUD)
    close(extract(path, load_dim=6), expected, atol=1e-4)
    close(extract([str(path), path], load_dim=6)[1], expected, atol=1e-4)
    in_folder = extract(tmp_path, load_dim=6)
    assert in_folder.shape == (1, 48)
    assert extract(str(tmp_path / '*'), load_dim=6).shape == (1, 48)
    close(extract(CLOUD[:, :3]), expected)
    close(extract(torch.from_numpy(CLOUD).requires_grad_()), expected)


def test_a_mesh_is_sampled(files, tmp_path):
    pytest.importorskip('trimesh')
    from tests.datasets.test_readers import write_off
    write_off(tmp_path / 'cube.off')
    with pytest.warns(UserWarning) as told:
        feats = extractor(files['plain'])(tmp_path / 'cube.off')
    assert feats.shape == (48, )
    texts = [str(w.message) for w in told]
    assert any('8192 points' in text for text in texts)
    assert any('centre 0.8' in text for text in texts)


def test_arrays_of_many_clouds_in_files(files, tmp_path):
    points = clouds(4)
    np.savez(tmp_path / 'a.npz', points=points, others=points[:2] * 0.99)
    np.save(tmp_path / 'b.npy', points)
    np.savez(
        tmp_path / 'c.npz',
        xyz=points.reshape(-1, 3),
        offset=[0, 40, 80, 120, 160])
    extract = extractor(files['plain'])
    expected = extract(points)
    for name in ('a.npz', 'b.npy', 'c.npz'):
        close(extract(tmp_path / name), expected)
    close(extract(tmp_path / 'a.npz', key='others'),
          extract(points[:2] * 0.99))
    with pytest.raises(ValueError, match=r"a.npz: no array 'cloud'.*others"):
        extract(tmp_path / 'a.npz', key='cloud')
    per_point = extractor(files['plain'], level='point')(tmp_path / 'a.npz')
    assert [tuple(x.shape) for x in per_point] == [(40, 24)] * 4


def told(extract, points, **kwargs):
    """What it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        extract(points, **kwargs)
    return [str(w.message) for w in caught if w.category is UserWarning]


def test_what_fits_is_no_warning(files):
    for name, size in (('plain', 40), ('pyramid', 80)):
        assert not told(extractor(files[name]), clouds(size=size))


def test_what_does_not_fit_is_told_once_with_both_values(files):
    extract = extractor(files['plain'], up='z')
    points = clouds(3, 60) * 7 + 50
    texts = told(extract, points)
    assert len(texts) == 3
    assert '60 points, the student was trained on 40: 40 of' in texts[0]
    assert 'radius of' in texts[1] and 'trained on 0 and 1' in texts[1]
    assert 'normalised here (unit_sphere)' in texts[1]
    assert 'have +z up' in texts[2] and 'with +y up' in texts[2]
    assert not told(extract, points)
    alone = extractor(files['plain'], normalize='none', num_points=None)
    texts = told(alone, points)
    assert all('taken as' in text for text in texts) and len(texts) == 2


def test_what_is_given_is_brought_to_the_scale_of_the_training(files):
    points = clouds(3)
    near, far = (extractor(files['plain']) for _ in range(2))
    with pytest.warns(UserWarning, match='normalised here'):
        feats = far(points * 7 + 50)
    close(feats, near(points), atol=1e-4)
    as_it_is = extractor(files['plain'], normalize='none')
    with pytest.warns(UserWarning, match='taken as it is'):
        assert (as_it_is(points * 7) - feats).abs().max() > 0.01


def test_metres_are_doubted_where_they_make_no_sense(tmp_path):
    spec = dict(points=40, normalize='none', unit='m', up='z')
    cfg = config_of(dict(BACKBONE), input_spec=spec)
    path = save(tmp_path / 'a.pth', cfg)
    assert not told(extractor(path), clouds() * 4)
    millimetres, = told(extractor(path), clouds() * 4000)
    assert 'an extent of 6803, the student was trained on m' in millimetres
    tiny, = told(extractor(path), clouds() * 0.004)
    assert 'extent of 0.00' in tiny


def test_colours_are_read_left_out_or_zero(files, tmp_path, capsys):
    points = clouds()
    colours = np.concatenate([points, np.ones_like(points) / 2], axis=-1)
    plain = extractor(files['plain'])
    assert not told(plain, colours)
    close(plain(colours), plain(points))
    cfg = config_of(dict(BACKBONE, in_channels=6))
    path = save(tmp_path / 'rgb.pth', cfg)
    reads = extractor(path)
    assert not told(reads, colours)
    text, = told(reads, points)
    assert '3 channels, the student was trained on 6: zeros' in text
    black = np.concatenate([points, np.zeros_like(points)], axis=-1)
    close(reads(points), reads(black))


def test_a_file_that_says_nothing_is_a_warning(files, tmp_path):
    content = torch.load(files['plain'], weights_only=True)
    torch.save(content['state_dict'], tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match='bare.pth carries no config: name'):
        extractor(tmp_path / 'bare.pth')
    config = config_of(dict(BACKBONE))
    points = clouds()
    close(extractor(tmp_path / 'bare.pth', config)(points),
          extractor(files['plain'])(points))
    config.pop('train_dataloader')
    with pytest.warns(UserWarning, match='does not say whether'):
        extractor(tmp_path / 'bare.pth', config)


def test_exported_and_downstream_checkpoints(files, tmp_path):
    points = clouds()
    expected = extractor(files['plain'])(points)
    out = mmkd3d.export_backbone(files['plain'], tmp_path / 'student.pth')
    assert extractor(out).spec == extractor(files['plain']).spec
    close(extractor(out)(points), expected)
    cfg = config_of(dict(BACKBONE))
    cfg.model = dict(
        type='PointClassifier',
        backbone=dict(BACKBONE),
        head=dict(type='ClassificationHead', in_dims=48, num_classes=3))
    head = {'head.mlp.0.bias': torch.ones(3)}
    path = save(tmp_path / 'cls.pth', cfg, **head)
    close(extractor(path)(points), expected)


@pytest.mark.parametrize('case', parity_cases('recon/svm_*'),
                         ids=lambda p: p.name)
def test_a_published_checkpoint_gives_its_published_feature(case, tmp_path):
    manifest, arrays = load_case(case)
    torch.save(dict(base_model=reference_state(manifest)), tmp_path / 'a.pth')
    config = Config(dict(model=dict(backbone=recon_student(
        manifest['config']))))
    extract = extractor(tmp_path / 'a.pth', config, normalize='none',
                        num_points=None)
    assert extract.spec == (1024, 3, 'unit_sphere', None, 'y')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        feats = extract(arrays['points'])
    np.testing.assert_allclose(
        feats, arrays['feature'], atol=1e-3, rtol=1e-3)


def test_stage_one_of_act_gives_tokens_and_global_features():
    cfg = mmkd3d.get_config('act-autoencoder_toy')
    extract = extractor(None, cfg, level='token')
    tokens = extract(clouds(2, 1024))
    assert tokens.ndim == 3 and len(tokens) == 2
    with pytest.raises(ValueError, match="no layers to choose.*'token'"):
        extractor(None, cfg, level='point')


def bad(row=3, value=np.nan):
    points = clouds(2)
    points[1, row] = value
    return points


@pytest.mark.parametrize('inputs, says', [
    (bad(), r'cloud 1: 1 of 40 points have a NaN.*row 3'),
    (bad(value=np.inf), 'cloud 1: .*infinite'),
    ([clouds(1)[0], clouds(1, 7)[0]], 'cloud 1: a cloud of 7 points.*of 8'),
    ([clouds(1)[0], np.zeros((40, 2))], r'cloud 1: expected.*\(40, 2\)'),
    ([np.zeros((40, 3))], 'cloud 0: all points coincide'),
    (np.zeros((2, 2, 40, 3)), r'got an array of shape \(2, 2, 40, 3\)'),
    ([], 'no cloud in what was given'),
    (3, 'got a int'),
    (torch.utils.data.TensorDataset(torch.ones(4, 3)), 'Sample 0 of Tensor'),
])
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_what_is_no_cloud_is_named(inputs, says, files):
    with pytest.raises(ValueError, match=says):
        extractor(files['plain'])(inputs)


@pytest.mark.parametrize('kwargs, says', [
    (dict(level='pixel'), "level is one of .*'pixel'"),
    (dict(batch_size=0), 'batch_size is 1 or more, got 0'),
    (dict(up='w'), "up is 'x', 'y', 'z' or None, got 'w'"),
    (dict(num_points=0), "num_points is 'spec'.*got 0"),
    (dict(num_points='all'), "got 'all'"),
    (dict(normalize='sphere'), "unit_sphere.*got 'sphere'"),
])
def test_wrong_options_are_named(kwargs, says, files):
    with pytest.raises(ValueError, match=says):
        extractor(files['plain'], **kwargs)


def test_missing_files_are_named(files, tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        extractor(tmp_path / 'nowhere.pth')
    extract = extractor(files['plain'])
    for name in ('nowhere.ply', '*.ply'):
        with pytest.raises(FileNotFoundError, match='no such file'):
            extract(str(tmp_path / name))
    (tmp_path / 'a.npz').write_bytes(b'cut off')
    with pytest.raises(ValueError, match='a.npz.*damaged'):
        extract(tmp_path / 'a.npz')
    with pytest.raises(FileNotFoundError, match='no file of this pattern'):
        extract([str(tmp_path / 'b' / '*')])
