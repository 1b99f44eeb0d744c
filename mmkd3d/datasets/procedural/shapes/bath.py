"""Parametric baths, basins, openings and bins; fronts look to +z, units are metres."""

import numpy as np

from ..solids import bowl, box, cylinder, ellipsoid, lathe, prism, ring, rod, rotation
from .assembly import FLAT, Solids, both, chance, disc, number, pipe, placed
from .fixtures import basin


def _tap(rng, part, at, size) -> Solids:
    """A straight, a bent or an arched tap that pours to +z."""
    at = np.asarray(at, float)
    kind, t = number(rng, 0, 2), size * 0.08
    if kind == 0:
        points = [(0, 0, 0), (0, size * 0.6, 0), (0, size * 0.45, size)]
    elif kind == 1:
        points = [(0, 0, 0), (0, size, 0), (0, size, size * 0.8), (0, size * 0.8, size * 0.8)]
    else:
        a = np.linspace(0, np.pi, 5)
        bow = [(0, size + 0.4 * size * np.sin(k), 0.4 * size * (1 - np.cos(k))) for k in a]
        points = [(0, 0, 0), *bow]
    solids = pipe(part, points, t)
    if chance(rng, 0.6):
        knob = cylinder(part, t * 2, size * 0.3, (size * 0.6, size * 0.15, 0), top=0.7)
        solids += both([knob])
    return placed(solids, at)


def _shell(part, w, h, d, y, *, top=1.25, wall=0.05) -> Solids:
    """An open oval vessel with an outer and an inner wall and a rim."""
    up = rotation(0)
    outer = bowl(part, (w / 2, h, d / 2), (0, y + h, 0))
    inner = bowl(part, (w / 2 - wall, h - wall, d / 2 - wall), (0, y + h, 0))
    flat = np.diag([1, 1, d / w]) @ up
    rim = ring(part, w / 2 - wall / 2, wall / 2, (0, 0, 0), rotate=FLAT)
    return [outer, inner, rim.moved(flat, (0, y + h, 0))]


def bathtub(rng) -> Solids:
    """Box tubs and oval tubs, on feet or on the floor, with taps."""
    w, h, d, wall = rng.uniform((1.3, 0.42, 0.6, 0.03), (1.85, 0.65, 0.9, 0.1))
    style = number(rng, 0, 2)
    if style == 0:
        solids = basin('tub', (w, h, d), (0, h / 2, 0), rim=wall)
        high = h
    else:
        foot = rng.uniform(0.02, 0.18)
        solids = _shell('tub', w, h, d, foot, wall=wall)
        high = foot + h
        for s in (-1, 1):
            at = (w * 0.25, foot * 0.6, s * d * 0.22)
            solids += both([ellipsoid('foot', (0.06, foot * 0.6 + 0.05, 0.06), at)])
        if style == 2:
            solids.append(
                prism('foot', (w * 0.5, h * 0.5, d * 0.5), (0, h * 0.25, 0), top=(1.3, 1.3))
            )
    if chance(rng, 0.8):
        tap = _tap(rng, 'tap', (0, 0, 0), rng.uniform(0.12, 0.25))
        solids += placed(tap, (-w * 0.47, high, 0), turn=rotation(np.pi / 2))
    if chance(rng, 0.25):
        pole = [
            (-w * 0.48, high, d * 0.2),
            (-w * 0.48, high + 1.2, d * 0.2),
            (-w * 0.3, high + 1.2, d * 0.1),
        ]
        solids += pipe('tap', pole, 0.015)
        solids.append(cylinder('tap', 0.1, 0.04, (-w * 0.3, high + 1.18, d * 0.1), top=0.5))
    low = min(s.bounds()[0][1] for s in solids)
    return placed(solids, (0, -low, 0))


