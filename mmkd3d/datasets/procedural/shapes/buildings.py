"""Parametric buildings; the front is +z, units are metres."""

import numpy as np

from ..solids import bowl, box, cylinder, lathe, prism, ring, rod, rotation
from .assembly import FLAT, Solids, around, both, chance, disc, grounded, number, placed


def _roof(rng, w, d, y, *, part='roof', steep=None) -> Solids:
    """A gable, hip, shed or flat roof over a block whose top is at y."""
    over = rng.uniform(1.02, 1.25)
    h = w * (steep or rng.uniform(0.25, 0.7))
    size, middle = (w * over, h, d * over), (0, y + h / 2, 0)
    kind = number(rng, 0, 4)
    if kind <= 1:
        return [prism(part, size, middle, top=(0.02, 1))]
    if kind == 2:
        return [prism(part, size, middle, top=(0.02, rng.uniform(0.02, 0.6)))]
    if kind == 3:  # a mansard or gambrel: steep below, flat above
        low = prism(part, size, middle, top=(0.6, rng.choice([1.0, 0.7])))
        cap = (w * over * 0.6, h * 0.5, d * over * 0.7)
        return [low, prism(part, cap, (0, y + h * 1.25, 0), top=(0.02, 1))]
    return [box(part, (w * over, h * 0.15, d * over), (0, y + h * 0.07, 0))]


def _windows(rng, w, h, d, floors) -> Solids:
    """Rows of windows that stand out from the front and the back."""
    count = number(rng, 1, 4)
    size = np.array([w / count * 0.5, h / floors * 0.5, d * 1.02])
    y = h * (np.arange(floors) + 0.55) / floors
    if count * floors > 8:  # strips instead of single windows
        return [box('window', (w * 0.85, size[1], d * 1.02), (0, k, 0)) for k in y]
    x = w * ((np.arange(count) + 0.5) / count - 0.5)
    return [box('window', size, (a, b, 0)) for a in x for b in y]


def _wing_of_house(rng, w, h, d, floors) -> Solids:
    solids = [box('wall', (w, h, d), (0, h / 2, 0)), *_windows(rng, w, h, d, floors)]
    return solids + _roof(rng, w, d, h)


def house(rng) -> Solids:
    """Cottages, villas, barns and farm houses with wings, porches and chimneys."""
    w, d, floors = rng.uniform(5, 12), rng.uniform(5, 14), number(rng, 1, 3)
    h = floors * rng.uniform(2.3, 3.2)
    solids = _wing_of_house(rng, w, h, d, floors)
    if chance(rng, 0.45):
        part = rng.uniform(0.4, 0.8, 3)
        wing = _wing_of_house(rng, d * part[0], h * part[1], w * part[2], 1)
        side = rng.choice([-1, 1])
        at = (side * (w + w * part[2]) * 0.45, 0, rng.uniform(-0.25, 0.25) * d)
        solids += placed(wing, at, turn=rotation(np.pi / 2))
    if chance(rng, 0.6):
        size = rng.uniform(0.5, 1.0)
        at = (rng.uniform(-0.35, 0.35) * w, rng.uniform(-0.3, 0.3) * d)
        top = h + w * rng.uniform(0.4, 0.7)
        solids.append(
            box('chimney', (size, top - h * 0.5, size), (at[0], (top + h * 0.5) / 2, at[1]))
        )
    x, tall = rng.uniform(-0.3, 0.3) * w, min(2.2, h * 0.8)
    solids.append(box('door', (rng.uniform(0.9, 2.5), tall, 0.3), (x, tall / 2, d / 2)))
    if chance(rng, 0.35):
        wide, deep = w * rng.uniform(0.4, 1.0), rng.uniform(1.0, 2.5)
        z = d / 2 + deep
        solids.append(
            prism(
                'roof', (wide, 0.5, deep * 1.1), (0, tall + 0.5, d / 2 + deep / 2), top=(0.9, 0.6)
            )
        )
        posts = np.linspace(-0.45, 0.45, number(rng, 2, 4)) * wide
        solids += [rod('post', (k, 0, z), (k, tall + 0.3, z), 0.12) for k in posts]
    return solids


