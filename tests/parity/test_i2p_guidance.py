"""Views of I2P-MAE, their CLIP features and saliency, and the guided mask."""

import pytest
import torch

from mmkd3d.models.views.axis_projector import AxisProjector
from mmkd3d.ops import gather, knn, sample_resized
from mmkd3d.registry import MODELS, TASK_UTILS
from tests.helpers import load_case, parity_cases, reference_state, thin

IMAGENET = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
VISUAL = 'clip_model.visual.'


def load(case):
    manifest, arrays = load_case(case)
    arrays = {k: torch.from_numpy(v) for k, v in arrays.items()}
    return manifest, arrays


def by_view(x):
    """(B, V, ...) as (VB, ...): all samples of view 1, then of view 2."""
    return x.transpose(0, 1).flatten(0, 1)


def assert_near(found, expected, atol):
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)


@pytest.mark.parametrize('case', parity_cases('i2p_mae/projection*'), ids=lambda case: case.name)
def test_i2p_projection(case):
    manifest, arrays = load(case)
    config, tolerance = manifest['config'], manifest['tolerance']
    points, size = arrays['points'], config['img_size']
    projector = AxisProjector(size, radius=config['densify'][1])
    frame = projector.frame(points)
    assert_near(frame.low.transpose(0, 1), arrays['pc_min'], tolerance['pc_min'])
    assert_near(frame.cell.T, arrays['grid_size'], tolerance['grid_size'])
    assert torch.equal(frame.offset.transpose(0, 1), arrays['offset'])
    pixels = projector.pixels(points, frame)
    assert torch.equal(pixels.transpose(0, 1), arrays['pixel'].long())

    mean, std = (torch.tensor(config[k])[:, None, None] for k in ('mean', 'std'))
    images = by_view((projector(points) - mean) / std)
    assert_near(images[:, 0], arrays['image_c0'], tolerance['image'])
    for channel in (1, 2):
        expected = arrays[f'image_c{channel}_sub']
        step = size // expected.shape[1]
        assert_near(images[:, channel, ::step, ::step], expected, tolerance['image'])

    maps = arrays['feat_map'][:, None].expand(-1, 3, -1, -1, -1)
    found = by_view(sample_resized(maps, pixels, size).transpose(1, 2))
    expected = arrays['feat_points'].flatten(0, 1)
    assert_near(thin(found, expected.shape[1]), expected, tolerance['feat_points'])


def clip_teacher(clip: dict, **options) -> dict:
    """Config of our teacher with the published sizes of CLIP."""
    return dict(
        type='mmkd3d.OpenClipTeacher',
        model_name='ViT-B-16-quickgelu',
        projection=True,
        random_weights=True,
        model_kwargs=dict(
            embed_dim=clip['embed_dim'],
            vision_cfg=dict(
                image_size=clip['image_resolution'],
                layers=clip['vision_layers'],
                width=clip['vision_width'],
                patch_size=clip['vision_patch_size'],
            ),
            text_cfg=dict(  # not used
                context_length=8, vocab_size=8, width=64, heads=1, layers=1
            ),
        ),
        **IMAGENET,
        **options,
    )


class Guidance:
    """A case, and our teacher, masker and maps for its points."""

    def __init__(self, path):
        pytest.importorskip('open_clip')
        self.manifest, self.arrays = load(path)
        self.tolerance = self.manifest['tolerance']
        config = self.manifest['config']
        self.target = MODELS.build(
            dict(type='mmkd3d.DenseTarget', teacher=clip_teacher(config['clip']), precision='fp32')
        )
        visual = {
            key: entry
            for key, entry in self.manifest['state_dict'].items()
            if key.startswith(VISUAL)
        }
        self.target.teacher.load_state_dict(
            {
                'net.' + key.removeprefix(VISUAL): value
                for key, value in reference_state(dict(state_dict=visual)).items()
            }
        )
        self.masker = TASK_UTILS.build(
            dict(type='mmkd3d.SaliencyMasker', ratio=config['mask_ratio'])
        )
        self.masker.target = self.target
        self.seen = self.target.forward_views(self.arrays['points'])
        self.top = len(config['num_groups']) - 1
        self.centers = self.arrays[f'center_{self.top}']


@pytest.fixture(
    scope='module', params=parity_cases('i2p_mae/guidance*'), ids=lambda path: path.name
)
def guidance(request):
    return Guidance(request.param)


def test_i2p_maps_are_those_of_the_published_teacher(guidance):
    arrays, tolerance = guidance.arrays, guidance.tolerance
    assert_near(
        by_view(guidance.seen.saliency).flatten(1), arrays['saliency'], tolerance['saliency']
    )
    feats = by_view(guidance.seen.feats)
    config = guidance.manifest['config']['clip_config']
    assert feats.shape[1] == config['feat_dim']
    assert guidance.target.dims == 3 * config['feat_dim']
    whole = 'features' if 'features' in arrays else 'features_sub'
    assert_near(thin(feats, arrays[whole].shape[1]), arrays[whole], tolerance['features'])
    if 'features_mean' in arrays:
        assert_near(feats.mean(1), arrays['features_mean'], tolerance['features'])


def test_i2p_saliency_of_patches_is_the_published_one(guidance):
    arrays, tolerance = guidance.arrays, guidance.tolerance
    target, seen = guidance.target, guidance.seen
    pixels = target.projector.pixels(guidance.centers, seen.frame)
    views = sample_resized(seen.saliency[:, :, None], pixels, target.projector.size)  # (B, G, V, 1)
    assert_near(views[..., 0].permute(2, 0, 1), arrays['sal_views'], tolerance['sal_views'])
    scores = target.saliency_at(seen, guidance.centers)
    assert_near(scores, arrays['spatial_sal'], tolerance['spatial_sal'])
    assert_near(scores.softmax(1), arrays['prob'], tolerance['prob'])


def test_i2p_draws_the_published_mask(guidance, monkeypatch):
    arrays, masker = guidance.arrays, guidance.masker
    scores = guidance.target.saliency_at(guidance.seen, guidance.centers)
    rank = masker.rank(scores, arrays['exp_noise'])
    assert torch.equal(rank.argsort(1, descending=True), arrays['order'].long())
    monkeypatch.setattr(torch.Tensor, 'exponential_', lambda *args, **kwargs: arrays['exp_noise'])
    mask = masker(guidance.centers, points=arrays['points'])
    assert torch.equal(mask, arrays[f'mask_{guidance.top}'])


def test_i2p_features_of_points_are_the_published_ones(guidance):
    arrays, tolerance = guidance.arrays, guidance.tolerance
    K = guidance.manifest['config']['group_sizes'][1]
    neighbors = knn(arrays['center_1'], arrays['center_0'], K).idx
    if 'knn_1' in arrays:
        assert torch.equal(neighbors, arrays['knn_1'].long())
    positions = gather(arrays['center_0'], neighbors.flatten(1))
    found = guidance.target.features_at(guidance.seen, positions)
    found = by_view(found.unflatten(2, (3, -1)).transpose(1, 2))  # (VB, M, D)
    expected = arrays['point_features'].flatten(0, 1)
    some = thin(found, expected.shape[1])
    some = thin(some.transpose(1, 2), expected.shape[2]).transpose(1, 2)
    assert_near(some, expected, tolerance['point_features'])
    if 'point_features_mean' in arrays:
        assert_near(
            found.mean(2), arrays['point_features_mean'].flatten(0, 1), tolerance['point_features']
        )
