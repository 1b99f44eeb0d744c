"""Published weights by name: the table, downloads, and loading without a config."""

import hashlib
import re
from dataclasses import replace

import pytest
import torch

import mmkd3d
from mmkd3d.apis.config_files import config_path
from mmkd3d.checkpoints import SOURCES, list_students, read_checkpoint, to_published, weights
from mmkd3d.checkpoints.weights import all_weights, fetch, find_weights
from tests.helpers import REPO, rejects


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and no network."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))

    def download(url, path, **kwargs):
        raise OSError('no network')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    weights._check.cache_clear()
    return tmp_path / 'checkpoints/mmkd3d'


@pytest.mark.parametrize('name', all_weights())
def test_each_entry_fits_the_package(name):
    entry = all_weights()[name]
    assert entry.source in SOURCES and config_path(entry.config).stem == entry.config
    assert entry.url.startswith('https://') and entry.page.startswith('https://')
    assert entry.sha256 is None or re.fullmatch('[0-9a-f]{64}', entry.sha256)
    names = [*mmkd3d.list_models(), *list_students()]
    names += [n for e in all_weights().values() for n in (e.name, *e.aliases)]
    assert all(names.count(known) == 1 for known in (name, *entry.aliases))
    page = (REPO / 'docs/weights.md').read_text()
    assert f'| `{name}`' in page and f'[file]({entry.url})' in page


def test_names_are_listed_by_pattern_and_task():
    assert mmkd3d.list_models('3detr-m-*', pretrained=True) == [
        '3detr-m-scannet',
        '3detr-m-sunrgbd',
    ]
    found = mmkd3d.list_models(pretrained=True, task='detection')
    assert '3detr-scannet' in found and 'act-pointvit-s' not in found
    assert {'joint-mini', 'recon-b'} <= set(mmkd3d.list_models(pretrained=True, task='pretraining'))
    assert mmkd3d.list_models('recon', pretrained=True) == ['recon-b']  # an alias
    assert all(n.startswith('partseg') for n in mmkd3d.list_models(task='part segmentation'))
    rejects('task is one of pretraining, .*got .sport.', mmkd3d.list_models, task='sport')


def test_the_sizes_are_those_of_the_file():
    sizes = [
        sum(p.numel() for p in mmkd3d.load_student(name, pretrained=False).parameters())
        for name in ('maskpoint-scannet-enc3x', 'maskpoint-scannet-enc12x')
    ]
    assert sizes[1] > 3 * sizes[0]  # 3 and 12 layers
    assert (
        mmkd3d.load_student('point-mae-modelnet40-8k', pretrained=False).backbone.group.num_groups
        == 512
    )


def test_without_a_network_the_error_says_where_to_put_the_file(cache):
    entry = find_weights('act')
    with pytest.raises(FileNotFoundError) as error:
        mmkd3d.load_student('act')
    for text in (entry.url, str(cache / 'act-pointvit-s.pth'), 'no network', entry.page):
        assert text in str(error.value)
    # nothing is downloaded for random weights
    student, info = mmkd3d.load_student('act', pretrained=False, return_info=True)
    assert student.backbone.embed_dims == 384 and info == {}


def test_a_page_in_place_of_the_file_is_not_kept(cache, monkeypatch):
    asked = []

    def download(url, path, **kwargs):
        asked.append(url)
        with open(path, 'w') as file:
            file.write('<!DOCTYPE html><html>Virus scan warning</html>')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    rejects('put it at', fetch, find_weights('act'), error=FileNotFoundError)
    assert list(cache.iterdir()) == []
    key = find_weights('act').url.split('/')[-1]
    assert asked == [
        f'https://drive.usercontent.google.com/download?id={key}&export=download&confirm=t'
    ]


def test_the_file_is_compared_with_its_checksum(cache, monkeypatch):
    def download(url, path, **kwargs):
        torch.save(dict(base_model={}), path)

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    entry = find_weights('point-mae')
    rejects('is not the published point-mae-s: .*Delete it and download', fetch, entry)
    path = cache / 'point-mae-s.pth'
    known = replace(entry, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert fetch(known) == path


def test_a_published_file_is_loaded_by_name_without_a_config(cache, monkeypatch):
    torch.manual_seed(0)
    entry = find_weights('point-mae')
    student = mmkd3d.load_student(entry.config, pretrained=False)
    state = {f'backbone.{k}': v for k, v in student.backbone.state_dict().items()}
    whole = mmkd3d.get_model(entry.config).state_dict() | state
    cache.mkdir(parents=True)
    published = to_published(whole, entry.source)
    torch.save(dict(base_model=published), cache / f'{entry.name}.pth')
    table = dict(all_weights(), **{entry.name: replace(entry, sha256=None)})
    monkeypatch.setattr(weights, 'all_weights', lambda: table)
    points = torch.randn(1, 1024, 3)
    expected = student.extract_feat(points)
    for load in (
        lambda: mmkd3d.load_student('point-mae', return_info=True)[0],
        lambda: mmkd3d.load_student(None, 'point-mae-s'),
        lambda: mmkd3d.FeatureExtractor('point-mae').model,
    ):
        torch.testing.assert_close(load().extract_feat(points), expected)
    info = mmkd3d.load_student('point-mae', return_info=True)[1]
    assert info['licence'] == 'MIT' and info['config'] == entry.config


def test_pretrained_insists_on_weights():
    rejects('No weights of .votenet_toy.', mmkd3d.load_student, 'votenet_toy', pretrained=True)
    student, info = mmkd3d.load_student('joint-mini', pretrained=True, return_info=True)
    assert info['card'].startswith('# joint-mini')
    other = mmkd3d.load_student('joint-mini', pretrained=False)
    weight, random = (x.backbone.pos_embed.state_dict() for x in (student, other))
    assert not all(torch.equal(weight[key], random[key]) for key in weight)


def test_mistyped_names_are_corrected():
    rejects('Did you mean joint-mini', read_checkpoint, 'jont-mini', error=FileNotFoundError)
    rejects(
        'Names with weights: joint-mini', mmkd3d.load_student, 'jont-mini', error=FileNotFoundError
    )
