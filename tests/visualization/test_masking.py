"""Contents of the teacher and mask sheets before rendering."""

import base64
import json
import re

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from mmengine.config import Config
from mmengine.structures import BaseDataElement

from mmkd3d.models.layers.pyramid import propagate_mask
from mmkd3d.registry import MODELS
from mmkd3d.visualization import colors as palette
from mmkd3d.visualization import masking
from mmkd3d.visualization.colors import HEAT, HEAT_END, MASKED, PREDICTED, VISIBLE
from mmkd3d.visualization.inputs import data_config, load_shapes
from mmkd3d.visualization.panels import Cloud, draw_sheet
from mmkd3d.visualization.writers import write_page
from tests.helpers import rejects
from tests.models.maskers.test_guided_masks import METHODS, guided
from tests.models.pretrainers.test_act import act
from tests.models.pretrainers.test_pretrainers import distillation, point_mae
from tests.models.pretrainers.test_recon import recon
from tests.models.small_m2ae import build, clouds, i2p_mae, m2ae
from tests.models.stub_teachers import DENSE

SURE = dict(type='mmkd3d.SaliencyMasker', ratio=0.6, temperature=1e-9)


def batch(points):
    metas = [dict(sample_id=f'shape {i}') for i in range(len(points))]
    samples = [BaseDataElement(metainfo=meta) for meta in metas]
    return dict(inputs=dict(points=points), data_samples=samples)


def sheets_of(model, points, predicts=True):
    return [rows for _, rows in masking.mask_sheets(model.eval(), batch(points), predicts=predicts)]


def place_on(cmap_colors):
    """Positions in [0, 1] of colours (N, 3) on the saliency colour map."""
    steps = HEAT(np.linspace(0, HEAT_END, 1001))[:, :3]
    distance = np.abs(cmap_colors[:, None] - steps).sum(2)
    assert distance.min(1).max() < 0.01  # all colours are on the map
    return distance.argmin(1) / 1000


def is_color(cloud, color):
    """Boolean (N,), True for points with the given colour."""
    return np.isclose(cloud.colors, color).all(1)


def rows_of(array):
    return {tuple(row) for row in np.asarray(array).round(5).tolist()}


def test_saliency_colours_points_and_tokens_in_its_order():
    model, points = build(i2p_mae()), clouds()
    seen = model.target.forward_views(points)
    centers = model.backbone.group(points)[-1].centers
    for i, sheet in enumerate(sheets_of(model, points, predicts=False)):
        cells = (sheet['saliency']['saliency'], sheet['masked']['saliency of tokens'])
        for cell, positions in zip(cells, (points, centers)):
            np.testing.assert_array_equal(cell.points, positions[i])
            saliency = model.target.saliency_at(seen, positions)[i].numpy()
            share = (saliency - saliency.min()) / np.ptp(saliency)
            np.testing.assert_allclose(place_on(cell.colors), share, atol=0.01)


def test_pictures_are_those_the_teacher_got_and_what_it_looked_at():
    model, points = build(i2p_mae()), clouds(1)
    (sheet,) = sheets_of(model, points, predicts=False)
    images = model.target.projector(points)[0]
    heats = []
    for v in range(3):
        view = sheet['views'][f'view {v + 1}']
        np.testing.assert_allclose(view, images[v].movedim(0, -1))
        heats.append((sheet['saliency'][f'saliency {v + 1}'] - 0.4 * view) / 0.6)
    # the stub's saliency is brightness; all three views share one scale
    values = place_on(np.stack(heats).reshape(-1, 3)).reshape(3, 48, 48)
    assert values.max() > 0.99 and values.min() < 0.01
    looks = model.target.forward_views(points).saliency[0]
    enlarged = torch.nn.functional.interpolate(looks[:, None], 48, mode='bicubic')[:, 0].numpy()
    share = (enlarged - enlarged.min()) / np.ptp(enlarged)
    np.testing.assert_allclose(values, share, atol=0.01)


@pytest.mark.parametrize('make', [m2ae, i2p_mae])
@pytest.mark.parametrize('num_levels', [2, 3])
def test_visible_and_masked_are_all_tokens_of_all_levels(make, num_levels):
    model, points = build(make(num_levels)), clouds()
    pyramid = model.backbone.group(points)
    for i, sheet in enumerate(sheets_of(model, points)):
        cells = list(sheet['masked'].items())[1:]  # the top level first
        assert len(cells) == num_levels
        visible = None
        for level, (title, cell) in zip(range(num_levels)[::-1], cells):
            np.testing.assert_array_equal(cell.points, pyramid[level].centers[i])
            shown, hidden = (is_color(cell, c) for c in (VISIBLE, MASKED))
            assert (shown ^ hidden).all()
            assert title == (f'level {level}: {shown.sum()} of {len(shown)} visible')
            if visible is None:
                assert hidden.sum() == int(0.6 * len(hidden))
            else:  # tokens in the patch of a visible token
                above = pyramid[level + 1].point_idx[i]
                expected = {int(k) for g in visible for k in above[g]}
                assert set(shown.nonzero()[0]) == expected
            visible = shown.nonzero()[0]


