from types import ModuleType

import pytest

from mmkd3d.ops import dispatch
from tests.helpers import rejects


@pytest.fixture
def compiled():
    """A compiled extension; its ``knn_forward`` has no CPU kernel."""
    module = ModuleType('mmcv._ext')
    module.__loader__ = module.__file__ = 'compiled'

    def knn_forward():
        raise RuntimeError('knn_forward_impl: implementation for device cpu not found.\n')

    def broken():
        raise RuntimeError('at param 1, inconsistent device: cuda:0 vs cpu')

    module.knn_forward, module.broken = knn_forward, broken
    module.nms = module.roi_align = lambda: 'compiled'
    return module


KERNELS = dict.fromkeys(('knn_forward', 'nms', 'broken'), lambda: 'torch')


def test_auto_prefers_the_compiled_one_and_falls_back_without_a_kernel(compiled, monkeypatch):
    monkeypatch.delenv('MMKD3D_OPS', raising=False)
    extension = dispatch.Extension(KERNELS, compiled)
    assert extension.nms() == extension.roi_align() == 'compiled'
    assert extension.knn_forward() == 'torch'
    assert dispatch.Extension(KERNELS).nms() == 'torch'
    # other errors are raised
    rejects('inconsistent device', extension.broken, error=RuntimeError)
    assert not hasattr(extension, 'newer')
    assert not hasattr(dispatch.Extension(KERNELS), '__path__')  # tools probe for it


def test_modes_decide_which_operator_is_taken(compiled, monkeypatch):
    monkeypatch.setenv('MMKD3D_OPS', 'torch')
    extension = dispatch.Extension(KERNELS, compiled)
    assert extension.nms() == 'torch' and extension.roi_align() == 'compiled'
    monkeypatch.setenv('MMKD3D_OPS', 'mmcv')
    extension = dispatch.Extension(KERNELS, compiled)
    assert extension.nms() == 'compiled'
    rejects('implementation for device cpu', extension.knn_forward, error=RuntimeError)
    rejects('MMKD3D_OPS=mmcv', lambda: dispatch.Extension(KERNELS).nms(), error=ImportError)
    monkeypatch.setenv('MMKD3D_OPS', 'cuda')
    rejects("auto, torch, mmcv, got 'cuda'", lambda: dispatch.Extension(KERNELS).nms())


def test_a_missing_operator_says_its_name_and_where_to_get_it():
    extension = dispatch.Extension(KERNELS)
    assert hasattr(extension, 'roi_align_forward')  # mmcv checks at import
    with pytest.raises(ImportError) as error:
        extension.roi_align_forward(1, spatial_scale=2)
    for part in ('roi_align_forward', 'mim install', 'mmkd3d.doctor'):
        assert part in str(error.value)