def sink(rng) -> Solids:
    """A basin on a column, on a cupboard, on legs or on the wall, and a tap."""
    w, d, deep, y = rng.uniform((0.4, 0.36, 0.1, 0.75), (0.9, 0.55, 0.2, 0.92))
    style = number(rng, 0, 3)
    if chance(rng, 0.5):
        solids = basin('bowl', (w, deep, d), (0, y - deep / 2, 0), rim=rng.uniform(0.02, 0.07))
        solids.append(box('bowl', (w, 0.04, d * 0.2), (0, y, -d * 0.4)))
    else:
        solids = _shell('bowl', w, deep, d, y - deep, wall=0.025)
        solids.append(box('bowl', (w * 0.7, 0.05, d * 0.2), (0, y - 0.02, -d * 0.45)))
    low = y - deep
    if style == 0:
        r = rng.uniform(0.05, 0.1)
        solids += lathe(
            'stand', [(r * 1.6, 0), (r, low * 0.25), (r, low * 0.8), (r * 1.5, low + 0.03)]
        )
    elif style == 1:
        solids.append(box('stand', (w * 0.95, low, d * 0.9), (0, low / 2, 0)))
        fronts = number(rng, 1, 2)
        for x in ((np.arange(fronts) + 0.5) / fronts - 0.5) * w * 0.9:
            solids.append(
                box('stand', (w * 0.82 / fronts, low * 0.8, 0.03), (x, low / 2, d * 0.46))
            )
    elif style == 2:
        leg = [
            rod('stand', (w * 0.43, 0, s * d * 0.4), (w * 0.43, low, s * d * 0.4), 0.02)
            for s in (-1, 1)
        ]
        solids += both(leg)
        solids.append(box('stand', (w * 0.86, 0.02, d * 0.8), (0, low * 0.3, 0)))
    else:  # hangs on the wall; the trap goes down to the floor
        solids += pipe('stand', [(0, low, 0), (0, low * 0.7, 0), (0, low * 0.7, -d * 0.4)], 0.02)
        solids.append(rod('stand', (0, low * 0.7, -d * 0.4), (0, 0, -d * 0.4), 0.02))
    if chance(rng, 0.85):
        solids += _tap(rng, 'tap', (0, y, -d * 0.42), rng.uniform(0.1, 0.2))
    return solids


def toilet(rng) -> Solids:
    """Close-coupled, high-tank and box toilets; the lid stands at some angle or is off."""
    y, r, long = rng.uniform((0.36, 0.16, 1.1), (0.46, 0.21, 1.5))
    style = number(rng, 0, 2)
    foot = rng.uniform(0.45, 0.8)
    z = r * long
    oval = np.diag([1, 1, long])
    if style == 2:
        solids = [
            prism('base', (1.5 * r, y * 0.85, 1.9 * z), (0, y * 0.42, 0), top=(1.2, 1.05)),
            bowl('bowl', (r * 0.85, y * 0.5, z * 0.85), (0, y, 0)),
        ]
    else:
        solids = [
            cylinder(
                'base',
                r * foot,
                y * 0.6,
                (0, y * 0.3, -z * 0.1),
                squash=long * 1.1,
                top=rng.uniform(0.8, 1.2),
            ),
            bowl('bowl', (r, y * rng.uniform(0.45, 0.7), z), (0, y, 0)),
            bowl('bowl', (r * 0.8, y * 0.4, z * 0.8), (0, y, 0)),
        ]
    solids.append(
        ring('seat', r * 0.88, r * rng.uniform(0.12, 0.2), (0, 0, 0), rotate=FLAT).moved(
            oval, (0, y, 0)
        )
    )
    lid = [cylinder('lid', r, 0.025, (0, 0, 0), squash=long)]
    angle = rng.choice([0.0, -1.65 + rng.normal(0, 0.08)])
    if chance(rng, 0.8):
        solids += placed(lid, (0, y + 0.04, 0), turn=rotation(angle, 'x'), about=(0, 0, -z))
    tall, deep = rng.uniform(0.28, 0.42), rng.uniform(0.14, 0.2)
    back = -z * 1.05 - deep / 2
    high = y if style != 1 else rng.uniform(0.9, 1.6)
    size = (2 * r * rng.uniform(0.9, 1.2), tall, deep)
    solids.append(prism('tank', size, (0, high + tall / 2, back), top=(1.05, 1)))
    solids.append(box('tank', (size[0] * 1.1, 0.03, deep * 1.1), (0, high + tall, back)))
    if style == 1:
        solids.append(rod('tank', (0, y * 0.5, back), (0, high, back), 0.03))
        solids.append(prism('base', (r, y, z * 0.5), (0, y / 2, -z * 0.8)))
    else:
        solids.append(box('base', (r * 1.3, y, deep + z * 0.3), (0, y / 2, back + z * 0.15)))
    return solids


