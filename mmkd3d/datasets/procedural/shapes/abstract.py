"""Free forms without a name: knots, springs, stars, blobs, sculptures."""

import numpy as np

from ..free_form import (
    Bar,
    blob,
    curve,
    extrusion,
    facets,
    revolved,
    sheet,
    stand,
    superellipsoid,
    tube,
    tubes,
)
from ..solids import box, cross, cylinder, ellipsoid, prism, ring, rotation
from .creatures import AHEAD, UP, Solids


def _turned(rng) -> np.ndarray:
    """A rotation: none, a quarter, or any tilt."""
    tilt = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
    return rotation(rng.uniform(0, 2 * np.pi)) @ rotation(tilt, 'x')


def knot(rng) -> Solids:
    """A closed tube: a torus knot, a wavy ring, or a free loop."""
    kind, t = rng.integers(3), np.linspace(0, 2 * np.pi, 49)[:-1]
    small, r = rng.uniform(0.2, 0.5), rng.uniform(0.05, 0.16)
    if kind == 0:
        p, q = ((2, 3), (3, 2), (2, 5), (3, 4), (1, 4))[rng.integers(5)]
        out = 1 + small * np.cos(q * t)
        path = np.stack([out * np.cos(p * t), out * np.sin(p * t), small * np.sin(q * t)], axis=1)
    else:
        waves = rng.integers(2, 7)
        swing = rng.uniform(0.1, 0.5, 2) * (kind == 1)
        out = 1 + swing[0] * np.cos(waves * t)
        path = np.stack([out * np.cos(t), out * np.sin(t), swing[1] * np.sin(waves * t)], axis=1)
        if kind == 2:
            for k in (1, 2, 3):
                a, b = rng.normal(0, 0.5 / k, (2, 3))
                path += np.outer(np.cos(k * t), a) + np.outer(np.sin(k * t), b)
    radii = r * (1 + rng.uniform(0, 0.4) * np.sin(rng.integers(1, 6) * t))
    side = rng.normal(0, 0.05, 3) + AHEAD
    body = tube(
        'tube', path, radii, side=side, flat=rng.uniform(0.5, 1.4), closed=True, steps=73, sides=8
    )
    return stand([body.moved(_turned(rng))])


def spring(rng) -> Solids:
    """A coil, cone or flat spiral, of a round or flat bar."""
    turns, r = rng.uniform(1.5, 7), rng.uniform(0.03, 0.1)
    t = np.linspace(0, 1, int(turns * 8) + 1)
    wide, tall = (
        rng.uniform(0.25, 0.6),
        rng.choice([rng.uniform(0.6, 2.0), rng.uniform(0.0, 0.1)], p=(0.75, 0.25)),
    )
    inner = rng.uniform(0.1, 0.3) if tall < 0.2 else rng.choice([1.0, rng.uniform(0.2, 0.8)])
    out = wide * 2.5 * (inner + (1 - inner) * t) if tall < 0.2 else wide * (inner + (1 - inner) * t)
    a = 2 * np.pi * turns * t
    path = np.stack([out * np.cos(a), tall * t, out * np.sin(a)], axis=1)
    r = min(r, 0.4 * max(tall, wide) / turns)
    coil = tube(
        'coil',
        path,
        r,
        side=UP,
        flat=rng.choice([1.0, rng.uniform(0.4, 2.0)]),
        steps=len(t) * 3 // 2,
        sides=7,
    )
    ends = []
    if rng.random() < 0.3:
        size = wide * rng.uniform(1.0, 1.5)
        ends = [cylinder('end', size, 0.06, (0, y, 0)) for y in (-0.03, tall + 0.03)]
    return stand([s.moved(_turned(rng) if tall < 0.2 else np.eye(3)) for s in [coil, *ends]])


def chain(rng) -> Solids:
    """Links in a row, hanging in an arc or lying in a wave."""
    count, r = rng.integers(4, 11), rng.uniform(0.1, 0.22)
    long, bend, wave = rng.uniform((1.0, 0.0, 0.0), (1.8, 1.2, 0.8))
    a = np.linspace(0, 2 * np.pi, 13)[:-1]
    link = np.stack(
        [np.cos(a), np.sin(a) * long + np.sign(np.sin(a)).round(3) * 0.2, 0 * a], axis=1
    )
    step, at, bars = 2 * (long + 0.2 - r), np.zeros(3), []
    for k in range(count):
        s = (k + 0.5) / count - 0.5
        turn = rotation(bend * 2 * s + wave * np.sin(8 * s), 'z') @ rotation(
            k * np.pi / 2 + rng.normal(0, 0.15)
        )
        way = turn @ UP * step / 2
        bars.append(Bar('link', link @ turn.T + at + way, r, side=turn @ AHEAD))
        at = at + 2 * way
    turn = rotation(rng.choice([0, np.pi / 2, np.pi / 2]), 'z')
    return stand([s.moved(turn) for s in tubes(bars, closed=True, steps=17, sides=7)])


