"""The example method extracted from docs/new_method.md trains."""

import re
import sys

from mmengine.config import Config

import mmkd3d  # noqa: F401
from tests.helpers import REPO
from tests.runs import RUNTIME, Curve, train

SMALL = dict(
    model=dict(
        backbone=dict(embed_dims=48, depth=2, num_heads=3, num_groups=16, group_size=16),
        decoder=dict(embed_dims=48, depth=1, num_heads=3),
        target=dict(
            projector=dict(size=32),
            teacher=dict(
                model_name='vit_tiny_patch16_224', model_kwargs=dict(img_size=32, depth=1)
            ),
        ),
    ),
    train_dataloader=dict(batch_size=8, dataset=dict(num_samples=32, num_points=256)),
    optim_wrapper=dict(optimizer=dict(lr=2e-3)),
    train_cfg=dict(max_epochs=6),
)


def test_the_method_of_the_document_learns(tmp_path, monkeypatch):
    method, config = re.findall(
        r'```python\n(.*?)```', (REPO / 'docs/new_method.md').read_text(), re.DOTALL
    )
    (tmp_path / 'my_methods.py').write_text(method)
    (tmp_path / 'center_toy.py').write_text(config)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'my_methods', raising=False)
    cfg = Config.fromfile(tmp_path / 'center_toy.py')
    cfg.merge_from_dict(RUNTIME)
    cfg.merge_from_dict(SMALL)
    curve = Curve()
    train(cfg, tmp_path / 'run', curve)
    assert len(curve.losses) == 24
    assert curve.fell(0.9), list(curve.losses.values())
