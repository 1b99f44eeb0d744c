"""Parametric objects other than furniture; same axes and units."""

import numpy as np

from ..solids import Solid, box, cylinder, ellipsoid, lathe, prism, ring, rod, rotation

Solids = list[Solid]


def bottle(rng) -> Solids:
    """A body that narrows to a neck, with or without a cap."""
    h, r = rng.uniform((0.18, 0.03), (0.35, 0.055))
    neck, shoulder = r * rng.uniform(0.25, 0.5), h * rng.uniform(0.5, 0.72)
    start = shoulder + h * rng.uniform(0.05, 0.18)
    waist = r * rng.choice([1, rng.uniform(0.7, 0.95)])
    squash = rng.choice([1.0, rng.uniform(0.55, 0.8)])
    solids = lathe(
        'body',
        [
            (r * 0.93, 0),
            (r, h * 0.04),
            (waist, shoulder * 0.55),
            (r, shoulder * 0.9),
            (r * 0.9, shoulder),
            (neck, start),
        ],
        squash=squash,
    )
    solids += lathe('neck', [(neck, start), (neck, h)])
    if rng.random() < 0.7:
        cap = rng.uniform(0.015, 0.03)
        solids.append(cylinder('cap', neck * 1.25, cap, (0, h + cap / 2, 0)))
    return solids


def vase(rng) -> Solids:
    """A curved open vessel; foot, handles and stems are optional."""
    h = rng.uniform(0.2, 0.6)
    foot, belly, neck, lip = h * rng.uniform((0.1, 0.2, 0.07, 0.1), (0.22, 0.38, 0.2, 0.3))
    middle = h * rng.uniform(0.35, 0.65)
    y = np.linspace(0, 1, 9)
    radius = np.interp(y, [0, middle / h, 0.85, 1], [foot, belly, neck, lip])
    radius = np.convolve(np.pad(radius, 1, 'edge'), [0.25, 0.5, 0.25], 'valid')
    cut = 6
    solids = lathe('body', list(zip(radius[:cut], y[:cut] * h)), lid=False)
    solids += lathe('neck', list(zip(radius[cut - 1 :], y[cut - 1 :] * h)), lid=False, base=False)
    if rng.random() < 0.3:
        solids += [
            ring(
                'handle',
                h * 0.17,
                h * 0.025,
                (s * (radius[5] + h * 0.02), h * 0.62, 0),
                arc=np.pi * 1.2,
                rotate=rotation(0 if s > 0 else np.pi),
            )
            for s in (-1, 1)
        ]
    if rng.random() < 0.35:
        for _ in range(rng.integers(3, 7)):
            a, tilt = rng.uniform((0, 0.1), (2 * np.pi, 0.5))
            tip = np.array([np.cos(a) * tilt, 1.0, np.sin(a) * tilt])
            tip *= h * rng.uniform(1.3, 1.7)
            solids.append(rod('plant', (0, h * 0.5, 0), tip, h * 0.012))
            solids.append(ellipsoid('plant', np.full(3, h * 0.06), tip))
    return solids


def mug(rng) -> Solids:
    """An open cylinder with a handle."""
    h, r = rng.uniform((0.08, 0.035), (0.13, 0.055))
    top = rng.uniform(0.9, 1.3)
    solids = [
        cylinder('body', r, h, (0, h / 2, 0), top=top, ends=(True, False)),
        cylinder('body', r * 0.9, h * 0.96, (0, h / 2 + h * 0.02, 0), top=top, ends=(True, False)),
    ]
    edge = r * (1 + top) / 2
    size = h * rng.uniform(0.25, 0.36)
    if rng.random() < 0.6:
        grip = [
            ring(
                'handle',
                size,
                size * rng.uniform(0.15, 0.25),
                (edge * 0.98, h * 0.5, 0),
                arc=np.pi * 1.1,
            )
        ]
    else:
        t, out = size * 0.22, edge + size * 0.9
        ends = [(edge * 0.95, h * k, 0) for k in (0.25, 0.75)]
        bend = [(out, h * k, 0) for k in (0.25, 0.75)]
        grip = [
            rod('handle', a, b, t)
            for a, b in zip([ends[0], bend[0], bend[1]], [bend[0], bend[1], ends[1]])
        ]
    return solids + grip