def skyscraper(rng) -> Solids:
    """Towers with setbacks, twisted, round, in slabs or in pairs, with a spire."""
    w, h = rng.uniform((14, 40), (40, 200))
    d = w * rng.uniform(0.5, 1.0)
    style = number(rng, 0, 3)
    y, solids = 0.0, []
    pieces = number(rng, 2, 5)
    shares = rng.dirichlet(np.full(pieces, 3.0)) * h
    twist = rng.uniform(0.05, 0.3) if style == 1 else 0.0
    scale, shrink = 1.0, rng.uniform(0.65, 0.95)
    for k, tall in enumerate(shares):
        size, middle = (w * scale, tall, d * scale), (0, y + tall / 2, 0)
        if style == 2:
            solids.append(cylinder('tower', w * scale / 2, tall, middle, squash=d / w))
        else:
            block = prism('tower', size, middle, top=(rng.uniform(0.85, 1), 1))
            solids.append(block.moved(rotation(k * twist)))
        if chance(rng, 0.5):
            solids.append(
                box('band', (w * scale * 1.03, tall * 0.06, d * scale * 1.03), (0, y + tall, 0))
            )
        y, scale = y + tall, scale * shrink
    if chance(rng, 0.5):
        tip = h * rng.uniform(0.1, 0.35)
        solids.append(rod('spire', (0, y, 0), (0, y + tip, 0), w * scale * 0.12, top=0.1))
    else:
        size = w * scale * rng.uniform(0.3, 0.7)
        solids.append(box('roof', (size, size * 0.4, size), (0, y + size * 0.2, 0)))
    if style == 3:
        gap = w * rng.uniform(0.6, 1.0)
        return both(placed(solids, (gap, 0, 0))) + [
            box('band', (2 * gap, h * 0.05, d * 0.4), (0, h * 0.4, 0))
        ]
    if chance(rng, 0.4):
        low = h * rng.uniform(0.05, 0.2)
        solids.append(box('base', (w * 1.5, low, d * 1.6), (0, low / 2, 0)))
    return solids


def church(rng) -> Solids:
    """A nave, one or two towers with spires or domes, a transept, an apse, a cross."""
    w, d, h = rng.uniform((7, 12, 6), (12, 26, 12))
    solids = [box('nave', (w, h, d), (0, h / 2, 0))]
    solids.append(prism('roof', (w * 1.05, w * 0.6, d * 1.02), (0, h + w * 0.3, 0), top=(0.02, 1)))
    size, tall = w * rng.uniform(0.4, 0.65), h * rng.uniform(1.4, 2.6)
    tower = [box('tower', (size, tall, size), (0, tall / 2, 0))]
    point = size * rng.uniform(0.8, 3)
    kind = number(rng, 0, 2)
    if kind == 0:
        tower.append(
            prism(
                'spire', (size * 1.1, point, size * 1.1), (0, tall + point / 2, 0), top=(0.02, 0.02)
            )
        )
    elif kind == 1:
        tower.append(cylinder('spire', size * 0.55, point, (0, tall + point / 2, 0), top=0.02))
    else:
        point = size * 0.6
        tower.append(bowl('spire', (size * 0.55, point, size * 0.55), (0, tall, 0), low=0, high=90))
    if chance(rng, 0.6):
        y, arm = tall + point, size * 0.25
        tower += [
            box('cross', (arm * 0.2, 3 * arm, arm * 0.2), (0, y + arm, 0)),
            box('cross', (1.6 * arm, arm * 0.2, arm * 0.2), (0, y + 1.5 * arm, 0)),
        ]
    if chance(rng, 0.3):
        solids += both(placed(tower, (w * 0.5, 0, d / 2)))
    else:
        at = ((0, 0, d / 2), (w * 0.5, 0, d * 0.35), (0, 0, -0.1 * d))[number(rng, 0, 2)]
        solids += placed(tower, at)
    if chance(rng, 0.5):
        wide, z = w * rng.uniform(1.5, 2.2), -d * 0.2
        solids.append(box('nave', (wide, h * 0.9, w * 0.7), (0, h * 0.45, z)))
        gable = prism('roof', (w * 0.75, w * 0.4, wide), (0, 0, 0), top=(0.02, 1)).moved(
            rotation(np.pi / 2)
        )
        solids.append(gable.moved(np.eye(3), (0, h * 0.9 + w * 0.2, z)))
    if chance(rng, 0.5):
        solids.append(cylinder('nave', w * 0.45, h * 0.8, (0, h * 0.4, -d / 2)))
        solids.append(
            cylinder('roof', w * 0.48, w * 0.3, (0, h * 0.8 + w * 0.15, -d / 2), top=0.05)
        )
    door = box('door', (w * 0.22, h * 0.4, 0.4), (0, h * 0.2, d / 2 + size / 2 * 0.9))
    return [*solids, door]


