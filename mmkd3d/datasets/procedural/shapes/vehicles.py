"""Parametric vehicles on wheels, tracks and rails; the front is +z, units are metres."""

import numpy as np

from ..solids import box, cylinder, ellipsoid, prism, ring, rod, rotation
from .assembly import Solids, around, both, chance, disc, number, pipe, placed, taper


def _axles(radius, wide, track, places, part='wheel') -> Solids:
    """A pair of wheels at each z."""
    return both([disc(part, radius, wide, (track, radius, z)) for z in places])


def _cargo(rng, style, w, low, long) -> Solids:
    """What a truck carries: a box, a tank, a flat bed, a tipper or a mixer."""
    h = rng.uniform(0.8, 1.3) * w
    if style == 0:
        return [box('cargo', (w, h, long), (0, low + h / 2, 0))]
    if style == 1:
        r = w * rng.uniform(0.4, 0.5)
        return [disc('cargo', r, long, (0, low + r, 0), axis='z')]
    bed = box('cargo', (w, 0.15, long), (0, low + 0.08, 0))
    if style == 2:
        wall = h * rng.uniform(0.1, 0.35)
        sides = both([box('cargo', (0.08, wall, long), (w / 2 - 0.04, low + wall / 2, 0))])
        return [bed, *sides, box('cargo', (w, wall, 0.08), (0, low + wall / 2, -long / 2))]
    if style == 3:
        load = prism('cargo', (w * 0.9, h * 0.6, long), (0, low + h * 0.3, 0), top=(1.15, 1.1))
        tip = rotation(-rng.choice([0, rng.uniform(0.2, 0.7)]), 'x')
        return placed([load], turn=tip, about=(0, low, -long / 2))
    drum = disc('cargo', w * 0.4, long * 0.6, (0, low + w * 0.55, 0.15 * long), axis='z', top=0.6)
    rear = disc('cargo', w * 0.25, long * 0.35, (0, low + w * 0.6, -0.3 * long), axis='z', top=1.6)
    return [bed, drum, rear]


def truck(rng) -> Solids:
    """A cab with or without a bonnet; box, tank, flat bed, tipper or mixer."""
    w, r, cab, long = rng.uniform((2.0, 0.4, 1.3, 2.5), (2.6, 0.6, 2.0, 8))
    low, cab_h = r * 1.4, rng.uniform(1.4, 2.6)
    front = long / 2 + rng.uniform(0.05, 0.4)
    slope = rng.uniform(0.65, 1)
    solids = [
        prism(
            'cab',
            (w, cab_h, cab),
            (0, low + cab_h / 2, front + cab / 2),
            top=(rng.uniform(0.85, 1), slope),
            shift=(0, (slope - 1) * cab / 2),
        )
    ]
    nose = 0.0
    if chance(rng, 0.45):
        nose = rng.uniform(0.7, 1.5)
        tall = cab_h * rng.uniform(0.4, 0.6)
        middle = (0, low + tall / 2, front + cab + nose / 2)
        solids.append(taper('cab', (w * 0.85, tall, nose), middle, top=(0.85, 0.8)))
    end = front + cab + nose
    span = end + long / 2
    solids.append(box('frame', (w * 0.45, 0.3, span), (0, low - 0.1, end - span / 2)))
    solids += _cargo(rng, number(rng, 0, 4), w, low + 0.1, long)
    rear = -long * 0.33 + np.arange(number(rng, 1, 3)) * r * 2.2
    solids += _axles(r, 0.35, w / 2 - 0.2, [*rear, end - r * 1.3])
    if chance(rng, 0.35):
        stack = (w * 0.42, low + cab_h * rng.uniform(1.0, 1.3), front)
        solids += both([rod('frame', (w * 0.42, low, front), stack, 0.07)])
    return solids


