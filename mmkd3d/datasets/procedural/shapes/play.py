"""Parametric games, music and machines of a house; fronts look to +z, units are metres."""

import numpy as np

from ..solids import bowl, box, cylinder, ellipsoid, lathe, prism, ring, rod, rotation
from .assembly import FLAT, Solids, arc, around, both, chance, disc, grounded, number, pipe, placed


def _crown(rng, kind, r, y) -> Solids:
    """The top of a chess piece: pawn, rook, bishop, queen, king or knight."""
    head = r * rng.uniform(0.45, 0.65)
    if kind == 0:
        return [
            ellipsoid('head', (head, head * rng.uniform(0.9, 1.2), head), (0, y + head * 0.8, 0))
        ]
    if kind == 1:
        tall = r * rng.uniform(0.6, 1.0)
        tooth = box('head', (head * 0.45, tall * 0.35, head * 0.3), (head * 0.8, y + tall, 0))
        return [
            cylinder('head', head, tall, (0, y + tall / 2, 0), top=1.15),
            *around([tooth], number(rng, 4, 6)),
        ]
    if kind == 2:
        ball = ellipsoid('head', (head * 0.8, head * 1.5, head * 0.8), (0, y + head * 1.2, 0))
        return [ball, ellipsoid('head', np.full(3, head * 0.25), (0, y + head * 2.8, 0))]
    if kind == 5:
        neck = prism(
            'head', (r, r * 1.6, r * 0.8), (0, y + r * 0.7, 0), top=(0.7, 0.7), shift=(0, r * 0.2)
        )
        nose = prism('head', (r * 0.6, r * 1.3, r * 0.8), (0, 0, 0), top=(0.7, 0.6)).moved(
            rotation(1.9, 'x')
        )
        ears = both([cylinder('head', r * 0.14, r * 0.4, (r * 0.2, y + r * 1.8, 0), top=0.1)])
        return [neck, nose.moved(np.eye(3), (0, y + r * 1.3, r * 0.5)), *ears]
    tall = r * rng.uniform(0.8, 1.4)
    solids = [cylinder('head', head * 0.7, tall, (0, y + tall / 2, 0), top=rng.uniform(1.4, 1.9))]
    if kind == 3:
        solids += around(
            [ellipsoid('head', np.full(3, r * 0.14), (head, y + tall, 0))], number(rng, 5, 8)
        )
        return [*solids, ellipsoid('head', np.full(3, r * 0.22), (0, y + tall * 1.1, 0))]
    arm = r * rng.uniform(0.5, 0.8)
    solids.append(box('head', (r * 0.18, arm, r * 0.18), (0, y + tall + arm * 0.45, 0)))
    return [*solids, box('head', (arm * 0.8, r * 0.18, r * 0.18), (0, y + tall + arm * 0.5, 0))]


def chess_piece(rng) -> Solids:
    """Pawns, rooks, bishops, queens, kings and knights on turned bodies."""
    r, kind = rng.uniform(0.014, 0.022), number(rng, 0, 5)
    h = r * (rng.uniform(1.5, 2.3), rng.uniform(1.8, 2.6), *rng.uniform(2.4, 4.0, 3), 0.9)[kind]
    foot = r * rng.uniform(0.25, 0.5)
    solids = lathe('base', [(r, 0), (r * rng.uniform(0.9, 1.0), foot), (r * 0.7, foot * 1.5)])
    thin, wide = r * rng.uniform(0.25, 0.45), r * rng.uniform(0.45, 0.65)
    y = foot * 1.5
    k = np.linspace(0, 1, 4)
    radius = wide * 1.2 + (thin - wide * 1.2) * np.sin(k * np.pi / 2) ** rng.uniform(0.5, 1.5)
    solids += lathe('body', list(zip(radius, y + k * h)))
    y += h
    for j in range(number(rng, 1, 3)):
        size = wide * rng.uniform(0.9, 1.5) * (1 - 0.15 * j)
        solids.append(cylinder('collar', size, r * 0.14, (0, y + j * r * 0.18, 0), top=0.8))
    return solids + _crown(rng, kind, r, y)


