"""A scan of a room: sampled points with colours, visible from inside."""

from typing import NamedTuple

import numpy as np

from ..surface import Surface, unoccluded
from .room import Room

WOOD = ((150, 110, 70), (190, 150, 105), (95, 65, 45), (215, 195, 165))
WHITE = ((232, 232, 228), (215, 218, 222), (240, 236, 225))
CLOTH = ((110, 60, 60), (70, 85, 120), (120, 120, 118), (160, 140, 110), (60, 95, 80))
COLORS = dict(
    wall=((214, 208, 196), (225, 222, 215), (200, 208, 212)),
    floor=((140, 115, 90), (120, 118, 115), (165, 145, 120)),
    bed=CLOTH,
    sofa=CLOTH,
    curtain=CLOTH,
    showercurtrain=WHITE + CLOTH,
    toilet=WHITE,
    sink=WHITE,
    bathtub=WHITE,
    refrigerator=WHITE,
    window=WHITE,
    picture=CLOTH,
    garbagebin=CLOTH + WHITE,
    otherprop=CLOTH + WHITE,
)
# items that cut a hole into their wall, or the counter below
OPENINGS = dict(wall=('door', 'window', 'picture'), counter=('sink',))
PANORAMA = (160, 320)  # rows, columns of the visibility buffer
RANGE = 4.5  # metres that a depth camera sees
VIEW = (0.56, 0.42)  # tangents of half its field of view, across and along


class Cloud(NamedTuple):
    """Points (N, 3), normals (N, 3), colours (N, 3) 0..255, item (N,) and
    whether the surface has two sides (N,)."""

    points: np.ndarray
    normals: np.ndarray
    colors: np.ndarray
    item: np.ndarray
    two_sided: np.ndarray

    def take(self, index: np.ndarray) -> 'Cloud':
        """The points selected by ``index``."""
        return Cloud(*(x[index] for x in self))


class Scene:
    """A room with fixed colours, ready to sample surface points from."""

    def __init__(self, room: Room, rng: np.random.Generator):
        self.room = room
        self.surfaces = [Surface(item.solids) for item in room.items]
        self.area = sum(s.area for s in self.surfaces)
        self._tints = [self._tint(item, rng) for item in room.items]
        self._cuts = [self._openings(item) for item in room.items]

    @staticmethod
    def _tint(item, rng) -> np.ndarray:
        palette = COLORS.get(item.name, WOOD)
        base = np.array(palette[rng.integers(len(palette))])
        base = base * rng.uniform(0.85, 1.1) + rng.normal(0, 6, 3)
        parts = {s.part: rng.normal(0, 14, 3) for s in item.solids}
        return np.stack([base + parts[s.part] for s in item.solids])

    def _openings(self, item) -> list[np.ndarray]:
        names = OPENINGS.get(item.name, ())
        return [i.bounds() for i in self.room.items if i.name in names]

    def draw(self, num_points: int, rng: np.random.Generator) -> Cloud:
        """Sample about ``num_points`` points on all surfaces, uniformly by area."""
        clouds = []
        for k, surface in enumerate(self.surfaces):
            count = int(np.ceil(num_points * surface.area / self.area))
            points, normals, owner = surface.draw(count, rng)
            keep = np.ones(len(points), dtype=bool)
            for low, high in self._cuts[k]:
                keep &= ~((points > low) & (points < high)).all(1)
            points, normals, owner = points[keep], normals[keep], owner[keep]
            shade = 0.8 + 0.2 * normals @ (0.35, 0.85, 0.39)
            color = self._tints[k][owner] * shade[:, None]
            color += rng.normal(0, 5, color.shape)
            open_ = np.array([s.mesh.inside is None for s in surface.solids])
            clouds.append(
                Cloud(
                    points, normals, np.clip(color, 0, 255), np.full(len(points), k), open_[owner]
                )
            )
        return Cloud(*(np.concatenate(x) for x in zip(*clouds)))


def stand_points(room: Room, count: int, rng) -> np.ndarray:
    """Positions at eye height outside furniture, (count, 3)."""
    found = []
    boxes = np.stack([item.bounds() for item in room.items])
    for _ in range(50 * count):
        x, z = rng.uniform(-0.5, 0.5, 2) * (room.size[[0, 2]] - 0.6)
        eye = np.array([x, rng.uniform(1.2, 1.7), z])
        inside = (eye > boxes[:, 0] - 0.15) & (eye < boxes[:, 1] + 0.15)
        if not inside.all(1).any():
            found.append(eye)
        if len(found) == count:
            break
    return np.stack(found or [np.array([0, 1.7, 0])])