def _panels(rng, w, h) -> Solids:
    """Raised or glazed fields on a door leaf."""
    rows, columns = number(rng, 1, 4), number(rng, 1, 2)
    return [
        box(
            'panel',
            (w / columns * 0.7, h / rows * 0.75, 0.07),
            ((i + 0.5) / columns * w - w / 2, (j + 0.5) / rows * h, 0),
        )
        for i in range(columns)
        for j in range(rows)
    ]


def door(rng) -> Solids:
    """Single and double doors with panels, knobs or levers, a frame; open or closed."""
    h, w, t = rng.uniform((1.9, 0.7, 0.05), (2.4, 1.05, 0.12))
    double = chance(rng, 0.25)
    leaf = [box('leaf', (w, h, 0.045), (w / 2, h / 2, 0))]
    if chance(rng, 0.7):
        leaf += placed(_panels(rng, w, h), (w / 2, 0, 0))
    x, y = w * 0.9, rng.uniform(0.9, 1.1)
    if chance(rng, 0.5):
        leaf += [ellipsoid('handle', (0.035, 0.035, 0.03), (x, y, s * 0.07)) for s in (-1, 1)]
        leaf.append(disc('handle', 0.015, 0.14, (x, y, 0), axis='z'))
    else:
        for s in (-1, 1):
            leaf += pipe('handle', [(x, y, 0), (x, y, s * 0.06), (x - 0.13, y, s * 0.06)], 0.012)
    angle = rng.uniform(0.2, 1.8) if chance(rng, 0.5) else 0.0
    full = 2 * w if double else w
    solids = placed(leaf, (-full / 2, 0, 0), turn=rotation(-angle))
    if double:
        other = rng.choice([0.0, angle])
        solids += placed(
            [s.moved(np.diag([-1.0, 1, 1])) for s in leaf], (w, 0, 0), turn=rotation(other)
        )
    if chance(rng, 0.85):
        deep = rng.uniform(0.08, 0.2)
        solids += both([box('frame', (t, h + t, deep), ((full + t) / 2, (h + t) / 2, 0))])
        solids.append(box('frame', (full + 2 * t, t, deep), (0, h + t / 2, 0)))
        if chance(rng, 0.2):
            lid = [disc('frame', full / 2 + t, deep, (0, h, 0), axis='z')]
            solids += lid
    return solids


def window(rng) -> Solids:
    """Casement, sash and arched windows with bars, a sill, shutters; wings open."""
    w, h, t = rng.uniform((0.6, 0.7, 0.04), (2.0, 1.7, 0.1))
    deep = rng.uniform(0.06, 0.16)
    solids = both([box('frame', (t, h, deep), ((w - t) / 2, h / 2, 0))])
    solids += [box('frame', (w, t, deep), (0, y, 0)) for y in (t / 2, h - t / 2)]
    columns, rows = number(rng, 1, 4), number(rng, 1, 3)
    wings = columns if columns < 3 and w < 1.5 else 0
    wide, glass = w / max(wings, 1), chance(rng, 0.6)
    for k in range(max(wings, 1)):
        pane = [box('pane', (wide * 0.95, h * 0.95, 0.01), (wide / 2, h / 2, 0))] * glass
        pane += [box('bar', (0.03, h * 0.95, 0.03), (wide * x, h / 2, 0)) for x in (0.03, 0.97)]
        pane += [
            box('bar', (wide, 0.03, 0.03), (wide / 2, h * y, 0))
            for y in (np.arange(rows) + 1) / (rows + 1)
        ]
        angle = rng.uniform(0.2, 1.5) if wings and chance(rng, 0.4) else 0.0
        if k == 1:
            pane = [s.moved(np.diag([-1.0, 1, 1])) for s in pane]
        at = (-w / 2, 0, 0) if k == 0 else (w / 2, 0, 0)
        solids += placed(pane, at, turn=rotation(angle if k else -angle))
    if not wings:
        for x in ((np.arange(1, columns)) / columns - 0.5) * w:
            solids.append(box('bar', (0.04, h, 0.05), (x, h / 2, 0)))
    if chance(rng, 0.5):
        solids.append(box('sill', (w * 1.1, 0.04, deep + 0.15), (0, 0.02, 0.08)))
    if chance(rng, 0.25):
        arch = ring(
            'frame', w / 2 - t / 2, t / 2, (0, 0, 0), arc=np.pi, rotate=rotation(np.pi / 2, 'z')
        )
        solids.append(arch.moved(np.eye(3), (0, h, 0)))
    if chance(rng, 0.3):
        shut = [box('shutter', (w / 2, h, 0.03), (w / 4, h / 2, 0))]
        solids += both(placed(shut, (w / 2, 0, deep / 2), turn=rotation(rng.uniform(-0.9, 0.1))))
    return solids


