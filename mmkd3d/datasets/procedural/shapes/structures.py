"""Parametric bridges, gates, fences, cranes, gazebos and tents; units are metres."""

import numpy as np

from ..solids import bowl, box, cylinder, ellipsoid, prism, ring, rod, rotation
from .assembly import Solids, arc, around, both, chance, grounded, number, pipe, placed


def _blocks(points, thick, deep, *, overlap) -> Solids:
    """The stones of an arch through ``points`` (N, 3) in an xy plane."""
    solids = []
    for a, b in zip(points, points[1:]):
        turn = rotation(np.arctan2(b[1] - a[1], b[0] - a[0]), 'z')
        size = (np.linalg.norm(b - a) * overlap, thick, deep)
        solids.append(box('arch', size, (a + b) / 2, rotate=turn))
    return solids


def _hangers(rng, long, y, z, w, r, *, chain) -> Solids:
    """Two towers and their cables: a chain in a curve, or straight stays."""
    high, at = long * rng.uniform(0.18, 0.35), long * rng.uniform(0.22, 0.33)
    solids: Solids = []
    for x in (-at, at):
        solids += [
            box('tower', (long * 0.02, y + high, w * 0.12), (x, (y + high) / 2, s * z))
            for s in (-1, 1)
        ]
        solids.append(box('tower', (long * 0.02, long * 0.02, w), (x, y + high * 0.9, 0)))
    if chain:
        sag = at * np.linspace(-1, 1, 5)
        curve = [(k, y + high * (0.1 + 0.9 * (k / at) ** 2), 0) for k in sag]
        cable = pipe('cable', [(-long / 2, y, 0), *curve, (long / 2, y, 0)], r * 0.6)
    else:
        cable = [
            rod('cable', (s * at, y + high, 0), (s * at + k * at, y, 0), r * 0.5)
            for s in (-1, 1)
            for k in (-0.6, -0.3, 0.3, 0.6)
        ]
    return solids + placed(cable, (0, 0, z)) + placed(cable, (0, 0, -z))


def bridge(rng) -> Solids:
    """Arch, beam, truss, suspension and cable-stayed bridges along x."""
    long, w = rng.uniform((20, 3), (60, 8))
    y, t = long * rng.uniform(0.08, 0.2), long * rng.uniform(0.012, 0.03)
    solids = [box('deck', (long, t, w), (0, y, 0))]
    style = number(rng, 0, 3)
    z, r = w / 2, long * 0.008
    if style == 0:  # arches below
        count = number(rng, 1, 3)
        span = long / count
        for x in long * ((np.arange(count) + 0.5) / count - 0.5):
            bow = arc(1.0, 0.0, np.pi, 6) * (span * 0.46, y * 0.9, 0) + (x, 0, 0)
            solids += _blocks(bow, t * 1.5, w * 0.9, overlap=1.1)
        for x in np.linspace(-0.5, 0.5, count + 1) * long:
            solids.append(box('pier', (long * 0.03, y, w), (x, y / 2, 0)))
    else:
        for x in np.linspace(-0.4, 0.4, number(rng, 2, 4)) * long:
            solids.append(box('pier', (long * 0.025, y, w * rng.uniform(0.5, 1)), (x, y / 2, 0)))
    if style == 1:  # a truss on both sides
        high, count = long * rng.uniform(0.08, 0.15), number(rng, 3, 5)
        top, low = y + high, y
        x = np.linspace(-0.5, 0.5, 2 * count + 1) * long
        zigzag = [(k, low if i % 2 == 0 else top, z) for i, k in enumerate(x)]
        side = pipe('truss', zigzag, r) + [rod('truss', (x[1], top, z), (x[-2], top, z), r)]
        solids += [*side, *placed(side, (0, 0, -w))]
    if style >= 2:
        solids += _hangers(rng, long, y, z, w, r, chain=style == 2)
    if style < 2 and chance(rng, 0.6):
        solids += [
            box('rail', (long, t * 0.5, t * 0.5), (0, y + long * 0.03, s * z)) for s in (-1, 1)
        ]
    return grounded(solids)


