"""Plants and fruit; y up, metres."""

import numpy as np

from ..free_form import Bar, blob, revolved, sheet, sheets, stand, superellipsoid, tube, tubes
from ..solids import box, cross, cylinder, ellipsoid, rotation
from .creatures import UP, Solids

TURN = np.pi * (3 - np.sqrt(5))  # between neighbouring leaves


def _around(angle: float, tilt: float) -> np.ndarray:
    """A direction ``tilt`` radians from +y, towards ``angle`` in x and z."""
    return np.array([np.cos(angle) * np.sin(tilt), np.cos(tilt), np.sin(angle) * np.sin(tilt)])


def _leaves(
    part, roots, angle, tilt, long, wide, *, droop=0.6, fold=0.15, blunt=1.0, rows=6
) -> Solids:
    """Leaves that leave their roots at ``tilt`` from +y and bend down.

    Args:
        part: Name.
        roots: (K, 3) or (3,) where they start.
        angle: (K,) direction in x and z.
        tilt: (K,) or a number; so are ``long``, ``wide``.
        long: Length.
        wide: Width, as a share of the length.
        droop: Bend towards the tip in radians.
        fold: Lift of the sides.
        blunt: Below 1 the widest place is near the tip, above 1 near the root.
        rows: Points along a leaf.
    """
    angle = np.atleast_1d(angle)
    tilt, long, wide = (np.broadcast_to(x, angle.shape)[:, None] for x in (tilt, long, wide))
    t = np.linspace(0, 1, rows)
    bend = tilt + droop * t
    out, up = (np.cumsum(f(bend), axis=1) * long / rows for f in (np.sin, np.cos))
    half = wide * long / 2 * np.sin(np.pi * (0.04 + 0.94 * t) ** blunt)
    u = np.array([1.0, 0, -1])  # the upper side is the front
    aside = u * half[..., None]
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    x, z = out[..., None] * cos - aside * sin, out[..., None] * sin + aside * cos
    y = up[..., None] + fold * np.abs(aside)
    grid = np.stack([x, y, z], axis=-1)
    roots = np.asarray(roots, float)
    return sheets(part, grid + (roots if roots.ndim == 1 else roots[:, None, None]))


def _turns(rng, count: int) -> np.ndarray:
    """Angles of ``count`` leaves around a stem."""
    return TURN * np.arange(count) + rng.uniform(0, 2 * np.pi)


def _branches(rng, start, way, long, r, depth, spread) -> tuple[list[Bar], list]:
    """Branches that split; returns bars and the ends of the last ones."""
    way = way / np.linalg.norm(way)
    middle = start + way * long * 0.5 + rng.normal(0, 0.06, 3) * long
    end = start + way * long
    bars, tips = (
        [Bar('trunk', [start, middle, end], r * np.array([1, 0.85, 0.7]), side=(1, 0, 0.1))],
        [],
    )
    if depth == 0:
        return bars, [end]
    count, phase = rng.integers(2, 4), rng.uniform(0, 2 * np.pi)
    for k in range(count):
        turn = _around(
            phase + 2 * np.pi * k / count + rng.normal(0, 0.3), spread * rng.uniform(0.6, 1.3)
        )
        child = way * turn[1] + np.array([turn[0], 0.15, turn[2]])
        at = end if k else start + way * long * rng.uniform(0.7, 1.0)
        more, ends = _branches(
            rng, at, child, long * rng.uniform(0.6, 0.85), r * 0.62, depth - 1, spread
        )
        bars, tips = bars + more, tips + ends
    return bars, tips


def tree(rng) -> Solids:
    """A broad-leaf tree: branches with clumps of leaves, or bare in winter."""
    tall, spread = rng.uniform(1.0, 2.5), rng.uniform(0.35, 0.95)
    r = tall * rng.uniform(0.06, 0.13)
    bare = rng.random() < 0.2
    depth = rng.integers(2, 4) if bare else rng.integers(1, 3)
    lean = np.array([0, 1.0, 0]) + rng.normal(0, 0.08, 3)
    bars, tips = _branches(rng, np.zeros(3), lean, tall, r, depth, spread)
    solids = tubes(bars, steps=4, sides=7)
    if bare:
        return stand(solids)
    size = tall * rng.uniform(0.35, 0.75)
    if rng.random() < 0.3:  # a single crown
        tips = [np.mean(tips, axis=0)]
        size *= 1.8
    for tip in tips:
        radii = size * rng.uniform((0.8, 0.55, 0.8), (1.2, 1.2, 1.2))
        solids.append(blob('leaves', radii, tip, rng, bumps=rng.uniform(0.05, 0.18), waves=3))
    return stand(solids)


