"""Everything that README.md and CONTRIBUTING.md mention exists."""

import re

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmkd3d.registry import MODELS
from tests.helpers import REPO

README = (REPO / 'README.md').read_text()


def test_named_files_and_models_exist():
    import mmkd3d

    folders = '(?:mmkd3d|configs|tools|tests|requirements)'
    for name in ('README.md', 'CONTRIBUTING.md'):
        text = (REPO / name).read_text()
        named = re.findall(rf'(?<![\w/]){folders}/[\w./-]*[\w/](?![\w./<-])', text)
        assert len(named) > 5
        assert [path for path in named if not (REPO / path).exists()] == []
    for name in re.findall(r"get_(?:model|config)\('(.+?)'\)", README):
        assert name in mmkd3d.list_models()


def test_links_lead_somewhere():
    pages = [REPO / name for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md')]
    for path in [*pages, *REPO.glob('docs/*.md'), *REPO.glob('configs/**/README.md')]:
        links = re.findall(r'\]\(([^)#\s]+)', path.read_text())
        local = [link for link in links if '://' not in link]
        assert [link for link in local if not (path.parent / link).exists()] == [], path


def test_config_for_mmdet3d_builds(tmp_path):
    pytest.importorskip('mmdet3d')
    block = re.search(r'```python\n(_base_.+?)```', README, re.S)[1]
    path = tmp_path / 'config.py'
    path.write_text(block)
    config = Config.fromfile(path)
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    assert type(model).__module__.startswith('mmdet3d')
    assert type(model.backbone).__name__ == 'PointTransformer'


def test_a_student_is_used_in_five_lines(tmp_path, monkeypatch):
    import mmkd3d

    plain, extractor = (
        re.search(rf'```python\n([^`]*{call}[^`]*)```', README)[1]
        for call in ('load_student', 'FeatureExtractor')
    )
    assert len(plain.splitlines()) == 5
    name = re.search(r"load_student\('(.+?)'", plain)[1]
    monkeypatch.chdir(tmp_path)
    student = mmkd3d.load_student(name).backbone
    (tmp_path / 'shapes').mkdir()
    given = {}
    exec(plain, given)
    np.save('shapes/one.npy', given['points'][0])
    with torch.no_grad():
        expected = student.eval().extract_feat(given['points'])
        tokens = student(given['points'])['tokens']
    assert torch.equal(given['feats'], expected)
    exec(extractor, given)
    assert given['feats'].shape == (1, *tokens.shape[1:])
