"""3DETR: encoder, decoder, head, matcher and criterion.

Only the detector itself needs mmdetection3d, which is imported when one is built.
"""

from mmkd3d.registry import MODELS


@MODELS.register_module(name='ThreeDETR')
def three_detr(**kwargs):
    """Build a :class:`~mmkd3d.models.detectors.three_detr.ThreeDETR`.

    Args:
        kwargs: Of the class.
    """
    from .three_detr import ThreeDETR

    return ThreeDETR(**kwargs)