def laptop(rng) -> Solids:
    """A base and a screen at some angle, or a closed lid."""
    w = rng.uniform(0.28, 0.42)
    d, t = w * rng.uniform(0.62, 0.8), rng.uniform(0.008, 0.025)
    base = prism('base', (w, t, d), (0, t / 2, 0), top=(0.98, 0.96))
    keys = box('keyboard', (w * 0.85, 0.004, d * 0.4), (0, t + 0.002, -d * 0.15))
    pad = box('keyboard', (w * 0.25, 0.004, d * 0.25), (0, t + 0.002, d * 0.3))
    lid = box('screen', (w, d * 0.97, t * 0.6), (0, d * 0.485, 0))
    angle = -rng.uniform(-0.6, 0.9)
    return [base, keys, pad, lid.moved(rotation(angle, 'x'), (0, t, -d / 2))]


def guitar(rng) -> Solids:
    """Acoustic (two bouts) and electric (with horns), upright."""
    low, high = rng.uniform((0.16, 0.12), (0.21, 0.16))
    deep, long = rng.uniform((0.04, 0.5), (0.11, 0.7))
    y0 = low
    y1 = low + high * rng.uniform(1.2, 1.5)
    turn = rotation(np.pi / 2, 'x')

    def disc(radius, x, y, squash=1.0):
        return cylinder('body', radius, deep, (x, y, 0), squash=squash, rotate=turn)

    solids = [disc(low, 0, y0, rng.uniform(0.85, 1.0)), disc(high, 0, y1)]
    if rng.random() < 0.4:
        solids[1] = disc(high * 0.8, 0, y1)
        solids += [
            rod(
                'body',
                (s * high * 0.6, y1, 0),
                (s * high * rng.uniform(0.75, 1.1), y1 + high * 1.1, 0),
                deep * 0.45,
                top=0.6,
            )
            for s in (-1, 1)
        ]
    start = y1 + high * 0.3
    head = rng.uniform(0.14, 0.2)
    z = deep / 2
    solids += [
        box('neck', (0.055, long, 0.03), (0, start + long / 2, z)),
        prism(
            'head',
            (0.06, head, 0.02),
            (0, start + long + head / 2, z),
            top=(rng.uniform(1.0, 1.6), 1),
        ),
    ]
    for s in (-1, 1):
        for k in (0.25, 0.5, 0.75):
            y = start + long + head * k
            solids.append(rod('head', (s * 0.03, y, z), (s * 0.06, y, z), 0.008))
    return solids


def car(rng) -> Solids:
    """Saloons, estates, pick-ups and vans; the front is +z."""
    w, long, r = rng.uniform((1.6, 3.4, 0.28), (1.95, 4.9, 0.38))
    low, hood = r * rng.uniform(0.6, 0.9), rng.uniform(0.5, 0.75)
    cab_h = rng.uniform(0.45, 0.7)
    style = rng.integers(4)
    cab_long = long * (0.55, 0.72, 0.35, 0.8)[style] * rng.uniform(0.9, 1.05)
    cab_z = long * (-0.04, -0.12, 0.06, -0.05)[style]
    if style == 3:
        cab_h *= 1.7
    y = low + hood
    solids = [
        prism(
            'body',
            (w, hood, long),
            (0, low + hood / 2, 0),
            top=(rng.uniform(0.88, 0.98), rng.uniform(0.9, 0.98)),
        ),
        prism(
            'cabin',
            (w * 0.93, cab_h, cab_long),
            (0, y + cab_h / 2, cab_z),
            top=(rng.uniform(0.7, 0.95), rng.uniform(0.5, 0.85)),
            shift=(0, -rng.uniform(0, 0.08) * cab_long),
        ),
    ]
    if style == 2:
        rail = (w * 0.05, 0.25, long * 0.35)
        solids += [box('body', rail, (s * w * 0.44, y + 0.1, -long * 0.3)) for s in (-1, 1)]
    turn, wide = rotation(np.pi / 2, 'z'), rng.uniform(0.18, 0.26)
    solids += [
        cylinder('wheel', r, wide, (s * (w / 2 - wide * 0.4), r, z), rotate=turn)
        for s in (-1, 1)
        for z in (-long * 0.31, long * 0.31)
    ]
    if rng.random() < 0.6:
        solids += [
            box(
                'mirror',
                (0.2, 0.13, 0.1),
                (s * (w * 0.46 + 0.1), y + 0.08, cab_z + cab_long * 0.33),
            )
            for s in (-1, 1)
        ]
    return solids


