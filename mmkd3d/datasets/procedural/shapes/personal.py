"""Parametric things people wear, carry or have on a desk; fronts look to +z, units are metres."""

import numpy as np

from ..solids import bowl, box, cylinder, ellipsoid, lathe, prism, ring, rod, rotation
from .assembly import FLAT, Solids, around, both, chance, disc, grounded, number, pipe, placed


def umbrella(rng) -> Solids:
    """An open, half-open or folded umbrella with a hooked or straight grip."""
    r, long = rng.uniform((0.4, 0.7), (0.65, 1.0))
    opening = rng.choice([0.25, rng.uniform(0.6, 1.5), rng.uniform(1.1, 1.5)])
    ribs = number(rng, 6, 9)
    t = 0.012
    low, drop = r * np.sin(opening), r * np.cos(opening)
    mid = (low * 0.62, long - drop * 0.45)
    solids = lathe('canopy', [(low, long - drop), mid, (0.01, long)], lid=False, base=False)
    rib = pipe('rib', [(low, long - drop, 0), (*mid, 0), (0, long, 0)], t * 0.5)
    strut = rod('rib', (*mid, 0), (0, long - drop * 0.45 - r * 0.4, 0), t * 0.4)
    solids += around([*rib[:1], strut], ribs)
    solids.append(rod('shaft', (0, 0, 0), (0, long * 1.06, 0), t))
    if chance(rng, 0.6):
        size = long * rng.uniform(0.05, 0.09)
        turn = rotation(-np.pi / 2, 'z')
        solids.append(ring('grip', size, t * 1.3, (-size, 0, 0), arc=np.pi, rotate=turn))
    else:
        solids.append(rod('grip', (0, -0.05, 0), (0, long * 0.12, 0), t * rng.uniform(1.5, 3)))
    lean = rng.choice([0.0, rng.uniform(0.6, 2.2), np.pi])
    return grounded(placed(solids, turn=rotation(lean, 'x')))


def eyeglasses(rng) -> Solids:
    """Round, oval or square lenses, a bridge, hinged temples."""
    r, gap, t = rng.uniform((0.018, 0.012, 0.0012), (0.03, 0.024, 0.0035))
    x, flat = r + gap / 2, rng.uniform(0.6, 1.1)
    if chance(rng, 0.6):
        lens = [ring('frame', r, t, (0, 0, 0)).moved(np.diag([1, flat, 1]), (x, 0, 0))]
    else:
        h = r * flat
        lens = [box('frame', (2 * r + 2 * t, 2 * t, 2 * t), (x, s * h, 0)) for s in (-1, 1)]
        lens += [box('frame', (2 * t, 2 * h, 2 * t), (x + s * r, 0, 0)) for s in (-1, 1)]
    if chance(rng, 0.6):
        lens.append(disc('lens', r, t * 0.5, (x, 0, 0), axis='z', squash=flat))
    solids = both(lens)
    y = r * flat * rng.uniform(0.1, 0.8)
    for k in ((y,), (y, y * 0.2))[int(chance(rng, 0.2))]:
        solids += pipe('bridge', [(-gap / 2 - t, k, 0), (0, k + t, 0.002), (gap / 2 + t, k, 0)], t)
    long, out = rng.uniform(0.1, 0.14), x + r
    bow = [(0, y, 0), (0.004, y, -long * 0.75), (0, y - rng.uniform(0.1, 0.4) * long, -long)]
    for side in (-1, 1):
        fold = rotation(side * rng.choice([0.0, rng.uniform(0, 0.2), rng.uniform(0.5, 1.5)]))
        temple = placed(pipe('temple', np.array(bow) * (side, 1, 1), t * 1.2), turn=fold)
        solids += placed(temple, (side * out, 0, 0))
    return grounded(solids)


def _brim(rng, r, h, oval, *, band) -> Solids:
    """The flat or sloping rim of a hat, and perhaps a band above it."""
    wide, edge = r * rng.uniform(1.25, 2.4), rng.uniform(-0.03, 0.04)
    shell = dict(ends=(False, False), squash=oval)
    top = wide / r if edge > 0 else 1
    solids = [
        cylinder('brim', r, abs(edge) + 0.004, (0, edge / 2, 0), top=top, **shell),
        cylinder('brim', wide, 0.006, (0, 0, 0), squash=oval),
    ]
    if band and chance(rng, 0.6):
        solids.append(cylinder('band', r * 1.02, h * 0.15, (0, h * 0.09, 0), top=0.99, **shell))
    return solids