def drum(rng) -> Solids:
    """Snare, bongo and barrel drums on legs or the floor, with sticks or cymbals."""
    r, h = rng.uniform((0.15, 0.12), (0.3, 0.6))
    style = number(rng, 0, 2)
    lift = 0.0 if style == 0 else rng.uniform(0.1, 0.5)
    waist = rng.uniform(0.6, 1.25)
    solids = lathe('shell', [(r * 0.9, 0), (r * waist, h * 0.5), (r, h)])
    hoops = [
        ring('hoop', r * k, r * 0.04, (0, y, 0), rotate=FLAT) for k, y in ((0.92, 0.02), (1.0, h))
    ]
    solids += hoops
    if chance(rng, 0.6):
        lug = rod('lug', (r * 0.95, 0.02, 0), (r * 1.05, h, 0), r * 0.03)
        solids += around([lug], number(rng, 4, 8))
    if style == 2:
        solids = placed(solids, turn=FLAT)
        solids = grounded(solids)
    solids = placed(
        solids, (0, lift, 0), turn=rotation(rng.choice([0.0, rng.uniform(-0.3, 0.3)]), 'x')
    )
    if lift:
        leg = rod('leg', (r * 1.15, 0, 0), (r * 0.8, lift + h * 0.3, 0), 0.015)
        solids += around([leg], number(rng, 3, 4), start=np.pi / 4)
    if chance(rng, 0.35):
        y = lift + h + rng.uniform(0.05, 0.3)
        x = r * 1.5
        solids.append(rod('leg', (x, 0, 0), (x, y, 0), 0.012))
        solids.append(
            cylinder('cymbal', r * 0.9, 0.04, (x, y, 0), top=0.2, rotate=rotation(0.2, 'z'))
        )
    return grounded(solids)


def horn(rng) -> Solids:
    """Trumpets, trombones, tubas, flutes and megaphones."""
    long = rng.uniform(0.4, 0.9)
    bell, t = long * rng.uniform((0.1, 0.012), (0.2, 0.022))
    deep = long * rng.uniform(0.2, 0.45)
    k = np.array([0, 0.45, 0.8, 1.0])
    flare = t + (bell - t) * k ** rng.uniform(1.5, 4)
    cone = lathe('bell', list(zip(flare, k * deep)), lid=False, base=False)
    turn = rotation(-np.pi / 2, 'z')
    solids = placed(cone, (long / 2, 0, 0), turn=turn)
    solids.append(rod('tube', (-long / 2, 0, 0), (long / 2, 0, 0), t))
    solids.append(rod('mouthpiece', (-long / 2, 0, 0), (-long / 2 - 3 * t, 0, 0), t, top=2))
    style = number(rng, 0, 2)
    if style < 2:
        drop, a, b = long * rng.uniform(0.12, 0.3), long * rng.uniform(-0.35, -0.1), long * 0.35
        r = drop / 2
        if style == 1:
            b *= rng.uniform(1.2, 2.4)
        solids += [
            rod('tube', (a, -drop, 0), (b, -drop, 0), t),
            rod('tube', (a, 0, t), (b, 0, t), t),
        ]
        for x, side in ((b, 1), (a, -1)):
            bend = ring(
                'tube', r, t, (0, 0, 0), arc=np.pi, rotate=rotation(0 if side > 0 else np.pi)
            )
            solids.append(bend.moved(np.eye(3), (x, -r, 0)))
    if style != 1:
        tall = long * rng.uniform(0.15, 0.3) if style == 0 else long * 0.05
        for x in np.linspace(-0.12, 0.12, number(rng, 3, 5)) * long:
            solids.append(cylinder('valve', t * 1.5, tall, (x, -tall * 0.3, 0)))
            solids.append(rod('valve', (x, tall * 0.2, 0), (x, tall * 0.35, 0), t * 0.8))
    pose = rotation(rng.choice([0.0, np.pi / 2, rng.uniform(-0.5, 0.5)]), 'z')
    return grounded(placed(solids, turn=pose))


