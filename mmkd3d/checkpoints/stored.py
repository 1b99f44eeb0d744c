"""The config and the input spec in a checkpoint: data that may be hostile.

A registry of mmengine imports whatever a ``type`` with dots names, so that a
config can run any function. What is built from a stored config is therefore
limited to types that are registered.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from mmengine import registry as root
from mmengine.config import Config, ConfigDict
from mmengine.registry import Registry

from mmkd3d.registry import Registry as OwnRegistry

from .files import meta_of, source_of, state_dict_of
from .input_spec import InputSpec, make_spec, spec_of_config
from .sources import SOURCES, detect

SCOPES = ('mmkd3d', 'mmengine', 'mmdet3d', 'mmdet')
# Registered types that read, download or run files, or look up other types.
REFUSED = (
    'Albu',
    'AppearanceFreeLink',
    'BertModel',
    'DataBaseSampler',
    'Detectron2Wrapper',
    'KnowledgeDistillationSingleStageDetector',
    'LAD',
    'ObjectSample',
    'Pretrained',
    'RandomSamplingNegPos',
    'Student',
)
# Arguments that switch the safe reading of other files off.
UNSAFE = ('trust', 'weights_only', 'model_kwargs')
ADDRESS = re.compile(r'\s*[\w+.-]+://|\s*[\w-]+:')  # https://..., hf-hub:..., local-dir:...
FILE = re.compile(
    r'.*[/\\].*|.*\.(py|pt|pth|pkl|pickle|bin|onnx|safetensors|npy|npz|h5|hdf5|json|ya?ml|txt|csv)',
    re.DOTALL,
)
NAMES = ('classes', 'class_names')  # of which a sofa/couch may be one
# Arguments of mmdetection and mmdetection3d that are evaluated as Python code.
EVALUATED = ('seg_3d_dtype', 'warp_mode')
MAX_ITEMS = 100_000  # of the largest config of mmdetection3d: about 2,000
ADVICE = (
    'Name the config, a file or one of mmkd3d.list_models(); or, if you trust where the '
    'checkpoint comes from, pass trust=True (--trust-checkpoint on the command line).'
)


def stored_config(
    checkpoint: dict,
    name: str | Path = 'The checkpoint',
    *,
    detector: bool = False,
    trust: bool = False,
) -> Config | None:
    """Read the config in a checkpoint, as far as it is needed and safe to build.

    Args:
        checkpoint: See :func:`read_checkpoint`.
        name: Of the file, for errors.
        detector: Keep the whole model and the test data; by default only the
            student, or the whole model of a method without one.
        trust: Keep everything, unchecked.

    Returns:
        The config; or None, if there is none.

    Raises:
        ValueError: The config has no model; or see :func:`parse_config` and
            :func:`check_buildable`.
    """
    config = parse_config(checkpoint, name)
    if config is None or trust:
        return config
    kept = ('default_scope', 'metainfo', 'class_names', 'model', 'test_dataloader')
    settings = {key: config[key] for key in kept if key in config}
    model = settings.get('model')
    student = model.get('backbone', model) if isinstance(model, Mapping) else model
    if not isinstance(student, Mapping) or 'type' not in student:
        raise ValueError(f'{name} has a config without the type of a model. {ADVICE}')
    if not detector:
        settings.pop('test_dataloader', None)
        if 'backbone' in model:
            kept = ('backbone', 'data_preprocessor')
            settings['model'] = {key: model[key] for key in kept if key in model}
    elif 'test_dataloader' in settings:
        settings['test_dataloader'] = dict(dataset=pipeline_of(settings['test_dataloader']))
    settings = without_initial_weights(settings)
    check_buildable(settings, name)
    return Config(settings)


def pipeline_of(dataloader: Any) -> dict:
    """What a detector needs of the config of its test data: type, pipeline and classes."""
    dataset = dataloader.get('dataset') if isinstance(dataloader, Mapping) else None
    while isinstance(dataset, Mapping) and 'dataset' in dataset:  # a wrapper
        dataset = dataset['dataset']
    kept = ('type', 'pipeline', 'metainfo')
    return {k: dataset[k] for k in kept if k in dataset} if isinstance(dataset, Mapping) else {}


def parse_config(checkpoint: dict, name: str | Path = 'The checkpoint') -> Config | None:
    """Parse the config in a checkpoint; nothing in it may be built unchecked.

    Args:
        checkpoint: See :func:`read_checkpoint`.
        name: Of the file, for errors.

    Returns:
        The whole config; the part that :func:`export_backbone` keeps,
        ``model`` with the ``backbone``; or None.

    Raises:
        ValueError: The text is more than assignments of plain values.
    """
    meta = meta_of(checkpoint, name)
    text = meta.get('cfg')
    if text is None:
        backbone = meta.get('backbone')
        text = dict(model=dict(backbone=backbone)) if backbone else None
    if text is None:
        return None
    try:
        settings = dict(text) if isinstance(text, Mapping) else parse(text)
        list(items_of(settings))  # an error if the structure contains itself
        return Config(ConfigDict(settings))
    except (AttributeError, MemoryError, RecursionError, SyntaxError, TypeError, ValueError) as e:
        raise ValueError(
            f"{name} has a text in meta['cfg'] that is more than assignments of plain values "
            f'({e}). Name the config: a file, or one of mmkd3d.list_models().'
        ) from e


def parse(text: str) -> dict:
    """The assignments in the text of a config."""
    settings = {}
    for line in ast.parse(text).body:
        (target,), value = line.targets, line.value  # type: ignore[attr-defined]
        settings[target.id] = plain(value)
    return settings


def plain(node: ast.AST) -> Any:
    """The value of a literal or of ``dict(...)``, as mmengine writes it.

    Raises:
        ValueError: Anything else.
    """
    if isinstance(node, ast.Call):
        named = isinstance(node.func, ast.Name) and node.func.id == 'dict'
        if not named:
            raise ValueError(f'{ast.unparse(node)[:60]!r} in line {node.lineno}')
        words = {word.arg: plain(word.value) for word in node.keywords}
        return dict(*map(plain, node.args), **words)
    if isinstance(node, ast.Dict):
        return {plain(key): plain(value) for key, value in zip(node.keys, node.values)}
    for kind, make in ((ast.List, list), (ast.Tuple, tuple), (ast.Set, set)):
        if isinstance(node, kind):
            return make(plain(item) for item in node.elts)
    return ast.literal_eval(node)


def check_buildable(cfg: Any, name: str | Path = 'The checkpoint', *, files: bool = False) -> None:
    """Refuse a stored config that could run code when it is built.

    At any depth, each ``type`` must be the name of a type that is registered
    in mmkd3d, mmdetection3d, mmdetection or mmengine or by the user, with or
    without its scope, and no teacher; scopes must be known; no file and no
    address to download from is named; and what mmdetection3d evaluates is a
    plain name.

    Args:
        cfg: A part of a config.
        name: Of the file, for errors.
        files: Files may be named: of a data set.

    Raises:
        ValueError: It is none of these; the message names the entry.
    """
    for key, value in items_of(cfg):
        if key == 'type' and not is_buildable(value):
            problem = 'which is not a registered type that is safe to build'
            if isinstance(value, str) and '.' not in value:
                problem += '. If it is yours, import the module that registers it first'
        elif key in ('_scope_', 'default_scope') and value not in (None, *known_scopes()):
            problem = f'expected one of {", ".join(known_scopes())}'
        elif key in EVALUATED and not re.fullmatch(r'[\w.]+', str(value)):
            problem = 'which mmdetection3d would run as code'
        elif key in UNSAFE and value:
            problem = 'which can switch the safe reading of files off'
        elif key not in NAMES and isinstance(value, str) and ADDRESS.match(value):
            problem = 'an address to download from'
        elif key not in NAMES and not files and isinstance(value, str) and FILE.fullmatch(value):
            problem = 'a file; the weights are in the checkpoint itself'
        else:
            continue
        raise ValueError(f'The config in {name} has {key}={value!r}, {problem}. {ADVICE}')


def is_buildable(name: Any) -> bool:
    """Whether ``name`` is a registered type that may be built from a stored config."""
    found = registered(name)
    # teachers, which hide their network, read their weights from other files
    return bool(found) and not any(getattr(part, 'hides_net', False) for part in found)


def registered(name: Any) -> list:
    """What is registered under a name, in any registry; nothing that is always refused."""
    if not isinstance(name, str) or not re.fullmatch(r'(\w+\.)?\w+', name):
        return []
    scope, _, kind = name.rpartition('.')
    if kind in REFUSED or scope not in ('', *known_scopes()):
        return []
    for imported in ((), SCOPES):  # mmdetection3d's only if it is needed
        for registry in registries():
            if registry.scope in imported:
                registry.import_from_location()
        found = [
            r.find(kind) if isinstance(r, OwnRegistry) else r.module_dict.get(kind)
            for r in registries()
            if scope in ('', r.scope)
        ]
        if any(found):
            return [part for part in found if part]
    return []


def registries() -> Iterator[Registry]:
    """Registries of the parts that are built from stored configs."""
    for scope in SCOPES:  # adds its nodes to the trees
        import_module(f'{scope}.registry')
    found = [
        root.MODELS,
        root.TASK_UTILS,
        root.DATASETS,
        root.TRANSFORMS,
        root.DATA_SAMPLERS,
        root.FUNCTIONS,
        root.WEIGHT_INITIALIZERS,
    ]
    builder = sys.modules.get('mmdet3d.models.layers.pointnet_modules.builder')
    found += [builder.SA_MODULES] if builder else []  # a tree of its own
    while found:
        registry = found.pop()
        yield registry
        found += registry.children.values()


def known_scopes() -> tuple[str, ...]:
    """Scopes whose types may be built: ours, those of mmdetection3d and the user's."""
    return (*SCOPES, *sorted({r.scope for r in registries()} - set(SCOPES)))