def _coach(rng, w, h, long, low, r) -> Solids:
    """One section of a bus about the origin, with windows."""
    solids = [
        prism(
            'body',
            (w, h, long),
            (0, low + h / 2, 0),
            top=(rng.uniform(0.85, 1), rng.uniform(0.94, 1)),
        )
    ]
    pane = h * rng.uniform(0.25, 0.4)
    y, count = low + h * 0.65, number(rng, 1, 5)
    for z in long * ((np.arange(count) + 0.5) / count - 0.5):
        size = (w * 1.01, pane, long / count * 0.8)
        solids.append(box('window', size, (0, y, z)))
    solids += _axles(r, 0.3, w / 2 - 0.14, (-long * 0.3, long * 0.32))
    return solids


def bus(rng) -> Solids:
    """City, school, double-decker and articulated buses, and trams."""
    w, r, long = rng.uniform((2.2, 0.35, 5), (2.7, 0.5, 12))
    style = number(rng, 0, 3)
    h = rng.uniform(2.2, 2.9) * (1.5 if style == 1 else 1)
    low = r * rng.uniform(0.6, 1.2)
    solids = _coach(rng, w, h, long, low, r)
    if style == 1:
        y = low + h * 0.3
        solids.append(box('window', (w * 1.02, h * 0.15, long * 0.9), (0, y, 0)))
    if style == 2:
        nose = rng.uniform(0.8, 1.5)
        tall = h * rng.uniform(0.4, 0.55)
        solids.append(
            taper(
                'body',
                (w * 0.9, tall, nose),
                (0, low + tall / 2, (long + nose) / 2),
                top=(0.85, 0.8),
            )
        )
    if style == 3:
        tail = rng.uniform(0.5, 0.9) * long
        turn = rotation(rng.uniform(-0.6, 0.6))
        back = placed(_coach(rng, w, h, tail, low, r), (0, 0, -tail / 2 - 0.5))
        joint = cylinder('body', w * 0.42, h * 0.9, (0, low + h * 0.47, -long / 2 - 0.2))
        solids += [joint, *placed(back, (0, 0, -long / 2), turn=turn)]
    if chance(rng, 0.4):
        size = (w * 0.6, 0.25, long * rng.uniform(0.15, 0.5))
        solids.append(box('body', size, (0, low + h + 0.1, -long * 0.1)))
    return solids


def _steam(rng, w, low, long) -> Solids:
    """The boiler, cab, chimney and domes of a steam engine."""
    r = w * rng.uniform(0.32, 0.45)
    cab = long * rng.uniform(0.2, 0.3)
    y, h = low + r, r * rng.uniform(2.3, 3.2)
    solids = [
        disc('body', r, long - cab, (0, y, cab / 2), axis='z'),
        box('cab', (w, h, cab), (0, low + h / 2, (cab - long) / 2)),
        box('cab', (w * 1.15, 0.1, cab * 1.3), (0, low + h, (cab - long) / 2)),
    ]
    for k in np.linspace(0.4, -0.1, number(rng, 1, 3)):
        flare = rng.uniform(0.7, 1.7)
        tall = r * rng.uniform(0.5, 1.4)
        solids.append(
            cylinder('chimney', r * 0.25, tall, (0, y + r + tall * 0.4, k * long), top=flare)
        )
    if chance(rng, 0.6):
        solids.append(
            prism('body', (w, low * 0.7, 0.9), (0, low * 0.4, long / 2 + 0.3), top=(0.8, 0.2))
        )
    return solids


def _diesel(rng, w, low, long) -> Solids:
    """The body of a modern engine: one or two cabs, hood or full width."""
    h = rng.uniform(1.2, 1.7) * w
    nose = long * rng.uniform(0.05, 0.3)
    wide = rng.choice([1.0, rng.uniform(0.55, 0.75)])
    tall = h * rng.uniform(0.6, 1)
    tip = dict(top=(rng.uniform(0.5, 1), rng.uniform(0.3, 0.9)), shift=(0, -h * 0.15))
    solids = [
        box('body', (w * wide, tall, long - nose), (0, low + tall / 2, -nose / 2)),
        box('cab', (w, h, long * 0.2), (0, low + h / 2, long * 0.4 - nose)),
        taper('cab', (w, h * 0.8, nose), (0, low + h * 0.4, (long - nose) / 2), **tip),
    ]
    for k in range(number(rng, 1, 3)):
        size = (0.3, 0.25, 0.5)
        solids.append(box('chimney', size, (0, low + tall + 0.1, -long * (0.1 + 0.12 * k))))
    return solids