def hat(rng) -> Solids:
    """Top hats, bowlers, caps, cones, sun hats."""
    r = rng.uniform(0.09, 0.12)
    style, h = number(rng, 0, 3), r * rng.uniform(0.8, 1.4)
    oval = rng.uniform(1.0, 1.25)
    if style == 0:
        h *= rng.uniform(0.8, 1.9)
        solids = [
            cylinder(
                'crown',
                r,
                h,
                (0, h / 2, 0),
                top=rng.uniform(0.75, 1.15),
                ends=(False, True),
                squash=oval,
            )
        ]
    elif style == 1:
        solids = [bowl('crown', (r, h, r * oval), (0, 0, 0), low=0, high=90)]
    elif style == 2:
        h = r * rng.uniform(1.8, 3.5)
        solids = lathe('crown', [(r, 0), (r * 0.5, h * 0.55), (0.005, h)], base=False)
    else:
        solids = [bowl('crown', (r, h * 0.9, r * oval), (0, 0, 0), low=0, high=90)]
        peak = cylinder('brim', r * 0.9, 0.006, (0, 0, 0), squash=rng.uniform(0.9, 1.4))
        solids.append(peak.moved(rotation(rng.uniform(0, 0.3), 'x'), (0, 0.012, r * 0.8)))
        if chance(rng, 0.6):
            solids.append(
                ellipsoid('band', np.full(3, r * rng.uniform(0.08, 0.35)), (0, h * 0.92, 0))
            )
    if style < 3:
        solids += _brim(rng, r, h, oval, band=style != 1)
    return grounded(solids)


def shoe(rng) -> Solids:
    """Low shoes, boots and high heels of one foot, or a pair."""
    long = rng.uniform(0.2, 0.3)
    w, style = long * rng.uniform(0.32, 0.42), number(rng, 0, 2)
    heel = long * (rng.uniform(0.05, 0.12) if style < 2 else rng.uniform(0.2, 0.4))
    sole = long * rng.uniform(0.03, 0.09)
    toe = long * rng.uniform(0.18, 0.3)
    drop = np.arctan2(heel - sole, long * 0.5)
    plate = box('sole', (w * 0.8, sole, long * 0.6), (0, 0, 0)).moved(rotation(drop, 'x'))
    solids = [
        plate.moved(np.eye(3), (0, (heel + sole) / 2, -long * 0.1)),
        cylinder('sole', w * 0.5, sole, (0, sole / 2, long * 0.27), squash=long * 0.23 / w / 0.5),
        prism('heel', (w * 0.6, heel, long * 0.2), (0, heel / 2, -long * 0.36), top=(1.2, 1.2)),
        bowl('upper', (w * 0.5, toe, long * 0.25), (0, sole, long * 0.26), low=0, high=90),
        bowl(
            'upper', (w * 0.42, toe * 1.3 + heel * 0.5, long * 0.32), (0, sole, 0), low=0, high=90
        ),
    ]
    if style == 2:
        solids[2] = rod('heel', (0, 0, -long * 0.4), (0, heel, -long * 0.36), w * 0.1, top=2.5)
    tall = long * (rng.uniform(0.18, 0.28), rng.uniform(0.5, 1.5), 0.2)[style]
    collar = dict(top=rng.uniform(0.9, 1.25), ends=(True, False), squash=1.4)
    solids.append(cylinder('upper', w * 0.42, tall, (0, heel + tall / 2, -long * 0.26), **collar))
    if chance(rng, 0.5) and style < 2:
        for k in np.linspace(0.05, 0.25, 3) * long:
            size = (w * 0.5, 0.006, 0.008)
            solids.append(box('lace', size, (0, sole + toe * 1.25 - k * 0.4, k)))
    if chance(rng, 0.35):
        gap = w * rng.uniform(0.6, 1.0)
        turn = rotation(rng.uniform(-0.4, 0.4))
        return placed(solids, (gap, 0, 0), turn=turn) + placed(solids, (-gap, 0, 0))
    return solids