def _keep(rng, r, h, roof) -> Solids:
    """A round or square tower with battlements or a pointed roof."""
    if chance(rng, 0.6):
        solids = [
            cylinder('tower', r, h, (0, h / 2, 0), top=0.92),
            cylinder('tower', r * 1.1, r * 0.5, (0, h, 0)),
        ]
    else:
        solids = [
            box('tower', (2 * r, h, 2 * r), (0, h / 2, 0)),
            box('tower', (2.2 * r, r * 0.5, 2.2 * r), (0, h, 0)),
        ]
    if roof:
        tall = r * rng.uniform(1.5, 3.5)
        solids.append(cylinder('roof', r * 1.2, tall, (0, h + r * 0.25 + tall / 2, 0), top=0.02))
    return solids


def castle(rng) -> Solids:
    """Walls between towers, a gate, a keep; battlements or pointed roofs."""
    w, r, h = rng.uniform((20, 2, 7), (45, 4, 14))
    corners, wall = number(rng, 3, 5), h * rng.uniform(0.5, 0.8)
    tower = _keep(rng, r, h, chance(rng, 0.5))
    start = np.pi / corners
    reach = w / 2
    solids = around(placed(tower, (0, 0, reach)), corners, start=start)
    side, out = 2 * reach * np.sin(start), reach * np.cos(start)
    thick = r * rng.uniform(0.3, 0.8)
    panel = [box('wall', (side, wall, thick), (0, wall / 2, out))]
    teeth = number(rng, 2, 3) if corners < 5 else 2
    for x in side * ((np.arange(teeth) + 0.5) / teeth - 0.5):
        panel.append(
            box('battlement', (side / teeth * 0.5, wall * 0.15, thick), (x, wall * 1.07, out))
        )
    solids += around(panel, corners)
    gate = [
        box('gate', (r * 3, h * 0.9, r * 1.5), (0, h * 0.45, out)),
        box('gate', (r, h * 0.45, r * 1.8), (0, h * 0.22, out)),
    ]
    solids += gate
    if chance(rng, 0.65):
        solids += placed(
            _keep(rng, r * rng.uniform(1.3, 2.0), h * rng.uniform(1.2, 1.8), chance(rng, 0.5)),
            (0, 0, -out * 0.3),
        )
    return grounded(solids)


def lighthouse(rng) -> Solids:
    """A tapered tower with a gallery and a lantern, sometimes with a house."""
    r, h = rng.uniform((2, 10), (4, 30))
    top = rng.uniform(0.45, 0.9)
    if chance(rng, 0.7):
        k = np.linspace(0, 1, 4)
        radius = r * (1 - (1 - top) * k ** rng.uniform(0.5, 1.2))
        solids = lathe('tower', list(zip(radius, k * h)))
    else:
        solids = [prism('tower', (2 * r, h, 2 * r), (0, h / 2, 0), top=(top, top))]
    edge = r * top
    wide, lamp = edge * rng.uniform(1.2, 1.7), edge * rng.uniform(0.6, 0.9)
    solids.append(cylinder('gallery', wide, h * 0.03, (0, h, 0)))
    solids.append(ring('gallery', wide, edge * 0.05, (0, h + edge * 0.6, 0), rotate=FLAT))
    solids += around(
        [rod('gallery', (wide, h, 0), (wide, h + edge * 0.6, 0), edge * 0.04)], number(rng, 4, 8)
    )
    tall = edge * rng.uniform(1.0, 1.8)
    solids.append(cylinder('lantern', lamp, tall, (0, h + tall / 2, 0)))
    y = h + tall
    if chance(rng, 0.5):
        solids.append(bowl('roof', (lamp * 1.15, lamp, lamp * 1.15), (0, y, 0), low=0, high=90))
    else:
        solids.append(cylinder('roof', lamp * 1.3, lamp, (0, y + lamp / 2, 0), top=0.05))
    if chance(rng, 0.45):
        w = r * rng.uniform(2, 3.5)
        size = (w, w * 0.5, w * rng.uniform(0.6, 1))
        at = (w * 0.7, 0, 0)
        hut = [
            box('house', size, (0, size[1] / 2, 0)),
            prism(
                'house',
                (w * 1.1, w * 0.35, size[2] * 1.1),
                (0, size[1] + w * 0.17, 0),
                top=(1, 0.02),
            ),
        ]
        solids += placed(hut, at)
    if chance(rng, 0.3):
        solids.append(cylinder('base', r * 2, h * 0.08, (0, h * 0.04, 0), top=0.7))
    return solids


