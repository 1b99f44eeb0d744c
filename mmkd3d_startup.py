"""Offers mmkd3d's operators where mmcv has no compiled ones.

``mmkd3d_mmcv_ext.pth`` imports this when Python starts, so that programs
which import ``mmcv.ops`` before they could import mmkd3d work as well:
mmdet3d's own ``tools/train.py`` with ``mmcv-lite`` is one. It comes after
all other finders, and loads nothing until ``mmcv._ext`` is asked for and
found nowhere.
"""

import sys


class _Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != 'mmcv._ext':
            return None
        from mmkd3d.utils.mmcv_hook import stand_in_spec

        return stand_in_spec()


sys.meta_path.append(_Finder)
