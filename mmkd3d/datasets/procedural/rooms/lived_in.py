"""Rooms as people live in them: of any size, some L-shaped, crowded, with clutter everywhere."""

import numpy as np

from ..shapes import fixtures
from ..shapes.catalogue import CATEGORIES
from ..solids import rectangle
from . import room as plain
from .room import Item, Room

# class of ScanNet -> categories of ToyShapes, each with the range of its height in metres
FURNITURE = dict(
    chair=dict(chair=(0.75, 1.1), office_chair=(0.85, 1.2), stool=(0.4, 0.8)),
    sofa=dict(sofa=(0.7, 1.0)),
    bed=dict(bed=(0.6, 1.2)),
    table=dict(table=(0.35, 0.8)),
    desk=dict(desk=(0.7, 1.3)),
    cabinet=dict(cabinet=(0.6, 1.6), dresser=(0.6, 1.2), wardrobe=(1.6, 2.2)),
    bookshelf=dict(bookshelf=(0.8, 2.1)),
    refrigerator=dict(refrigerator=(0.8, 1.9)),
    toilet=dict(toilet=(0.6, 0.9)),
    bathtub=dict(bathtub=(0.45, 0.65)),
    garbagebin=dict(wastebasket=(0.25, 0.7)),
    otherprop=dict(
        lamp=(0.4, 1.7), fan=(0.4, 1.3), piano=(0.9, 1.3), potted_plant=(0.3, 1.4), crate=(0.2, 0.5)
    ),
)
WEIGHTS = dict(chair=7, cabinet=4, table=3, garbagebin=2, otherprop=3)  # others 1
FREE = ('chair', 'table', 'garbagebin', 'otherprop', 'sofa')  # may stand anywhere
CLUTTER = (
    'book bottle mug laptop monitor keyboard pot vase shoe hat telephone clock teapot camera '
    'teddy_bear crate flashlight goblet candelabra fruit free_vase pebble guitar iron drum'
).split()
SUPPORTS = ('table', 'desk', 'cabinet', 'bookshelf', 'counter', 'bed', 'sofa', 'chair')


def sized(category: str, height: float, rng: np.random.Generator, *, longest=False) -> list:
    """Solids of a category of ``ToyShapes``, upright in the middle of the floor.

    Args:
        category: See ``CATEGORIES``.
        height: In metres; of the longest side with ``longest``.
        rng: Source of randomness.
        longest: See above.
    """
    item = Item('', CATEGORIES[category].build(rng))
    low, high = item.bounds()
    scale = height / ((high - low).max() if longest else high[1] - low[1])
    middle = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    return item.moved(scale * np.eye(3), -scale * middle).solids


def furniture(name: str, rng: np.random.Generator) -> Item:
    """A piece of furniture of a class of ScanNet."""
    kinds = FURNITURE[name]
    category = tuple(kinds)[rng.integers(len(kinds))]
    return Item(name, sized(category, rng.uniform(*kinds[category]), rng))


def clutter(rng: np.random.Generator) -> Item:
    """A small thing without a class, 8 to 45 cm."""
    category = CLUTTER[rng.integers(len(CLUTTER))]
    height = 0.08 * np.exp(rng.uniform(0, 1.7))
    return Item('otherprop', sized(category, height, rng, longest=True))


def _block(size: np.ndarray, rng: np.random.Generator) -> Item:
    """Two walls that cut a corner off, so that the room is an L."""
    width, height, depth = size
    x, z = rng.uniform(0.2, 0.45, 2) * (width, depth)  # of the corner that is cut off
    right, back = rng.choice([-1, 1], 2)
    middle = right * (width - x) / 2, height / 2, back * (depth - z) / 2
    side = rectangle(
        'wall',
        (z, height),
        (right * (width / 2 - x), *middle[1:]),
        plain.rotation(-right * np.pi / 2),
    )
    front = rectangle(
        'wall',
        (x, height),
        (*middle[:2], back * (depth / 2 - z)),
        plain.rotation(np.pi) if back > 0 else None,
    )
    return Item('wall', [side, front])


def build_lived_in_room(rng: np.random.Generator) -> Room:
    """A random room; see the module."""
    area = np.exp(rng.uniform(np.log(5), np.log(50)))  # square metres
    ratio = np.exp(rng.uniform(-0.5, 0.5))
    room = Room(np.array([(area * ratio) ** 0.5, rng.uniform(2.3, 3.0), (area / ratio) ** 0.5]))
    if rng.random() < 0.3:
        room.add([_block(room.size, rng)])
    for _ in range(rng.integers(1, 4)):
        plain.put(room, plain.hang, plain.single('door', fixtures.door), rng, lift=0.0)
    # groups of the plain rooms: a desk with its chair, a table with chairs, a kitchen, a bath
    kinds = tuple(plain.KINDS)
    some = rng.choice(len(kinds), 1 if area < 12 else 2, replace=False)
    for name in (name for k in some for name in plain.KINDS[kinds[k]][0]):
        place = plain.to_wall if name in plain.WALL else plain.anywhere
        plain.put(room, place, (plain.WALL | plain.FREE)[name], rng)
    names = tuple(FURNITURE)
    weights = np.array([WEIGHTS.get(name, 1.0) for name in names])
    for name in rng.choice(names, int(rng.uniform(0.5, 1.3) * area) + 2, p=weights / weights.sum()):
        place = plain.anywhere if name in FREE and rng.random() < 0.7 else plain.to_wall
        plain.put(room, place, lambda r, name=name: [furniture(name, r)], rng)
    for _ in range(rng.integers(0, 4)):
        plain.put(room, plain.hang, plain.window, rng, lift=rng.uniform(0.6, 1.1))
    for _ in range(rng.integers(0, 5)):
        picture = plain.single('picture', fixtures.picture)
        plain.put(room, plain.hang, picture, rng, lift=rng.uniform(1.0, 1.7))
    _scatter(room, rng)
    room.items = plain.shell(room.size) + room.items
    return room


def _scatter(room: Room, rng: np.random.Generator) -> None:
    """Put clutter on furniture, under it and beside it."""
    supports = [item for item in room.items if item.name in SUPPORTS]
    for _ in range(rng.integers(4, 7 + 2 * len(supports))):
        item = clutter(rng).moved(plain.rotation(rng.uniform(0, 2 * np.pi)))
        if supports and rng.random() < 0.65:
            low, high = supports[rng.integers(len(supports))].bounds()
            x, z = rng.uniform(low[[0, 2]], high[[0, 2]]) * 0.8 + (low + high)[[0, 2]] * 0.1
            room.add([item.moved(np.eye(3), (x, high[1] + 0.002, z))], margin=0.0)
        else:
            x, z = rng.uniform(-0.5, 0.5, 2) * (room.size[[0, 2]] - 0.5)
            inside = item.moved(np.eye(3), (x, 0, z))
            room.items.append(inside)  # boxes may overlap, as under a table
            room.boxes.append(inside.bounds())