def piano(rng) -> Solids:
    """Uprights and grands: keys, a lid at some angle, legs, pedals, a stool."""
    w, y = rng.uniform(1.3, 1.6), rng.uniform(0.6, 0.75)
    key = [box('key', (w * 0.9, 0.03, 0.15), (0, y, 0))]
    if chance(rng, 0.5):
        h, d = rng.uniform((1.0, 0.35), (1.4, 0.6))
        solids = [
            box('body', (w, h, d), (0, h / 2, -d / 2)),
            box('body', (w, 0.06, 0.28), (0, y - 0.05, 0.12)),
        ]
        solids += placed(key, (0, 0, 0.16)) + both(
            [box('leg', (0.07, y, 0.07), (w * 0.46, y / 2, 0.22))]
        )
        lid = [box('lid', (w * 1.02, 0.03, d), (0, 0.02, 0))]
        angle = -rng.choice([0.0, rng.uniform(0.3, 1.2)])
        solids += placed(lid, (0, h, -d / 2), turn=rotation(angle, 'x'), about=(0, 0, -d / 2))
        solids.append(box('body', (w * 0.6, 0.25, 0.02), (0, y + 0.25, 0.03)))
    else:
        d, t = rng.uniform((1.0, 0.25), (2.2, 0.4))
        shape = dict(top=(rng.uniform(0.35, 0.6), 1), shift=(-w * 0.22, 0))
        back = prism('body', (w, d, t), (0, 0, 0), **shape).moved(rotation(-np.pi / 2, 'x'))
        solids = [
            back.moved(np.eye(3), (0, y, -d / 2)),
            box('body', (w, t * 0.6, 0.35), (0, y - t * 0.2, 0.17)),
        ]
        solids += placed(key, (0, t * 0.15, 0.22))
        solids.append(cylinder('body', w * 0.26, t, (-w * 0.22, y, -d)))
        if chance(rng, 0.7):
            lid = [prism('lid', (w, d, 0.03), (0, 0, 0), **shape).moved(rotation(-np.pi / 2, 'x'))]
            turn = rotation(rng.uniform(0.2, 0.8), 'z')
            solids += placed(lid, (0, y + t / 2 + 0.02, -d / 2), turn=turn, about=(-w / 2, 0, 0))
            solids.append(
                rod('lid', (w * 0.35, y, -d * 0.3), (w * 0.25, y + w * 0.35, -d * 0.3), 0.015)
            )
        leg = [rod('leg', (w * 0.42, 0, 0.1), (w * 0.42, y - t / 2, 0.1), 0.05, top=1.4)]
        solids += [*both(leg), rod('leg', (-w * 0.2, 0, -d * 0.9), (-w * 0.2, y, -d * 0.9), 0.05)]
    solids.append(box('pedal', (0.25, 0.05, 0.15), (0, 0.06, 0.05)))
    if chance(rng, 0.4):
        high = rng.uniform(0.42, 0.52)
        seat = [
            box('stool', (0.6, 0.08, 0.32), (0, high, 0)),
            *both([box('stool', (0.05, high, 0.3), (0.26, high / 2, 0))]),
        ]
        solids += placed(seat, (0, 0, rng.uniform(0.6, 0.8)))
    return grounded(solids)