def train(rng) -> Solids:
    """A steam or a modern locomotive, sometimes with a tender or a wagon."""
    w, r, long = rng.uniform((2.4, 0.4, 4), (3.0, 0.75, 10))
    low = 2 * r * rng.uniform(0.7, 1.1)
    make = (_steam, _diesel)[number(rng, 0, 1)]
    solids = make(rng, w, low, long)
    solids.append(box('body', (w * 0.8, 0.3, long), (0, low, 0)))
    count = min(number(rng, 3, 6), int(long / (2 * r)))
    places = np.linspace(-0.5, 0.5, count) * (long - 2 * r)
    solids += _axles(r, 0.2, w * 0.38, places)
    if chance(rng, 0.35):
        tail, tall = long * rng.uniform(0.3, 0.8), w * rng.uniform(0.5, 1.2)
        z = -(long + tail) / 2 - 0.4
        solids += [
            box('body', (w, tall, tail), (0, low + tall / 2, z)),
            box('body', (0.3, 0.3, 1.0), (0, low, -long / 2)),
        ]
        solids += _axles(r * 0.8, 0.2, w * 0.38, (z - tail * 0.3, z + tail * 0.3))
    return solids


def _spokes(rng, part, r, *, count) -> Solids:
    """Bars from the hub to the rim of a wheel about x, at the origin."""
    return around([rod(part, (0, 0, 0), (0, r, 0), r * 0.025)], count, 'x', rng.uniform(0, 1))


def _bars(y, z, wide, drop) -> Solids:
    """The handle bar of a bicycle or motorcycle."""
    half = [(0, y, z), (wide, y + 0.02, z), (wide, y - drop, z - 0.14 if drop < 0.05 else z + 0.08)]
    return both(pipe('handlebar', half, 0.014))


def bicycle(rng) -> Solids:
    """Road, city and folding bicycles, standing upright."""
    r, base, tall = rng.uniform((0.22, 0.9, 0.75), (0.36, 1.15, 1.0))
    t = rng.uniform(0.012, 0.022)
    front, back = np.array([0, r, base / 2]), np.array([0, r, -base / 2])
    crank = np.array([0, r * rng.uniform(0.75, 1), -0.06])
    saddle = np.array([0, tall, -0.06 - rng.uniform(0.1, 0.25)])
    knee = crank + (saddle - crank) * rng.uniform(0.55, 0.85)
    head = np.array([0, tall * rng.uniform(0.88, 1.02), base / 2 - rng.uniform(0.12, 0.25)])
    neck = head + (front - head) * rng.uniform(0.15, 0.3)
    top = neck if chance(rng, 0.3) else head  # step-through or diamond
    solids = [rod('frame', a, b, t) for a, b in ((crank, saddle), (crank, neck), (back, crank))]
    if chance(rng, 0.85):
        solids += [rod('frame', knee, top, t), rod('frame', back, knee, t * 0.7)]
    drop = rng.choice([0.0, rng.uniform(0.08, 0.16)])
    fork = [rod('frame', head, front, t)]
    wheels = [front, back]
    count, tube = number(rng, 3, 10), rng.uniform(0.012, 0.035)
    turn = rotation(np.pi / 2)
    tyres = [
        [
            ring('wheel', r - tube, tube, (0, 0, 0), rotate=turn),
            *_spokes(rng, 'wheel', r, count=count),
        ]
        for _ in wheels
    ]
    fork += placed(tyres[0], front) + _bars(head[1] + 0.06, head[2], rng.uniform(0.18, 0.34), drop)
    fork.append(rod('handlebar', head, head + (0, 0.06, 0), t))
    solids += placed(fork, turn=rotation(rng.normal(0, 0.15)), about=head) + placed(tyres[1], back)
    solids.append(ellipsoid('seat', (0.07, 0.03, 0.14), saddle))
    solids.append(disc('pedal', r * 0.25, 0.02, crank))
    spin = rng.uniform(0, 2 * np.pi)
    for side in (-1, 1):
        end = crank + side * np.array([0.1, 0.17 * np.cos(spin), 0.17 * np.sin(spin)])
        solids += [rod('pedal', crank, end, 0.012), box('pedal', (0.09, 0.02, 0.06), end)]
    if chance(rng, 0.3):
        solids.append(box('frame', (0.14, 0.02, 0.34), back + (0, r + 0.05, 0.0)))
    return solids


