"""Make released mmengine work with newer PyTorch and with our configs."""

import pickle

# Booleans, integers, floats and strings: what metrics, palettes and class
# lists are made of. No objects.
_DTYPE_CODES = '?bBhHiIlLqQefdU'


def _history_statistic(owner: type, name: str):
    """Stand in for ``getattr`` where a checkpoint asks for it.

    A pickled ``HistoryBuffer`` holds its methods as ``getattr(HistoryBuffer,
    'mean')``. Allowing ``getattr`` itself would open far more than that.
    """
    from mmengine.logging import HistoryBuffer

    if owner is not HistoryBuffer or name.startswith('_'):
        raise pickle.UnpicklingError(
            f'refusing getattr({owner!r}, {name!r}) in a checkpoint; only '
            'statistics of mmengine.logging.HistoryBuffer are expected'
        )
    return getattr(owner, name)


def allow_mmengine_checkpoints() -> None:
    """Let ``torch.load`` read what mmengine's Runner wrote.

    From 2.6 on ``torch.load`` builds only objects that are known to be safe.
    A checkpoint of mmengine holds its log history and numpy scalars, and
    mmengine 0.10.7 can therefore neither resume nor test its own files. Naming
    these few types keeps the safe way of loading for everything else.

    Does nothing where torch or mmengine can't be imported: they raise all
    kinds of errors, and ``python -m mmkd3d.doctor`` must get to show them.
    """
    try:
        import numpy as np
        import torch
        from mmengine.config import ConfigDict
        from mmengine.logging import HistoryBuffer
    except Exception:
        return
    if tuple(map(int, torch.__version__.split('.')[:2])) < (2, 6):
        return  # No restriction there, and no names beside the types either.

    # numpy 2 moved numpy.core to numpy._core: a file of one must open with
    # the other. Asking an array avoids importing the name that is deprecated.
    moved = (np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0])
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            ConfigDict,  # in the metainfo of mmdet3d's segmentation data sets
            (_history_statistic, 'builtins.getattr'),
            np.ndarray,
            np.dtype,
            *{type(np.dtype(code)) for code in _DTYPE_CODES},
            *(
                (function, f'numpy.{core}.multiarray.{function.__name__}')
                for function in moved
                for core in ('core', '_core')
            ),
        ]
    )


def register_configs() -> None:
    """Let ``_base_ = 'mmkd3d::...'`` work in configs, as ``'mmdet3d::...'`` does.

    mmengine searches for ``.mim`` in the folder of the distribution that it is
    given; for an editable install that is ``site-packages``, without any. With
    a module that is no distribution it takes the folder of the module's file.

    Does nothing where mmengine can't be imported.
    """
    try:
        from mmengine.config.utils import MODULE2PACKAGE
    except Exception:
        return
    MODULE2PACKAGE['mmkd3d'] = 'mmkd3d.registry'
