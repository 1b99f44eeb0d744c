"""Parametric ships and boats; the bow is +z, units are metres."""

import numpy as np

from ..solids import bowl, box, cylinder, ellipsoid, prism, rod, rotation
from .assembly import Solids, around, both, chance, disc, grounded, number, pipe, placed, taper
from .things import wing


def _hull(rng, w, h, long) -> Solids:
    """A hull of three pieces with its keel at y = 0: stern, middle, bow."""
    flare = rng.uniform(1.1, 1.7)
    bow, stern = long * rng.uniform(0.2, 0.4), long * rng.uniform(0.05, 0.2)
    middle = long - bow - stern
    z = stern - long / 2 + middle / 2
    rise = h * rng.uniform(0.0, 0.35)
    return [
        prism('hull', (w / flare, h, middle), (0, h / 2, z), top=(flare, 1)),
        taper(
            'hull',
            (w * 0.93, h, bow),
            (0, h / 2, (long - bow) / 2),
            top=(0.06, rng.uniform(0.4, 1)),
            shift=(0, rise),
        ),
        taper(
            'hull',
            (w * 0.93, h, stern),
            (0, h / 2, (stern - long) / 2),
            top=(rng.uniform(0.5, 1), 0.7),
            shift=(0, h * 0.15),
            back=True,
        ),
    ]


def _mast(rng, part, x, y, z, tall, w) -> Solids:
    """A mast with square sails or yards."""
    solids = [rod('mast', (x, y, z), (x, y + tall, z), tall * 0.015, top=0.6)]
    edges = np.linspace(0.2, 0.97, number(rng, 2, 4))
    for low, high in zip(edges, edges[1:]):
        wide = w * (1.5 - 0.7 * low)
        solids.append(
            prism(
                part,
                (wide, (high - low) * tall * 0.9, 0.05 * w),
                (x, y + tall * (low + high) / 2, z + 0.06 * w),
                top=(0.85, 1),
            )
        )
        yard = y + tall * high
        solids.append(rod('mast', (x - wide / 2, yard, z), (x + wide / 2, yard, z), tall * 0.008))
    return solids


def _warship(rng, w, h, long) -> Solids:
    """A stepped bridge, gun turrets and a funnel."""
    solids = []
    y, wide, deep = h, w * 0.6, long * rng.uniform(0.15, 0.3)
    for _ in range(number(rng, 2, 4)):
        tall = h * rng.uniform(0.3, 0.6)
        solids.append(prism('house', (wide, tall, deep), (0, y + tall / 2, 0), top=(0.9, 0.9)))
        y, wide, deep = y + tall, wide * 0.75, deep * 0.65
    solids.append(rod('mast', (0, y, 0), (0, y + h * rng.uniform(0.6, 1.5), 0), w * 0.03))
    for z in ((0.25,), (-0.33, 0.25), (-0.33, 0.2, 0.3))[number(rng, 0, 2)]:
        gun = [box('gun', (w * 0.35, h * 0.25, w * 0.4), (0, h * 0.12, 0))]
        gun += both([rod('gun', (w * 0.08, h * 0.15, 0), (w * 0.08, h * 0.25, w * 0.7), w * 0.025)])
        turn = rotation(rng.uniform(-0.8, 0.8) + np.pi * (z < 0))
        solids += placed(gun, (0, h, long * z), turn=turn)
    if chance(rng, 0.6):
        tall = h * rng.uniform(0.7, 1.1)
        solids.append(cylinder('funnel', w * 0.14, tall, (0, h + tall / 2, -0.18 * long), top=0.8))
    return solids


def _liner(rng, w, h, long) -> Solids:
    """Long decks with one to four funnels."""
    solids = []
    y, deep = h, long * rng.uniform(0.55, 0.75)
    for _ in range(number(rng, 1, 3)):
        tall = h * rng.uniform(0.25, 0.45)
        solids.append(box('house', (w * 0.85, tall, deep), (0, y + tall / 2, -0.06 * long)))
        y, deep = y + tall, deep * rng.uniform(0.75, 0.95)
    lean = rotation(-rng.uniform(0, 0.25), 'x')
    for z in np.linspace(-0.25, 0.15, number(rng, 1, 4)) * long:
        tall = h * rng.uniform(0.5, 1.0)
        solids.append(cylinder('funnel', w * 0.15, tall, (0, y + tall * 0.4, z), rotate=lean))
    solids.append(rod('mast', (0, y, 0.2 * long), (0, y + h, 0.2 * long), w * 0.02))
    return solids


def _freighter(rng, w, h, long) -> Solids:
    """A house at the stern and a deck of containers, cranes or tanks."""
    tall = h * rng.uniform(0.8, 1.5)
    z = -0.38 * long
    solids = [prism('house', (w * 0.8, tall, long * 0.1), (0, h + tall / 2, z), top=(1, 0.7))]
    solids.append(cylinder('funnel', w * 0.1, tall * 0.5, (0, h + tall * 1.15, z - 0.02 * long)))
    style, rows = number(rng, 0, 2), number(rng, 3, 6)
    for k in np.linspace(-0.25, 0.25, rows) * long:
        deep, high = long * 0.5 / rows * 0.85, h * rng.uniform(0.2, 0.8)
        if style == 0:
            size = (w * rng.uniform(0.5, 0.85), high, deep)
            solids.append(box('load', size, (0, h + high / 2, k)))
        elif style == 1:
            r = min(w * 0.4, deep / 2)
            solids.append(bowl('load', (r, r, r), (0, h, k), low=0, high=90))
        else:
            tip = (0, h + high * 1.6, k + deep * 0.8)
            solids += pipe('mast', [(0, h, k), (0, h + high * 2, k), tip], w * 0.03)
    return solids


