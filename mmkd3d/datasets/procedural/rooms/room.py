"""Rooms: choose furniture and place it.

y is up, the floor is y = 0, and x = z = 0 is the middle of the room.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..shapes import fixtures, furniture, things
from ..solids import Solid, rectangle, rotation

Solids = list[Solid]

# nyu40 ids of ScanNet; the first 18 are its detection classes, in order
NYU40 = dict(
    cabinet=3,
    bed=4,
    chair=5,
    sofa=6,
    table=7,
    door=8,
    window=9,
    bookshelf=10,
    picture=11,
    counter=12,
    desk=14,
    curtain=16,
    refrigerator=24,
    showercurtrain=28,
    toilet=33,
    sink=34,
    bathtub=36,
    garbagebin=39,
    wall=1,
    floor=2,
    lamp=35,
    otherprop=40,
)
DETECTION_CLASSES = tuple(NYU40)[:18]

# required and optional pieces of each kind of room
KINDS = dict(
    bedroom=(('bed', 'cabinet'), ('desk', 'bookshelf', 'chair', 'cabinet', 'lamp', 'bin', 'sofa')),
    living=(('sofa', 'dining'), ('sofa', 'bookshelf', 'cabinet', 'chair', 'lamp', 'bin', 'chair')),
    office=(
        ('desk', 'bookshelf', 'desk'),
        ('desk', 'cabinet', 'dining', 'bin', 'chair', 'lamp', 'cabinet'),
    ),
    kitchen=(('kitchen', 'fridge', 'dining'), ('cabinet', 'bin', 'chair', 'kitchen', 'cabinet')),
    bathroom=(('toilet', 'tub', 'wash'), ('cabinet', 'bin', 'wash', 'bin')),
)


@dataclass
class Item:
    """One object of a room: its class name and its solids."""

    name: str
    solids: Solids

    def bounds(self) -> np.ndarray:
        """(2, 3) lowest and highest corner."""
        low, high = zip(*(s.bounds() for s in self.solids))
        return np.stack([np.min(low, axis=0), np.max(high, axis=0)])

    def moved(self, matrix, shift=(0, 0, 0)) -> 'Item':
        """The item after ``x -> matrix @ x + shift``."""
        return Item(self.name, [s.moved(matrix, shift) for s in self.solids])


@dataclass
class Room:
    """Items within a rectangle of ``size`` (width, height, depth)."""

    size: np.ndarray
    items: list[Item] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)

    def add(self, group: Sequence[Item], *, reach: float = 0.01, margin: float = 0.04) -> bool:
        """Add a group of items if it does not overlap the others.

        ``reach`` is how far they may extend into a wall, ``margin`` the minimum
        distance to other items, both in metres.
        """
        boxes = np.stack([item.bounds() for item in group])
        if (np.abs(boxes[:, :, [0, 2]]).max((0, 1)) > self.size[[0, 2]] / 2 + reach).any():
            return False
        if self.boxes:
            others = np.stack(self.boxes)[:, None]
            apart = (
                (boxes[None, :, 0] > others[:, :, 1] + margin)
                | (boxes[None, :, 1] < others[:, :, 0] - margin)
            ).any(-1)
            if not apart.all():
                return False
        self.items += group
        self.boxes += list(boxes)
        return True


def _bounds(group: Sequence[Item]) -> np.ndarray:
    boxes = np.stack([item.bounds() for item in group])
    return np.stack([boxes[:, 0].min(0), boxes[:, 1].max(0)])


def to_wall(group, room: Room, rng, *, gap=None, lift=0.0) -> list[Item]:
    """Put the back of a group (its lowest z) at a random position on a wall."""
    side = int(rng.integers(4))
    width, _, depth = room.size if side % 2 == 0 else room.size[[2, 1, 0]]
    low, high = _bounds(group)
    free = max(width / 2 - (high[0] - low[0]) / 2 - 0.02, 0)
    x = rng.uniform(-free, free) - (low[0] + high[0]) / 2
    gap = rng.uniform(0.0, 0.06) if gap is None else gap
    turn = rotation(side * np.pi / 2)
    shift = turn @ (x, lift, -depth / 2 - low[2] + gap)
    return [item.moved(turn, shift) for item in group]


def hang(group, room: Room, rng, *, lift: float) -> list[Item]:
    """Put z = 0 of a group on a wall, so that frames extend into the wall."""
    return to_wall(group, room, rng, gap=_bounds(group)[0, 2], lift=lift)


def anywhere(group, room: Room, rng) -> list[Item]:
    turn = rotation(rng.uniform(0, 2 * np.pi))
    x, z = rng.uniform(-0.5, 0.5, 2) * (room.size[[0, 2]] - 0.8)
    return [item.moved(turn, (x, 0, z)) for item in group]


def _on_top(support: Item, rng) -> list[Item]:
    """Small things on a table: unlabelled clutter and lamps."""
    low, high = support.bounds()
    props = []
    for _ in range(rng.integers(0, 4)):
        build = (things.mug, things.bottle, things.laptop, things.vase)[rng.integers(4)]
        x, z = rng.uniform(low[[0, 2]] * 0.6, high[[0, 2]] * 0.6)
        item = Item('otherprop', build(rng)).moved(
            rotation(rng.uniform(-0.5, 0.5)), (x, high[1], z)
        )
        if all(
            (item.bounds()[0] > p.bounds()[1])[[0, 2]].any()
            or (item.bounds()[1] < p.bounds()[0])[[0, 2]].any()
            for p in props
        ):
            props.append(item)
    return props


def _chair_at(edge: float, along: float, turn: np.ndarray, rng) -> Item:
    """A chair facing the edge of a table, rotated slightly."""
    item = Item('chair', furniture.chair(rng)).moved(rotation(np.pi + rng.normal(0, 0.15)))
    z = edge - item.bounds()[0, 2] + rng.uniform(0.02, 0.15)
    return item.moved(turn, turn @ (along, 0, z))


def dining(rng) -> list[Item]:
    """A table with chairs around it."""
    table = Item('table', furniture.table(rng))
    high = table.bounds()[1]
    group = [table] + _on_top(table, rng)
    if high[1] < 0.6:
        return group
    for side in range(4):
        half, edge = (high[0], high[2]) if side % 2 == 0 else (high[2], high[0])
        turn = rotation(side * np.pi / 2)
        places = max(1, int(2 * half / 0.65))
        for k in range(places):
            if rng.random() < 0.6:
                along = ((k + 0.5) / places - 0.5) * 2 * half
                group.append(_chair_at(edge, along, turn, rng))
    return group


def work_place(rng) -> list[Item]:
    """A desk with a chair and clutter."""
    solids = [s for s in furniture.desk(rng)]
    desk = Item('desk', solids)
    flat = Item('desk', [s for s in solids if s.part == 'top'])
    group = [desk] + ([] if any(s.part == 'hutch' for s in solids) else _on_top(flat, rng))
    if rng.random() < 0.85:
        group.append(_chair_at(desk.bounds()[1, 2], 0.0, np.eye(3), rng))
    return group


def kitchen(rng) -> list[Item]:
    """A counter with a sink, sometimes with a wall cabinet above."""
    unit = Item('counter', fixtures.counter(rng))
    top = unit.bounds()[1, 1]
    sink = Item('sink', fixtures.inset_sink(rng)).moved(
        np.eye(3), (rng.uniform(-0.2, 0.2), top + 0.002, 0)
    )
    group = [unit, sink]
    if rng.random() < 0.6:
        cupboard = Item('cabinet', furniture.cabinet(rng))
        low, high = cupboard.bounds()
        scale = np.array([unit.bounds()[1, 0] * 2, 0.6, 0.35]) / (high - low)
        back = unit.bounds()[0, 2] + 0.18
        group.append(cupboard.moved(np.diag(scale), (0, top + 0.55, back)))
    return group


def bath(rng) -> list[Item]:
    """A bathtub, usually with a curtain along its front."""
    tub = Item('bathtub', fixtures.bathtub(rng))
    if rng.random() < 0.3:
        return [tub]
    cloth = Item('showercurtrain', fixtures.shower_curtain(rng))
    return [tub, cloth.moved(np.eye(3), (0, 0, tub.bounds()[1, 2] + 0.02))]


def single(name, build):
    return lambda rng: [Item(name, build(rng))]


WALL = dict(
    bed=single('bed', furniture.bed),
    sofa=single('sofa', furniture.sofa),
    cabinet=single('cabinet', furniture.cabinet),
    bookshelf=single('bookshelf', furniture.bookshelf),
    fridge=single('refrigerator', fixtures.refrigerator),
    toilet=single('toilet', fixtures.toilet),
    wash=single('sink', fixtures.wash_stand),
    desk=work_place,
    kitchen=kitchen,
    tub=bath,
)
FREE = dict(
    dining=dining,
    chair=single('chair', furniture.chair),
    lamp=single('lamp', furniture.lamp),
    bin=single('garbagebin', fixtures.garbage_bin),
)


def window(rng) -> list[Item]:
    """A window, often between two curtains."""
    pane = Item('window', fixtures.window(rng))
    low, high = pane.bounds()
    group = [pane]
    if rng.random() < 0.5:
        for side in (-1, 1):
            cloth = Item('curtain', fixtures.curtain(rng))
            cloth_low, cloth_high = cloth.bounds()
            x = side * ((high[0] - low[0] + cloth_high[0] - cloth_low[0]) / 2 + 0.02)
            group.append(cloth.moved(np.eye(3), (x, high[1] + 0.1 - cloth_high[1], 0)))
    return group


def put(room: Room, place, build, rng, tries: int = 12, **kwargs) -> bool:
    for _ in range(tries):
        reach = 0.1 if place is hang else 0.01
        if room.add(place(build(rng), room, rng, **kwargs), reach=reach):
            return True
    return False


def shell(size: np.ndarray) -> list[Item]:
    """Floor and four walls facing inwards."""
    width, height, depth = size
    up = rotation(-np.pi / 2, 'x')
    floor = rectangle('floor', (width, depth), (0, 0, 0), up)
    items = [Item('floor', [floor])]
    for side in range(4):
        long, far = (width, depth) if side % 2 == 0 else (depth, width)
        turn = rotation(side * np.pi / 2)
        wall = rectangle('wall', (long, height), turn @ (0, height / 2, -far / 2), turn)
        items.append(Item('wall', [wall]))
    return items


def build_room(rng: np.random.Generator) -> Room:
    """A random room: its shell, openings and furniture without overlap."""
    kind = tuple(KINDS)[rng.integers(len(KINDS))]
    need, extra = KINDS[kind]
    low, high = ((2.0, 2.8), (2.9, 3.8)) if kind == 'bathroom' else ((3.0, 4.2), (3.8, 5.6))
    width, depth = rng.uniform(low[0], high[0]), rng.uniform(low[1], high[1])
    room = Room(np.array([width, rng.uniform(2.3, 2.8), depth]))
    for _ in range(rng.integers(1, 3)):
        put(room, hang, single('door', fixtures.door), rng, lift=0.0)
    chosen = need + tuple(rng.choice(extra, size=rng.integers(3, len(extra) + 1), replace=False))
    for name in chosen:
        place = to_wall if name in WALL else anywhere
        put(room, place, (WALL | FREE)[name], rng)
    for _ in range(rng.integers(0, 3)):
        put(room, hang, window, rng, lift=rng.uniform(0.8, 1.0))
    for _ in range(rng.integers(0, 4)):
        put(room, hang, single('picture', fixtures.picture), rng, lift=rng.uniform(1.2, 1.6))
    room.items = shell(room.size) + room.items
    return room