def clock(rng) -> Solids:
    """Wrist watches on a closed strap, alarm clocks and wall clocks."""
    r = rng.uniform(0.015, 0.024)
    style, t = number(rng, 0, 2), rng.uniform(0.2, 0.5)
    if chance(rng, 0.7):
        case = [
            disc('case', r, r * t, (0, 0, 0), axis='z'),
            ring('case', r, r * 0.12, (0, 0, r * t / 2)),
        ]
    else:
        case = [box('case', (2 * r, 2 * r * rng.uniform(0.8, 1.3), r * t), (0, 0, 0))]
    for a, long in zip(rng.uniform(0, 2 * np.pi, 2), (0.5, 0.75)):
        hand = box('hand', (r * 0.08, r * long, r * 0.05), (0, r * long / 2, r * (t / 2 + 0.06)))
        case.append(hand.moved(rotation(a, 'z')))
    case.append(disc('crown', r * 0.15, r * 0.3, (r * 1.1, 0, 0)))
    if style == 0:  # the strap is a ring of plates about the wrist
        big = r * rng.uniform(1.2, 1.6)
        wide = r * rng.uniform(0.8, 1.4)
        link = box('strap', (wide, 2.1 * big * np.sin(np.pi / 9), r * 0.12), (0, 0, big))
        strap = around([link], 9, 'x')[1:]
        return grounded(placed(case, (0, 0, big)) + strap)
    if style == 1:
        legs = both([rod('foot', (r * 0.5, -r * 0.8, 0), (r * 0.8, -r * 1.3, 0), r * 0.08)])
        bells = both([bowl('bell', np.full(3, r * 0.42), (r * 0.55, r * 1.0, 0), low=0, high=90)])
        return grounded(case + legs + bells)
    flat = [prism('foot', (2.2 * r, r * 0.4, r), (0, -r * 1.1, 0), top=(0.6, 0.8))]
    return grounded(case + flat)


def book(rng) -> Solids:
    """A closed, open or standing book, or a pile."""
    w, h, t = rng.uniform((0.12, 0.16, 0.012), (0.22, 0.3, 0.05))
    c = 0.004
    style = number(rng, 0, 2)
    if style == 0:
        solids, y = [], 0.0
        for _ in range(number(rng, 1, 4)):
            k, thick = rng.uniform((0.75, 0.5), (1.0, 1.2))
            one = [
                box('cover', (w * k, c, h * k), (0, c / 2, 0)),
                box('cover', (w * k, c, h * k), (0, thick * t - c / 2, 0)),
                box('cover', (c, thick * t, h * k), (-w * k / 2, thick * t / 2, 0)),
                box('page', (w * k * 0.95, thick * t - 2 * c, h * k * 0.95), (0, thick * t / 2, 0)),
            ]
            solids += placed(one, (rng.normal(0, 0.01), y, 0), turn=rotation(rng.normal(0, 0.15)))
            y += thick * t
        return solids
    angle = rng.uniform(0.05, 0.5) if style == 1 else rng.uniform(0.6, 1.4)
    leaf = [box('cover', (w, c, h), (w / 2, c / 2, 0))]
    tall = t * rng.uniform(0.3, 1.0)
    leaf.append(
        prism('page', (w * 0.94, tall, h * 0.95), (w * 0.47, c + tall / 2, 0), top=(0.95, 1))
    )
    solids = both(placed(leaf, turn=rotation(angle, 'z')))
    solids.append(box('cover', (t * 0.6, c, h), (0, c / 2, 0)))
    if style == 2:  # stands on its edge, half open
        return grounded(placed(solids, turn=rotation(-np.pi / 2, 'x')))
    return grounded(solids)


def flashlight(rng) -> Solids:
    """A torch: a barrel, a flared head, a switch; lying, or a lantern with a bow."""
    r, long = rng.uniform((0.012, 0.1), (0.025, 0.28))
    head, cone = r * rng.uniform(1.1, 2.2), long * rng.uniform(0.08, 0.2)
    solids = lathe('barrel', [(r, 0), (r, long * 0.3), (r * rng.uniform(0.85, 1.0), long)])
    deep = long * rng.uniform(0.08, 0.2)
    solids += placed(lathe('head', [(r, 0), (head, cone), (head, cone + deep)]), (0, long, 0))
    if chance(rng, 0.5):
        solids.append(disc('lens', head * 0.85, 0.004, (0, long + cone + deep, 0), axis='y'))
    solids.append(box('switch', (r * 0.7, long * 0.12, r * 0.5), (0, long * 0.75, r)))
    if chance(rng, 0.3):
        bow = [
            (0, long * 0.2, r),
            (0, long * 0.2, r * 3),
            (0, long * 0.9, r * 3),
            (0, long * 0.9, r),
        ]
        solids += pipe('handle', bow, r * 0.35)
    return grounded(placed(solids, turn=FLAT))


def camera(rng) -> Solids:
    """Compact, reflex and video cameras, some on a tripod."""
    w, h, d = rng.uniform((0.09, 0.06, 0.02), (0.15, 0.1, 0.07))
    solids = [box('body', (w, h, d), (0, h / 2, 0))]
    r, long = h * rng.uniform(0.28, 0.48), h * rng.uniform(0.2, 1.8)
    x = rng.choice([0.0, -w * 0.12])
    solids.append(
        disc('lens', r, long, (x, h * 0.48, (d + long) / 2), axis='z', top=rng.uniform(0.8, 1.2))
    )
    if chance(rng, 0.5):
        solids.append(ring('lens', r, r * 0.12, (x, h * 0.48, d / 2 + long)))
    if chance(rng, 0.6):
        size = (w * 0.35, h * rng.uniform(0.15, 0.4), d)
        solids.append(prism('finder', size, (x, h + size[1] / 2, 0), top=(0.6, 0.7)))
    if chance(rng, 0.6):
        solids.append(cylinder('grip', d * 0.5, h * 0.9, (-w / 2, h * 0.45, d * 0.3)))
    solids.append(cylinder('button', h * 0.1, h * 0.12, (w * 0.35, h * 1.03, 0)))
    if chance(rng, 0.25):
        tall = h * rng.uniform(5, 12)
        leg = rod('tripod', (tall * 0.3, 0, 0), (0, tall, 0), h * 0.09)
        solids = placed(solids, (0, tall, 0)) + around([leg], 3)
    return grounded(solids)