def gate(rng) -> Solids:
    """Triumphal arches, garden gates and torii; leaves stand open at some angle."""
    w, h, d = rng.uniform((2, 2.2, 0.3), (6, 6, 2.5))
    post = w * rng.uniform(0.08, 0.3)
    style = number(rng, 0, 2)
    x = w / 2 + post / 2
    solids = both([box('post', (post, h, d), (x, h / 2, 0))])
    full = w + 2 * post
    if style == 0:  # a round arch
        count = 7
        bow = arc(w / 2 + post / 2, 0, np.pi, count)
        solids += _blocks(bow + (0, h, 0), post, d, overlap=1.25)
        if chance(rng, 0.6):
            tall = h * rng.uniform(0.1, 0.4)
            solids.append(box('beam', (full, tall, d), (0, h + w / 2 + post + tall / 2, 0)))
            solids += both([box('post', (post, w / 2 + post, d), (x, h + (w / 2 + post) / 2, 0))])
    elif style == 1:  # beams that overhang
        t = post * rng.uniform(0.6, 1.2)
        solids.append(prism('beam', (full * 1.2, t, d * 1.3), (0, h + t / 2, 0), top=(1.1, 1)))
        if chance(rng, 0.7):
            solids.append(box('beam', (full, t * 0.6, d * 0.7), (0, h * 0.8, 0)))
    else:
        cap = post * rng.uniform(1.1, 1.5)
        solids += both([box('post', (cap, post * 0.4, d * 1.2), (x, h, 0))])
        if chance(rng, 0.6):
            solids += both([ellipsoid('post', np.full(3, post * 0.5), (x, h + post * 0.6, 0))])
    if style == 2 or chance(rng, 0.4):
        tall, bars = h * rng.uniform(0.6, 0.9), number(rng, 3, 6)
        leaf = [
            rod('leaf', (-w / 2 * k, 0.1, 0), (-w / 2 * k, tall, 0), w * 0.012)
            for k in np.linspace(0, 1, bars)
        ]
        leaf += [
            box('leaf', (w / 2, w * 0.03, w * 0.03), (-w / 4, k * tall, 0)) for k in (0.15, 0.9)
        ]
        solids += both(
            placed(leaf, (w / 2, 0, 0), turn=rotation(rng.choice([0.0, rng.uniform(0, 1.7)])))
        )
    return solids


def fence(rng) -> Solids:
    """Picket, rail, ranch and wire fences; straight or round a corner."""
    w, h = rng.uniform((2, 0.8), (4, 1.8))
    style, posts = number(rng, 0, 2), number(rng, 2, 4)
    t = rng.uniform(0.04, 0.08)
    solids = []
    for x in np.linspace(-0.5, 0.5, posts) * w:
        solids.append(box('post', (t * 1.5, h, t * 1.5), (x, h / 2, 0)))
    rails = number(rng, 2, 4)
    for y in np.linspace(0.2, 0.9, rails) * h:
        if style == 0:
            solids.append(box('rail', (w, t * rng.uniform(1, 2.5), t * 0.5), (0, y, t)))
        else:
            solids.append(
                rod('rail', (-w / 2, y, 0), (w / 2, y, 0), t * (0.4 if style == 1 else 0.15))
            )
    if style != 0 or chance(rng, 0.3):
        count, wide = number(rng, 6, 14), rng.uniform(0.25, 0.8)
        tip = rng.uniform(0.05, 0.6)
        for x in ((np.arange(count) + 0.5) / count - 0.5) * w:
            size = (w / count * wide, h * 0.9, t * 0.4)
            solids.append(
                prism('picket', size, (x, h * 0.52, t), top=(1 if chance(rng, 0.5) else tip, 1))
            )
    if chance(rng, 0.3):
        turn = rotation(rng.uniform(0.6, 1.6))
        other = placed([s for s in solids if s.part != 'picket'], (w / 2, 0, 0), turn=turn)
        shift = np.array([w / 2, 0, 0]) + turn @ (w / 2, 0, 0) - (w / 2, 0, 0)
        solids += placed(other, shift)
    return solids


def crane(rng) -> Solids:
    """A tower crane or a derrick: a lattice mast, a turned jib, a rope with a hook."""
    h, w = rng.uniform((15, 0.8), (35, 1.8))
    t, bays = w * 0.07, number(rng, 3, 4)
    x = w / 2
    face = [rod('mast', (x, 0, x), (x, h, x), t)]
    y = np.linspace(0, h, bays + 1)
    face += pipe('mast', [((-x, x)[k % 2], v, x) for k, v in enumerate(y)], t * 0.6)
    solids = [box('base', (3 * w, w * 0.4, 3 * w), (0, w * 0.2, 0)), *around(face, 4)]
    long, back = h * rng.uniform(0.5, 0.9), h * rng.uniform(0.15, 0.3)
    lift = rng.choice([0.0, rng.uniform(0.2, 1.0)])
    jib = both([rod('jib', (x * 0.7, 0, 0), (x * 0.7, 0, long), t)]) + [
        rod('jib', (0, w * 0.8, 0), (0, w * 0.8, long * 0.95), t)
    ]
    z = np.linspace(0, long, 5)
    jib += pipe('jib', [(0, (0, w * 0.8)[k % 2], v) for k, v in enumerate(z)], t * 0.6)
    top = placed(jib, turn=rotation(-lift, 'x'))
    top += [
        rod('jib', (0, 0, 0), (0, 0, -back), t * 2),
        box('weight', (w, w * 1.2, w), (0, -w * 0.3, -back)),
    ]
    top += [box('cab', (w, w * 1.3, w * 1.2), (w * 0.9, -w * 0.3, w * 0.5))]
    tip = np.array([0, 0.0, long]) * rng.uniform(0.5, 0.98) @ rotation(-lift, 'x').T
    peak = np.array([0, h * rng.uniform(0.1, 0.2), 0])
    top += [
        rod('mast', (0, 0, 0), peak, t * 2),
        rod('rope', peak, tip, t * 0.5),
        rod('rope', peak, (0, 0, -back), t * 0.5),
    ]
    drop = tip - (0, h * rng.uniform(0.2, 0.6) + tip[1] * 0.5, 0)
    top += [rod('rope', tip, drop, t * 0.5), box('hook', (w * 0.5, w * 0.6, w * 0.3), drop)]
    return solids + placed(top, (0, h, 0), turn=rotation(rng.uniform(0, 2 * np.pi)))


