from types import ModuleType

import pytest

from mmkd3d.ops import dispatch


@pytest.fixture
def compiled():
    """An extension with two operators, one of them only for CUDA."""
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
    assert extension.nms() == 'compiled'
    assert extension.knn_forward() == 'torch'
    assert extension.roi_align() == 'compiled'
    assert dispatch.Extension(KERNELS).nms() == 'torch'


def test_other_errors_of_a_compiled_operator_are_not_hidden(compiled, monkeypatch):
    monkeypatch.delenv('MMKD3D_OPS', raising=False)
    with pytest.raises(RuntimeError, match='inconsistent device'):
        dispatch.Extension(KERNELS, compiled).broken()


def test_torch_mode_takes_ours_where_we_have_one(compiled, monkeypatch):
    monkeypatch.setenv('MMKD3D_OPS', 'torch')
    extension = dispatch.Extension(KERNELS, compiled)
    assert extension.nms() == 'torch'
    assert extension.roi_align() == 'compiled'


def test_mmcv_mode_never_takes_ours(compiled, monkeypatch):
    monkeypatch.setenv('MMKD3D_OPS', 'mmcv')
    extension = dispatch.Extension(KERNELS, compiled)
    assert extension.nms() == 'compiled'
    with pytest.raises(RuntimeError, match='implementation for device cpu'):
        extension.knn_forward()
    with pytest.raises(ImportError, match='MMKD3D_OPS=mmcv'):
        dispatch.Extension(KERNELS).nms()


def test_an_unknown_mode_is_an_error_that_lists_the_modes(monkeypatch):
    monkeypatch.setenv('MMKD3D_OPS', 'cuda')
    with pytest.raises(ValueError, match="auto, torch, mmcv, got 'cuda'"):
        dispatch.Extension(KERNELS).nms()


def test_a_missing_operator_says_its_name_and_where_to_get_it():
    extension = dispatch.Extension(KERNELS)
    assert hasattr(extension, 'roi_align_forward')  # mmcv asks at import
    with pytest.raises(ImportError) as error:
        extension.roi_align_forward(1, spatial_scale=2)
    for part in ('roi_align_forward', 'mim install', 'mmkd3d.doctor'):
        assert part in str(error.value)


def test_names_that_tools_look_for_are_absent_without_a_compiled_mmcv():
    assert not hasattr(dispatch.Extension(KERNELS), '__path__')


def test_a_compiled_mmcv_without_some_operator_lacks_it_still(compiled):
    assert not hasattr(dispatch.Extension(KERNELS, compiled), 'newer')
