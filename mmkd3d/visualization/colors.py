"""Colours for values and features: RGB in [0, 1]."""

import numpy as np
import torch.nn.functional as F
from matplotlib import colormaps
from torch import Tensor

# The end of this map is too pale for points on white.
HEAT, HEAT_END = colormaps['plasma'], 0.92
VISIBLE, MASKED, PREDICTED = (
    np.array(rgb) / 255 for rgb in ((0, 158, 115), (170, 184, 200), (213, 94, 0))
)
UNSEEN = np.full(3, 0.85)


def heat(values: np.ndarray, cmap=HEAT) -> np.ndarray:
    """Colours (..., 3) of values (...), scaled from the smallest to the largest.

    Equal values get the colour of the smallest.
    """
    values = np.asarray(values, dtype=float)
    low = values.min()
    values = (values - low) / (np.ptp(values) or 1)
    return cmap(HEAT_END * values)[..., :3]


def by_height(points: np.ndarray) -> np.ndarray:
    """Colours (N, 3) of points (N, 3) whose y is up."""
    return heat(np.asarray(points)[:, 1], colormaps['viridis'])


def enlarge(maps: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Resize maps (V, C, h, w) to (V, H, W, C), as when points sample them."""
    maps = F.interpolate(maps, size, mode='bicubic', align_corners=False)
    return maps.movedim(1, -1).numpy()


def blend(images: np.ndarray, colors: np.ndarray, ratio: float = 0.6) -> np.ndarray:
    """Blend colours over images, both (..., 3)."""
    mixed = (1 - ratio) * images + ratio * colors.clip(0, 1)
    return mixed.clip(0, 1)


class FeatureColors:
    """First three principal components of features as red, green and blue.

    Each channel spans the middle 96 % of the features; a component with
    hardly any variance stays dark.

    Args:
        feats: (M, D), all features that are drawn, so that equal colours have
            one meaning.
    """

    def __init__(self, feats: np.ndarray):
        from sklearn.decomposition import PCA

        self.pca = PCA(3, random_state=0).fit(feats)
        self.low, high = np.percentile(self.pca.transform(feats), (2, 98), axis=0)
        extent = high - self.low
        self.range = np.where(extent > 1e-3 * extent.max(), extent, extent.max() or 1)

    def __call__(self, feats: np.ndarray) -> np.ndarray:
        """Colours (..., 3) of features (..., D)."""
        flat = self.pca.transform(feats.reshape(-1, feats.shape[-1]))
        colors = ((flat - self.low) / self.range).clip(0, 1)
        return colors.reshape(*feats.shape[:-1], 3)
