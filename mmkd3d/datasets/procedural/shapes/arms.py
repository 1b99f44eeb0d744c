"""Parametric hand guns, long guns, cannons; the muzzle looks to +x, units are metres."""

import numpy as np

from ..solids import box, ellipsoid, lathe, prism, ring, rod, rotation
from .assembly import Solids, around, chance, disc, grounded, number, pipe, placed


def _trigger(x, y, size) -> Solids:
    """A guard and a trigger below the frame."""
    bow = [(x, y, 0), (x, y - size, 0), (x + size * 1.3, y - size, 0), (x + size * 1.3, y, 0)]
    tongue = rod('trigger', (x + size * 0.6, y, 0), (x + size * 0.5, y - size * 0.7, 0), size * 0.1)
    return [*pipe('trigger', bow, size * 0.1), tongue]


def handgun(rng) -> Solids:
    """Pistols, revolvers, flintlocks and ray guns."""
    long, h, t = rng.uniform((0.13, 0.025, 0.02), (0.28, 0.045, 0.035))
    lean, grip = rotation(-rng.uniform(0.05, 0.5), 'z'), rng.uniform(0.08, 0.12)
    size = (h * rng.uniform(0.9, 1.4), grip, t)
    butt = prism('grip', size, (0, -grip / 2, 0), top=(rng.uniform(0.7, 1.1), 1)).moved(lean)
    solids = [butt.moved(np.eye(3), (0, 0, 0))]
    style = number(rng, 0, 3)
    r = h * rng.uniform(0.18, 0.32)
    if style == 0:  # a slide over the frame
        solids += [
            box('frame', (long * 0.8, h * 0.45, t * 0.9), (long * 0.3, 0, 0)),
            prism('barrel', (long, h * 0.7, t), (long * 0.35, h * 0.5, 0), top=(0.97, 0.8)),
            rod('barrel', (long * 0.8, h * 0.5, 0), (long * 0.89, h * 0.5, 0), r * 0.7),
        ]
    elif style == 1:
        solids += [
            prism('frame', (h * 2.2, h, t * 0.8), (h * 0.6, h * 0.2, 0), top=(0.8, 1)),
            disc('cylinder', h * 0.55, h * 1.2, (h * 1.4, h * 0.3, 0)),
            rod('barrel', (h * 1.2, h * 0.5, 0), (long, h * 0.5, 0), r),
            rod('frame', (-h * 0.3, h * 0.5, 0), (-h * 0.7, h * 1.0, 0), r * 0.5),
        ]
    elif style == 2:
        solids += [
            rod('barrel', (0, h * 0.3, 0), (long * 1.3, h * 0.5, 0), r * 1.3, top=0.8),
            prism('frame', (long * 0.8, h * 0.6, t * 0.8), (long * 0.35, 0, 0), top=(0.9, 1)),
            rod('frame', (0, h * 0.4, 0), (-h * 0.2, h * 1.2, 0), r * 0.5),
        ]
    else:
        solids += [
            ellipsoid('frame', (long * 0.4, h * 0.9, h * 0.8), (long * 0.1, h * 0.4, 0)),
            rod(
                'barrel',
                (long * 0.3, h * 0.4, 0),
                (long * 0.9, h * 0.4, 0),
                r,
                top=rng.uniform(0.5, 2),
            ),
        ]
        for x in np.linspace(0.5, 0.85, number(rng, 1, 4)) * long:
            solids.append(disc('barrel', h * rng.uniform(0.4, 0.8), 0.004, (x, h * 0.4, 0)))
    solids += _trigger(h * 0.5, -h * 0.1, h * rng.uniform(0.6, 0.9))
    turn = rotation(-np.pi / 2, 'x') if chance(rng, 0.3) else np.eye(3)
    return grounded(placed(solids, turn=turn))


def _stock(rng, h, t, long, at) -> Solids:
    """A shoulder stock in one piece, of wire, or straight with a pistol grip."""
    style = number(rng, 0, 2)
    if style == 0:
        drop = (h * rng.uniform(0.1, 1.0), 0)
        top = (rng.uniform(1.3, 2), 1)
        butt = prism('stock', (h * 0.8, long, t), (0, 0, 0), top=top, shift=drop)
        return [butt.moved(rotation(np.pi / 2, 'z'), (-long / 2, -h * 0.1, 0))]
    if style == 1:
        wire = [(0, h * 0.2, 0), (-long, h * 0.2, 0), (-long, -h, 0), (0, -h * 0.3, 0)]
        solids = pipe('stock', wire, h * 0.1)
    else:
        solids = [prism('stock', (long, h * 1.3, t), (-long / 2, -h * 0.2, 0), top=(0.9, 1))]
    lean = rotation(-rng.uniform(0.1, 0.5), 'z')
    grip = [prism('grip', (h * 0.8, h * 2, t), (0, -h, 0), top=(1.1, 1))]
    return solids + placed(grip, (at, -h * 0.3, 0), turn=lean)


