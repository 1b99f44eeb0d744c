"""Parametric small things of a household; fronts look to +z, units are metres."""

import numpy as np

from ..solids import box, cylinder, ellipsoid, lathe, prism, ring, rod, rotation
from .assembly import FLAT, Solids, arc, around, both, chance, disc, grounded, number, pipe, placed


def vessel(part, profile, *, wall=0.92) -> Solids:
    """An open body of revolution with an outer and an inner wall."""
    inner = [(r * wall, y) for r, y in profile]
    return lathe(part, profile, lid=False) + lathe(part, inner, lid=False, base=False)


def goblet(rng) -> Solids:
    """Wine glasses, cups and chalices: a bowl on a stem with a foot."""
    h, r = rng.uniform((0.12, 0.03), (0.25, 0.06))
    stem, thin = h * rng.uniform(0.2, 0.55), r * rng.uniform(0.08, 0.25)
    foot, flat = r * rng.uniform(0.7, 1.2), h * rng.uniform(0.01, 0.06)
    solids = lathe(
        'foot', [(foot, 0), (foot * 0.95, flat), (thin, flat + h * rng.uniform(0, 0.08))]
    )
    solids.append(cylinder('stem', thin, stem, (0, flat + stem / 2, 0)))
    for k in np.linspace(0.35, 0.8, number(rng, 0, 3)):
        solids.append(ellipsoid('stem', (thin * 2, thin * 1.2, thin * 2), (0, flat + stem * k, 0)))
    k = np.linspace(0, 1, 6)
    belly, lip = rng.uniform(0.35, 1.0), rng.uniform(0.7, 1.2)
    power = rng.uniform(0.3, 1.1)  # from a round to a conical bowl
    radius = np.minimum(k / belly, 1) ** power * (1 + (lip - 1) * np.clip(k - belly, 0, 1) / 0.65)
    y = flat + stem
    solids += vessel('bowl', list(zip(np.maximum(radius, 0.12) * r, y + k * (h - stem))))
    if chance(rng, 0.15):
        size = (h - stem) * 0.3
        middle = (r * rng.uniform(0.9, 1.0), y + (h - stem) * 0.55, 0)
        solids += both([ring('handle', size, size * 0.15, middle, arc=np.pi * 1.2)])
    return solids


def candelabra(rng) -> Solids:
    """A foot and a stem with curved arms, cups and candles."""
    h = rng.uniform(0.25, 0.6)
    foot, t = h * rng.uniform((0.16, 0.012), (0.28, 0.028))
    solids = lathe(
        'base', [(foot, 0), (foot * 0.9, h * 0.03), (t * 2, h * rng.uniform(0.05, 0.15))]
    )
    top = h * rng.uniform(0.6, 0.9)
    solids.append(rod('stem', (0, 0, 0), (0, top, 0), t))
    for k in rng.uniform(0.15, 0.85, number(rng, 0, 3)):
        solids.append(ellipsoid('stem', (t * 2, t * rng.uniform(1, 3), t * 2), (0, k * top, 0)))
    candle = rng.choice([0.0, h * rng.uniform(0.1, 0.4)])
    cup = [cylinder('cup', t * 1.2, h * 0.06, (0, h * 0.03, 0), top=rng.uniform(1.3, 2.2))]
    if candle:
        cup.append(cylinder('candle', t * 1.1, candle, (0, h * 0.05 + candle / 2, 0), top=0.9))
    if chance(rng, 0.75):
        solids += placed(cup, (0, top, 0))
    arms, reach = number(rng, 2, 6), h * rng.uniform(0.22, 0.5)
    rise = reach * rng.uniform(0.3, 1.0)
    start = top * rng.uniform(0.5, 0.85)
    bow = arc(1.0, -np.pi / 2, 0, 3) * (reach, rise, 0) + (0, start + rise, 0)
    if chance(rng, 0.4):
        bow = [(0, start, 0), (reach, start, 0), (reach, start + rise, 0)]
    branch = pipe('arm', bow, t * 0.7) + placed(cup, bow[-1])
    solids += around(branch, arms)
    if arms == 2 and chance(rng, 0.6):  # a row as on a menorah
        inner = np.asarray(bow) * (0.5, 1, 1)
        solids += around(pipe('arm', inner, t * 0.7) + placed(cup, inner[-1]), 2)
    return solids


