import pytest

from mmkd3d.doctor import Environment, diagnose
from mmkd3d.doctor.rules import release

GOOD = dict(
    python='3.11.7',
    torch='2.11.0+cu130',
    torchvision='0.26.0',
    numpy='1.26.4',
    mmengine='0.10.7',
    mmdet='3.3.0',
    mmdet3d='1.4.0',
    setuptools='80.9.0',
    mmkd3d='0.1.0',
)
GOOD['mmcv-lite'] = '2.1.0'


def environment(changes=None, **facts):
    versions = {**GOOD, **(changes or {})}
    return Environment(versions={name: v for name, v in versions.items() if v}, **facts)


def errors(env):
    return [f for f in diagnose(env) if f.level == 'error']


NMS = {'torchvision': 'RuntimeError: operator torchvision::nms does not exist'}
NUMBA = {'numba': 'ImportError: Numba needs NumPy 2.2 or less. Got NumPy 2.3.'}
CV2 = {'cv2': 'ImportError: numpy.core.multiarray failed to import'}
NEW_GPU = dict(gpu='new', capability=(12, 0), arch_list=['sm_80', 'sm_90'])


@pytest.mark.parametrize(
    'changes, facts, symptom, repair',
    [
        ({'torch': None}, {}, "No module named 'torch'", 'pip install torch'),
        ({'torchvision': '0.25.1'}, {}, '::nms', 'torch==2.11.0+cu130 "torchvision==0.26.*"'),
        ({}, dict(failures=NMS), 'torchvision::nms', 'torchvision==0.26.*'),
        ({}, dict(reads_checkpoints=False), 'HistoryBuffer', "imports=['mmkd3d']"),
        ({}, dict(has_pkg_resources=False), 'pkg_resources', 'setuptools<82'),
        ({'mmcv': '2.1.0'}, {}, 'share one folder', 'pip uninstall -y mmcv'),
        ({'mmcv-full': '1.7.2', 'mmcv-lite': None}, {}, 'mmcv 1', 'mmcv-lite'),
        ({'mmcv': '2.2.0', 'mmcv-lite': None}, {}, 'MMCV==2.2.0', 'mmcv-lite==2.1'),
        ({'mmcv-lite': None}, {}, "No module named 'mmcv'", 'mmcv-lite==2.1'),
        ({'numpy': '2.4.0'}, {}, 'only 0-dimensional arrays', 'numpy<2'),
        ({'numpy': '2.3.0'}, dict(failures=NUMBA), 'Numba needs NumPy', '--upgrade numba'),
        ({}, dict(failures=CV2), 'OpenCV was built', 'opencv-python<4.12'),
        ({}, dict(has_mim=False), '.mim/model-index.yml', 'install'),
        ({}, NEW_GPU, 'no kernel image', 'newer'),
    ],
)
def test_known_bad_pair_is_an_error_with_its_repair(changes, facts, symptom, repair):
    found = errors(environment(changes, **facts))
    matching = [f for f in found if symptom in f.symptom]
    assert matching, found
    assert repair in matching[0].repair


def test_working_and_doubtful_combinations_are_no_errors():
    assert {f.level for f in diagnose(environment())} == {'note'}
    for changes, facts in (
        ({'torchvision': '0.26.0+cpu'}, {}),
        ({'numpy': '2.3.5'}, {}),
        ({'torch': '2.5.1', 'torchvision': '0.20.1'}, dict(reads_checkpoints=True)),
        ({'mmcv': '2.1.0', 'mmcv-lite': None}, dict(has_compiled_ops=True)),
        ({'mmkd3d': '0.1.0 (checkout, not installed)'}, dict(has_mim=False)),
        ({}, dict(gpu='same', capability=(8, 6), arch_list=['sm_80'])),
        ({}, dict(gpu='ptx', capability=(12, 0), arch_list=['compute_90'])),
        ({'mmdet3d': None, 'mmcv-lite': None, 'numpy': '2.4.0'}, {}),
    ):
        assert errors(environment(changes, **facts)) == []
    conflict = 'a 1 has requirement b<2, but you have b 2.'
    cv2 = {'opencv-python': '4.11.0.86', 'opencv-python-headless': '4.10.0.84'}
    for changes, facts, symptom in (
        ({'numpy': '2.1.0', 'nuscenes-devkit': '1.2.0'}, {}, 'numpy<2'),
        (cv2, {}, 'differ in version'),
        ({}, dict(conflicts=[conflict]), 'a 1 has requirement'),
    ):
        found = diagnose(environment(changes, **facts))
        assert [f.level for f in found if symptom in f.symptom] == ['warning']


def test_findings_are_sorted_and_unexplained_ones_are_shown():
    found = errors(environment(failures={'timm': 'OSError: no libfoo'}))
    assert [f.symptom for f in found] == ['import timm: OSError: no libfoo']
    env = environment(conflicts=['mmkd3d 0.1.0 requires h5py, which is not installed.'])
    assert 'pip install h5py' in [f.repair for f in diagnose(env)]
    both = diagnose(environment({'numpy': '2.4.0', 'nuscenes-devkit': '1.2.0'}))
    levels = [f.level for f in both]
    assert levels == sorted(levels, key=('error', 'warning', 'note').index)
    assert release('2.11.0+cu130') == (2, 11, 0)  # local and pre-release parts are dropped
    assert release('2.0.0rc4') == (2, 0, 0)
    assert release('unknown') == ()


def test_how_to_run_the_tools_of_mmdet3d_is_a_note():
    found = diagnose(environment(has_startup=False))
    assert [f.level for f in found if '--install-startup' in f.repair] == ['note']
    found = diagnose(environment(has_startup=False, has_compiled_ops=True))
    assert not [f for f in found if '--install-startup' in f.repair]
