"""Parametric tools and weapons, mostly upright or lying; units are metres."""

import numpy as np

from ..solids import bowl, box, cylinder, ellipsoid, lathe, prism, ring, rod, rotation
from .assembly import FLAT, Solids, around, both, chance, disc, grounded, number, pipe, placed

UP, LYING = rotation(0.0), rotation(np.pi / 2, 'z')


def _grip(rng, long, t, part='handle') -> Solids:
    """A handle from y = 0 up: round, square, waisted or with knobs."""
    style, oval = number(rng, 0, 3), rng.uniform(0.6, 1.0)
    if style == 0:
        return [cylinder(part, t, long, (0, long / 2, 0), top=rng.uniform(0.7, 1.2), squash=oval)]
    if style == 1:
        return [prism(part, (2 * t, long, 2 * t * oval), (0, long / 2, 0), top=(0.8, 0.9))]
    if style == 2:
        waist = rng.uniform(0.6, 0.9)
        return lathe(
            part,
            [(t, 0), (t * waist, long * 0.3), (t * 1.05, long * 0.7), (t * 0.8, long)],
            squash=oval,
        )
    rings = [ring(part, t, t * 0.25, (0, long * k, 0), rotate=FLAT) for k in (0.2, 0.5, 0.8)]
    return [cylinder(part, t, long, (0, long / 2, 0)), *rings]


def _rest(rng, solids) -> Solids:
    """Upright, lying on the side or leaning, on the floor."""
    turn = rotation(rng.uniform(0, np.pi)) if chance(rng, 0.5) else UP
    turn = (UP, LYING, rotation(np.pi, 'z'), rotation(rng.uniform(0, 1.5), 'z'))[
        number(rng, 0, 3)
    ] @ turn
    return grounded(placed(solids, turn=turn))


def sword(rng) -> Solids:
    """Daggers, long swords, sabres and rapiers."""
    long = rng.uniform(0.25, 1.0)
    w = rng.uniform(0.02, 0.06)
    t, grip = w * rng.uniform(0.12, 0.3), rng.uniform(0.09, 0.2)
    solids = _grip(rng, grip, w * rng.uniform(0.25, 0.4))
    solids.append(ellipsoid('pommel', np.full(3, w * rng.uniform(0.35, 0.6)), (0, 0, 0)))
    wide = w * rng.uniform(1.2, 5)
    guard = number(rng, 0, 3)
    if guard == 0:
        solids.append(box('guard', (wide, w * 0.35, w * 0.5), (0, grip, 0)))
    elif guard == 1:
        tip = (wide * 0.6, grip + w * rng.uniform(-0.6, 1.2), 0)
        solids += both([rod('guard', (0, grip, 0), tip, w * 0.18, top=0.7)])
    elif guard == 2:
        solids.append(bowl('guard', (w * 1.2, w * 1.2, w * 1.2), (0, grip, 0), low=0, high=70))
    else:
        solids.append(
            cylinder('guard', w * rng.uniform(0.7, 1.2), w * 0.15, (0, grip, 0), squash=0.8)
        )
    bend, pieces = rng.choice([0.0, rng.uniform(0.05, 0.25)]), 4
    narrow = rng.uniform(0.8, 1.15)
    at, step, angle, wide = np.array([0, grip, 0.0]), long * 0.8 / pieces, 0.0, w
    for _ in range(pieces if bend else 1):
        size = step if bend else long * 0.8
        k = narrow**0.25 if bend else narrow
        piece = prism('blade', (wide, size * 1.02, t), (0, size / 2, 0), top=(k, 1))
        solids.append(piece.moved(rotation(angle, 'z'), at))
        at = at + rotation(angle, 'z') @ (0, size, 0)
        angle, wide = angle + bend, wide * k
    side = rng.choice([0.0, -0.5, 0.5]) * wide
    tip = prism(
        'blade', (wide, long * 0.2, t), (0, long * 0.1, 0), top=(0.02, 0.3), shift=(side, 0)
    )
    solids.append(tip.moved(rotation(angle, 'z'), at))
    return _rest(rng, solids)