def windmill(rng) -> Solids:
    """A tower mill or a wind turbine; the cap and the sails are turned."""
    h = rng.uniform(8, 16)
    modern = chance(rng, 0.35)
    if modern:
        r, count = h * 0.04, number(rng, 2, 4)
        solids = [cylinder('tower', r, h, (0, h / 2, 0), top=0.6)]
        head = [box('cap', (r * 1.6, r * 1.6, r * 4), (0, 0, 0))]
        reach = h * rng.uniform(0.4, 0.8)
        blade = [prism('sail', (r * 1.6, reach, r * 0.3), (0, reach / 2, 0), top=(0.3, 0.5))]
        z = 2.2 * r
    else:
        r, count = h * rng.uniform(0.2, 0.3), number(rng, 4, 6)
        solids = [cylinder('tower', r, h, (0, h / 2, 0), top=rng.uniform(0.55, 0.85))]
        if chance(rng, 0.3):
            solids.append(cylinder('gallery', r * 1.3, 0.3, (0, h * 0.4, 0)))
        cap = r * 0.75
        if chance(rng, 0.5):
            head = [cylinder('cap', cap, cap, (0, cap * 0.4, 0), top=0.1)]
        else:
            head = [
                prism('cap', (1.5 * cap, cap * 1.2, 2.2 * cap), (0, cap * 0.4, 0), top=(0.1, 0.9))
            ]
        reach, wide = h * rng.uniform(0.5, 0.75), h * rng.uniform(0.07, 0.13)
        blade = [rod('sail', (0, 0, 0), (0, reach, 0), h * 0.012)]
        blade.append(box('sail', (wide, reach * 0.75, 0.06), (wide * 0.4, reach * 0.6, 0)))
        solids.append(box('door', (r * 0.5, h * 0.18, r * 0.3), (0, h * 0.09, r * 0.9)))
        z = cap * 1.3
    sails = around(blade, count, 'z', rng.uniform(0, 2))
    head += [
        disc('sail', reach * 0.06, reach * 0.15, (0, 0, z), axis='z'),
        *placed(sails, (0, 0, z + 0.1)),
    ]
    return solids + placed(head, (0, h, 0), turn=rotation(rng.uniform(-1.2, 1.2)))


def temple(rng) -> Solids:
    """A stepped base, columns, an entablature and a gable, a dome or a pagoda roof."""
    w, d, h = rng.uniform((8, 8, 4), (20, 26, 9))
    steps, y, solids = number(rng, 1, 4), 0.0, []
    for k in range(steps):
        size = 1.25 - 0.06 * k
        solids.append(box('base', (w * size, 0.4, d * size), (0, y + 0.2, 0)))
        y += 0.4
    if chance(rng, 0.25):  # a pagoda: floors and roofs that shrink
        size = 1.0
        for _ in range(number(rng, 2, 5)):
            solids.append(
                box('hall', (w * size * 0.7, h * 0.6, w * size * 0.7), (0, y + h * 0.3, 0))
            )
            y += h * 0.6
            solids.append(
                prism(
                    'roof',
                    (w * size * 1.2, h * 0.3, w * size * 1.2),
                    (0, y + h * 0.1, 0),
                    top=(0.5, 0.5),
                )
            )
            size *= rng.uniform(0.72, 0.9)
        return [*solids, rod('roof', (0, y, 0), (0, y + h * 0.6, 0), w * 0.03, top=0.1)]
    r, across, along = w * rng.uniform(0.03, 0.055), number(rng, 3, 5), number(rng, 0, 4)
    columns = [(x, s) for x in np.linspace(-0.45, 0.45, across) * w for s in (-0.45 * d, 0.45 * d)]
    columns += [
        (s, z) for z in np.linspace(-0.45, 0.45, along + 2)[1:-1] * d for s in (-0.45 * w, 0.45 * w)
    ]
    solids += [cylinder('column', r, h, (x, y + h / 2, z), top=0.85) for x, z in columns]
    if chance(rng, 0.6):
        solids.append(box('hall', (w * 0.65, h, d * 0.7), (0, y + h / 2, 0)))
    y += h
    solids.append(box('beam', (w, h * 0.14, d), (0, y + h * 0.07, 0)))
    y += h * 0.14
    if chance(rng, 0.7):
        tall = w * rng.uniform(0.12, 0.25)
        return [
            *solids,
            prism('roof', (w * 1.05, tall, d * 1.03), (0, y + tall / 2, 0), top=(0.02, 1)),
        ]
    size = min(w, d) * 0.42
    solids.append(cylinder('roof', size, h * 0.3, (0, y + h * 0.15, 0)))
    return [*solids, bowl('roof', (size, size, size), (0, y + h * 0.3, 0), low=0, high=90)]
