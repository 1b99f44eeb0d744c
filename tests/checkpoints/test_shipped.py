"""Students by name: half precision, with their config, and the features of their cards."""

import re

import pytest
import torch

import mmkd3d
from mmkd3d.apis.probing import Run, students
from mmkd3d.checkpoints import list_students, read_card, read_checkpoint, shipped
from mmkd3d.registry import MODELS
from tests.helpers import rejects
from tests.models.steps import SMALL, cloud
from tools import extract_features

BACKBONE = dict(SMALL, type='mmkd3d.PointTransformer', with_cls_token=False)


@pytest.fixture
def pretrained(tmp_path):
    """A checkpoint of a pretraining, and its student."""
    torch.manual_seed(0)
    student = MODELS.build(BACKBONE)
    for name, buffer in student.named_buffers():
        if name.endswith('running_var'):
            buffer.fill_(1e-8)  # 0 in float16
    state = {f'backbone.{key}': value for key, value in student.state_dict().items()}
    content = dict(
        state_dict=state, meta=dict(cfg=f'model = dict(type="PointMAE", backbone={BACKBONE})')
    )
    torch.save(content, tmp_path / 'run.pth')
    return tmp_path / 'run.pth', student.eval()


def test_a_student_in_half_precision_is_found_by_name(pretrained, tmp_path, monkeypatch):
    path, student = pretrained
    monkeypatch.setattr(shipped, 'FOLDER', tmp_path)
    out = mmkd3d.export_backbone(path, tmp_path / 'tiny.safetensors', half=True)
    assert out.stat().st_size < 0.6 * path.stat().st_size
    (tmp_path / 'tiny.md').write_text('# tiny')
    assert list_students() == ['tiny'] and read_card('tiny') == '# tiny'
    kinds = {key: v.dtype for key, v in read_checkpoint('tiny')['state_dict'].items()}
    assert {v for key, v in kinds.items() if 'running_' in key} == {torch.float32}
    assert kinds['norm.weight'] == torch.float16
    for found in (
        mmkd3d.load_student('tiny'),
        mmkd3d.load_student(None, 'tiny'),
        mmkd3d.load_student(None, out),
    ):
        assert {p.dtype for p in found.parameters()} == {torch.float32}
        with torch.no_grad():
            near, exact = found.extract_feat(cloud()), student.extract_feat(cloud())
        torch.testing.assert_close(near, exact, atol=0.02, rtol=0.02)
    config = dict(BACKBONE, init_cfg=dict(type='Pretrained', checkpoint='tiny'))
    loaded = MODELS.build(config)
    loaded.init_weights()
    torch.testing.assert_close(loaded.norm.weight, student.norm.weight)


def test_a_name_means_the_student_beside_a_folder_of_that_name(pretrained, tmp_path, monkeypatch):
    path, student = pretrained
    (tmp_path / 'students').mkdir()
    (tmp_path / 'tiny').mkdir()  # such as a work dir
    monkeypatch.setattr(shipped, 'FOLDER', tmp_path / 'students')
    monkeypatch.chdir(tmp_path)
    out = mmkd3d.export_backbone(path, tmp_path / 'students/tiny.safetensors')
    torch.testing.assert_close(
        mmkd3d.load_student('tiny').backbone.norm.weight, student.norm.weight
    )
    # tools that need the file itself
    assert students('tiny', [0, 1]) == [(Run(str(out), 0), [0, 1])]
    file, other = (
        extract_features.settings(extract_features.parse_args([str(name), 'x.ply']))
        for name in ('tiny', out)
    )
    assert file == other and file['checkpoint_hash']


def test_half_precision_needs_weights_in_its_range(pretrained, tmp_path):
    path, _ = pretrained
    content = torch.load(path)
    content['state_dict']['backbone.norm.weight'][1] = -7e4
    torch.save(content, path)
    out = tmp_path / 'tiny.safetensors'
    rejects(r'norm.weight are up to 7e\+04', mmkd3d.export_backbone, path, out, half=True)
    assert not out.exists()


def test_weights_that_share_memory_are_exported(pretrained, tmp_path):
    path, _ = pretrained
    content = torch.load(path)
    both = content['state_dict']
    both['backbone.norm.bias'] = both['backbone.norm.weight']
    torch.save(content, path)
    out = mmkd3d.export_backbone(path, tmp_path / 'tiny.safetensors')
    found = read_checkpoint(out)['state_dict']
    assert torch.equal(found['norm.bias'], found['norm.weight'])


def test_unknown_names_list_the_known_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, 'FOLDER', tmp_path)
    (tmp_path / 'tiny.safetensors').touch()
    rejects('Did you mean tiny', read_checkpoint, 'tinny', error=FileNotFoundError)
    rejects("No shipped student 'tinny', there are tiny", read_card, 'tinny')


@pytest.mark.parametrize('name', list_students())
def test_shipped_students_give_the_features_of_their_cards(name):
    """The cloud is that of tools/ship_students.py."""
    from tools.ship_students import fixed_feature

    text = re.search(r'Feature of a fixed cloud.*: \[(.*)\]', read_card(name))[1]
    expected = torch.tensor([float(value) for value in text.split(',')])
    found = torch.tensor(fixed_feature(mmkd3d.load_student(name)))
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)