def chandelier(rng) -> Solids:
    """A hanging lamp: a cord, a body, curved arms or a ring, lights."""
    r, drop = rng.uniform((0.2, 0.2), (0.5, 0.7))
    t, style = r * rng.uniform(0.025, 0.05), number(rng, 0, 2)
    size = r * rng.uniform(0.12, 0.25)
    solids = [
        cylinder('canopy', r * 0.2, 0.04, (0, drop, 0)),
        rod('cord', (0, 0, 0), (0, drop, 0), t),
    ]
    if chance(rng, 0.5):
        light = [cylinder('light', size * 0.6, size * 1.6, (0, size, 0), top=rng.uniform(0.6, 1.9))]
    else:
        light = [
            ellipsoid(
                'light', (size * 0.7, size, size * 0.7), (0, size * rng.choice([-0.8, 0.8]), 0)
            )
        ]
    if style == 2:
        wide = r * rng.uniform(0.7, 1.1)
        shade = [
            (wide, -r * rng.uniform(0.3, 1.0)),
            (wide * rng.uniform(0.5, 1), -0.1 * r),
            (r * 0.1, 0),
        ]
        solids += lathe('shade', shade, lid=False, base=False)
        return grounded([*solids, ellipsoid('light', np.full(3, size), (0, -size * 1.5, 0))])
    arms = number(rng, 3, 8)
    if style == 0:
        bow = arc(1.0, -np.pi, 0, 3) * (r * 0.45, r * rng.uniform(0.2, 0.6), 0) + (r * 0.5, 0, 0)
        solids += around(pipe('arm', bow, t) + placed(light, bow[-1]), arms)
        solids.append(ellipsoid('body', (r * 0.14, r * rng.uniform(0.2, 0.4), r * 0.14), (0, 0, 0)))
    else:
        solids.append(ring('body', r, t * 1.5, (0, -drop * 0.3, 0), rotate=FLAT))
        chain = rod('arm', (r, -drop * 0.3, 0), (0, drop * 0.4, 0), t * 0.6)
        solids += around([chain, *placed(light, (r, -drop * 0.3, 0))], arms)
    return grounded(solids)


def fan(rng) -> Solids:
    """Table, floor and ceiling fans; the head is turned and tilted."""
    r, count = rng.uniform(0.14, 0.25), number(rng, 3, 5)
    twist = rng.uniform(0.3, 0.7)
    size = (r * rng.uniform(0.35, 0.6), r, 0.008)
    blade = prism('blade', size, (0, r * 0.5, 0), top=(rng.uniform(0.8, 1.6), 1)).moved(
        rotation(twist)
    )
    head = around([blade], count, 'z', rng.uniform(0, 2))
    head.append(disc('motor', r * 0.2, r * 0.25, (0, 0, 0.02), axis='z', top=0.7))
    if chance(rng, 0.25):
        head = placed(head, turn=FLAT) + [
            rod('pole', (0, 0, 0), (0, r * rng.uniform(0.5, 1.5), 0), 0.02)
        ]
        return grounded([*head, cylinder('motor', r * 0.3, r * 0.2, (0, r * 0.1, 0))])
    head.append(disc('motor', r * 0.3, r * 0.6, (0, 0, -r * 0.4), axis='z'))
    if chance(rng, 0.75):
        cage = [ring('cage', r * 1.1, 0.008, (0, 0, 0))]
        cage += [ring('cage', r * 0.75, 0.006, (0, 0, s * r * 0.25)) for s in (-1, 1)]
        wire = [rod('cage', (r * 1.1, 0, 0), (0, 0, s * r * 0.32), 0.005) for s in (-1, 1)]
        head += cage + around(wire, number(rng, 4, 8), 'z')
    h = r * rng.choice([rng.uniform(1.4, 2), rng.uniform(3.5, 6)])
    turn = rotation(rng.uniform(-0.9, 0.9)) @ rotation(-rng.uniform(-0.2, 0.5), 'x')
    solids = placed(head, (0, h, 0), turn=turn) + [rod('pole', (0, 0, 0), (0, h, -r * 0.1), 0.02)]
    if chance(rng, 0.7):
        return [*solids, cylinder('base', r * rng.uniform(0.6, 1), 0.05, (0, 0.025, 0), top=0.7)]
    foot = box('base', (r * 1.6, 0.04, r * 0.2), (0, 0.02, 0))
    return [*solids, foot.moved(rotation(np.pi / 4)), foot.moved(rotation(-np.pi / 4))]