def knife(rng) -> Solids:
    """Kitchen, bread and pocket knives; the last open at some angle."""
    long, w = rng.uniform((0.08, 0.018), (0.28, 0.06))
    grip, t = rng.uniform(0.09, 0.14), w * rng.uniform(0.06, 0.15)
    solids = _grip(rng, grip, w * rng.uniform(0.22, 0.35))
    keep = rng.uniform(0.3, 0.95)
    blade = [
        prism('blade', (w, long * keep, t), (0, long * keep / 2, 0), top=(rng.uniform(0.7, 1.1), 1))
    ]
    side = rng.choice([-0.5, 0.0, 0.5]) * w
    end = long * (1 - keep)
    blade.append(
        prism('blade', (w, end, t), (0, long * keep + end / 2, 0), top=(0.05, 0.4), shift=(side, 0))
    )
    style = number(rng, 0, 2)
    if style == 0:
        solids.append(box('bolster', (w * 0.8, w * 0.5, w * 0.5), (0, grip, 0)))
    fold = rotation(-rng.uniform(0.0, 2.4), 'z') if style == 1 else UP
    return _rest(rng, solids + placed(blade, (0, grip, 0), turn=fold))


def _haft(rng, long) -> Solids:
    """A long handle of a striking tool, straight or slightly bent."""
    t = long * rng.uniform(0.018, 0.04)
    if chance(rng, 0.5):
        return [rod('handle', (0, 0, 0), (0, long, 0), t, top=rng.uniform(0.7, 1.0))]
    sway = long * rng.uniform(-0.06, 0.06)
    return pipe('handle', [(0, 0, 0), (sway, long * 0.4, 0), (0, long, 0)], t)


def axe(rng) -> Solids:
    """One or two blades, a poll or a spike, a long or short handle."""
    long = rng.uniform(0.3, 1.0)
    solids = _haft(rng, long)
    deep, tall = long * rng.uniform((0.12, 0.1), (0.3, 0.2))
    t, y = tall * rng.uniform(0.2, 0.4), long * rng.uniform(0.85, 0.95)
    flare, hang = rng.uniform(1.2, 3.2), rng.uniform(-0.4, 0.1) * tall
    solids.append(box('head', (t * 1.4, tall, t * 1.1), (0, y, 0)))
    edge = prism('blade', (tall, deep, t), (0, deep / 2, 0), top=(flare, 0.08), shift=(-hang, 0))
    edge = edge.moved(rotation(-np.pi / 2, 'z'), (t * 0.5, y, 0))
    if chance(rng, 0.3):
        solids += both([edge])
    else:
        solids.append(edge)
        if chance(rng, 0.3):
            solids.append(rod('head', (0, y, 0), (-deep, y - 0.1 * deep, 0), t * 0.4, top=0.1))
        else:
            solids.append(box('head', (t * 1.5, tall * 0.7, t), (-t, y, 0)))
    return _rest(rng, solids)


def hammer(rng) -> Solids:
    """Claw hammers, mallets, sledges and picks."""
    long = rng.uniform(0.22, 0.9)
    solids = _haft(rng, long)
    size, style = long * rng.uniform(0.05, 0.1), number(rng, 0, 3)
    y, reach = long * 0.96, size * rng.uniform(1.5, 3.2)
    if style == 0:
        solids.append(disc('head', size, 2 * reach, (0, y, 0)))
    elif style == 1:
        solids.append(box('head', (2 * reach, 2 * size, 2 * size * rng.uniform(0.7, 1)), (0, y, 0)))
    else:
        solids.append(box('head', (size * 1.4, size * 1.6, size * 1.2), (0, y, 0)))
        solids += [
            rod('head', (0, y, 0), (reach, y, 0), size * 0.5),
            disc('head', size * 0.75, size * 0.6, (reach, y, 0)),
        ]
        if style == 2:  # two claws that bend down
            for z in (-1, 1):
                bend = (-reach * 0.6, y + size * 0.2, z * size * 0.3)
                points = [
                    (0, y, 0),
                    bend,
                    (-reach * 1.1, y - size * rng.uniform(0.4, 1), z * size * 0.5),
                ]
                solids += pipe('claw', points, size * 0.22)
        else:
            turn = rotation(np.pi / 2, 'z')
            pick = prism('claw', (size * 1.4, reach, size * 0.9), (0, 0, 0), top=(0.1, 1)).moved(
                turn
            )
            solids.append(pick.moved(np.eye(3), (-reach / 2, y, 0)))
    return _rest(rng, solids)