def teapot(rng) -> Solids:
    """Tea and coffee pots, kettles and watering cans: body, spout, handle, lid."""
    r = rng.uniform(0.07, 0.12)
    h = r * rng.uniform(0.9, 2.4)
    k = np.linspace(0, 1, 6)
    low, top = rng.uniform(0.6, 0.95), rng.uniform(0.35, 0.8)
    radius = np.interp(k, [0, rng.uniform(0.3, 0.6), 1], [low, 1, top]) * r
    solids = lathe(
        'body', list(zip(np.convolve(np.pad(radius, 1, 'edge'), [0.2, 0.6, 0.2], 'valid'), k * h))
    )
    cap = r * top
    solids += lathe(
        'lid', [(cap, h), (cap * 0.7, h + cap * rng.uniform(0.1, 0.5)), (0.01, h + cap * 0.6)]
    )
    solids.append(ellipsoid('lid', np.full(3, r * rng.uniform(0.1, 0.2)), (0, h + cap * 0.6, 0)))
    t, out = r * rng.uniform(0.12, 0.25), r * rng.uniform(1.5, 2.0)
    base = (r * 0.7, h * rng.uniform(0.15, 0.5), 0)
    tip = (out, h * rng.uniform(0.75, 1.15), 0)
    bend = (out * rng.uniform(0.65, 0.85), h * rng.uniform(0.4, 0.6), 0)
    solids += [rod('spout', base, bend, t * 1.4, top=0.75), rod('spout', bend, tip, t, top=0.7)]
    if chance(rng, 0.3):  # over the lid
        y, big = h * 0.9, r * rng.uniform(0.8, 1.0)
        solids.append(
            ring('handle', big, t * 0.5, (0, y, 0), arc=np.pi, rotate=rotation(np.pi / 2, 'z'))
        )
    else:
        size = h * rng.uniform(0.28, 0.42)
        bow = ring('handle', size, t * 0.5, (0, 0, 0), arc=np.pi * 1.15)
        stretch = np.diag([-rng.uniform(0.7, 1.3), 1, 1])
        solids.append(bow.moved(stretch, (-r * 0.75, h * 0.52, 0)))
    return solids


def pot(rng) -> Solids:
    """Pots and pans: one long or two short handles, with or without a lid."""
    r = rng.uniform(0.08, 0.17)
    h, top = r * rng.uniform(0.25, 1.7), rng.uniform(0.95, 1.25)
    solids = vessel('body', [(r / top, 0), (r * 0.97, h * 0.3), (r, h)], wall=0.95)
    t = r * rng.uniform(0.06, 0.1)
    if chance(rng, 0.5):
        long, lift = r * rng.uniform(1.0, 2.2), r * rng.uniform(-0.1, 0.5)
        solids.append(rod('handle', (r * 0.95, h * 0.85, 0), (r + long, h + lift, 0), t, top=1.4))
    else:
        size = r * rng.uniform(0.2, 0.3)
        turn = FLAT if chance(rng, 0.6) else None
        ear = ring('handle', size, t * 0.8, (r, h * 0.8, 0), arc=np.pi * 1.2, rotate=turn)
        solids += both([ear])
    if chance(rng, 0.5):
        lid = lathe('lid', [(r, 0), (r * 0.7, r * rng.uniform(0.08, 0.35)), (0.01, r * 0.3)])
        lid.append(cylinder('lid', r * 0.12, r * 0.2, (0, r * 0.36, 0), top=rng.uniform(0.7, 1.8)))
        tilt = rotation(-rng.choice([0.0, rng.uniform(0.2, 1.2)]), 'x')
        solids += placed(lid, (0, h, 0), turn=tilt, about=(0, 0, -r))
    return solids


