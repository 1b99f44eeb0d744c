"""Parametric furniture: each builder returns solids standing on y = 0.

x is width, y is up, the front looks to +z; sizes are in metres.
"""

import numpy as np

from ..solids import Solid, box, cylinder, prism, rod, rotation

Solids = list[Solid]


def _corners(width: float, depth: float) -> list[tuple[float, float]]:
    return [(sx * width / 2, sz * depth / 2) for sx in (-1, 1) for sz in (-1, 1)]


def four_legs(rng, width, depth, height) -> Solids:
    """Round or square legs at the corners, upright or splayed."""
    radius = rng.uniform(0.012, 0.035)
    splay = rng.choice([0, rng.uniform(0.02, 0.1)])
    inset = radius + rng.uniform(0, 0.12) * min(width, depth)
    legs = []
    for x, z in _corners(width - 2 * inset, depth - 2 * inset):
        if splay:
            foot = (x + np.sign(x) * splay, 0, z + np.sign(z) * splay)
            legs.append(rod('leg', foot, (x, height, z), radius * 0.7, top=1.4))
        elif radius > 0.022:
            legs.append(box('leg', (2 * radius, height, 2 * radius), (x, height / 2, z)))
        else:
            legs.append(rod('leg', (x, 0, z), (x, height, z), radius))
    if rng.random() < 0.3 and not splay:
        for x in (-width / 2 + inset, width / 2 - inset):
            y = height * rng.uniform(0.2, 0.5)
            z = depth / 2 - inset
            legs.append(rod('leg', (x, y, -z), (x, y, z), radius * 0.6))
    return legs


def pedestal(rng, width, depth, height) -> Solids:
    """One column on a disc or on a star of feet."""
    reach = min(width, depth) * rng.uniform(0.35, 0.5)
    low = rng.uniform(0.03, 0.08)
    column = rod('leg', (0, low, 0), (0, height, 0), rng.uniform(0.025, 0.06))
    if rng.random() < 0.4:
        return [column, cylinder('leg', reach, low, (0, low / 2, 0), top=rng.uniform(0.3, 1))]
    count = rng.integers(3, 6)
    return [column] + [
        rod(
            'leg',
            (0, low * 1.6, 0),
            (reach * np.sin(a), low / 2, reach * np.cos(a)),
            low / 2,
            top=0.7,
        )
        for a in 2 * np.pi * np.arange(count) / count
    ]


def panel_legs(rng, width, depth, height) -> Solids:
    """Two upright boards at the sides."""
    t = rng.uniform(0.02, 0.06)
    return [
        box('leg', (t, height, depth * 0.94), (x, height / 2, 0))
        for x in (-width / 2 + t, width / 2 - t)
    ]


def _supports(rng, width, depth, height, kinds) -> Solids:
    return kinds[rng.integers(len(kinds))](rng, width, depth, height)


def _back(rng, width, height, y, z) -> Solids:
    """A back rest from height y: a board, slats or bars, sometimes tilted."""
    t, lean = rng.uniform(0.02, 0.06), rng.uniform(-0.25, 0)
    kind = rng.integers(3)
    centre = height / 2
    if kind == 0:
        parts = [
            prism(
                'back',
                (width, height, t),
                (0, centre, 0),
                top=(rng.uniform(0.6, 1), rng.uniform(0.6, 1)),
            )
        ]
    else:
        xs = (-width / 2 + t / 2, width / 2 - t / 2)
        parts = [box('back', (t, height, t), (x, centre, 0)) for x in xs]
        count = rng.integers(2, 6)
        if kind == 1:
            h = height / count * rng.uniform(0.3, 0.7)
            parts += [
                box('back', (width, h, t * 0.7), (0, c, 0))
                for c in np.linspace(height * 0.3, height - h / 2, count)
            ]
        else:
            top = height - t / 2
            parts += [box('back', (width, t, t), (0, top, 0))] + [
                rod('back', (x, 0, 0), (x, top, 0), t * 0.25)
                for x in np.linspace(*xs, count + 2)[1:-1]
            ]
    return [p.moved(rotation(lean, 'x'), (0, y, z)) for p in parts]