def motorcycle(rng) -> Solids:
    """Choppers, sport bikes, scooters."""
    r, base, wide = rng.uniform((0.24, 1.2, 0.04), (0.34, 1.7, 0.085))
    seat, high = rng.uniform((0.62, 0.9), (0.85, 1.15))
    front, back = (0, r, base / 2), (0, r, -base / 2)
    head = (0, seat + 0.1, base / 2 - rng.uniform(0.15, 0.5))
    turn, steer = rotation(np.pi / 2), rotation(rng.normal(0, 0.15))
    fork = both([rod('frame', (0.09, *front[1:]), (0.09, high, head[2] - 0.05), 0.022)])
    fork += [ring('wheel', r - wide, wide, front, rotate=turn), disc('wheel', r * 0.6, wide, front)]
    fork += _bars(high, head[2] - 0.05, rng.uniform(0.25, 0.4), 0.0)
    solids = placed(fork, turn=steer, about=head)
    solids += [
        ring('wheel', r - wide, wide * 1.2, back, rotate=turn),
        disc('wheel', r * 0.6, wide, back),
        ellipsoid('tank', (0.15, 0.14, base * 0.2), (0, seat + 0.08, base * 0.1)),
        prism('seat', (0.26, 0.1, base * 0.45), (0, seat, -base * 0.22), top=(0.8, 0.9)),
    ]
    solids += both([rod('frame', (0.1, *back[1:]), (0.1, r * 1.2, 0), 0.03)])
    if chance(rng, 0.3):  # scooter: a shield and a floor
        solids += [
            box('frame', (0.4, 0.06, base * 0.5), (0, r * 0.9, 0.1 * base)),
            rod('frame', (0, r, base * 0.2), head, 0.06),
            box('frame', (0.42, 0.5, 0.05), (0, seat, base * 0.3), rotate=rotation(-0.3, 'x')),
            prism('engine', (0.35, seat - r, base * 0.4), (0, (seat + r) / 2, -0.25 * base)),
        ]
    else:
        size = (0.28, seat - r * 0.9, base * 0.3)
        solids += [
            prism('engine', size, (0, (seat + r * 0.6) / 2, 0), top=(0.8, rng.uniform(0.6, 1))),
            rod('frame', (0, seat, -base * 0.1), head, 0.05),
        ]
    for side in ((1,), (-1, 1))[number(rng, 0, 1)]:
        rise = rng.uniform(0, 0.25)
        tip = (side * 0.17, r + rise, -base * 0.6)
        solids.append(rod('exhaust', (side * 0.15, r * 0.8, 0), tip, 0.045))
    if chance(rng, 0.5):
        shield = prism('frame', (0.4, 0.4, 0.25), (0, high - 0.1, head[2] + 0.15), top=(0.6, 0.2))
        solids.append(shield)
    return solids


def _tracks(r, long, wide, track) -> Solids:
    """Two crawler tracks: long boxes with round ends."""
    one = [box('track', (wide, 2 * r, long - 2 * r), (track, r, 0))]
    one += [disc('track', r, wide, (track, r, s * (long / 2 - r))) for s in (-1, 1)]
    return both(one)