@pytest.mark.parametrize('make', [m2ae, i2p_mae])
def test_what_is_predicted_are_the_patches_that_are_drawn_masked(make):
    model, points = build(make()), clouds()
    patches = model.backbone.group(points)[model.level]
    for i, sheet in enumerate(sheets_of(model, points)):
        shown = is_color(list(sheet['masked'].values())[-2], VISIBLE)
        whole = patches.points[i] + patches.centers[i, :, None]
        visible, predicted, both = (sheet['predicted'][k] for k in ('visible', 'predicted', 'both'))
        assert rows_of(visible.points) == rows_of(whole[shown].flatten(0, 1))
        assert is_color(visible, VISIBLE).all() and is_color(predicted, PREDICTED).all()
        assert len(predicted.points) == model.group_size * (~shown).sum()
        assert rows_of(both.points) == rows_of(visible.points) | rows_of(predicted.points)
    assert not model.masker._forward_hooks
    names = [n for n in masking.legend_of(sheet) if 'salient' not in n]
    assert names == ['visible', 'masked', 'predicted']
    assert ('most salient' in masking.legend_of(sheet)) == (make is i2p_mae)


def test_predictions_are_those_of_the_model_behind_the_drawn_mask():
    model, points = build(i2p_mae(masker=SURE)).eval(), clouds()
    with torch.no_grad():  # the mask is deterministic at this temperature
        expected = model.predict(points, None)
    for sheet, sample in zip(sheets_of(model, points), expected):
        drawn = sheet['predicted']['predicted'].points
        np.testing.assert_allclose(drawn, sample['pred'], atol=1e-5)


def test_the_slip_of_the_published_code_is_drawn_where_it_is_made():
    cfg = i2p_mae()
    cfg['backbone']['index_zero_visible'] = True
    model, points = build(cfg).eval(), clouds()
    torch.manual_seed(3)
    drawn = sheets_of(model, points)
    torch.manual_seed(3)
    mask = model.draw_mask(points, model.backbone.group(points))
    masks = propagate_mask(mask, model.backbone.group(points), True)
    assert masks[0][0, 0].item() is False
    for i, sheet in enumerate(drawn):
        hidden = is_color(list(sheet['masked'].values())[-1], MASKED)
        np.testing.assert_array_equal(hidden, masks[0][i])


@pytest.mark.parametrize(
    'make, titles',
    [
        (point_mae, ['visible', 'predicted', 'both']),
        (recon, ['visible', 'predicted', 'both']),
        (distillation, ['cosine']),
        (act, ['cosine']),
    ],
)
def test_a_method_without_an_image_teacher_draws_the_rest(make, titles):
    model, points = make(), clouds()
    centers = model.backbone.group(points).centers
    for i, sheet in enumerate(sheets_of(model, points)):
        assert list(sheet) == ['masked', 'predicted']
        assert [t.split()[0] for t in sheet['predicted']] == titles
        (_, whole), (title, tokens) = sheet['masked'].items()
        np.testing.assert_array_equal(whole.points, points[i])
        np.testing.assert_array_equal(tokens.points, centers[i])
        shown = is_color(tokens, VISIBLE).sum()
        assert title == f'{shown} of 16 visible'
        hidden = is_color(tokens, MASKED).sum()
        assert hidden == int(model.masker.ratio * 16) == 16 - shown
        last = list(sheet['predicted'].values())[-1].points
        names = ['visible', 'masked', 'predicted']
        assert list(masking.legend_of(sheet)) == names[: 3 if 'predicted' in titles else 2]
        size = model.backbone.group.group_size
        assert len(last) == size * (16 if 'both' in titles else hidden)


@pytest.mark.parametrize('method', METHODS)
def test_a_mask_that_a_teacher_guides_is_explained_in_any_method(method):
    model = METHODS[method](guided(temperature=1e-9)['masker'])
    points = clouds(2)
    for sheet in sheets_of(model, points):
        assert list(sheet) == ['views', 'saliency', 'masked', 'predicted']
        saliency, tokens = sheet['masked'].values()
        order = place_on(saliency.colors).argsort()
        shown = is_color(tokens, VISIBLE)
        assert shown.sum() == 4 and shown[order[-4:]].all()


