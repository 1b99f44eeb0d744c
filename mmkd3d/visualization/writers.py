"""Write clouds to files."""
from pathlib import Path
from typing import Optional, Union

import numpy as np


def write_ply(path: Union[str, Path],
              points: np.ndarray,
              colors: Optional[np.ndarray] = None) -> Path:
    """Write a cloud as binary PLY.

    Args:
        path: The file; its folder is made.
        points: (N, 3).
        colors: (N, 3) with values 0 to 255, or None.

    Returns:
        ``path``.
    """
    import trimesh
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if colors is not None:
        colors = np.asarray(colors).astype(np.uint8)
    trimesh.PointCloud(np.asarray(points), colors=colors).export(path)
    return path