def items_of(cfg: Any) -> Iterator[tuple[str, Any]]:
    """Keys and values of a config at any depth; the key of a list for its elements.

    Raises:
        ValueError: It is far larger than any config, or contains itself.
    """
    stack, number = [('', cfg)], 0
    while stack:
        number += 1
        if number > MAX_ITEMS:
            raise ValueError(f'more than {MAX_ITEMS} entries, or a structure that contains itself')
        key, value = stack.pop()
        if key:
            yield key, value
        if isinstance(value, Mapping):
            stack += [(str(name), item) for name, item in value.items()]
        elif isinstance(value, (list, tuple, set, frozenset)):
            stack += [(key, item) for item in value]


def without_initial_weights(cfg: Any) -> Any:
    """A copy without ``init_cfg=dict(type='Pretrained', ...)`` and names of weights, of which
    only the student's config is kept: the file has the weights."""
    if isinstance(cfg, Mapping):
        if cfg.get('type') in ('Student', 'mmkd3d.Student'):
            from mmkd3d.models.backbones.student import without_name

            cfg = without_name(cfg)
        return {k: without_initial_weights(v) for k, v in cfg.items() if not is_pretrained(k, v)}
    if isinstance(cfg, (list, tuple)):
        return type(cfg)(without_initial_weights(item) for item in cfg)
    return cfg


