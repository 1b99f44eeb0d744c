"""3DETR: encoder, decoder, head, matcher and criterion.

Only the detector itself needs mmdetection3d, which is imported when one is built.
"""

from mmkd3d.registry import MODELS
from mmkd3d.utils.discovery import import_modules

import_modules(__name__, __path__, skip=('three_detr',))


@MODELS.register_module(name='ThreeDETR')
def three_detr(**kwargs):
    """Build a :class:`~mmkd3d.models.detectors.three_detr.ThreeDETR`.

    Args:
        kwargs: Of the class.
    """
    from .three_detr import ThreeDETR

    return ThreeDETR(**kwargs)