def rich_maps(images):
    """Maps whose features vary in several directions."""
    x = torch.nn.functional.adaptive_avg_pool2d(images.mean(1), 6)
    feats = torch.stack([x, x.roll(1, 1), x.roll(1, 2), x.square(), x.roll(2, 1)], 1)
    return dict(feats=feats, saliency=x)


def test_features_are_coloured_by_their_main_directions_together():
    target = MODELS.build(DENSE)
    target.teacher.forward_dense = rich_maps
    points = torch.cat([clouds(2), clouds(1)])  # the last cloud equals the first
    drawn = [sheet for _, sheet in masking.teacher_sheets(target, batch(points))]
    feats = target(points).view(3, 96, 3, 5).double()
    flat = feats.reshape(-1, 5) - feats.reshape(-1, 5).mean(0)
    axes = torch.linalg.svd(flat, full_matrices=False).Vh[:3]
    main = (flat @ axes.T).view(3, 96, 3, 3)
    low, high = main.reshape(-1, 3).quantile(torch.tensor([0.02, 0.98]).double(), dim=0)
    share = ((main - low) / (high - low)).clamp(0, 1).mean(2)
    for i, sheet in enumerate(drawn):
        cloud = sheet['known']['features']
        np.testing.assert_array_equal(cloud.points, points[i])
        for c in range(3):  # principal directions have arbitrary sign
            s, found = share[i, :, c].numpy(), cloud.colors[:, c]
            assert min(np.abs(found - s).max(), np.abs(found - 1 + s).max()) < 0.02
        assert all(sheet['known'][f'features {v}'].shape == (48, 48, 3) for v in (1, 2, 3))
    first, _, last = (sheet['known']['features'].colors for sheet in drawn)
    np.testing.assert_allclose(first, last)
    ((_, alone),) = masking.teacher_sheets(target, batch(points[:1]))
    assert np.abs(alone['known']['features'].colors - first).max() > 0.02


def test_numbers_that_are_all_alike_have_one_colour():
    assert np.array_equal(palette.heat(np.ones(3)), palette.heat([0.0, 1.0])[[0] * 3])
    colors = palette.FeatureColors(np.ones((20, 4)))(np.ones((2, 5, 4)))
    assert colors.shape == (2, 5, 3) and np.ptp(colors) == 0
    # a direction without variance is black
    feats = np.random.default_rng(0).random((50, 1)) * np.ones(5)
    colors = palette.FeatureColors(feats)(feats)
    assert np.ptp(colors[:, 0]) == 1 and colors[:, 1:].max() < 1e-6