def is_pretrained(key: str, value: Any) -> bool:
    """Whether an entry names weights to start from."""
    kind = value.get('type') if isinstance(value, Mapping) else None
    return key == 'init_cfg' and str(kind).rpartition('.')[2] == 'Pretrained'


def stored_spec(
    checkpoint: dict, config: Config | None = None, name: str | Path = 'The checkpoint'
) -> InputSpec:
    """The input spec in a checkpoint.

    Older files of ours have a config instead; the specs of published files
    are known from their key maps.

    Args:
        checkpoint: See :func:`read_checkpoint`.
        config: Fills in fields that the file does not tell.
        name: Of the file, for errors.

    Raises:
        ValueError: The spec is not one.
    """
    meta = meta_of(checkpoint, name)
    source = source_of(meta) or detect(state_dict_of(checkpoint, name))
    stated = meta.get('input_spec')
    if isinstance(stated, Mapping):
        spec = make_spec({k: stated.get(k) for k in InputSpec._fields})
    elif source in SOURCES:
        spec = SOURCES[source].input_spec
    else:
        try:
            cfg = parse_config(checkpoint)
            spec = spec_of_config(cfg) if cfg else InputSpec()
        except (AttributeError, KeyError, TypeError, ValueError):  # of another kind of training
            spec = InputSpec()
    return spec.filled(spec_of_config(config)) if config else spec
