"""Known-bad combinations of packages, with symptoms and repairs."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from .environment import Environment

LITE = 'pip install mmcv-lite==2.1.0'
RESUME = "custom_imports=dict(imports=['mmkd3d'], allow_failed_imports=False)"


@dataclass(frozen=True)
class Rule:
    """A known-bad combination of packages.

    Args:
        level: ``error`` (something will not work), ``warning`` (it may not work) or
            ``note`` (it works, with the given setting).
        applies: Returns whether the environment has the combination.
        symptom: The message that the user sees.
        repair: The command or setting that helps.
    """

    level: str
    applies: Callable[[Environment], bool]
    symptom: str
    repair: str


@dataclass(frozen=True)
class Finding:
    """A rule that applies, or a problem without a rule."""

    level: str
    symptom: str
    repair: str


def release(version: str) -> tuple[int, ...]:
    """Parse ``'2.11.0+cu130'`` as ``(2, 11, 0)``; empty without digits."""
    digits = re.match(r'\d+(\.\d+)*', version)
    return tuple(map(int, digits[0].split('.'))) if digits else ()


def within(env: Environment, name: str, *, least: str = '0', below: str = '9999') -> bool:
    """Whether a distribution is installed with ``least <= version < below``."""
    version = release(env.versions.get(name, ''))
    return bool(version) and release(least) <= version < release(below)


def fails(env: Environment, module: str, text: str) -> bool:
    return text in env.failures.get(module, '')


def matching_torchvision(env: Environment) -> str:
    """Matching torchvision release: its minor version is torch 2's plus fifteen."""
    major, minor, *_ = (*release(env.versions.get('torch', '')), 0, 0)
    return f'0.{minor + 15}' if major == 2 else ''


def torchvision_differs(env: Environment) -> bool:
    expected = matching_torchvision(env)
    actual = '.'.join(env.versions.get('torchvision', '').split('.')[:2])
    return bool(expected and actual) and expected != actual


def is_unsupported_gpu(env: Environment) -> bool:
    """Whether torch has no code for the GPU.

    Binaries run on later minor versions of the same major, PTX on all later ones.
    """
    if env.capability is None:
        return False
    for arch in env.arch_list:
        kind, digits = re.match(r'(\w+?)_(\d+)', arch).groups()
        compiled = (int(digits[:-1]), int(digits[-1]))
        same_major = compiled[0] == env.capability[0]
        if compiled <= env.capability and (kind == 'compute' or same_major):
            return False
    return True


def has_several_mmcv(env: Environment) -> bool:
    return sum(name in env.versions for name in ('mmcv', 'mmcv-lite', 'mmcv-full')) > 1


def has_mmcv(env: Environment) -> bool:
    return 'mmcv' in env.versions or 'mmcv-lite' in env.versions


def has_new_mmcv(env: Environment) -> bool:
    return any(within(env, name, least='2.2') for name in ('mmcv', 'mmcv-lite'))


def lacks_startup(env: Environment) -> bool:
    return not env.has_startup and not env.has_compiled_ops and 'mmdet3d' in env.versions


def opencv_versions(env: Environment) -> set[str]:
    return {
        env.versions[name]
        for name in ('opencv-python', 'opencv-python-headless')
        if name in env.versions
    }


