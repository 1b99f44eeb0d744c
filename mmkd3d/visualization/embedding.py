"""Features as a picture: each cloud a point, clouds with similar features close together."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Okabe and Ito's colours, which colour-blind readers tell apart; with more classes than
# colours, the form of the markers changes
PALETTE = ('#0072b2', '#e69f00', '#009e73', '#d55e00', '#cc79a7', '#56b4e9', '#000000', '#a6a600')
MARKERS = 'osD^vPX*'
TITLES = dict(tsne='t-SNE', pca='PCA')


def flatten(features: np.ndarray, method: str = 'tsne', *, seed: int = 0) -> np.ndarray:
    """Features (N, D) in the plane, (N, 2).

    Args:
        features: At least 3 rows.
        method: ``'pca'``: the two directions of largest variance. ``'tsne'``: neighbours stay
            neighbours, distances between groups mean nothing.
        seed: Of t-SNE.

    Raises:
        ValueError: An unknown method, or fewer than 3 rows.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if method not in ('pca', 'tsne'):
        raise ValueError(f"method is 'pca' or 'tsne', got {method!r}.")
    if len(features) < 3:
        raise ValueError(f'A picture needs the features of 3 clouds or more, got {len(features)}.')
    main = PCA(min(50, *features.shape), random_state=seed).fit_transform(features)
    if method == 'pca':
        return np.pad(main, ((0, 0), (0, 1)))[:, :2]
    perplexity = min(30.0, (len(features) - 1) / 3)
    return TSNE(
        init='pca' if main.shape[1] > 1 else 'random', perplexity=perplexity, random_state=seed
    ).fit_transform(main)


def draw_embedding(
    features: np.ndarray,
    classes: Sequence[str],
    path: str | Path,
    *,
    method: str = 'tsne',
    seed: int = 0,
    dpi: int = 200,
) -> Path:
    """Draw features in the plane, a colour for each class.

    Args:
        features: (N, D).
        classes: Name of the class of each cloud; equal names for no classes.
        path: ``.png``, ``.pdf`` or ``.svg``.
        method, seed: See :func:`flatten`.
        dpi: Of a png.

    Returns:
        ``path``.
    """
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    points, names = flatten(features, method, seed=seed), np.asarray(classes)
    figure, axes = pyplot.subplots(figsize=(7, 5))
    for k, name in enumerate(sorted(set(names))):
        mine = names == name
        axes.scatter(
            *points[mine].T,
            s=18,
            color=PALETTE[k % len(PALETTE)],
            marker=MARKERS[k // len(PALETTE) % len(MARKERS)],
            linewidths=0,
            label=f'{name} ({mine.sum()})',
        )
    axes.set(xticks=[], yticks=[], title=f'{len(points):,} clouds, {TITLES[method]}')
    axes.set_aspect('equal', adjustable='datalim')
    if len(set(names)) > 1:
        columns = 1 + (len(set(names)) - 1) // 24
        axes.legend(
            loc='center left', bbox_to_anchor=(1, 0.5), fontsize=7, ncols=columns, frameon=False
        )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({'svg.hashsalt': 'mmkd3d'}):
        date = {'Date': None} if path.suffix == '.svg' else None
        figure.savefig(path, dpi=dpi, bbox_inches='tight', metadata=date)
    pyplot.close(figure)
    return path