def screwdriver(rng) -> Solids:
    """A grip, a shaft and a flat or pointed tip; awls and files too."""
    grip, long, r = rng.uniform((0.06, 0.05, 0.009), (0.12, 0.22, 0.018))
    solids = _grip(rng, grip, r)
    solids.append(ellipsoid('handle', (r, r * rng.uniform(0.3, 0.9), r), (0, 0, 0)))
    t = r * rng.uniform(0.2, 0.4)
    solids.append(rod('shaft', (0, grip, 0), (0, grip + long, 0), t))
    tip, y = r * rng.uniform(0.5, 1.5), grip + long
    if chance(rng, 0.5):
        wide = rng.uniform(2.2, 4) * t
        solids.append(prism('tip', (wide, tip, 2 * t), (0, y + tip / 2, 0), top=(0.9, 0.15)))
    else:
        solids.append(cylinder('tip', t, tip, (0, y + tip / 2, 0), top=0.1))
    return _rest(rng, solids)


def wrench(rng) -> Solids:
    """Open, ring and adjustable wrenches."""
    long = rng.uniform(0.12, 0.35)
    w, t = long * rng.uniform((0.07, 0.03), (0.14, 0.06))
    solids = [prism('handle', (w, long, t), (0, long / 2, 0), top=(rng.uniform(0.7, 1.3), 1))]
    for y, up in ((long, 1), (0, -1)):
        r = w * rng.uniform(0.8, 1.3)
        if chance(rng, 0.35) and up < 0:
            continue
        at = (0, y + up * r * 0.7, 0)
        if chance(rng, 0.4):
            eye = [ring('jaw', r * 0.8, r * 0.25, (0, 0, 0))]
        else:
            eye = [disc('jaw', r * 0.6, t * 1.3, (0, -up * r * 0.4, 0), axis='z')]
            eye += both(
                [
                    prism(
                        'jaw', (r * 0.5, r * 1.3, t * 1.3), (r * 0.6, r * 0.4 * up, 0), top=(0.8, 1)
                    )
                ]
            )
            if chance(rng, 0.3):
                eye.append(disc('screw', r * 0.2, r * 0.6, (0, -up * r * 0.5, t), axis='x'))
        solids += placed(eye, at, turn=rotation(rng.choice([0.0, 0.26, -0.26]), 'z'))
    return _rest(rng, solids)


def shovel(rng) -> Solids:
    """Spades, shovels, rakes and forks with a T, D or plain handle."""
    long = rng.uniform(0.6, 1.5)
    t = rng.uniform(0.012, 0.02)
    w, h = rng.uniform((0.14, 0.18), (0.32, 0.36))
    style = number(rng, 0, 3)
    solids = [rod('shaft', (0, h * 0.8, 0), (0, h + long, 0), t)]
    if style == 3:
        count = number(rng, 3, 7)
        solids.append(rod('blade', (-w / 2, h, 0), (w / 2, h, 0), t))
        for x in np.linspace(-w / 2, w / 2, count):
            solids += pipe('blade', [(x, h, 0), (x * 0.9, h * 0.5, 0.03), (x * 0.9, 0, 0)], t * 0.5)
    else:
        tip = (0.9, rng.uniform(0.3, 0.7), 0.05)[style]
        cut = h * (0.05, 0.4, 0.6)[style]
        solids.append(
            prism('blade', (w * 0.95, h - cut, 0.012), (0, cut + (h - cut) / 2, 0), top=(1, 1))
        )
        point = prism('blade', (w * 0.95, cut, 0.012), (0, -cut / 2, 0), top=(tip, 1))
        solids.append(point.moved(rotation(np.pi, 'z')))
        if chance(rng, 0.5):
            solids += both(
                [box('blade', (0.01, h - cut, 0.05), (w / 2, cut + (h - cut) / 2, 0.02))]
            )
    top, wide = h + long, rng.uniform(0.05, 0.08)
    kind = number(rng, 0, 2)
    if kind == 0:
        solids.append(rod('handle', (-wide, top, 0), (wide, top, 0), t * 1.1))
    elif kind == 1:
        bow = [(0, top - 0.02, 0), (wide, top + wide, 0), (0, top + wide, 0)]
        solids += both(pipe('handle', bow, t * 0.8))
    turn = rotation(-rng.uniform(0, 0.5), 'x')
    return grounded(placed(solids, turn=turn))