def star(rng) -> Solids:
    """A flat star, cross, heart, arrow or rounded outline with thickness."""
    kind, count = rng.integers(4), rng.integers(4, 10)
    a = np.linspace(0, 2 * np.pi, 2 * count + 1)[:-1]
    radius = np.where(np.arange(2 * count) % 2, rng.uniform(0.3, 0.75), 1.0)
    outline = np.stack([radius * np.cos(a), radius * np.sin(a)], axis=1)
    if kind == 1:
        outline = curve(outline, 8 * count + 1, closed=True)[:-1]
    elif kind == 2:
        t = np.linspace(0, 2 * np.pi, 33)[:-1]
        x, y = (
            16 * np.sin(t) ** 3,
            13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t),
        )
        outline = np.stack([-x, y], axis=1) / 16
    elif kind == 3:
        w, u = rng.uniform(0.15, 0.45, 2)
        outline = np.array(
            [
                [1, -w],
                [1, w],
                [w, w],
                [w, 1],
                [-w, 1],
                [-w, w],
                [-1, w],
                [-1, -w],
                [-w, -w],
                [-w, -1 - u],
                [w, -1 - u],
                [w, -w],
            ]
        )
    body = extrusion(
        'body', outline, rng.uniform(0.1, 0.7), taper=rng.choice([1.0, rng.uniform(0.5, 0.95)])
    )
    return stand([body.moved(_turned(rng) if rng.random() < 0.5 else np.eye(3))])


def _solid_faces(rng) -> np.ndarray:
    """Triangles of an octahedron, icosahedron or cube with cut faces."""
    g = (1 + 5**0.5) / 2
    corners = [np.concatenate([np.eye(3), -np.eye(3)])]
    corners.append(np.array([[x, y * g, 0] for x in (-1, 1) for y in (-1, 1)]))
    corners[1] = np.concatenate([np.roll(corners[1], k, axis=1) for k in range(3)])
    corners = corners[rng.integers(2)]
    corners = corners / np.linalg.norm(corners, axis=1, keepdims=True)
    edge = np.sort(np.linalg.norm(corners[:, None] - corners, axis=-1), axis=1)[0, 1] * 1.01
    near = np.linalg.norm(corners[:, None] - corners, axis=-1) < edge
    index = range(len(corners))
    faces = [
        (i, j, k)
        for i in index
        for j in index[i + 1 :]
        for k in index[j + 1 :]
        if near[i, j] and near[j, k] and near[i, k]
    ]
    return corners[np.array(faces)]


def star_polyhedron(rng) -> Solids:
    """A polyhedron, plain or with spikes on its faces, or a cut crystal."""
    faces, spike = _solid_faces(rng), rng.choice([0.0, rng.uniform(0.3, 1.6)], p=(0.3, 0.7))
    flip = np.linalg.det(faces) < 0
    faces[flip] = faces[flip][:, ::-1]
    if spike:
        top = faces.mean(1, keepdims=True)
        top = top + spike * top * rng.uniform(0.7, 1.3, (len(faces), 1, 1))
        pieces = [
            np.stack([faces[:, k], faces[:, (k + 1) % 3], top[:, 0]], axis=1) for k in range(3)
        ]
        faces = np.concatenate(pieces)
    stretch = np.diag(rng.uniform(0.6, 1.4, 3))
    return stand([facets('body', faces).moved(_turned(rng) @ stretch)])


def pebble(rng) -> Solids:
    """One or a few bumpy bodies grown together."""
    bodies = []
    for k in range(rng.choice([1, 1, 2, 3])):
        radii, at = rng.uniform(0.4, 1.2, 3), rng.normal(0, 0.6, 3) * (k > 0)
        bumps, waves = rng.uniform((0.03, 1.0), (0.3, 4.0))
        bodies.append(blob('body', radii, at, rng, bumps=bumps, waves=waves, fine=(14, 25)))
    return stand(bodies)