def conifer(rng) -> Solids:
    """A fir or cypress: layers of cones, one cone, or whorls of branches."""
    tall, wide = rng.uniform((3, 0.5), (7, 1.8))
    bottom, kind = tall * rng.uniform(0.05, 0.25), rng.integers(3)
    solids = [
        cylinder('trunk', wide * rng.uniform(0.08, 0.2), tall * 0.9, (0, tall * 0.45, 0), top=0.3)
    ]
    if kind == 0:
        count = rng.integers(3, 7)
        y = np.linspace(bottom, tall * 0.9, count + 1)
        for k in range(count):
            h = (y[k + 1] - y[k]) * rng.uniform(1.3, 1.7)
            size = wide * (1 - 0.85 * k / count) * rng.uniform(0.9, 1.1)
            solids.append(
                cylinder('leaves', size, h, (0, y[k] + h / 2, 0), top=rng.uniform(0.05, 0.4))
            )
    elif kind == 1:
        middle = (bottom + tall) / 2
        size, power = (wide * 0.6, (tall - bottom) / 2, wide * 0.6), rng.uniform(1.0, 1.7)
        solids.append(superellipsoid('leaves', size, (0, middle, 0), power=(power, 1.0)))
    else:
        bars, droop = [], rng.uniform(1.2, 2.0)
        count = rng.integers(12, 22)
        for k in range(count):
            share = k / count
            start = UP * (bottom + (tall - bottom) * share)
            way = _around(TURN * k, droop - 0.5 * share)
            long = wide * (1.05 - share) * rng.uniform(0.8, 1.1)
            path = start + np.outer((0, 0.5, 1), way) * long + np.outer((0, 0, 0.12), UP) * long
            bars.append(
                Bar(
                    'leaves',
                    path,
                    wide * np.array([0.05, 0.11, 0.02]),
                    side=cross(way, UP),
                    flat=0.5,
                )
            )
        solids += tubes(bars, steps=4, sides=6)
    return stand(solids)


def palm(rng) -> Solids:
    """A bent trunk with a crown of long leaves, maybe coconuts."""
    tall, lean = rng.uniform((3, 0), (8, 0.4))
    r = tall * rng.uniform(0.02, 0.045)
    path = np.array([[0, 0, 0], [lean * 0.2, 0.35, 0], [lean * 0.6, 0.7, 0], [lean, 1, 0]]) * tall
    solids = tubes([Bar('trunk', path, r * np.array([1.5, 1.05, 0.9, 0.9]), side=(0, 0, 1))])
    count, long = rng.integers(7, 15), tall * rng.uniform(0.25, 0.5)
    tilt, long = rng.uniform(0.2, 1.5, count), long * rng.uniform(0.8, 1.1, count)
    wide, droop = rng.uniform((0.15, 0.5), (0.3, 1.6))
    solids += _leaves(
        'leaf', path[-1], _turns(rng, count), tilt, long, wide, droop=droop, fold=-0.4
    )
    for k in range(rng.integers(2, 6) if rng.random() < 0.5 else 0):
        at = path[-1] + _around(TURN * k, 1.9) * r * 2
        solids.append(ellipsoid('fruit', np.full(3, r * 1.2), at))
    return stand(solids)


def bush(rng) -> Solids:
    """A shrub: a heap of clumps, or many thin stems with leaves."""
    size = rng.uniform(0.3, 0.8)
    if rng.random() < 0.5:
        clumps = []
        for k in range(rng.integers(2, 8)):
            at = _around(TURN * k, rng.uniform(0.2, 1.4)) * size * rng.uniform(0.2, 1.0)
            radii = size * rng.uniform(0.4, 0.8, 3)
            clumps.append(blob('leaves', radii, at, rng, bumps=0.12, waves=4))
        return stand(clumps + [cylinder('stem', size * 0.1, size, (0, -size * 0.35, 0))])
    bars, leaves = [], []
    for k in range(rng.integers(5, 9)):
        way = _around(TURN * k, rng.uniform(0.1, 1.0))
        tip = way * size * rng.uniform(0.8, 1.6)
        bars.append(
            Bar(
                'stem',
                [(0, 0, 0), tip * 0.5 + (0, size * 0.1, 0), tip],
                size * 0.025,
                side=(1, 0, 0.2),
            )
        )
        roots = tip * np.array([[1.0], [0.7]])
        long = size * rng.uniform(0.25, 0.5, 2)
        leaves += _leaves(
            'leaves', roots, _turns(rng, 2), rng.uniform(0.4, 1.5, 2), long, 0.5, rows=5
        )
    return stand(tubes(bars, steps=4, sides=6) + leaves)