def gazebo(rng) -> Solids:
    """A round or square roof on posts: gazebos, kiosks, bus stops, wells."""
    r, h = rng.uniform((1.2, 2.0), (3.0, 3.2))
    count, t = number(rng, 4, 8), rng.uniform(0.05, 0.12)
    solids = [cylinder('floor', r * 1.1, 0.2, (0, 0.1, 0))]
    solids += around([rod('post', (r, 0, 0), (r, h, 0), t)], count)
    tall = r * rng.uniform(0.3, 1.0)
    kind = number(rng, 0, 2)
    if kind == 0:
        solids.append(
            cylinder('roof', r * 1.2, tall, (0, h + tall / 2, 0), top=rng.choice([0.02, 0.3]))
        )
    elif kind == 1:
        solids.append(bowl('roof', (r * 1.15, tall, r * 1.15), (0, h, 0), low=0, high=90))
    else:
        solids.append(cylinder('roof', r * 1.25, tall * 0.5, (0, h + tall * 0.25, 0), top=0.55))
        solids.append(cylinder('roof', r * 0.7, tall, (0, h + tall, 0), top=0.03))
    if chance(rng, 0.6):
        y, half = rng.uniform(0.6, 1.0), np.pi / count
        ends = [(r * np.cos(half), y, s * r * np.sin(half)) for s in (-1, 1)]
        rail = [rod('rail', ends[0], ends[1], t * 0.5)]
        solids += around(rail, count, start=half)[:-1]
    if chance(rng, 0.4):
        size = r * rng.uniform(0.25, 0.5)
        middle = cylinder('well', size, 0.9, (0, 0.45, 0), top=rng.uniform(0.8, 1.2))
        solids.append(middle)
    return solids


def _marquee(rng, w, h, long, t) -> Solids:
    """A gable roof on four poles, with or without a rear wall."""
    wall, x, z = h * 0.8, w * 0.48, long * 0.48
    size, top = (w, h * 0.7, long), (0.02, rng.uniform(0, 0.8))
    solids = [prism('cloth', size, (0, wall + h * 0.35, 0), top=top)]
    solids += both([rod('pole', (x, 0, s * z), (x, wall, s * z), t) for s in (-1, 1)])
    if chance(rng, 0.5):
        solids.append(box('cloth', (w, wall, 0.02), (0, wall / 2, -z)))
    return solids


def tent(rng) -> Solids:
    """Ridge tents, tepees, domes and marquees with poles and ropes."""
    w, h = rng.uniform((1.6, 1.2), (4, 2.8))
    long, style = w * rng.uniform(1.0, 2.0), number(rng, 0, 3)
    t = 0.03
    if style == 0:
        solids = [prism('cloth', (w, h, long), (0, h / 2, 0), top=(0.02, rng.uniform(0.7, 1)))]
        solids += [
            rod('pole', (0, 0, s * long / 2), (0, h * 1.08, s * long * 0.48), t) for s in (-1, 1)
        ]
    elif style == 1:
        h *= 1.5
        solids = [cylinder('cloth', w / 2, h, (0, h / 2, 0), top=0.08, ends=(False, False))]
        stick = rod('pole', (w * 0.45, 0.05, 0), (-w * 0.08, h * 1.15, 0), t)
        solids += around([stick], number(rng, 3, 7))
    elif style == 2:
        solids = [bowl('cloth', (w / 2, h * 0.8, long / 2), (0, 0, 0), low=0, high=90)]
        half = ring('pole', w / 2, t, (0, 0, 0), arc=np.pi, rotate=rotation(np.pi / 2, 'z'))
        half = half.moved(np.diag([1, h * 1.62 / w, 1]))
        solids += [
            half.moved(np.diag([1, 1, long / w]) @ rotation(a)) for a in (np.pi / 4, -np.pi / 4)
        ]
        if chance(rng, 0.5):
            solids.append(
                prism(
                    'cloth',
                    (w * 0.5, h * 0.55, long * 0.4),
                    (0, h * 0.27, long * 0.5),
                    top=(0.3, 0.8),
                )
            )
    else:
        solids = _marquee(rng, w, h, long, t)
    if style in (0, 3) and chance(rng, 0.7):
        y = h * 0.9 if style == 0 else h * 0.8
        edge = w * (0.05 if style == 0 else 0.48)
        solids += both(
            [
                rod('rope', (edge, y, s * long * 0.45), (w * 0.85, 0, s * long * 0.6), t * 0.4)
                for s in (-1, 1)
            ]
        )
    return solids