def seen_from(cloud: Cloud, eyes: np.ndarray) -> np.ndarray:
    """Which points are visible from any of the eyes (E, 3), (N,) bool.

    A panoramic z-buffer per eye; back faces are not visible.
    """
    rows, columns = PANORAMA
    visible = np.zeros(len(cloud.points), dtype=bool)
    for eye in eyes:
        ray = cloud.points - eye
        distance = np.linalg.norm(ray, axis=1) + 1e-9
        facing = (cloud.normals * ray).sum(1)
        front = (facing < -0.05 * distance) | cloud.two_sided
        azimuth = np.arctan2(ray[:, 2], ray[:, 0]) / (2 * np.pi) + 0.5
        height = np.arccos(np.clip(ray[:, 1] / distance, -1, 1)) / np.pi
        bins = np.minimum((height * rows).astype(int), rows - 1) * columns + np.minimum(
            (azimuth * columns).astype(int), columns - 1
        )
        visible |= front & unoccluded(bins, bins, distance, rows * columns, 0.03, 1.03)
    return visible


def scan(scene: Scene, num_points: int, rng: np.random.Generator, eyes: np.ndarray) -> Cloud:
    """A scan with ``num_points`` points: those visible from the eyes, minus holes."""
    cloud = scene.draw(3 * num_points, rng)
    good = seen_from(cloud, eyes)
    for _ in range(rng.integers(3, 9)):
        center = cloud.points[rng.integers(len(cloud.points))]
        radius = rng.uniform(0.05, 0.25)
        good &= np.linalg.norm(cloud.points - center, axis=1) > radius
    index = np.flatnonzero(good)
    index = rng.choice(index, num_points, replace=len(index) < num_points)
    cloud = cloud.take(index)
    jitter = rng.normal(0, 0.004, cloud.points.shape)
    return cloud._replace(points=cloud.points + jitter)


def walk(scene: Scene, num_points: int, rng: np.random.Generator) -> Cloud:
    """A scan with ``num_points`` points as a hand-held depth camera makes it.

    The camera looks around at some places. A frame shows what is within its field of view and
    4.5 m, in front and not at a grazing angle; near surfaces get more points. Noise grows with
    the distance, and what no frame shows is missing.
    """
    cloud = scene.draw(4 * num_points, rng)
    eyes = stand_points(scene.room, int(rng.integers(4, 9)), rng)
    weight, noise = np.zeros(len(cloud.points)), np.full(len(cloud.points), np.inf)
    for eye in eyes:
        seen = seen_from(cloud, eye[None])
        ray = cloud.points - eye
        distance = np.linalg.norm(ray, axis=1) + 1e-9
        cosine = np.abs((cloud.normals * ray).sum(1)) / distance
        frames = np.zeros(len(ray), dtype=bool)
        for _ in range(rng.integers(3, 8)):
            frames |= _in_view(ray, rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.7))
        seen &= frames & (distance < RANGE) & (cosine > 0.15)
        weight += seen * cosine / np.maximum(distance, 0.6) ** 2
        noise = np.where(seen, np.minimum(noise, 0.002 + 0.001 * distance**2), noise)
    for _ in range(rng.integers(3, 12)):  # dark, shiny or missed
        center = cloud.points[rng.integers(len(cloud.points))]
        weight *= np.linalg.norm(cloud.points - center, axis=1) > rng.uniform(0.05, 0.3)
    shiny = np.isin(cloud.item, [k for k, i in enumerate(scene.room.items) if i.name == 'window'])
    weight *= np.where(shiny & (rng.random(len(weight)) < 0.7), 0, 1)
    total = np.count_nonzero(weight)
    if total < 100:  # every place looked at a wall
        return scan(scene, num_points, rng, eyes)
    chosen = rng.choice(
        len(weight), num_points, replace=total < num_points, p=weight / weight.sum()
    )
    cloud, noise = cloud.take(chosen), noise[chosen]
    jitter = rng.normal(0, 1, cloud.points.shape) * np.minimum(noise, 0.04)[:, None]
    gain = rng.uniform(0.6, 1.15)
    colors = np.clip(cloud.colors * gain + rng.normal(0, 8, cloud.colors.shape), 0, 255)
    return cloud._replace(points=cloud.points + jitter, colors=colors)


def _in_view(ray: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    """Which rays (N, 3) a camera sees that looks to ``yaw`` and down by ``pitch``."""
    across, along, depth = (ray @ look_from(np.zeros(3), yaw, pitch)[:3, :3]).T
    return (depth > 0.4) & (np.abs(across) < depth * VIEW[0]) & (np.abs(along) < depth * VIEW[1])


def look_from(eye: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    """(4, 4) camera to room: x right, y down, z forward; pitch is down."""
    forward = np.array([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    right = np.cross(forward, (0, 1.0, 0))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = eye
    return pose