def _arms(rng, width, depth, y) -> Solids:
    """Arm rests beside a seat at height y."""
    t, h = rng.uniform(0.025, 0.05), rng.uniform(0.17, 0.26)
    arms = []
    for x in (-width / 2, width / 2):
        arms.append(box('arm', (t, t * 0.8, depth * 0.9), (x, y + h, -depth * 0.03)))
        for z in (-depth * 0.4, depth * 0.35):
            arms.append(rod('arm', (x, y - 0.02, z), (x, y + h, z), t * 0.4))
    return arms


def chair(rng) -> Solids:
    """Kitchen, office and arm chairs."""
    w, d, y = rng.uniform((0.38, 0.38, 0.40), (0.55, 0.55, 0.52))
    t = rng.uniform(0.02, 0.09)
    stand = 1.0
    if rng.random() < 0.25:
        seat = cylinder('seat', w / 2, t, (0, y - t / 2, 0), squash=d / w)
        stand = 0.75
    else:
        seat = prism('seat', (w, t, d), (0, y - t / 2, 0), top=(rng.uniform(0.85, 1.0), 1))
    solids = [seat]
    solids += _supports(rng, w * stand, d * stand, y - t, (four_legs, four_legs, pedestal))
    solids += _back(rng, w * rng.uniform(0.7, 1), rng.uniform(0.3, 0.65), y, -d / 2 + 0.03)
    if rng.random() < 0.4:
        solids += _arms(rng, w, d, y)
    return solids


def bench(rng) -> Solids:
    """A long seat with or without a back."""
    w, d, y = rng.uniform((1.0, 0.3, 0.38), (1.8, 0.5, 0.5))
    t = rng.uniform(0.03, 0.08)
    if rng.random() < 0.5:
        seat = [box('seat', (w, t, d), (0, y - t / 2, 0))]
    else:
        count = rng.integers(2, 5)
        z = (np.arange(count) + 0.5) / count - 0.5
        seat = [box('seat', (w, t * 0.7, d / count * 0.8), (0, y - t * 0.35, d * k)) for k in z]
    solids = seat + _supports(rng, w, d, y - t * 0.7, (four_legs, panel_legs))
    if rng.random() < 0.5:
        solids += _back(rng, w, rng.uniform(0.3, 0.45), y, -d / 2)
        if rng.random() < 0.5:
            solids += _arms(rng, w, d, y)
    return solids


def table(rng) -> Solids:
    """Dining, coffee and side tables, square or round."""
    w, d = rng.uniform((0.6, 0.6), (1.7, 1.0))
    y, t = rng.uniform(0.4, 0.78), rng.uniform(0.02, 0.06)
    if rng.random() < 0.3:
        top = cylinder('top', w / 2, t, (0, y - t / 2, 0), squash=d / w)
        w, d = w * 0.7, d * 0.7
    else:
        top = box('top', (w, t, d), (0, y - t / 2, 0))
    solids = [top]
    solids += _supports(rng, w, d, y - t, (four_legs, four_legs, pedestal, panel_legs))
    if rng.random() < 0.25:
        low = y * rng.uniform(0.2, 0.5)
        solids.append(box('shelf', (w * 0.85, t * 0.8, d * 0.85), (0, low, 0)))
    return solids


def desk(rng) -> Solids:
    """A table with drawers on one side, sometimes a panel or a hutch."""
    w, d, y = rng.uniform((1.0, 0.5, 0.70), (1.7, 0.8, 0.80))
    t, box_w = rng.uniform(0.02, 0.05), rng.uniform(0.32, 0.45)
    sides = ((-1,), (1,), (-1, 1))[rng.integers(3)]
    solids = [box('top', (w, t, d), (0, y - t / 2, 0))]
    h = (y - t) * rng.choice([1.0, rng.uniform(0.4, 0.8)])
    for side in (-1, 1):
        x = side * (w / 2 - box_w / 2 - 0.01)
        if side in sides:
            solids.append(box('drawer', (box_w, h, d * 0.9), (x, y - t - h / 2, 0)))
            solids += [
                box('drawer', (box_w * 0.4, 0.015, 0.03), (x, y - t - h * k, d * 0.46))
                for k in (0.2, 0.5, 0.8)
            ]
        if side not in sides or h < y - t:
            leg = rng.uniform(0.02, 0.05)
            solids += [
                box('leg', (leg, y - t, leg), (side * (w / 2 - leg), (y - t) / 2, z))
                for z in (-d / 2 + leg, d / 2 - leg)
            ]
    if rng.random() < 0.5:
        solids.append(box('panel', (w * 0.95, y * 0.4, 0.02), (0, y * 0.75, -d * 0.42)))
    if rng.random() < 0.3:
        high, deep = rng.uniform(0.3, 0.6), d * 0.3
        z = -d / 2 + deep / 2
        solids += [box('hutch', (w, t, deep), (0, y + high, z))] + [
            box('hutch', (t, high, deep), (x, y + high / 2, z))
            for x in (-w / 2 + t / 2, 0, w / 2 - t / 2)
        ]
    return solids