def _pot(rng, r) -> Solids:
    """A round or square pot."""
    h = r * rng.uniform(1.0, 2.0)
    if rng.random() < 0.3:
        return [box('pot', (2 * r, h, 2 * r), (0, -h / 2, 0))]
    low = r * rng.uniform(0.55, 1.0)
    rim = r * rng.uniform(1.0, 1.15)
    profile = [(0, -h), (low, -h), (low, -h), (r, -h * 0.2), (rim, -h * 0.17), (rim, 0), (0, 0)]
    return [revolved('pot', profile)]


def potted_plant(rng) -> Solids:
    """Broad leaves, blades, a small tree or hanging stems in a pot."""
    r = rng.uniform(0.08, 0.2)
    solids, kind, tall = _pot(rng, r), rng.integers(4), r * rng.uniform(2, 6)
    count = rng.integers(5, 14)
    turns, long = _turns(rng, count), tall * rng.uniform(0.55, 1.0, count)
    if kind == 0:
        wide, blunt, droop = rng.uniform((0.25, 0.6, 0.2), (0.7, 1.3, 1.4))
        tilt = rng.uniform(0.1, 1.0, count)
        solids += _leaves('leaves', (0, 0, 0), turns, tilt, long, wide, droop=droop, blunt=blunt)
    elif kind == 1:
        out = rng.uniform(0.1, 0.6, count) * r
        roots = np.stack([np.cos(turns) * out, 0 * out, np.sin(turns) * out], axis=1)
        tilt = rng.uniform(0, 0.25, count)
        solids += _leaves('leaves', roots, turns, tilt, long, r * 0.45 / tall, droop=0.2)
    elif kind == 2:
        bars, tips = _branches(rng, np.zeros(3), UP, tall * 0.5, r * 0.15, 1, 0.6)
        solids += tubes([bar._replace(part='stem') for bar in bars], steps=4, sides=6)
        for tip in tips:
            radii = r * rng.uniform(0.6, 1.5, 3)
            solids.append(blob('leaves', radii, tip, rng, bumps=0.12, waves=3))
    else:
        tilt, droop = rng.uniform(0.2, 0.8, count), rng.uniform(1.5, 2.6)
        solids += _leaves('leaves', (0, 0, 0), turns, tilt, long, 0.12, droop=droop)
    return stand(solids)


def flower(rng) -> Solids:
    """A stem with leaves and a head of petals: daisy, tulip, sunflower."""
    tall, cup = rng.uniform(0.2, 0.6), rng.uniform(0.1, 1.5)
    size, bend = rng.uniform(0.05, 0.14), rng.normal(0, 0.12)
    top = np.array([bend, tall, 0])
    solids = tubes(
        [Bar('stem', [(0, 0, 0), (bend * 0.2, tall * 0.5, 0), top], size * 0.07, side=(0, 0, 1))]
    )
    count, wide = rng.integers(4, 15), rng.uniform(0.25, 0.8)
    turn = rotation(rng.uniform(0, 1.2) * (rng.random() < 0.5), 'x')
    turns, long = 2 * np.pi * np.arange(count) / count, size * rng.uniform(0.9, 1.1, count)
    droop, blunt = rng.uniform((-0.8, 1.0), (0.6, 2.0))
    head = _leaves('petal', (0, 0, 0), turns, cup, long, wide, droop=droop, blunt=blunt, rows=5)
    radii = size * np.array([1, rng.uniform(0.4, 1.0), 1]) * rng.uniform(0.15, 0.45)
    head.append(ellipsoid('centre', radii, (0, 0, 0)))
    solids += [s.moved(turn, top) for s in head]
    count = rng.integers(1, 5)
    roots = np.outer(rng.uniform(0.05, 0.6, count), top)
    tilt, long = rng.uniform(0.2, 1.0, count), tall * rng.uniform(0.2, 0.5, count)
    solids += _leaves('leaf', roots, _turns(rng, count), tilt, long, rng.uniform(0.15, 0.4))
    return stand(solids)