def _loop(rng, part, r, t) -> Solids:
    """The eye of scissors about the origin."""
    return [ring(part, r, t, (0, 0, 0)).moved(np.diag([1, rng.uniform(1.0, 1.6), 1]))]


def scissors(rng) -> Solids:
    """Two blades that cross at a screw, at some opening angle."""
    long, grip = rng.uniform((0.07, 0.05), (0.2, 0.12))
    w, eye = long * rng.uniform((0.1, 0.14), (0.18, 0.24))
    t, opening = w * 0.25, rng.uniform(0.05, 0.75)
    solids = [disc('screw', w * 0.35, t * 4, (0, 0, 0), axis='z')]
    eye = min(eye, 0.03)
    for side in (-1, 1):
        shift = (side * w * 0.3, 0)
        half = [prism('blade', (w, long, t), (0, long / 2, 0), top=(0.1, 0.6), shift=shift)]
        end = (side * eye * rng.uniform(0.9, 1.3), -grip, 0)
        half.append(rod('handle', (0, 0, 0), end, w * 0.28))
        half += placed(
            _loop(rng, 'handle', eye, eye * rng.uniform(0.12, 0.3)), (end[0] * 1.1, -grip - eye, 0)
        )
        solids += placed(half, (0, 0, side * t * 0.6), turn=rotation(side * opening / 2, 'z'))
    turn = rotation(-np.pi / 2, 'x') if chance(rng, 0.6) else UP
    return grounded(placed(solids, turn=turn))


def pliers(rng) -> Solids:
    """Two bent handles and jaws, flat, pointed or cutting, open at some angle."""
    grip, jaw = rng.uniform((0.09, 0.03), (0.16, 0.08))
    w, opening = grip * rng.uniform(0.07, 0.12), rng.uniform(0.0, 0.6)
    t, sharp = w * rng.uniform(0.8, 1.3), rng.uniform(0.15, 0.9)
    solids = [disc('joint', w * rng.uniform(0.9, 1.5), t * 1.3, (0, 0, 0), axis='z')]
    bend = grip * rng.uniform(0.1, 0.25)
    for side in (-1, 1):
        half = [
            prism(
                'jaw',
                (w, jaw, t),
                (side * w / 2, jaw / 2, 0),
                top=(sharp, sharp),
                shift=(-side * w * (1 - sharp) / 2, 0),
            )
        ]
        half += pipe(
            'handle',
            [(0, 0, 0), (side * bend, -grip * 0.35, 0), (side * bend * 0.9, -grip, 0)],
            w * 0.45,
        )
        solids += placed(half, turn=rotation(-side * opening / 2, 'z'))
    turn = rotation(-np.pi / 2, 'x') if chance(rng, 0.6) else UP
    return grounded(placed(solids, turn=turn))


def hook(rng) -> Solids:
    """Crane hooks, wall hooks, fish hooks and anchors."""
    r, style = rng.uniform(0.03, 0.08), number(rng, 0, 2)
    t, long = r * rng.uniform(0.1, 0.3), r * rng.uniform(1.0, 4)
    solids = []
    if style == 2:  # an anchor
        solids += [rod('shaft', (0, -r, 0), (0, long + r, 0), t)]
        bow = ring(
            'hook',
            r * 1.5,
            t,
            (0, r * 0.5, 0),
            arc=rng.uniform(1.8, 2.8),
            rotate=rotation(-np.pi / 2, 'z'),
        )
        solids += [bow, rod('bar', (-r, long, 0), (r, long, 0), t * 0.8)]
        return grounded([*solids, ring('eye', r * 0.3, t * 0.7, (0, long + r * 1.3, 0))])
    turn = rotation(-np.pi / 2 + rng.uniform(-0.2, 0.4), 'z')
    solids.append(ring('hook', r, t, (0, 0, 0), arc=rng.uniform(3.0, 4.2), rotate=turn))
    solids.append(rod('shaft', (-r, 0, 0), (-r * rng.choice([0.0, 1.0]), long, 0), t))
    x = solids[-1].shift[0] * 2 + r
    if style == 0:
        solids.append(ring('eye', r * rng.uniform(0.3, 0.5), t * 0.9, (x, long + r * 0.35, 0)))
    else:
        size = (r * rng.uniform(1, 2), long * 0.8, t * 1.5)
        solids.append(box('plate', size, (x, long * 0.8, -t)))
    return grounded(solids)