def _limb(part, start, lengths, angles, t) -> tuple[Solids, np.ndarray]:
    """A chain of bars; angles are from straight down, about x."""
    points = [np.asarray(start, float)]
    for long, a in zip(lengths, np.cumsum(angles)):
        points.append(points[-1] + long * np.array([0, -np.cos(a), np.sin(a)]))
    balls = [ellipsoid(part, np.full(3, t * 1.2), p) for p in points[1:-1]]
    return pipe(part, points, t) + balls, points[-1]


def robot(rng) -> Solids:
    """A toy or a factory robot: head, body, jointed limbs or wheels in a pose."""
    w, h = rng.uniform((0.25, 0.35), (0.5, 0.6))
    d, leg = w * rng.uniform(0.45, 0.9), rng.uniform(0.2, 0.45)
    t = w * rng.uniform(0.07, 0.15)
    if chance(rng, 0.6):
        solids = [prism('body', (w, h, d), (0, h / 2, 0), top=rng.uniform(0.75, 1.2, 2))]
    else:
        solids = [cylinder('body', w / 2, h, (0, h / 2, 0), top=rng.uniform(0.7, 1.2))]
    size = w * rng.uniform(0.25, 0.45)
    y = h + size * rng.uniform(0.6, 1.1)
    turn = rotation(rng.normal(0, 0.5))
    head = [box('head', (1.6 * size, 1.2 * size, 1.4 * size), (0, 0, 0))]
    if chance(rng, 0.5):
        head = [ellipsoid('head', (size * 0.8, size * 0.7, size * 0.8), (0, 0, 0))]
    head += both([disc('eye', size * 0.18, size * 0.3, (size * 0.35, 0, size * 0.7), axis='z')])
    if chance(rng, 0.6):
        head.append(rod('antenna', (0, size * 0.5, 0), (0, size * 1.4, 0), size * 0.06))
    solids += placed(head, (0, y, 0), turn=turn) + [rod('head', (0, h, 0), (0, y, 0), t)]
    for side in (-1, 1):
        bend = (rng.uniform(-0.6, 2.5), rng.uniform(0, 1.6))
        arm, hand = _limb('arm', (side * (w / 2 + t), h * 0.88, 0), (h * 0.45, h * 0.4), bend, t)
        grip = [box('hand', (t * 0.5, t * 2.4, t * 1.5), (s * t, 0, 0)) for s in (-1, 1)]
        solids += arm + placed(grip, hand, turn=rotation(-sum(bend), 'x'))
    if chance(rng, 0.3):
        r = leg * 0.4
        solids += both([disc('foot', r, w * 0.2, (w * 0.4, -leg * 0.2, 0))])
        solids.append(box('leg', (w * 0.6, leg * 0.4, d * 0.6), (0, -leg * 0.1, 0)))
        return grounded(solids)
    step = rng.normal(0, 0.35)
    for side in (-1, 1):
        bend = (side * step, -rng.uniform(0, 0.5))
        limb, foot = _limb(
            'leg', (side * w * 0.28, 0.02, 0), (leg * 0.55, leg * 0.5), bend, t * 1.3
        )
        solids += [*limb, box('foot', (t * 3, t * 1.2, t * 5), foot + (0, 0, t))]
    return grounded(solids)


