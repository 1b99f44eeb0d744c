"""Point cloud operators in PyTorch and, on a CPU, in loops that Numba compiles when first used.

Searches run in float32 (even under autocast) with bounded memory, and return
the same indices on every device. Indices carry no gradient; values gathered or
computed with them do.
"""

from .chamfer import chamfer_distance
from .gather import gather, group
from .interpolation import three_interpolate, three_nn
from .neighbors import Neighbors, ball_query, knn
from .projection import (
    AXIS_VIEWS,
    Pixels,
    Samples,
    max_filter,
    orthographic,
    project,
    sample_pixels,
    splat_depth,
    visible,
)
from .resized import sample_resized
from .sampling import farthest_point_sample, farthest_point_sample_with_dist
from .views import gray_depth, shade, surface_depth, turntable
from .visibility import FrameVisibility, frame_visibility

__all__ = [
    'AXIS_VIEWS',
    'Neighbors',
    'Pixels',
    'Samples',
    'FrameVisibility',
    'ball_query',
    'chamfer_distance',
    'farthest_point_sample',
    'farthest_point_sample_with_dist',
    'gather',
    'gray_depth',
    'group',
    'knn',
    'max_filter',
    'orthographic',
    'project',
    'sample_pixels',
    'sample_resized',
    'shade',
    'frame_visibility',
    'splat_depth',
    'surface_depth',
    'three_interpolate',
    'three_nn',
    'turntable',
    'visible',
]