def bolt(rng) -> Solids:
    """Bolts and screws with a thread, hexagonal or round heads, nuts and washers."""
    r, long = rng.uniform((0.004, 0.02), (0.01, 0.09))
    head, h = r * rng.uniform(1.5, 2.2), r * rng.uniform(0.7, 1.6)
    style = number(rng, 0, 2)
    if style == 0:
        solids = [
            box('head', (head * 1.155, h, 2 * head), (0, h / 2, 0), rotate=rotation(k * np.pi / 3))
            for k in range(3)
        ]
    elif style == 1:
        solids = [cylinder('head', head, h, (0, h / 2, 0), top=rng.uniform(0.7, 1.0))]
    else:
        solids = [
            bowl('head', (head, h, head), (0, h, 0)),
            cylinder('head', head, r * 0.05, (0, h, 0)),
        ]
    point = chance(rng, 0.35)
    solids.append(cylinder('shaft', r, long, (0, h + long / 2, 0), top=0.15 if point else 1.0))
    start = rng.uniform(0.0, 0.5)
    for k in np.linspace(start, 0.95, number(rng, 4, 8)):
        size = r * (1 - 0.85 * k * point) * 1.18
        solids.append(
            cylinder('thread', size, long * 0.03, (0, h + long * k, 0), rotate=rotation(0.12, 'z'))
        )
    if chance(rng, 0.35):
        y = h + long * rng.uniform(0.3, 0.8)
        solids += [
            box('nut', (head * 1.155, h, 2 * head), (0, y, 0), rotate=rotation(k * np.pi / 3))
            for k in range(3)
        ]
    return _rest(rng, solids)


def gear(rng) -> Solids:
    """Spur and bevel gears: teeth, a rim, a web or spokes, a hub."""
    r, count = rng.uniform(0.04, 0.1), number(rng, 8, 22)
    thick = r * rng.uniform(0.12, 0.6)
    tooth, wide = r * rng.uniform(0.1, 0.22), 2 * np.pi * r / count * rng.uniform(0.4, 0.6)
    bevel = rng.choice([1.0, rng.uniform(0.6, 0.9)])
    cog = prism(
        'tooth',
        (wide, tooth * 1.3, thick),
        (0, r + tooth * 0.5, 0),
        top=(rng.uniform(0.4, 0.9), 0.95),
    )
    cog = cog.moved(rotation(-np.pi / 2, 'x'))
    if bevel < 1:
        solids = around(placed([cog], turn=rotation(0.5, 'x'), about=(0, 0, -r)), count)
    else:
        solids = around([cog], count)
    if chance(rng, 0.5):
        solids.append(cylinder('rim', r, thick * 0.95, (0, 0, 0), top=bevel))
    else:
        spokes = number(rng, 3, 6)
        solids += [
            cylinder('rim', k * r, thick * 0.95, (0, 0, 0), ends=(False, False)) for k in (0.8, 1.0)
        ]
        solids += around([box('rim', (r, thick * 0.4, r * 0.15), (r * 0.5, 0, 0))], spokes)
    hub = r * rng.uniform(0.2, 0.4)
    solids.append(cylinder('hub', hub, thick * rng.uniform(1.0, 2.5), (0, 0, 0)))
    if chance(rng, 0.3):
        solids.append(cylinder('shaft', hub * 0.5, r * rng.uniform(1.5, 4), (0, 0, 0)))
    turn = FLAT if chance(rng, 0.5) else UP
    return grounded(placed(solids, turn=turn))