def rifle(rng) -> Solids:
    """Hunting, assault and machine guns: stock, magazine, scope, bipod."""
    long = rng.uniform(0.6, 1.2)
    h, t = long * rng.uniform((0.05, 0.025), (0.08, 0.045))
    body = long * rng.uniform(0.22, 0.4)
    r = h * rng.uniform(0.12, 0.25)
    solids = [box('frame', (body, h, t), (body / 2, 0, 0))]
    solids.append(rod('barrel', (body * 0.9, h * 0.2, 0), (long * 0.72, h * 0.2, 0), r))
    fore = long * rng.uniform(0.12, 0.35)
    size = (fore, h * rng.uniform(0.5, 0.9), t)
    solids.append(prism('frame', size, (body + fore / 2, -h * 0.05, 0), top=(1, 0.8)))
    solids += _stock(rng, h, t, long * rng.uniform(0.2, 0.33), body * 0.1)
    solids += _trigger(body * 0.25, -h * 0.5, h * 0.6)
    if chance(rng, 0.6):
        bend = rotation(rng.uniform(-0.1, 0.5), 'z')
        clip = [
            box(
                'magazine',
                (h * rng.uniform(0.7, 1.4), h * rng.uniform(1.2, 3), t * 0.8),
                (0, -h, 0),
            )
        ]
        if chance(rng, 0.2):
            clip = [disc('magazine', h * 1.2, t * 1.5, (0, -h, 0), axis='z')]
        solids += placed(clip, (body * 0.75, -h * 0.3, 0), turn=bend)
    if chance(rng, 0.5):
        y, half = h * rng.uniform(0.9, 1.2), body * rng.uniform(0.3, 0.5)
        solids.append(rod('scope', (body * 0.5 - half, y, 0), (body * 0.5 + half, y, 0), h * 0.22))
        solids += [rod('scope', (x, 0, 0), (x, y, 0), h * 0.1) for x in (body * 0.3, body * 0.7)]
    if chance(rng, 0.25):
        foot = [
            rod('bipod', (long * 0.6, h * 0.2, 0), (long * 0.62, -h * 3, s * h * 1.5), r * 0.6)
            for s in (-1, 1)
        ]
        solids += foot
    turn = (np.eye(3), rotation(np.pi / 2, 'z'), rotation(-np.pi / 2, 'x'))[number(rng, 0, 2)]
    return grounded(placed(solids, turn=turn))


def cannon(rng) -> Solids:
    """An old or a field gun on wheels: a barrel at some elevation, a carriage, a trail."""
    long, r = rng.uniform((1.0, 0.08), (2.4, 0.16))
    wheel = long * rng.uniform(0.2, 0.35)
    profile = [
        (r, 0),
        (r * 0.95, long * 0.4),
        (r * rng.uniform(0.5, 0.8), long * 0.92),
        (r * 0.9, long),
    ]
    barrel = lathe('barrel', profile)
    barrel.append(ellipsoid('barrel', np.full(3, r * 0.8), (0, -r * 0.4, 0)))
    turn = rotation(-np.pi / 2 + rng.uniform(0, 0.8), 'z')
    solids = placed(barrel, (-long * 0.35, wheel * 1.3, 0), turn=turn, about=(0, long * 0.35, 0))
    solids = placed(solids, (0, -long * 0.35, 0)) + [
        disc('axle', r * 0.4, 6 * r, (0, wheel, 0), axis='z')
    ]
    track, t = r * rng.uniform(2, 3.2), wheel * rng.uniform(0.05, 0.1)
    for z in (-track, track):
        tyre = [
            ring('wheel', wheel - t, t, (0, 0, 0)),
            disc('wheel', t * 2, t * 4, (0, 0, 0), axis='z'),
        ]
        if chance(rng, 0.7):
            tyre += around(
                [rod('wheel', (0, 0, 0), (0, wheel, 0), t * 0.5)], number(rng, 4, 8), 'z'
            )
        else:
            tyre.append(disc('wheel', wheel * 0.9, t, (0, 0, 0), axis='z'))
        solids += placed(tyre, (0, wheel, z))
    tail = long * rng.uniform(0.6, 1.0)
    spread = rng.choice([r * 0.8, r * rng.uniform(2, 5)])
    for s in (-1, 1):
        solids.append(
            rod('trail', (0, wheel * 1.1, s * r * 1.1), (-tail, r * 0.5, s * spread), r * 0.4)
        )
    if chance(rng, 0.3):
        size = (0.03, wheel * 1.3, track * 1.8)
        solids.append(box('shield', size, (wheel * 0.5, wheel * 1.4, 0), rotate=rotation(0.2, 'z')))
    return grounded(solids)