def sofa(rng) -> Solids:
    """One to three seats, most with arms; sometimes a corner sofa."""
    seats = int(rng.integers(1, 4))
    w = seats * rng.uniform(0.55, 0.75)
    d, y = rng.uniform((0.55, 0.34), (0.75, 0.46))
    arm, back, foot = rng.uniform((0.1, 0.14, 0.02), (0.24, 0.26, 0.12))
    high = rng.uniform(0.28, 0.48)
    arms = (-1, 1) if rng.random() < 0.85 else ()
    full = w + len(arms) * arm
    solids = [
        box('seat', (w, y * 0.6 - foot, d), (0, foot + (y * 0.6 - foot) / 2, 0)),
        prism(
            'back',
            (full, y + high - foot, back),
            (0, foot + (y + high - foot) / 2, -d / 2 - back / 2),
            top=(1, rng.uniform(0.5, 1)),
        ),
    ]
    solids += [
        box('seat', (w / seats * 0.97, y * 0.4, d), (w * ((k + 0.5) / seats - 0.5), y * 0.8, 0.01))
        for k in range(seats)
    ]
    arm_high = y + rng.uniform(0.08, 0.28)
    solids += [
        box('arm', (arm, arm_high - foot, d), (s * (w + arm) / 2, foot + (arm_high - foot) / 2, 0))
        for s in arms
    ]
    if seats > 1 and rng.random() < 0.25:
        long, side = rng.uniform(0.4, 0.8), rng.choice([-1, 1])
        solids.append(
            box(
                'seat',
                (w / seats, y - foot, long),
                (side * w * (1 - 1 / seats) / 2, foot + (y - foot) / 2, d / 2 + long / 2),
            )
        )
    solids += [
        rod('foot', (x, 0, z), (x, foot, z), 0.025) for x, z in _corners(full * 0.9, d * 0.85)
    ]
    return solids


def bed(rng) -> Solids:
    """A mattress on a frame with a head board; pillows and bunks vary."""
    w, d = rng.uniform((0.85, 1.8), (1.9, 2.15))
    leg, frame, thick = rng.uniform((0.04, 0.08, 0.12), (0.25, 0.2, 0.28))
    y = leg + frame
    head = y + thick + rng.uniform(0.15, 0.7)
    t = rng.uniform(0.04, 0.1)
    solids = [
        box('frame', (w, frame, d), (0, leg + frame / 2, 0)),
        box('mattress', (w * 0.96, thick, d * 0.96), (0, y + thick / 2, 0)),
        prism(
            'headboard', (w, head, t), (0, head / 2, -d / 2 - t / 2), top=(rng.uniform(0.7, 1), 1)
        ),
    ]
    if rng.random() < 0.4:
        foot = y + thick * rng.uniform(0.6, 2.0)
        solids.append(box('headboard', (w, foot, t), (0, foot / 2, d / 2 + t / 2)))
    count = 1 if w < 1.2 else 2
    if rng.random() < 0.8:
        solids += [
            prism(
                'pillow',
                (w / count * 0.75, 0.12, 0.4),
                (w * ((k + 0.5) / count - 0.5), y + thick + 0.06, -d / 2 + 0.28),
                top=(0.8, 0.7),
            )
            for k in range(count)
        ]
    solids += [
        box('leg', (0.06, leg, 0.06), (x, leg / 2, z)) for x, z in _corners(w * 0.9, d * 0.92)
    ]
    return solids


