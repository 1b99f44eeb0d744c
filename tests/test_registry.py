"""Modules are imported when a name that they register is asked for."""

import importlib
import subprocess
import sys

from mmkd3d import registry
from mmkd3d.utils.discovery import PACKAGE, registered_modules
from tests.helpers import REPO, rejects


def test_every_registered_name_is_found_by_the_scan():
    for path in PACKAGE.rglob('*.py'):
        if '.register_module(' in path.read_text():
            parts = path.relative_to(PACKAGE.parent).with_suffix('').parts
            importlib.import_module('.'.join(parts).removesuffix('.__init__'))
    own = {k: v for k, v in vars(registry).items() if isinstance(v, registry.Registry)}
    for name, found in own.items():
        ours = {k: v for k, v in found.module_dict.items() if v.__module__.startswith('mmkd3d.')}
        assert {k: v.__module__ for k, v in ours.items()} == registered_modules().get(name, {})
    assert len(own['MODELS'].modules) > 50


def test_one_module_is_imported_for_a_name_and_all_names_are_suggested():
    code = """import sys
from mmkd3d.registry import MODELS, TRANSFORMS
assert 'mmkd3d.models.targets' not in sys.modules and 'PointTransformer' in MODELS
print(*sorted(m for m in sys.modules if m.startswith('mmkd3d.datasets.transforms.')))
assert TRANSFORMS.get('mmkd3d.NormalizePoints') is TRANSFORMS.get('NormalizePoints')
print(*sorted(m for m in sys.modules if m.startswith('mmkd3d.datasets.transforms.')))
try:
    TRANSFORMS.get('ViewSampler')
except KeyError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, '-c', code], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    none, one, hint = done.stdout.splitlines()
    assert none == '' and one == 'mmkd3d.datasets.transforms.geometry'
    assert 'is not a transform' in hint


def test_an_unknown_name_suggests_names_of_modules_that_are_not_imported():
    rejects(
        'Did you mean .*ReConTransformer', registry.MODELS.get, 'ReconTransformr', error=KeyError
    )


def test_a_class_of_a_user_replaces_ours_only_by_force():
    code = """import sys
import mmkd3d
from mmkd3d.registry import TRANSFORMS
class NormalizePoints: pass
try:
    TRANSFORMS.register_module()(NormalizePoints)
except KeyError as error:
    print(error)
TRANSFORMS.register_module(name=['NormalizePoints', 'Other'], force=True)(NormalizePoints)
import mmkd3d.datasets.transforms.geometry
print(TRANSFORMS.get('mmkd3d.NormalizePoints') is TRANSFORMS.get('Other') is NormalizePoints)
"""
    done = subprocess.run([sys.executable, '-c', code], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    refused, replaced = done.stdout.splitlines()
    assert 'already registered' in refused and 'geometry' in refused and replaced == 'True'