def cactus(rng) -> Solids:
    """A column with arms, a ball, or stacked pads; sometimes in a pot."""
    tall, kind = rng.uniform(0.3, 2.0), rng.integers(3)
    r, solids = tall * rng.uniform(0.08, 0.16), []
    if kind == 0:
        bars = [Bar('stem', [(0, 0, 0), (0, tall * 0.5, 0), (0, tall, 0)], r)]
        for _ in range(rng.integers(0, 5)):
            a, y = rng.uniform(0, 2 * np.pi), tall * rng.uniform(0.25, 0.65)
            out, rise = (
                _around(a, np.pi / 2) * r * rng.uniform(2.0, 3.5),
                tall * rng.uniform(0.1, 0.5),
            )
            path = np.array(
                [
                    [0, y, 0],
                    out * 0.8 + (0, y, 0),
                    out + (0, y + rise * 0.3, 0),
                    out + (0, y + rise, 0),
                ]
            )
            bars.append(Bar('arm', path, r * rng.uniform(0.5, 0.8), side=cross(out, UP)))
        solids += tubes(bars)
    elif kind == 1:
        size = tall * rng.uniform((0.25, 0.3), (0.5, 0.6))[[0, 1, 0]]
        solids.append(blob('stem', size, (0, size[1] * 0.8, 0), rng, bumps=0.04, waves=5))
        for k in range(rng.integers(0, 4)):
            at = _around(TURN * k, rng.uniform(0.3, 1.2)) * size + (0, size[1] * 0.8, 0)
            solids.append(blob('arm', size * rng.uniform(0.25, 0.5), at, rng, bumps=0.04))
    else:
        places = [(np.zeros(3), 0.0)]
        for _ in range(rng.integers(2, 7)):
            base, lean = places[rng.integers(len(places))]
            angle, long = lean + rng.uniform(-0.8, 0.8), tall * rng.uniform(0.2, 0.4)
            way, yaw = np.array([np.sin(angle), np.cos(angle), 0]), rng.normal(0, 0.4)
            turn = rotation(yaw) @ rotation(-angle, 'z')
            radii = np.array([0.65, 1.1, 0.15]) * long / 2
            part = 'arm' if len(places) > 1 else 'stem'
            solids.append(ellipsoid(part, radii, base + way * long / 2, rotate=turn))
            places.append((base + way * long * 0.95, angle))
    return stand(solids + (_pot(rng, tall * rng.uniform(0.2, 0.35)) if rng.random() < 0.35 else []))


def mushroom(rng) -> Solids:
    """A cap on a stem, or a small group."""
    solids = []
    for k in range(rng.choice([1, 1, 2, 3, 4])):
        size, at = rng.uniform(0.5, 1.0) if k else 1.0, rng.normal(0, 0.09, 2) * (k > 0)
        h, cap, r = rng.uniform((0.06, 0.04, 0.012), (0.16, 0.1, 0.03)) * size
        top = np.array([at[0], h, at[1]]) + rng.normal(0, 0.08, 3) * h
        path = [(at[0], 0, at[1]), (at[0], h * 0.5, at[1]), top]
        solids += tubes([Bar('stem', path, r * rng.uniform((1.0, 0.8, 0.8), (2.0, 1.2, 1.1)))])
        tall, flare = cap * rng.uniform(0.35, 1.3), rng.uniform(0.3, 1.0)
        t = np.linspace(0, 1, 6)
        outline = cap * np.cos(t * np.pi / 2) ** flare, h * 0.95 + tall * np.sin(t * np.pi / 2)
        tilt = rotation(rng.normal(0, 0.15), 'x')
        cover = revolved('cap', [(cap * 0.3, h * 0.9), *zip(*outline)])
        solids.append(cover.moved(tilt, top - tilt @ (0, h, 0)))
    return stand(solids)


def _round_fruit(rng, r, pear: bool, ribs: int) -> tuple:
    """An apple, orange, pear or pumpkin, and where its stem begins."""
    t = np.linspace(0, np.pi, 11)
    tall = rng.uniform(1.2, 1.6) if pear else rng.uniform(0.65, 1.1)
    radius, y = np.sin(t), -np.cos(t) * tall
    if pear:
        radius = radius * np.interp(t, [0, 1.2, 2.2, np.pi], [1, 1, 0.55, 0.6])
    else:
        y = y - rng.uniform(0, 0.4) * np.exp(-((radius / 0.35) ** 2)) * np.sign(y)
        radius = radius * (1 + rng.uniform(0, 0.12) * -np.cos(t))
    size = r * rng.uniform(0.9, 1.1, 3)
    flesh = revolved(
        'flesh',
        np.stack([radius, y], 1),
        sides=24,
        ribs=ribs,
        depth=rng.uniform(0.04, 0.12) * (ribs > 0),
    )
    return [flesh.moved(np.diag(size))], np.array([0, y[-1] * size[1], 0])


