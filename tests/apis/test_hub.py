"""Students in folders with the names of the Hugging Face hub."""

import json
import os

import torch

import mmkd3d
from mmkd3d.registry import MODELS
from tests.helpers import rejects
from tests.models.steps import SMALL, cloud

BACKBONE = dict(SMALL, type='mmkd3d.PointTransformer', with_cls_token=False)


def test_a_student_survives_the_folder(tmp_path):
    torch.manual_seed(0)
    student = MODELS.build(BACKBONE).eval()
    state = {f'backbone.{k}': v for k, v in student.state_dict().items()}
    text = f'model = dict(type="PointMAE", backbone={BACKBONE})\ninput_spec = dict(points=512)'
    torch.save(dict(state_dict=state, meta=dict(cfg=text)), tmp_path / 'run.pth')
    out = mmkd3d.save_pretrained(tmp_path / 'run.pth', tmp_path / 'student')
    assert sorted(os.listdir(out)) == ['config.json', 'model.safetensors']
    config = json.loads((out / 'config.json').read_text())
    assert config['library_name'] == 'mmkd3d' and config['input_spec']['points'] == 512
    found = mmkd3d.from_pretrained(out)
    torch.testing.assert_close(found.extract_feat(cloud()), student.extract_feat(cloud()))


def test_the_hub_is_asked_for_other_names(tmp_path, monkeypatch):
    import huggingface_hub

    def download(name, file, revision):
        raise OSError(f'{name}/{file}@{revision}')

    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', download)
    rejects(
        'some/student cannot be downloaded .*OSError',
        mmkd3d.from_pretrained,
        'some/student',
        revision='v1',
        error=FileNotFoundError,
    )