def bookshelf(rng) -> Solids:
    """Boards between two sides, some of them with books."""
    w, h, d = rng.uniform((0.5, 0.9, 0.22), (1.3, 2.1, 0.4))
    t, count = rng.uniform(0.015, 0.04), int(rng.integers(3, 7))
    solids = [box('side', (t, h, d), (x, h / 2, 0)) for x in (-w / 2, w / 2)]
    heights = np.linspace(rng.uniform(t, 0.1), h - t / 2, count)
    solids += [box('board', (w, t, d), (0, y, 0)) for y in heights]
    if rng.random() < 0.6:
        solids.append(box('back', (w, h, 0.01), (0, h / 2, -d / 2)))
    gap = heights[1] - heights[0] - t
    for y in heights[:-1]:
        if rng.random() < 0.6:
            long = min(w * rng.uniform(0.2, 0.9), w - 2 * t)
            first = -w / 2 + t
            left = rng.uniform(first, max(first, w / 2 - t - long))
            for part in np.array_split(np.linspace(left, left + long, 13), 4):
                tall = gap * rng.uniform(0.5, 0.9)
                solids.append(
                    box(
                        'book',
                        (part[-1] - part[0], tall, d * 0.7),
                        (part.mean(), y + t / 2 + tall / 2, 0),
                    )
                )
    return solids


def cabinet(rng) -> Solids:
    """A closed body with doors or drawers, handles, sometimes feet."""
    w, h, d = rng.uniform((0.45, 0.6, 0.35), (1.4, 1.9, 0.65))
    foot = rng.choice([0, rng.uniform(0.05, 0.2)])
    body = h - foot
    solids = [box('body', (w, body, d), (0, foot + body / 2, 0))]
    doors = rng.random() < 0.5
    across = int(rng.integers(1, 4)) if doors else int(rng.integers(1, 3))
    down = 1 if doors else int(rng.integers(2, 5))
    for i in range(across):
        for j in range(down):
            x = w * ((i + 0.5) / across - 0.5)
            y = foot + body * (j + 0.5) / down
            front = (w / across * 0.92, body / down * 0.92, 0.03)
            solids.append(box('door', front, (x, y, d / 2 + 0.015)))
            long = rng.uniform(0.06, 0.15)
            grip = (0.02, long, 0.03) if doors else (long, 0.02, 0.03)
            offset = front[0] * 0.38 * (-1) ** i if doors else 0
            solids.append(box('handle', grip, (x + offset, y, d / 2 + 0.045)))
    if foot:
        solids += [
            rod('leg', (x, 0, z), (x, foot, z), 0.025) for x, z in _corners(w * 0.88, d * 0.8)
        ]
    return solids


def lamp(rng) -> Solids:
    """Floor and table lamps: base, pole (straight or jointed), shade."""
    h = rng.choice([rng.uniform(0.35, 0.7), rng.uniform(1.2, 1.8)])
    r = h * rng.uniform(0.1, 0.2)
    thick = rng.uniform(0.015, 0.05)
    base = cylinder('base', r, thick, (0, thick / 2, 0), top=rng.uniform(0.4, 1))
    pole, shade = h * rng.uniform(0.01, 0.025), h * rng.uniform(0.2, 0.34)
    if rng.random() < 0.65:
        top = h * rng.uniform(0.14, 0.24)
        return [
            base,
            rod('pole', (0, thick, 0), (0, h - shade * 0.3, 0), pole),
            cylinder(
                'shade',
                top,
                shade,
                (0, h - shade / 2, 0),
                top=rng.uniform(0.4, 1.0),
                ends=(False, False),
            ),
        ]
    elbow = (0, h * rng.uniform(0.5, 0.75), -h * rng.uniform(0, 0.2))
    end = (0, h * rng.uniform(0.8, 1.0), h * rng.uniform(0.2, 0.45))
    cone = cylinder(
        'shade', 0.6 * shade, shade, (0, 0, 0), top=rng.uniform(0.3, 0.6), ends=(False, True)
    )
    return [
        base,
        rod('pole', (0, thick, 0), elbow, pole),
        rod('pole', elbow, end, pole),
        cone.moved(rotation(rng.uniform(-0.7, 0.2), 'x'), end),
    ]