def superquadric(rng) -> Solids:
    """Rounded boxes, diamonds, pillows, rounded cylinders; one or stacked."""
    solids, y = [], 0.0
    for _ in range(rng.choice([1, 1, 2, 3])):
        radii, power = rng.uniform(0.3, 1.2, 3), rng.uniform(0.2, 2.2, 2)
        body = superellipsoid(
            'body',
            radii,
            (0, y + radii[1], 0),
            power=np.minimum(power, 1.95),
            rotate=rotation(rng.uniform(0, 3)),
        )
        solids.append(body)
        y += 2 * radii[1] * rng.uniform(0.7, 1.0)
    turn = _turned(rng) if len(solids) == 1 else np.eye(3)
    return stand([s.moved(turn) for s in solids])


def twisted_column(rng) -> Solids:
    """A column with an n-sided or ribbed section that twists and tapers."""
    count, tall = rng.integers(3, 9), rng.uniform(1.5, 6)
    twist, taper, ribs = rng.uniform((-3, 0.2, 0.05), (3, 1.3, 0.35))
    t, a = np.linspace(0, 1, 17)[:, None], np.linspace(0, 2 * np.pi, 6 * count + 1)[None]
    if rng.random() < 0.5:  # flat sides
        edge = (a + np.pi / count) % (2 * np.pi / count) - np.pi / count
        radius = np.cos(np.pi / count) / np.cos(edge)
    else:
        radius = 1 + ribs * np.cos(count * a)
    bulge = rng.uniform(-0.3, 0.4) * np.sin(np.pi * t)
    radius = radius * (1 + (taper - 1) * t + bulge)
    x, z = radius * np.cos(a + twist * t), radius * np.sin(a + twist * t)
    solids = [sheet('column', np.stack([x, np.broadcast_to(tall * t, x.shape), z], axis=-1))]
    for y, size, chance in ((0, 1, 1.0), (tall, taper, 0.7)):
        if rng.random() < chance:
            h, wide = rng.uniform(0.1, 0.4), size * rng.uniform(1.1, 1.6)
            if rng.random() < 0.5:
                solids.append(box('base', (2 * wide, h, 2 * wide), (0, y, 0)))
            else:
                solids.append(cylinder('base', wide, h, (0, y, 0)))
    return stand(solids)


def band(rng) -> Solids:
    """A closed band with half turns (Moebius), waves, or plain."""
    half_turns, waves = rng.integers(0, 4), rng.integers(2, 6)
    wide, swing, thick = rng.uniform((0.2, 0, 0.01), (0.7, 0.35, 0.06))
    t = np.linspace(0, 2 * np.pi, 61)
    angle = half_turns * t / 2 + rng.uniform(0, np.pi)
    out = np.stack([np.cos(t), 0 * t, np.sin(t)], axis=1)
    centre = out * (1 + 0.5 * swing * np.cos(waves * t))[:, None]
    centre[:, 1] = swing * np.sin(waves * t)
    across = out * np.cos(angle)[:, None] + UP * np.sin(angle)[:, None]
    away = -out * np.sin(angle)[:, None] + UP * np.cos(angle)[:, None]
    u = np.array([-1, 0, 1, 1, 0, -1, -1])[:, None] * wide / 2
    v = np.array([-1, -1, -1, 1, 1, 1, -1])[:, None] * thick
    grid = centre[:, None] + u * across[:, None] + v * away[:, None]
    return stand([sheet('band', grid[:, ::-1]).moved(_turned(rng))])


def pipe(rng) -> Solids:
    """A bent pipe with flanges and branches."""
    r, ways, at = rng.uniform(0.12, 0.35), np.concatenate([np.eye(3), -np.eye(3)]), np.zeros(3)
    way, path, bars = ways[rng.integers(6)], [at], []
    for _ in range(rng.integers(2, 6)):
        long = rng.uniform(0.8, 2.0)
        path += [at + way * long * k for k in (0.25, 0.75)]
        at = at + way * long
        sides = ways[np.abs(ways @ way) < 0.5]
        if rng.random() < 0.3:
            out = sides[rng.integers(4)]
            bars.append(
                Bar(
                    'branch',
                    path[-1] + np.outer((0, 1), out) * rng.uniform(0.6, 1.2),
                    r * rng.uniform(0.5, 0.9),
                    side=way,
                    cap=0.05,
                )
            )
        way = sides[rng.integers(4)]
    path.append(path[-1] + (path[-1] - path[-2]))
    solids = tubes(bars, steps=4, sides=12) if bars else []
    # the frame must not lie along the pipe, which runs along the axes
    solids.append(
        tube('pipe', path, r, side=(0.53, 0.62, 0.58), cap=0.05, steps=4 * len(path), sides=12)
    )
    if rng.random() < 0.7:
        for end, near in ((path[0], path[1]), (path[-1], path[-2])):
            step = (near - end) / np.linalg.norm(near - end) * r * 0.35
            solids.append(
                tube(
                    'flange',
                    [end - step, end + step],
                    r * 1.5,
                    side=(0.53, 0.62, 0.58),
                    cap=0.05,
                    steps=2,
                    sides=12,
                )
            )
    return stand(solids)