def test_a_sheet_is_drawn_with_its_colours(tmp_path):
    points = np.random.default_rng(0).random((300, 3))
    green = Cloud(points, np.broadcast_to(VISIBLE, (300, 3)))
    red = np.zeros((20, 20, 3)) + (1, 0, 0)
    sheet = dict(one=dict(a=green, b=red), two=dict(c=green))
    legend = dict(shown=VISIBLE)
    picture = imread(draw_sheet(tmp_path / 'sheet.png', sheet, title='t', legend=legend))
    height, width = picture.shape[:2]
    near = np.isclose(picture[..., :3], VISIBLE, atol=0.02).all(2)
    red = np.isclose(picture[..., :3], (1, 0, 0), atol=0.02).all(2)
    middle = height // 2
    assert near[:middle, : width // 2].sum() > 300
    assert near[middle:, : width // 2].sum() > 300
    ys, xs = red.nonzero()
    assert ys.max() < middle and xs.min() > width // 2
    assert np.ptp(ys) == np.ptp(xs) > 100  # still square
    empty = Cloud(np.empty((0, 3)), np.empty((0, 3)))
    draw_sheet(tmp_path / 'e.png', dict(a=dict(a=green, b=empty)))


def test_the_page_holds_all_clouds_and_asks_for_nothing_else(tmp_path):
    name = 'a <b> </script><script src="http://x.y">'
    (sheet,) = sheets_of(build(i2p_mae()), clouds(1))
    picture = draw_sheet(tmp_path / 'a.png', sheet)
    out = write_page(tmp_path / 'a.html', [(name, sheet)], [picture], title='I2PMAE: <mask>')
    page = out.read_text()
    assert page.count('<script') == page.count('</script>') == 1
    data = re.search(r'const shapes = (.*);\n', page)[1]
    outside = r'https?:|//\w|\bsrc=|href|@import|url\(|fetch|import\b'
    assert not re.search(outside, page.replace(data, ''))
    assert '<title>I2PMAE: &lt;mask&gt;</title>' in page
    (shape,) = json.loads(data)
    assert shape['name'] == name
    assert base64.b64decode(shape['picture']) == picture.read_bytes()
    cells = [item for row in sheet.values() for item in row.items() if isinstance(item[1], Cloud)]
    assert [cloud['title'] for cloud in shape['clouds']] == [title for title, _ in cells]
    for cloud, (_, cell) in zip(shape['clouds'], cells):
        raw = {key: base64.b64decode(cloud[key]) for key in ('points', 'colors')}
        points = np.frombuffer(raw['points'], '<f4').reshape(-1, 3)
        colors = np.frombuffer(raw['colors'], 'u1').reshape(-1, 3)
        np.testing.assert_array_equal(points, cell.points.astype('f4'))
        assert np.abs(colors / 255 - cell.colors).max() <= 1 / 255


def test_shapes_of_one_name_are_all_drawn(tmp_path):
    model, samples = build(m2ae()).eval(), batch(clouds(2))
    for sample in samples['data_samples']:
        sample.set_metainfo(dict(sample_id='chair'))
    sheets = masking.mask_sheets(model, samples, predicts=False)
    cfg = Config(dict(model=dict(type='M2AE')))
    *pictures, page = masking.write_sheets('mask', sheets, tmp_path, cfg)
    assert [path.name for path in pictures] == ['mask_0.png', 'mask_1.png']
    assert page.read_text().count('"name": "chair"') == 2


def config(**kwargs):
    pipeline = [
        dict(type='mmkd3d.SamplePoints', num_points=50),
        dict(type='NormalizePoints'),
        dict(type='mmkd3d.LoadCaptions', file='missing.json'),
        dict(type='mmkd3d.PackPoints'),
    ]
    dataset = dict(type='mmkd3d.ToyShapes', num_samples=9, num_points=64, pipeline=pipeline)
    return Config(dict(train_dataloader=dict(dataset=dataset), **kwargs))


def test_shapes_of_a_file_are_sampled_and_normalised_as_by_the_config(tmp_path):
    points = np.random.default_rng(0).random((10, 80, 3)) * 9 + 5
    np.savez(tmp_path / 'shapes.npz', points=points)
    drawn = load_shapes(config(), str(tmp_path / 'shapes.npz'), 4)
    names = [s.sample_id for s in drawn['data_samples']]
    assert names == [f'shapes_{i}' for i in (0, 3, 6, 9)]
    for cloud in drawn['inputs']['points']:
        assert cloud.shape == (50, 3)
        assert cloud.norm(dim=1).max().item() == pytest.approx(1)


def test_a_data_set_without_shapes_is_a_clear_error(tmp_path):
    np.savez(tmp_path / 'EMPTY.npz', points=np.empty((0, 64, 3)))
    np.savez(tmp_path / 'NAMELESS.npz', clouds=np.ones((2, 64, 3)))
    (tmp_path / 'MODEL.py').write_text('model = dict()\n')
    rejects('no train_dataloader with a data set', load_shapes, Config(dict(model={})), None, 2)
    for data, message in {
        'shapes.ply': 'npz file or a config .* got .*shapes.ply',
        'EMPTY.npz': 'no shape is left',
        'NAMELESS.npz': "no array 'points'",
        'MODEL.py': 'MODEL.py has no train_dataloader',
    }.items():
        rejects(message, load_shapes, config(), str(tmp_path / data), 2)
    (tmp_path / 'shapes.py').write_text('train_dataloader = dict(dataset=dict(type="X"))\n')
    assert data_config(config(), str(tmp_path / 'shapes.py')) == dict(type='X')


def test_a_mask_needs_a_masker_and_a_teacher_a_target(tmp_path):
    backbone = dict(type='X')
    for model in (
        dict(),
        dict(type='mmkd3d.ACTAutoencoder'),
        dict(type='mmkd3d.PointClassifier', backbone=backbone),
    ):
        cfg = config(model=model)
        for checkpoint in (None, 'x.pth'):
            rejects('no backbone and masker', masking.draw_masks, cfg, checkpoint, tmp_path)
        rejects('no dense image teacher', masking.draw_teacher, cfg, tmp_path)
    teacher = dict(type='mmkd3d.TimmTeacher', model_name='resnet18', checkpoint='gone.safetensors')
    cfg = config(model=i2p_mae(target=dict(type='mmkd3d.DenseTarget', teacher=teacher)))
    missing = dict(error=FileNotFoundError)
    rejects('gone.safetens', masking.draw_teacher, cfg, tmp_path, **missing)
    rejects('gone.safetens', masking.draw_masks, cfg, None, tmp_path, **missing)