def curtain(rng) -> Solids:
    """One or two cloths in folds on a rail, straight, gathered or tied back."""
    w, h = rng.uniform((0.8, 1.2), (2.2, 2.5))
    fold = rng.uniform(0.05, 0.11)
    tied = chance(rng, 0.3)
    part = number(rng, 1, 2)
    wide = w / part * rng.uniform(0.4, 0.95)
    count = max(3, min(int(wide / fold), 12 // part))
    cloth = []
    waist, knee = rng.uniform(0.3, 0.6), h * rng.uniform(0.35, 0.5)
    squash, flare = rng.uniform(0.6, 1.6), rng.uniform(0.75, 1.0)
    for k in (np.arange(count) + 0.5) / count:
        r = wide / count * rng.uniform(0.5, 0.62)
        z = rng.normal(0, 0.015)
        if tied:
            top, mid, low = (
                (k * wide, h, z),
                (k * wide * waist, knee, z),
                (k * wide * (waist + 0.2), 0, z),
            )
            cloth += [
                rod('cloth', mid, top, r * waist * 1.4, top=0.7 / waist),
                rod('cloth', mid, low, r * waist * 1.4),
            ]
        else:
            cloth.append(cylinder('cloth', r, h, (k * wide, h / 2, z), top=flare, squash=squash))
    solids = placed(cloth, (-w / 2, 0, 0))
    if part == 2:
        solids = both(solids)
    y = h + 0.02
    if chance(rng, 0.7):
        solids.append(rod('rail', (-w * 0.56, y, 0), (w * 0.56, y, 0), 0.018))
        solids += both([ellipsoid('rail', (0.04, 0.04, 0.04), (w * 0.56, y, 0))])
    else:
        solids.append(box('rail', (w * 1.05, 0.12, 0.12), (0, y, 0)))
    if tied:
        solids.append(
            box('tie', (wide * waist * 1.1, 0.06, 0.16), (-w / 2 + wide * waist / 2, knee, 0))
        )
    return solids


def wastebasket(rng) -> Solids:
    """Waste baskets, pedal bins with a lid at some angle, wheeled bins."""
    r, h = rng.uniform((0.11, 0.25), (0.3, 0.9))
    style, top = number(rng, 0, 2), rng.uniform(0.9, 1.4)
    angle = -rng.choice([0.0, rng.uniform(0.3, 1.8)])
    if style == 0:
        low = r / top
        solids = [
            cylinder('body', low, h, (0, h / 2, 0), top=top, ends=(True, False)),
            cylinder('body', low * 0.94, h * 0.97, (0, h * 0.51, 0), top=top, ends=(True, False)),
            ring('rim', r, 0.012, (0, h, 0), rotate=FLAT),
        ]
        if chance(rng, 0.3):
            solids.append(
                ring('handle', r, 0.008, (0, h, 0), arc=np.pi, rotate=rotation(np.pi / 2, 'z'))
            )
        return solids
    if style == 1:
        solids = [
            cylinder('body', r, h, (0, h / 2, 0)),
            box('pedal', (0.08, 0.02, 0.1), (0, 0.03, r)),
        ]
        lid = [bowl('lid', (r, r * rng.uniform(0.2, 1), r), (0, 0, 0), low=0, high=90)]
        lid.append(cylinder('lid', r * 1.02, 0.02, (0, 0.01, 0)))
        return solids + placed(lid, (0, h, 0), turn=rotation(angle, 'x'), about=(0, 0, -r))
    d = r * rng.uniform(0.8, 1.2)
    h, low = h + 0.2, 0.05
    size = (1.6 * r, h, 1.6 * d)
    solids = [prism('body', size, (0, low + h / 2, 0), top=(1.2, 1.2))]
    lid = [prism('lid', (2.05 * r, 0.07, 2.05 * d), (0, 0.04, 0), top=(0.9, 0.9))]
    lid.append(rod('handle', (-r * 0.8, 0.0, -d * 1.1), (r * 0.8, 0.0, -d * 1.1), 0.02))
    solids += placed(lid, (0, low + h, 0), turn=rotation(angle, 'x'), about=(0, 0, -d))
    return solids + both([disc('wheel', 0.09, 0.05, (0.75 * r, 0.09, -d * 0.85))])