def wing(part, span, chord, thick, root, *, sweep, taper, up=0.0, side=1):
    """A tapered wing that grows from ``root`` to the side."""
    wing = prism(part, (thick, span, chord), (0, span / 2, 0), top=(0.5, taper), shift=(0, -sweep))
    return wing.moved(rotation(-side * (np.pi / 2 - up), 'z'), root)


def _engines(rng, r, under, along, nose) -> Solids:
    """Pods under the wings, a propeller at the nose, or none visible."""
    kind = rng.random()
    if kind < 0.55:
        size = r * rng.uniform(0.4, 0.65)
        places = (0.35,) if rng.random() < 0.7 else (0.3, 0.6)
        pods = []
        for side in (-1, 1):
            for k in places:
                middle = under + along * k * (side, 1, 1)
                half = np.array([0, 0, 2 * size])
                pods.append(rod('engine', middle - half, middle + half, size))
        return pods
    if kind < 0.75:
        return [
            box('engine', (3.6 * r, r * 0.25, r * 0.15), (0, 0, nose), rotate=rotation(a, 'z'))
            for a in (0, np.pi / 2)
        ]
    return []


def airplane(rng) -> Solids:
    """Airliners, gliders, fighters and propeller planes; the nose is +z."""
    long = rng.uniform(8, 16)
    r = long * rng.uniform(0.045, 0.08)
    span = long * rng.uniform(0.3, 0.55)
    chord, sweep = long * rng.uniform(0.1, 0.25), span * rng.uniform(0, 0.7)
    high = rng.choice([-0.5, 0, 0.7]) * r
    fly = dict(sweep=sweep, taper=rng.uniform(0.25, 0.8), up=rng.uniform(-0.05, 0.12))
    tail = dict(sweep=sweep * 0.3, taper=rng.uniform(0.4, 0.8))
    solids = [
        rod('body', (0, 0, -long * 0.3), (0, 0, long * 0.36), r),
        rod('body', (0, 0, -long * 0.3), (0, r * 0.5, -long / 2), r, top=0.25),
        ellipsoid('body', (r, r, long * 0.14), (0, 0, long * 0.36)),
    ]
    back = (0, 0 if rng.random() < 0.7 else r * 3.4, -long * 0.44)
    for side in (-1, 1):
        solids.append(wing('wing', span, chord, r * 0.3, (0, high, long * 0.05), side=side, **fly))
        solids.append(wing('tail', span * 0.38, chord * 0.55, r * 0.2, back, side=side, **tail))
    solids.append(
        prism(
            'tail',
            (r * 0.2, r * 3.6, chord * 0.6),
            (0, r * 1.8, -long * 0.43),
            top=(0.6, 0.6),
            shift=(0, -chord * 0.25),
        )
    )
    under = np.array([0, high - r * 0.55, long * 0.08])
    along = np.array([span, span * np.sin(fly['up']), -sweep])
    solids += _engines(rng, r, under, along, long * 0.5)
    return [s.moved(np.eye(3), (0, 2 * r, 0)) for s in solids]
