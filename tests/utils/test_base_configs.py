"""``mmkd3d::`` in ``_base_`` from the checkout; test_packaging tests installed configs."""

from mmengine import registry
from mmengine.config import Config

import mmkd3d  # noqa: F401


def test_a_config_inherits_from_a_shipped_one(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = 'mmkd3d::_base_/default_runtime.py'\nlog_level = 'ERROR'")
    cfg = Config.fromfile(path)
    assert (cfg.default_scope, cfg.log_level) == ('mmkd3d', 'ERROR')


def test_registries_without_parts_of_ours_still_find_their_parents():
    import mmengine.optim  # noqa: F401

    import mmkd3d.registry  # noqa: F401

    with registry.OPTIMIZERS.switch_scope_and_registry('mmkd3d') as optimizers:
        assert optimizers.scope == 'mmkd3d'
        assert optimizers.get('SGD')