def tank(rng) -> Solids:
    """A hull on tracks with a turned turret and a raised barrel."""
    w, long, r = rng.uniform((2.6, 4.5, 0.4), (3.6, 7.0, 0.65))
    wide, hull = w * rng.uniform(0.15, 0.25), rng.uniform(0.4, 0.9)
    solids = _tracks(r, long, wide, (w - wide) / 2)
    slope = dict(top=(0.9, rng.uniform(0.6, 0.95)), shift=(0, -0.05 * long))
    y = 1.2 * r + hull
    solids.append(prism('hull', (w * 0.9, hull, long * 0.95), (0, y - hull / 2, 0), **slope))
    size, tall = w * rng.uniform(0.3, 0.42), rng.uniform(0.4, 0.8)
    if chance(rng, 0.5):
        top = [cylinder('turret', size, tall, (0, tall / 2, 0), top=0.7, squash=1.2)]
    else:
        top = [prism('turret', (2 * size, tall, 2.4 * size), (0, tall / 2, 0), top=(0.7, 0.75))]
    top.append(cylinder('turret', size * 0.3, 0.25, (size * 0.3, tall + 0.1, -size * 0.2)))
    end = long * rng.uniform(0.3, 0.75)
    barrel = [rod('barrel', (0, 0, 0), (0, 0, size + end), rng.uniform(0.07, 0.14))]
    if chance(rng, 0.4):
        barrel.append(disc('barrel', 0.18, 0.4, (0, 0, size + end * 0.95), axis='z'))
    top += placed(barrel, (0, tall * 0.5, 0), turn=rotation(-rng.uniform(0, 0.4), 'x'))
    heading = rotation(rng.choice([0, rng.uniform(-np.pi, np.pi)]))
    solids += placed(top, (0, y, -long * rng.uniform(-0.1, 0.15)), turn=heading)
    return solids


def tractor(rng) -> Solids:
    """Large rear wheels, a bonnet, a cab or a bare seat."""
    big, w, long = rng.uniform((0.6, 1.0, 2.0), (0.95, 1.5, 3.0))
    small, wide = big * rng.uniform(0.45, 1.0), rng.uniform(0.25, 0.5)
    hood = long * rng.uniform(0.4, 0.55)
    tall = rng.uniform(0.5, 0.8)
    y = big * 0.8
    nose = taper('body', (w * 0.55, tall, hood), (0, y + tall / 2, hood / 2), top=(0.85, 0.85))
    solids = [nose, box('body', (w * 0.5, big * 0.6, long * 0.85), (0, big * 0.9, 0))]
    solids += _axles(big, wide, w / 2 + wide / 2, (-long * 0.3,))
    solids += _axles(small, wide * 0.7, w / 2, (long * 0.38,))
    cab = rng.uniform(0.8, 1.1)
    if chance(rng, 0.65):
        size = (w * 0.9, y + cab + 0.3 - big, long * 0.38)
        middle = (0, big + size[1] / 2, -long * 0.25)
        solids.append(prism('cab', size, middle, top=(rng.uniform(0.75, 1), rng.uniform(0.7, 1))))
        roof = (w, 0.1, long * 0.42)
        solids.append(box('cab', roof, (0, middle[1] + size[1] / 2 + 0.04, -long * 0.25)))
    else:
        solids += [
            box('cab', (0.5, 0.12, 0.45), (0, y + 0.4, -long * 0.25)),
            box('cab', (0.5, 0.5, 0.1), (0, y + 0.6, -long * 0.25 - 0.2)),
            ring('cab', 0.2, 0.02, (0, y + tall, -0.05), rotate=rotation(0.5, 'x')),
        ]
        solids += both([box('body', (wide, 0.1, big), (w / 2 + wide / 2, big * 2, -long * 0.3))])
    if chance(rng, 0.7):
        solids.append(rod('exhaust', (0.1, y, hood * 0.6), (0.1, y + tall * 2, hood * 0.6), 0.05))
    if chance(rng, 0.3):
        arm = pipe('arm', [(w * 0.45, y + 0.4, 0), (w * 0.45, y, long * 0.7)], 0.08)
        scoop = prism('arm', (w * 1.3, 0.5, 0.5), (0, y - 0.2, long * 0.75), top=(1, 0.3))
        solids += [*both(arm), scoop]
    return solids