def ship(rng) -> Solids:
    """Warships, liners, freighters and galleons."""
    long = rng.uniform(20, 60)
    w, h = long * rng.uniform((0.1, 0.07), (0.22, 0.13))
    solids = _hull(rng, w, h, long)
    style = number(rng, 0, 3)
    if style < 3:
        return solids + (_warship, _liner, _freighter)[style](rng, w, h, long)
    castle = h * rng.uniform(0.4, 0.9)
    size = (w * 0.95, castle, long * 0.22)
    solids.append(prism('house', size, (0, h + castle / 2, -0.36 * long), top=(0.85, 1.1)))
    for z in np.linspace(-0.3, 0.28, number(rng, 2, 3)) * long:
        part = 'sail' if chance(rng, 0.85) else 'mast'
        solids += _mast(rng, part, 0, h, z, long * rng.uniform(0.45, 0.75), w * 1.4)
    tip = (0, h * rng.uniform(1.5, 2.5), long * rng.uniform(0.6, 0.72))
    return solids + [rod('mast', (0, h, long * 0.4), tip, w * 0.03, top=0.5)]


def _sheet(part, foot, tall, thick, at, lean=0.0) -> Solids:
    """A three-cornered sail: its luff is upright at ``at``, its foot runs to -z."""
    size = (thick, tall, abs(foot))
    shift = (0, foot / 2 + lean)
    return [
        prism(part, size, (at[0], at[1] + tall / 2, at[2] - foot / 2), top=(1, 0.02), shift=shift)
    ]


def sailboat(rng) -> Solids:
    """Dinghies, sloops and catamarans with one or two sails that are set to a side."""
    long = rng.uniform(4, 12)
    w, h, tall = long * rng.uniform((0.22, 0.08, 0.9), (0.36, 0.15, 1.5))
    if chance(rng, 0.25):
        one = _hull(rng, w * 0.3, h, long)
        solids = both(placed(one, (w * 0.8, 0, 0)))
        solids.append(box('hull', (w * 1.6, h * 0.3, long * 0.4), (0, h * 0.8, -long * 0.05)))
    else:
        solids = _hull(rng, w, h, long)
        if chance(rng, 0.4):
            size = (w * 0.5, h * 0.6, long * 0.25)
            solids.append(prism('house', size, (0, h * 1.3, 0), top=(0.8, 0.7)))
        if chance(rng, 0.4):
            deep = h * rng.uniform(0.8, 1.8)
            size = (w * 0.08, deep, long * 0.2)
            solids.append(prism('keel', size, (0, 0.1 * h - deep / 2, 0), top=(1, 1.5)))
    z, boom = long * rng.uniform(0.05, 0.2), long * rng.uniform(0.4, 0.55)
    solids.append(rod('mast', (0, h * 0.5, z), (0, h + tall, z), long * 0.01))
    main = _sheet('sail', boom, tall * 0.85, 0.01 * long, (0, h * 1.8, z))
    main.append(rod('mast', (0, h * 1.75, z), (0, h * 1.75, z - boom), long * 0.008))
    solids += placed(main, turn=rotation(rng.uniform(-0.8, 0.8)), about=(0, 0, z))
    if chance(rng, 0.7):
        reach = long / 2 - z
        jib = _sheet('sail', -reach, tall * rng.uniform(0.5, 0.85), 0.01 * long, (0, h * 1.3, z))
        solids += placed(jib, turn=rotation(rng.uniform(-0.25, 0.25)), about=(0, 0, long / 2))
    return grounded(solids)


def submarine(rng) -> Solids:
    """A round hull with a sail, planes, a rudder and a screw."""
    long = rng.uniform(8, 16)
    r = long * rng.uniform(0.05, 0.13)
    if chance(rng, 0.4):
        solids = [ellipsoid('hull', (r, r * rng.uniform(0.9, 1.2), long / 2), (0, 0, 0))]
    else:
        solids = [
            disc('hull', r, long * 0.55, (0, 0, 0.05 * long), axis='z'),
            ellipsoid('hull', (r, r, long * rng.uniform(0.06, 0.17)), (0, 0, long * 0.325)),
            rod('hull', (0, 0, -long * 0.22), (0, 0, -long * 0.48), r, top=0.2),
        ]
    tall, deep = r * rng.uniform(0.7, 1.5), long * rng.uniform(0.1, 0.22)
    at, y = long * rng.uniform(0.0, 0.2), r * 0.9
    solids.append(prism('tower', (r * 0.6, tall, deep), (0, y + tall / 2, at), top=(0.8, 0.8)))
    for k in range(number(rng, 0, 2)):
        z = at + deep * 0.2 * (k - 0.5)
        tip = y + tall * rng.uniform(1.3, 2)
        solids.append(rod('periscope', (0, y, z), (0, tip, z), r * 0.06))
    fin = dict(sweep=r * 0.3, taper=rng.uniform(0.5, 0.9))
    root = wing('fin', r * 1.6, r * 1.2, r * 0.15, (0, 0, -long * 0.42), **fin)
    solids += around([root], 4, 'z', rng.choice([0, np.pi / 4]))
    if chance(rng, 0.6):
        z, y = (at, y + tall * 0.5) if chance(rng, 0.5) else (long * 0.3, 0)
        solids += both([wing('fin', r * 1.5, r * 0.8, r * 0.12, (0, y, z), **fin)])
    blade = box('screw', (r * 0.25, r * 0.7, r * 0.08), (0, r * 0.35, 0), rotate=rotation(0.6))
    solids += placed(around([blade], number(rng, 3, 6), 'z'), (0, 0, -long * 0.49))
    return grounded(solids)
