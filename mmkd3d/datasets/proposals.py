"""Proposals: things in unlabelled rooms, as groups of points with pseudo classes.

Geometry finds things as connected points that are not floor, ceiling or wall. Image features
find them as connected points whose features are in one cluster.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

THICK = 0.06  # metres from a plane that belong to it
STEP = 0.02  # metres between the planes that are tried
CELL = 0.15  # metres, of the cells that measure the area of a plane
AREA = 2.0  # square metres of a floor, ceiling or wall
BEYOND = 0.03  # share of the points behind it, seen through windows and doors
NEAR = 16  # points that a normal is estimated from
LARGE = 2.5  # metres, longest side of the pieces of a floor or wall
SAMPLE = 500  # points of a room that clusters and classifiers learn from


@dataclass
class Room:
    """Points of a room, and the things in it.

    Attributes:
        points: (N, 3) in metres, walls along x and y, z up.
        feats: (N, D) image features; None without a teacher.
        visible: (N,) whether an image shows the point.
        number: (N,) number of the point's thing, from 1; 0 for none.
        labels: (T,) pseudo class of each thing.
    """

    points: np.ndarray
    feats: np.ndarray | None = None
    visible: np.ndarray | None = None
    number: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


def structure(points: np.ndarray) -> np.ndarray:
    """Which points are floor, ceiling, wall or behind them, (N,) bool.

    Args:
        points: See :class:`Room`.
    """
    found = np.zeros(len(points), dtype=bool)
    for axis in range(3):
        across = np.delete(points, axis, axis=1)
        cells = np.unique(np.floor(across / CELL), axis=0, return_inverse=True)[1].ravel()
        for outwards in (-points[:, axis], points[:, axis]):
            first = np.quantile(outwards, 1 - BEYOND) - THICK
            planes = np.arange(first, outwards.max() + STEP, STEP)
            on = [np.abs(outwards - plane) < THICK for plane in planes]
            areas = [len(np.unique(cells[near])) * CELL**2 for near in on]
            if max(areas) > AREA:
                found |= outwards > planes[np.argmax(areas)] - THICK
    return found


def connected(
    points: np.ndarray, radius: float, *, kind: np.ndarray | None = None, turn: float | None = None
) -> np.ndarray:
    """Number of the connected component of each point, (N,).

    Args:
        points: (N, 3).
        radius: Distance up to which points are connected.
        kind: (N,) numbers; only points of one kind are connected.
        turn: Only points whose normals differ by less are connected, in degrees: things
            that touch fall apart, and so do the sides of a box.
    """
    pairs = cKDTree(points).query_pairs(radius, output_type='ndarray')
    if kind is not None:
        pairs = pairs[kind[pairs[:, 0]] == kind[pairs[:, 1]]]
    if turn is not None:
        one, two = normals(points)[pairs.T]
        pairs = pairs[np.abs((one * two).sum(1)) > np.cos(np.radians(turn))]
    graph = coo_array((np.ones(len(pairs), bool), pairs.T), (len(points), len(points)))
    return connected_components(graph, directed=False)[1]


def normals(points: np.ndarray) -> np.ndarray:
    """Unit normals (N, 3) of either sign, from the nearest points."""
    near = cKDTree(points).query(points, min(NEAR, len(points)))[1]
    near = points[near.reshape(len(points), -1)]
    near -= near.mean(1, keepdims=True)
    return np.linalg.eigh(near.swapaxes(1, 2) @ near)[1][:, :, 0]


def numbered_things(
    points: np.ndarray,
    group: np.ndarray,
    *,
    min_points: int = 30,
    min_size: float = 0.15,
    max_size: float = 3.0,
) -> np.ndarray:
    """The groups that may be things, numbered from 1; 0 for all other points, (N,).

    Args:
        points: (N, 3) in metres.
        group: (N,) number of each point's group, negative for none.
        min_points: Of a thing.
        min_size: Minimum of the longest side of its box.
        max_size: Maximum of the longest side of its box.
    """
    number, last = np.zeros(len(points), dtype=np.int64), 0
    ids, counts = np.unique(group[group >= 0], return_counts=True)
    for one in ids[counts >= min_points]:
        if min_size <= np.ptp(points[group == one], axis=0).max() <= max_size:
            last += 1
            number[group == one] = last
    return number


def things_of_geometry(room: Room, radius: float, turn: float | None = None) -> None:
    """Set the things of a room to its connected points without floor, ceiling and walls."""
    free = ~structure(room.points)
    group = np.full(len(room.points), -1)
    group[free] = connected(room.points[free], radius, turn=turn)
    room.number = numbered_things(room.points, group)


def things_of_features(rooms: Sequence[Room], radius: float, *, clusters: int, seed: int) -> None:
    """Set the things of rooms to connected points of one cluster of features.

    Clusters whose pieces are larger than things are left out: floors and walls.
    """
    from sklearn.cluster import KMeans

    feats = np.concatenate([room.feats[some] for room, some in zip(rooms, _some(rooms, seed))])
    means = KMeans(clusters, n_init=3, random_state=seed).fit(feats)
    groups, large = [], np.zeros((2, clusters))  # points in large pieces, and all
    for room in rooms:
        kind = np.where(room.visible, means.predict(room.feats), -1)
        group = connected(room.points, radius, kind=kind)
        size = np.array(
            [np.ptp(room.points[group == g], axis=0).max() for g in range(group.max() + 1)]
        )
        seen = kind >= 0
        large += [np.bincount(kind[seen], w[seen], clusters) for w in (size[group] > LARGE, seen)]
        groups.append((kind, group))
    is_thing = 2 * large[0] < large[1]
    for room, (kind, group) in zip(rooms, groups):
        group[(kind < 0) | ~is_thing[kind]] = -1
        room.number = numbered_things(room.points, group)


def correct_geometry(rooms: Sequence[Room], radius: float, seed: int) -> None:
    """Let features correct what geometry found in rooms.

    A classifier learns from all rooms which features the points of things have. Things that
    it calls floor or wall are left out. What it calls a thing among the other points, such as
    a picture on a wall, is added.
    """
    from sklearn.linear_model import LogisticRegression

    some = _some(rooms, seed)
    feats = np.concatenate([room.feats[index] for room, index in zip(rooms, some)])
    is_thing = np.concatenate([room.number[index] > 0 for room, index in zip(rooms, some)])
    if is_thing.all() or not is_thing.any():
        return
    judge = LogisticRegression(class_weight='balanced', max_iter=2000).fit(feats, is_thing)
    for room in rooms:
        like_thing = judge.predict(room.feats) & room.visible
        votes, seen = (np.bincount(room.number, w) for w in (like_thing, room.visible))
        keep = 2 * votes >= seen
        keep[0] = False
        room.number = (np.cumsum(keep) * keep)[room.number]
        other = like_thing & (room.number == 0)
        group = np.where(other, connected(room.points, radius, kind=other), -1)
        more = numbered_things(room.points, group)
        room.number += (more + room.number.max()) * (more > 0)


def set_labels(rooms: Sequence[Room], *, classes: int, seed: int) -> None:
    """Pseudo classes: clusters of the sizes of things, and of their mean features.

    Args:
        rooms: With things; with features or without.
        classes: Number of clusters.
        seed: Of the clusters.
    """
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import scale

    rows = scale(np.concatenate([sizes(room) for room in rooms]))
    if rooms[0].feats is not None:
        feats = np.concatenate([mean_features(room) for room in rooms])
        feats = feats / max(feats.std(0).max(), 1e-9)  # main directions count most
        rows = np.concatenate([rows, feats], axis=1)
    classes = min(classes, len(np.unique(rows, axis=0)))
    found = KMeans(classes, n_init=3, random_state=seed).fit_predict(rows)
    ends = np.cumsum([room.number.max() for room in rooms])
    for room, labels in zip(rooms, np.split(found, ends[:-1])):
        room.labels = labels


def sizes(room: Room) -> np.ndarray:
    """Logs of the longer and the shorter horizontal side and of the height, and the lowest
    and highest z, of each thing, (T, 5); metres."""
    rows = []
    for one in range(1, room.number.max() + 1):
        points = room.points[room.number == one]
        low, high = points.min(0), points.max(0)
        short, long = np.sort((high - low)[:2])
        logs = np.log(np.maximum([long, short, high[2] - low[2]], 0.02))
        rows.append([*logs, low[2], high[2]])
    return np.array(rows).reshape(-1, 5)


def mean_features(room: Room) -> np.ndarray:
    """Mean of the visible features of each thing, (T, D); 0 where none is visible."""
    count = room.number.max() + 1
    seen = np.bincount(room.number, room.visible, count)
    feats = room.feats * room.visible[:, None]
    total = np.stack([np.bincount(room.number, column, count) for column in feats.T], axis=1)
    return (total / np.maximum(seen, 1)[:, None])[1:]


def _some(rooms: Sequence[Room], seed: int) -> list[np.ndarray]:
    """Some visible points of each room."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(np.flatnonzero(room.visible))[:SAMPLE] for room in rooms]