def telephone(rng) -> Solids:
    """Desk phones with a receiver on or off the hook, flip phones, old wall sets."""
    w, d, h = rng.uniform((0.14, 0.15, 0.04), (0.22, 0.24, 0.1))
    if chance(rng, 0.25):  # a flip phone
        w, h, d = w * 0.3, 0.014, d * 0.5
        keys = [
            box('key', (w * 0.2, 0.004, d * 0.1), (x * w * 0.28, h, z * d * 0.2))
            for x in (-1, 0, 1)
            for z in (-1, 0, 1)
        ]
        lid = box('receiver', (w, h * 0.7, d), (0, h / 2, -d / 2))
        lid = placed([lid], (0, h * 0.3, -d / 2), turn=rotation(rng.uniform(0.0, 1.4), 'x'))
        return grounded([box('body', (w, h, d), (0, h / 2, 0)), *keys, *lid])
    slope = dict(top=(rng.uniform(0.6, 1), rng.uniform(0.5, 0.9)), shift=(0, -d * 0.08))
    solids = [prism('body', (w, h, d), (0, h / 2, 0), **slope)]
    at = (rng.choice([0, w * 0.1]), h, d * 0.1)
    if chance(rng, 0.5):
        solids.append(cylinder('key', w * 0.25, 0.02, at, top=0.9))
    else:
        solids += [
            box('key', (w * 0.09, 0.012, w * 0.09), (at[0] + x * w * 0.14, h, at[2] + z * w * 0.14))
            for x in (-1, 0, 1)
            for z in (-1, 0, 1)
        ]
    long, r = w * rng.uniform(0.85, 1.15), w * rng.uniform(0.09, 0.14)
    receiver = [rod('receiver', (-long / 2, r * 1.2, 0), (long / 2, r * 1.2, 0), r * 0.6)]
    receiver += both([cylinder('receiver', r * 1.1, r * 1.6, (long / 2, r * 0.6, 0), top=0.7)])
    turn = rotation(rng.choice([0, np.pi / 2]) + rng.normal(0, 0.05))
    if chance(rng, 0.3):
        return solids + placed(receiver, (w * 1.1, 0, 0), turn=rotation(rng.uniform(0, 3)))
    x = -w * 0.36 if turn[0, 0] < 0.5 else 0
    return grounded(solids + placed(receiver, (x, h * 0.95, -d * 0.25 if x == 0 else 0), turn=turn))


def keyboard(rng) -> Solids:
    """A computer keyboard: rows of keys, flat or split; sometimes with a mouse."""
    w = rng.uniform(0.28, 0.48)
    d, t = w * rng.uniform(0.28, 0.42), rng.uniform(0.01, 0.025)
    rows = number(rng, 3, 5)
    key_h = rng.uniform(0.004, 0.01)
    solids = [prism('base', (w, t, d), (0, t / 2, 0), top=(0.99, rng.uniform(0.85, 1)))]
    blocks = ((-0.47, 0.47),) if chance(rng, 0.5) else ((-0.47, 0.18), (0.24, 0.47))
    for j in range(rows):
        z = d * 0.85 * ((j + 0.5) / rows - 0.5)
        for a, b in blocks:
            edges = np.linspace(a, b, 3 + (b - a > 0.5)) * w
            for left, right in zip(edges, edges[1:]):
                size = (right - left - 0.008, key_h, d * 0.6 / rows)
                solids.append(box('key', size, ((left + right) / 2, t + key_h / 2, z)))
    tilt = placed(solids, turn=rotation(rng.uniform(0, 0.12), 'x'))
    solids = grounded(tilt)
    if chance(rng, 0.4):
        at = (w * 0.5 + 0.08, 0.0, rng.normal(0, 0.03))
        solids.append(bowl('mouse', (0.032, 0.035, 0.055), at, low=0, high=90))
        solids.append(cylinder('mouse', 0.032, 0.004, np.add(at, (0, 0.002, 0)), squash=1.7))
    return solids