RULES = (
    Rule(
        'error',
        lambda env: 'torch' not in env.versions,
        "ModuleNotFoundError: No module named 'torch'",
        'pip install torch torchvision',
    ),
    Rule(
        'error',
        lambda env: 'mmengine' not in env.versions,
        "ModuleNotFoundError: No module named 'mmengine'",
        'pip install mmengine',
    ),
    Rule(
        'error',
        lambda env: torchvision_differs(env) or fails(env, 'torchvision', 'torchvision::nms'),
        'RuntimeError: operator torchvision::nms does not exist. torchvision '
        'was built for another torch, or one of the two is a CPU build.',
        'pip install --force-reinstall torch=={torch} '
        '"torchvision=={torchvision}.*"   (both from the same index)',
    ),
    Rule(
        'error',
        is_unsupported_gpu,
        'CUDA error: no kernel image is available for execution on the '
        'device. torch is compiled for other GPUs than the one here.',
        'install a torch built for it (a newer one for a newer GPU, an older '
        'one for an older GPU); until then run on the CPU with '
        'CUDA_VISIBLE_DEVICES=-1',
    ),
    Rule(
        'error',
        lambda env: (
            within(env, 'torch', least='2.6')
            and within(env, 'mmengine', below='0.10.8')
            and not env.reads_checkpoints
        ),
        '_pickle.UnpicklingError: Weights only load failed ... Unsupported '
        'global: GLOBAL mmengine.logging.history_buffer.HistoryBuffer, on '
        'resume and test.',
        'import mmkd3d before, in a config: ' + RESUME,
    ),
    Rule(
        'note',
        lambda env: (
            within(env, 'torch', least='2.6')
            and within(env, 'mmengine', below='0.10.8')
            and env.reads_checkpoints
        ),
        'mmengine cannot read its own checkpoints with this torch; `import '
        'mmkd3d` has just repaired that.',
        'configs without any part of mmkd3d need: ' + RESUME,
    ),
    Rule(
        'error',
        lambda env: not env.has_pkg_resources,
        "ModuleNotFoundError: No module named 'pkg_resources', from mmengine "
        "for a base like 'mmdet3d::...' and from building mmcv.",
        'pip install "setuptools<82"',
    ),
    Rule(
        'error',
        has_several_mmcv,
        'Two of mmcv, mmcv-lite and mmcv-full share one folder; which files '
        'are left is chance (ImportError or AttributeError in mmcv).',
        'pip uninstall -y mmcv mmcv-lite mmcv-full && ' + LITE,
    ),
    Rule(
        'error',
        lambda env: 'mmcv-full' in env.versions,
        "mmcv-full is mmcv 1: ModuleNotFoundError: No module named 'mmcv.transforms'.",
        'pip uninstall -y mmcv-full && ' + LITE,
    ),
    Rule(
        'error',
        lambda env: has_new_mmcv(env) and within(env, 'mmdet3d', below='1.5'),
        'AssertionError: MMCV==2.2.0 is used but incompatible. Please install '
        'mmcv>=2.0.0rc4, <2.2.0.',
        'pip uninstall -y mmcv mmcv-lite && ' + LITE + '   (mmkd3d stands in for its operators)',
    ),
    Rule(
        'error',
        lambda env: 'mmdet3d' in env.versions and not has_mmcv(env),
        "ModuleNotFoundError: No module named 'mmcv'",
        LITE,
    ),
    Rule(
        'note',
        lambda env: has_mmcv(env) and not env.has_compiled_ops,
        "mmcv has no compiled operators (No module named 'mmcv._ext'); "
        'mmkd3d stands in for those of indoor detection and segmentation.',
        'nothing to do; for the others a compiled mmcv older than 2.2 is '
        'needed: pip uninstall -y mmcv-lite && mim install "mmcv<2.2"',
    ),
    Rule(
        'note',
        lacks_startup,
        "ModuleNotFoundError: No module named 'mmcv._ext', from mmdetection3d's own "
        'tools/train.py and test.py: they import mmcv.ops before mmkd3d.',
        "use mmkd3d's tools/train.py and test.py, which take the same arguments; or "
        'python -m mmkd3d.doctor --install-startup',
    ),
    Rule(
        'error',
        lambda env: within(env, 'numpy', least='2.4') and within(env, 'mmdet3d', below='1.5'),
        'TypeError: only 0-dimensional arrays can be converted to Python '
        "scalars, from mmdet3d's IndoorMetric (AP of ScanNet and SUN RGB-D).",
        "in configs: val_evaluator = dict(type='mmkd3d.IndoorMetric'), which "
        'has the same numbers; or pip install "numpy<2"',
    ),
    Rule(
        'warning',
        lambda env: within(env, 'numpy', least='2') and 'nuscenes-devkit' in env.versions,
        'nuscenes-devkit, which mmdet3d requires, declares numpy<2.',
        'pip install "numpy<2" "opencv-python<4.12" "opencv-python-headless<4.12"',
    ),
    Rule(
        'error',
        lambda env: fails(env, 'numba', 'Numba needs NumPy'),
        'ImportError: Numba needs NumPy ... or less, from mmdet3d.',
        'pip install --upgrade numba   (or an older numpy)',
    ),
    Rule(
        'error',
        lambda env: 'cv2' in env.failures and fails(env, 'cv2', 'numpy'),
        'ImportError: numpy.core.multiarray failed to import: OpenCV was built '
        'for another generation of numpy.',
        'numpy 1: pip install "opencv-python<4.12" '
        '"opencv-python-headless<4.12"; numpy 2: pip install --upgrade '
        'opencv-python opencv-python-headless',
    ),
    Rule(
        'warning',
        lambda env: len(opencv_versions(env)) > 1,
        'opencv-python and opencv-python-headless share one folder and differ in version.',
        'pip install --force-reinstall --no-deps opencv-python=={opencv} '
        'opencv-python-headless=={opencv}',
    ),
    Rule(
        'error',
        lambda env: not env.has_mim and 'checkout' not in env.versions.get('mmkd3d', 'checkout'),
        'FileNotFoundError: .../mmkd3d/.mim/model-index.yml. The installed '
        'mmkd3d lacks the configs and tools that mim looks for.',
        'install it again: pip install --force-reinstall --no-deps ... (in a '
        'checkout: pip install --no-deps -e .)',
    ),
    Rule(
        'note',
        lambda env: 'mmdet3d' not in env.versions,
        'mmdet3d is not installed: detection and segmentation configs cannot '
        'run; pretraining, probes and classification can.',
        'pip install "mmkd3d[lite]"   (beside a compiled mmcv: "mmkd3d[mm]")',
    ),
)


def repair_conflict(line: str) -> str:
    missing = re.search(r'requires (\S+), which is not installed', line)
    if missing:
        return f'pip install {missing[1]}'
    return 'pip install -c constraints.txt ... (of the checkout) settles it in a new environment'


def diagnose(env: Environment) -> list[Finding]:
    """Apply all rules, worst findings first.

    A package whose import fails is an error even where no rule knows why.
    """
    opencv = min(opencv_versions(env), key=release, default='')
    names = dict(
        torch=env.versions.get('torch', ''), torchvision=matching_torchvision(env), opencv=opencv
    )
    found = [
        Finding(
            rule.level,
            rule.symptom,
            rule.repair.format(**names) if '{' in rule.repair else rule.repair,
        )
        for rule in RULES
        if rule.applies(env)
    ]
    is_explained = any(finding.level == 'error' for finding in found)
    for module, error in env.failures.items():
        repair = (
            'see the other errors first'
            if is_explained
            else f'python -c "import {module}"   shows where it fails'
        )
        found.append(Finding('error', f'import {module}: {error}', repair))
    found += [
        Finding('warning', f'pip check: {line}', repair_conflict(line)) for line in env.conflicts
    ]
    order = ('error', 'warning', 'note')
    return sorted(found, key=lambda finding: order.index(finding.level))