def excavator(rng) -> Solids:
    """A house that turns on tracks or wheels, with a jointed arm and a bucket."""
    w, long, r = rng.uniform((2.2, 2.8, 0.35), (3.0, 4.2, 0.55))
    if chance(rng, 0.75):
        solids = _tracks(r, long, w * 0.2, w * 0.4)
    else:
        solids = _axles(r * 1.1, 0.4, w * 0.4, (-long * 0.35, long * 0.35), part='track')
    solids.append(box('body', (w * 0.7, r, long * 0.7), (0, r, 0)))
    h = rng.uniform(0.7, 1.2)
    cab = rng.uniform(1.2, 1.7)
    house = [
        prism('body', (w * 0.95, h, long * 0.8), (0, h / 2, -long * 0.12), top=(1, 0.9)),
        prism('cab', (w * 0.4, cab, long * 0.4), (-w * 0.27, cab / 2, long * 0.15), top=(0.9, 0.8)),
    ]
    a, b = rng.uniform((0.5, -1.6), (1.25, -0.2))
    t = rng.uniform(0.12, 0.2)
    start = np.array([w * 0.1, h * 0.5, long * 0.25])
    elbow = start + long * rng.uniform(0.7, 1.0) * np.array([0, np.sin(a), np.cos(a)])
    hand = elbow + long * rng.uniform(0.4, 0.6) * np.array([0, np.sin(b), np.cos(b)])
    size = rng.uniform(0.5, 0.9)
    bucket = prism('bucket', (size, size, size), (0, -size / 2, 0), top=(1, 0.35))
    house += [rod('arm', start, elbow, t * 1.2, top=0.8), rod('arm', elbow, hand, t, top=0.7)]
    house += placed([bucket], hand, turn=rotation(rng.uniform(-0.5, 2.0), 'x'))
    turn = rotation(rng.choice([0, rng.uniform(-np.pi, np.pi)]))
    lift = max(0.0, -min(s.bounds()[0][1] for s in house) - 1.5 * r)
    solids += placed(house, (0, 1.5 * r + lift, 0), turn=turn)
    if lift:  # a bucket that digs deep: the ground is lower, on a taller column
        solids.append(cylinder('body', w * 0.25, lift, (0, 1.5 * r + lift / 2, 0)))
    return solids


def wheel(rng) -> Solids:
    """Car, cart and ship's wheels: rim, spokes or disc, hub."""
    r = rng.uniform(0.25, 0.6)
    tube = r * rng.uniform(0.06, 0.25)
    count, hub = number(rng, 3, 12), r * rng.uniform(0.1, 0.25)
    solids = [ring('rim', r - tube, tube, (0, 0, 0))]
    inner = r - 1.5 * tube
    style = number(rng, 0, 3)
    if style == 0:
        solids.append(disc('spoke', inner, tube * rng.uniform(0.3, 1.2), (0, 0, 0), axis='z'))
    elif style == 1:
        size = (hub * rng.uniform(0.4, 0.9), inner, tube * 0.6)
        bar = prism('spoke', size, (0, inner / 2, 0), top=(rng.uniform(0.4, 1.5), 1))
        solids += around([bar], count, 'z')
    else:
        reach = r * 1.25 if style == 2 else inner  # the handles of a ship's wheel
        solids += around([rod('spoke', (0, 0, 0), (0, reach, 0), tube * 0.25)], count, 'z')
    solids.append(disc('hub', hub, tube * rng.uniform(1, 3), (0, 0, 0), axis='z'))
    if chance(rng, 0.4):
        wide = tube * rng.uniform(2.2, 4)
        solids.append(disc('rim', r - tube * 0.5, wide, (0, 0, 0), axis='z', ends=(False, False)))
    lift = r * 1.25 if style == 2 else r
    return placed(solids, (0, lift, 0))