def _long_fruit(rng, r, banana: bool) -> tuple:
    """A banana or a carrot, and where its stem begins."""
    curl, long = rng.uniform(0.8, 2.0) if banana else 0.05, r * rng.uniform(4, 7)
    a = np.linspace(-0.5, 0.5, 6) * curl
    path = np.stack([np.cos(a) - 1, np.sin(a), 0 * a], axis=1) * long / curl
    girth = [0.35, 0.85, 1.0, 1.0, 0.8, 0.35] if banana else [0.1, 0.35, 0.6, 0.8, 1.0, 0.85]
    return [tube('flesh', path, r * np.array(girth), side=(0, 0, 1), sides=10, steps=10)], path[-1]


def _grapes(rng, r) -> tuple:
    """A bunch of balls, and where its stem begins."""
    balls = []
    for k in range(rng.integers(12, 22)):
        y = 2.2 - 0.22 * k
        out = 0.25 + 0.9 * np.clip((y + 2.8) / 5, 0, 1)
        at = _around(TURN * k, np.pi / 2) * out * rng.uniform(0.7, 1.1) + (0, y, 0)
        balls.append(ellipsoid('flesh', np.full(3, r * rng.uniform(0.45, 0.6)), at * r))
    return balls, np.array([0, r * 2.6, 0])


def fruit(rng) -> Solids:
    """Apple, pear, pumpkin, banana, carrot, or a bunch of grapes."""
    kind, r = rng.integers(6), rng.uniform(0.03, 0.06)
    if kind < 3:
        solids, top = _round_fruit(rng, r, kind == 1, rng.integers(7, 11) * (kind == 2))
    elif kind < 5:
        solids, top = _long_fruit(rng, r, kind == 3)
    else:
        solids, top = _grapes(rng, r)
    bend = top + np.array([rng.normal(0, 0.3), 1.0, rng.normal(0, 0.3)]) * rng.uniform(0.3, 0.8) * r
    solids.append(tube('stem', [top - (0, r * 0.3, 0), top, bend], r * 0.1, steps=5, sides=6))
    if rng.random() < 0.4 or kind == 4:
        turns = _turns(rng, rng.integers(1, 5))
        solids += _leaves('leaf', top, turns, rng.uniform(0.1, 1.2), r * rng.uniform(1, 2), 0.5)
    turn = rotation(rng.choice([0, np.pi / 2, rng.uniform(0, 1.5)]), 'z')
    return stand([s.moved(turn) for s in solids])


def leaf(rng) -> Solids:
    """A single leaf: oval, long, lobed or a maple star; curled; with a stalk."""
    long, lobes = rng.uniform(0.06, 0.2), rng.integers(3, 8)
    t = np.linspace(0, 1, 25)
    half = rng.uniform(0.12, 0.45) * np.sin(np.pi * (0.02 + 0.96 * t) ** rng.uniform(0.6, 1.5))
    if rng.random() < 0.5:
        half = half * (1 - rng.uniform(0.2, 0.65) * (0.5 + 0.5 * np.cos(2 * np.pi * lobes * t)))
    u = np.linspace(-1, 1, 9)[None]
    curl, fold, twist = rng.uniform((-1.2, 0, -0.6), (1.2, 0.7, 0.6))
    x, z = half[:, None] * u, t[:, None] + 0 * u
    y = fold * np.abs(x) + curl * 0.4 * z * z + twist * x * z
    solids = [sheet('blade', np.stack([x, y, z], axis=-1) * long)]
    stalk = np.array([[0, 0, 0.35], [0, 0, 0], [0, -curl * 0.05, -rng.uniform(0.15, 0.5)]]) * long
    solids += tubes([Bar('stalk', stalk, long * 0.018)], sides=6)
    turn = rotation(rng.choice([0, -np.pi / 2, rng.uniform(-1.5, 0)]), 'x')
    return stand([s.moved(turn) for s in solids])