def wavy_sheet(rng) -> Solids:
    """A cloth, flag, ramp or saddle: a thin bent surface."""
    wide, long = rng.uniform(0.5, 1.5, 2)
    u, v = np.meshgrid(np.linspace(-1, 1, 17), np.linspace(-1, 1, 17), indexing='ij')
    height = np.zeros_like(u)
    for _ in range(rng.integers(1, 4)):
        a, b, c, phase = rng.normal(0, 1, 4)
        height += (
            rng.uniform(0.05, 0.3) * np.sin(2.5 * (a * u + b * v) + 3 * phase) + 0.1 * c * u * v
        )
    height += rng.uniform(-0.4, 0.4) * u * u + rng.uniform(-0.4, 0.4) * v * v
    if rng.random() < 0.3:  # round
        u, v = u * np.sqrt(1 - v * v / 2), v * np.sqrt(1 - u * u / 2)
    thick = AHEAD * rng.uniform(0.01, 0.05)
    grid = np.stack([u * wide, v * long, height], axis=-1)
    turn = _turned(rng)
    return stand([sheet('sheet', g).moved(turn) for g in (grid + thick, grid[::-1] - thick)])


def free_vase(rng) -> Solids:
    """A free turned form: smooth random outline, ribs, twisted or squashed."""
    tall, count = rng.uniform(0.8, 3.0), rng.integers(4, 8)
    profile = np.stack([rng.uniform(0.15, 0.8, count), np.linspace(0, tall, count)], axis=1)
    outline = curve(profile, 20)
    outline[:, 0] = np.maximum(outline[:, 0], 0.06)
    ribs, depth = rng.integers(3, 12), rng.choice([0.0, rng.uniform(0.03, 0.2)])
    shut = [[0, 0]], [[0, tall]] if rng.random() < 0.5 else np.empty((0, 2))
    body = revolved(
        'body', np.concatenate([shut[0], outline, shut[1]]), sides=32, ribs=ribs, depth=depth
    )
    squash = np.diag([1, 1, rng.choice([1.0, rng.uniform(0.4, 0.9)])])
    solids = [body.moved(squash)]
    bars = []
    for k in range(rng.integers(0, 4)):
        a, low, high = 2 * np.pi * k / 3, *np.sort(rng.integers(2, 18, 2))
        out = np.array([np.cos(a), 0, np.sin(a)])
        ends = [out * outline[i, 0] + UP * outline[i, 1] for i in (low, high + 1)]
        middle = (ends[0] + ends[1]) / 2 + out * rng.uniform(0.2, 0.6)
        bars.append(
            Bar(
                'handle',
                [squash @ p for p in (ends[0], middle, ends[1])],
                rng.uniform(0.03, 0.08),
                side=cross(out, UP),
            )
        )
    return stand(solids + (tubes(bars, steps=8, sides=7) if bars else []))


def sculpture(rng) -> Solids:
    """Solids of any kind on, beside and through each other."""
    solids, at, size = [], np.zeros(3), 1.0
    for _ in range(rng.integers(3, 9)):
        scale, turn = size * rng.uniform(0.3, 1.0, 3), _turned(rng)
        kind = rng.integers(6)
        if kind == 0:
            solids.append(box('body', scale, at, rotate=turn))
        elif kind == 1:
            solids.append(ellipsoid('body', scale / 2, at, rotate=turn))
        elif kind == 2:
            solids.append(
                cylinder('body', scale[0] / 2, scale[1], at, top=rng.uniform(0.1, 1.2), rotate=turn)
            )
        elif kind == 3:
            solids.append(prism('body', scale, at, top=rng.uniform(0.1, 1.0, 2), rotate=turn))
        elif kind == 4:
            arc = rng.choice([2 * np.pi, rng.uniform(2, 5)])
            solids.append(
                ring(
                    'body',
                    scale[0] / 2,
                    scale[0] * rng.uniform(0.06, 0.18),
                    at,
                    arc=arc,
                    rotate=turn,
                )
            )
        else:
            solids.append(blob('body', scale / 2, at, rng, bumps=0.15))
        way = rng.normal(0, 1, 3) + (0, 0.8, 0)
        at = at + way / np.linalg.norm(way) * scale.mean() * 0.6
        size *= rng.uniform(0.75, 1.1)
    return stand(solids)