def iron(rng) -> Solids:
    """A clothes iron: a pointed sole, a body, a handle bow, a dial."""
    long = rng.uniform(0.2, 0.3)
    w, h = long * rng.uniform((0.38, 0.2), (0.55, 0.4))
    back = long * rng.uniform(0.45, 0.65)
    sole = [box('sole', (w, 0.015, back), (0, 0.008, (back - long) / 2))]
    tip = prism('sole', (w, long - back, 0.015), (0, 0, 0), top=(0.1, 1)).moved(FLAT)
    sole.append(tip.moved(np.eye(3), (0, 0.008, back / 2)))
    solids = list(sole)
    slope = dict(top=(rng.uniform(0.4, 0.8), rng.uniform(0.7, 1)))
    solids.append(prism('body', (w * 0.9, h, back), (0, h / 2, (back - long) / 2), **slope))
    nose = prism(
        'body', (w * 0.9, long - back, h * 0.8), (0, 0, 0), top=(0.15, 0.4), shift=(0, h * 0.2)
    )
    solids.append(nose.moved(FLAT, (0, h * 0.4, back / 2)))
    t, y = w * rng.uniform(0.12, 0.2), h + long * rng.uniform(0.18, 0.3)
    a, b = -long * rng.uniform(0.3, 0.42), long * rng.uniform(0.1, 0.25)
    if chance(rng, 0.7):
        bow = [(0, h * 0.8, a), (0, y, a * 0.9), (0, y, b), (0, h * 0.7, b + long * 0.08)]
    else:  # open at the front
        bow = [(0, h * 0.8, a), (0, y, a), (0, y * 1.03, b)]
    solids += pipe('handle', bow, t)
    if chance(rng, 0.7):
        solids.append(cylinder('dial', w * 0.2, 0.02, (0, h + 0.01, long * 0.02)))
    if chance(rng, 0.25):  # rests on its heel
        return grounded(placed(solids, turn=rotation(-1.4, 'x')))
    return solids


def crate(rng) -> Solids:
    """Cartons with open flaps, slatted crates, trunks and baskets with a lid."""
    w, h, d = rng.uniform((0.25, 0.15, 0.2), (0.8, 0.6, 0.6))
    t, style = 0.015, number(rng, 0, 2)
    if style == 0:
        count = number(rng, 2, 5)
        solids = [box('body', (w, t, d), (0, t / 2, 0))]
        solids += [
            box('post', (3 * t, h, 3 * t), (x * w / 2, h / 2, z * d / 2))
            for x in (-1, 1)
            for z in (-1, 1)
        ]
        for y in h * (np.arange(count) + 0.5) / count:
            for s in (-1, 1):
                solids.append(box('body', (w, h / count * 0.7, t), (0, y, s * d / 2)))
                solids.append(box('body', (t, h / count * 0.7, d), (s * w / 2, y, 0)))
        return solids
    solids = both([box('body', (t, h, d), (w / 2, h / 2, 0))])
    solids += [box('body', (w, h, t), (0, h / 2, s * d / 2)) for s in (-1, 1)]
    solids.append(box('body', (w, t, d), (0, t / 2, 0)))
    if style == 1:
        for k in range(4):
            wide, deep = (w, d) if k % 2 == 0 else (d, w)
            flap = box('lid', (wide, 0.006, deep / 2), (0, 0, deep / 4)).moved(
                rotation(rng.uniform(-0.9, 2.2), 'x')
            )
            solids.append(
                flap.moved(rotation(k * np.pi / 2), rotation(k * np.pi / 2) @ (0, h, deep / 2))
            )
        return grounded(solids)
    lid = [box('lid', (w * 1.03, h * 0.15, d * 1.03), (0, h * 0.075, 0))]
    if chance(rng, 0.5):
        lid = [disc('lid', d * 0.52, w, (0, 0, 0), squash=1.0)]
    angle = -rng.choice([0.0, rng.uniform(0.2, 1.7)])
    solids += placed(lid, (0, h, 0), turn=rotation(angle, 'x'), about=(0, 0, -d / 2))
    size = d * rng.uniform(0.1, 0.2)
    solids += both([ring('handle', size, size * 0.15, (w / 2, h * 0.6, 0), arc=np.pi, rotate=None)])
    return solids