def wheelbarrow(rng) -> Solids:
    """Barrows, hand carts and shopping carts: a tray, wheels, legs, handles."""
    w, long, h = rng.uniform((0.45, 0.6, 0.2), (0.7, 1.1, 0.45))
    r, t = rng.uniform((0.12, 0.015), (0.22, 0.025))
    y, style = r * rng.uniform(1.2, 2.0), number(rng, 0, 2)
    wall = h * rng.uniform(0.5, 1)
    solids = [prism('tray', (w * 0.75, 0.03, long * 0.7), (0, y, 0))]
    for turn, wide, out in ((0, w, long), (np.pi / 2, long, w)):
        side = prism('tray', (wide * 0.75, wall, 0.02), (0, wall / 2, 0), top=(1.25, 1))
        lean = side.moved(rotation(rng.uniform(0.1, 0.4), 'x'), (0, y, out * 0.37))
        solids += around([lean], 2, start=turn)
    x = w * 0.4
    if style == 0:  # one wheel in front
        z = long * rng.uniform(0.5, 0.65)
        solids += [disc('wheel', r, 0.07, (0, r, z)), disc('wheel', r * 0.3, 0.12, (0, r, z))]
        bar = pipe('handle', [(0.05, r, z), (x, y, -long * 0.3), (x, y * 1.6, -long * 1.0)], t)
        solids += both([*bar, rod('leg', (x, 0, -long * 0.35), (x, y, -long * 0.25), t)])
    else:
        places = (0.0,) if style == 1 else (-long * 0.3, long * 0.3)
        solids += both([disc('wheel', r, 0.05, (w * 0.47, r, z)) for z in places])
        bar = [
            (x, y, -long * 0.35),
            (x, y + wall * rng.uniform(0.8, 2), -long * rng.uniform(0.6, 1.0)),
        ]
        solids += both(pipe('handle', bar, t))
        solids.append(rod('handle', bar[1], np.multiply(bar[1], (-1, 1, 1)), t))
        if style == 1:
            solids += both([rod('leg', (x, 0, -long * 0.33), (x, y, -long * 0.33), t)])
    return grounded(solids)


def satellite(rng) -> Solids:
    """A bus, solar wings, a dish and aerials; or a ground station's dish."""
    w = rng.uniform(0.8, 1.6)
    h, d = w * rng.uniform(0.8, 2), w * rng.uniform(0.7, 1.1)
    size = w * rng.uniform(0.4, 1.2)
    dish = [bowl('dish', (size, size * 0.45, size), (0, size * 0.45, 0))]
    dish.append(rod('dish', (0, 0, 0), (0, size * 0.8, 0), size * 0.03))
    turn = rotation(rng.uniform(0, 2 * np.pi)) @ rotation(rng.uniform(0.2, 1.3), 'x')
    if chance(rng, 0.25):
        mast = [
            cylinder('body', size * 0.3, h, (0, h / 2, 0), top=0.6),
            *placed(dish, (0, h, 0), turn=turn),
        ]
        foot = rod('aerial', (size * 0.8, 0, 0), (0, h * 0.7, 0), size * 0.04)
        return grounded(mast + around([foot], number(rng, 3, 4)))
    body = box('body', (w, h, d), (0, 0, 0))
    if chance(rng, 0.35):
        body = cylinder('body', w / 2, h, (0, 0, 0))
    panels, long, tall = number(rng, 1, 4), w * rng.uniform(0.5, 1.0), h * rng.uniform(0.4, 0.9)
    gap = w * rng.uniform(0.05, 0.4)
    wing = [
        box('panel', (long * 0.94, tall, 0.04), (w / 2 + gap + long * (k + 0.5), 0, 0))
        for k in range(panels)
    ]
    wing.append(rod('boom', (0, 0, 0), (w / 2 + gap + 0.1, 0, 0), 0.05))
    solids = [body, *both(placed(wing, turn=rotation(rng.uniform(-1.2, 1.2), 'x')))]
    solids += placed(dish, (0, h / 2, 0), turn=rotation(rng.uniform(-0.5, 0.5), 'x'))
    for _ in range(number(rng, 1, 3)):
        end = rng.normal(0, 1, 3) * (0.4, 0, 0.4) * w - (0, h * rng.uniform(0.7, 1.3), 0)
        solids.append(rod('aerial', (0, -h * 0.45, 0), end, 0.03))
    return grounded(solids)
