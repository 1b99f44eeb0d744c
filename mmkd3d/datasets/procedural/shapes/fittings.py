"""Parametric furniture and fittings of kitchen, bath, office; fronts look to +z, metres."""

import numpy as np

from ..solids import box, cylinder, ellipsoid, prism, ring, rod, rotation
from .assembly import FLAT, Solids, around, both, chance, disc, grounded, number, pipe, placed


def _grip(rng, x, y, z, long, *, upright=True) -> Solids:
    """A bar, a bow or a knob on a front."""
    kind = number(rng, 0, 2)
    if kind == 0:
        return [disc('handle', 0.018, 0.05, (x, y, z + 0.02), axis='z', top=1.4)]
    end = np.array([0, long / 2, 0] if upright else [long / 2, 0, 0])
    at = np.array([x, y, z + 0.04])
    if kind == 1:
        return [rod('handle', at - end, at + end, 0.012)]
    back = np.array([0, 0, -0.04])
    return pipe('handle', [at - end + back, at - end, at + end, at + end + back], 0.009)


def _leaf(rng, part, w, h, x, y, z, *, grip, angle=0.0, hinge=-1) -> Solids:
    """A door leaf with a handle, open by ``angle`` about its left or right edge."""
    solids = [box(part, (w * 0.97, h, 0.03), (x, y, z))]
    solids += _grip(rng, x - hinge * w * 0.38, y, z + 0.015, grip)
    turn = rotation(hinge * angle)
    return placed(solids, turn=turn, about=(x + hinge * w / 2, 0, z))


def _opening(rng) -> float:
    """Mostly closed, else an angle."""
    return rng.uniform(0.3, 1.9) if chance(rng, 0.35) else 0.0


def _carcass(w, h, d, y, t, part='body') -> Solids:
    """A cupboard without a front, to look into."""
    solids = both([box(part, (t, h, d), ((w - t) / 2, y + h / 2, 0))])
    solids += [box(part, (w, t, d), (0, k, 0)) for k in (y + t / 2, y + h - t / 2)]
    return solids + [box(part, (w, h, t), (0, y + h / 2, (t - d) / 2))]


def wardrobe(rng) -> Solids:
    """A tall cupboard: doors closed or open, drawers below, a rail and clothes within."""
    w, h, d, t = rng.uniform((0.8, 1.7, 0.45, 0.02), (2.0, 2.3, 0.65, 0.04))
    foot = rng.choice([0.0, rng.uniform(0.04, 0.15)])
    solids = _carcass(w, h - foot, d, foot, t)
    if foot:
        solids += both([box('leg', (0.06, foot, d * 0.9), (w / 2 - 0.05, foot / 2, 0))])
    low = foot + 0.02
    if chance(rng, 0.4):
        tall = h * rng.uniform(0.12, 0.25)
        for s in (-1, 1):
            x, y = s * w / 4, low + tall / 2
            solids.append(box('drawer', (w * 0.48, tall, 0.03), (x, y, d / 2 + 0.015)))
            solids += _grip(rng, x, y, d / 2 + 0.03, 0.12, upright=False)
        low += tall
    count = number(rng, 2, 4 if w > 1.4 else 2)
    tall = h - low
    for k in range(count):
        x = w * ((k + 0.5) / count - 0.5)
        side = -1 if k % 2 == 0 else 1
        args = (w / count, tall * 0.98, x, low + tall / 2, d / 2 + 0.015)
        angle = _opening(rng)
        solids += _leaf(rng, 'door', *args, grip=0.2, angle=angle, hinge=side)
        if angle and chance(rng, 0.7):
            solids.append(box('shelf', (w * 0.95, t, d * 0.9), (0, low + tall * 0.7, 0)))
    if chance(rng, 0.3):
        size = (w * 1.05, 0.1, d * 1.08)
        solids.append(prism('body', size, (0, h + 0.05, 0), top=(1.05, 1.05)))
    return solids


def dresser(rng) -> Solids:
    """A chest of drawers, some pulled out; a mirror or a top is optional."""
    w, h, d = rng.uniform((0.4, 0.45, 0.35), (1.6, 1.3, 0.55))
    foot = rng.uniform(0.02, 0.25)
    rows, columns = number(rng, 1, 5), number(rng, 1, 3 if w > 0.9 else 1)
    solids = [
        box('body', (w, h - foot, d), (0, (h + foot) / 2, 0)),
        box('top', (w * 1.04, 0.03, d * 1.06), (0, h, 0)),
    ]
    x, z = w / 2 - 0.04, d / 2 - 0.04
    splay = rng.choice([0, rng.uniform(0, 0.06)])
    leg = [rod('leg', (x + splay, 0, s * (z + splay)), (x, foot, s * z), 0.02) for s in (-1, 1)]
    solids += both(leg)
    tall, wide = (h - foot) / rows, w / columns
    for i in range(rows):
        for j in range(columns):
            out = rng.uniform(0.05, 0.6) * d if chance(rng, 0.12) else 0.0
            x, y = wide * (j + 0.5) - w / 2, foot + tall * (i + 0.5)
            front = d / 2 + out
            size = (wide * 0.93, tall * 0.9, 0.02 + out)
            solids.append(box('drawer', size, (x, y, front - out / 2 + 0.01)))
            solids += _grip(rng, x, y, front + 0.02, wide * 0.3, upright=False)[:1]
    if chance(rng, 0.25):
        glass = rng.uniform(0.4, 0.8)
        if chance(rng, 0.5):
            solids.append(box('mirror', (w * 0.7, glass, 0.03), (0, h + glass / 2, -d * 0.4)))
        else:
            middle = (0, h + glass / 2, -d * 0.4)
            solids.append(disc('mirror', glass / 2, 0.03, middle, axis='z', squash=1.2))
    return grounded(solids)


def refrigerator(rng) -> Solids:
    """One, two or four doors; open or closed, with shelves."""
    w, h, d = rng.uniform((0.5, 0.8, 0.5), (1.0, 1.95, 0.8))
    solids = _carcass(w, h, d, 0, 0.05)
    style = number(rng, 0, 3)
    cut = 0 if style == 0 or h < 1.2 else h * (rng.uniform(0.25, 0.4), 0.68)[style % 2]
    rows = [(0.03, h)] if not cut else [(0.03, cut), (cut, h)]
    hinge = rng.choice([-1, 1])
    for low, high in rows:
        halves = 2 if w > 0.75 and style > 1 else 1
        for k in range(halves):
            side = hinge if halves == 1 else (-1, 1)[k]
            x = w * ((k + 0.5) / halves - 0.5)
            args = (w / halves, (high - low) * 0.97, x, (low + high) / 2, d / 2 + 0.03)
            solids += _leaf(rng, 'door', *args, grip=0.3, angle=_opening(rng), hinge=side)
    for y in np.linspace(0.2, 0.85, number(rng, 2, 4)) * h:
        solids.append(box('shelf', (w * 0.9, 0.02, d * 0.8), (0, y, 0)))
    return solids


def oven(rng) -> Solids:
    """A stove with burners or plates, knobs, an oven door, sometimes a hood board."""
    w, d, h = rng.uniform((0.5, 0.5, 0.75), (0.95, 0.7, 0.95))
    solids = [box('body', (w, h, d), (0, h / 2, 0))]
    count, r = number(rng, 1, 3), w * rng.uniform(0.08, 0.13)
    for x in ((np.arange(count) + 0.5) / count - 0.5) * w:
        for z in (-d * 0.22, d * 0.22):
            if chance(rng, 0.5):
                solids.append(cylinder('burner', r, 0.03, (x, h + 0.015, z)))
            else:
                solids.append(ring('burner', r, 0.012, (x, h + 0.01, z), rotate=FLAT))
    tall = h * rng.uniform(0.45, 0.65)
    door = [box('door', (w * 0.92, tall, 0.05), (0, 0, 0.025))]
    y = tall * 0.42
    door.append(rod('handle', (-w * 0.35, y, 0.09), (w * 0.35, y, 0.09), 0.014))
    angle = rng.uniform(0.3, 1.5) if chance(rng, 0.3) else 0
    low = h * 0.12
    turn = rotation(angle, 'x')
    solids += placed(door, (0, low + tall / 2, d / 2), turn=turn, about=(0, -tall / 2, 0))
    y = h * rng.uniform(0.87, 0.93)
    for x in np.linspace(-0.4, 0.4, number(rng, 3, 6)) * w:
        solids.append(disc('knob', 0.025, 0.05, (x, y, d / 2 + 0.02), axis='z', top=0.8))
    if chance(rng, 0.5):
        back = rng.uniform(0.1, 0.5)
        solids.append(box('panel', (w, back, 0.06), (0, h + back / 2, 0.03 - d / 2)))
    return solids


def microwave(rng) -> Solids:
    """A low box with a door to the left and a panel with keys to the right."""
    w, h, d = rng.uniform((0.4, 0.22, 0.28), (0.6, 0.36, 0.45))
    foot, panel = 0.015, w * rng.uniform(0.18, 0.3)
    solids = _carcass(w, h, d, foot, 0.02)
    x, z, y = (w - panel) / 2, d / 2, foot + h / 2
    solids.append(box('panel', (panel, h * 0.96, d), (x, y, 0)))
    if chance(rng, 0.5):
        for row in range(4):
            size = (panel * 0.7, h * 0.1, 0.015)
            solids.append(box('key', size, (x, foot + h * (0.15 + 0.15 * row), z)))
    else:
        for k in (0.3, 0.65):
            solids.append(disc('key', panel * 0.3, 0.04, (x, foot + h * k, z + 0.01), axis='z'))
    args = (w - panel, h * 0.94, -panel / 2, y, z)
    solids += _leaf(rng, 'door', *args, grip=h * 0.6, angle=_opening(rng), hinge=-1)
    solids += both([box('foot', (0.04, foot, d * 0.8), (w * 0.4, foot / 2, 0))])
    return solids


def _stand(rng, w, z) -> tuple[Solids, float]:
    """The foot of a screen: a column on a plate, or two feet; returns its height as well."""
    tall = w * rng.uniform(0.08, 0.35)
    if chance(rng, 0.35):
        legs = [
            rod('stand', (w * 0.35, tall, z), (w * 0.4, 0, z + s * w * 0.13), w * 0.015)
            for s in (-1, 1)
        ]
        return both(legs), tall
    wide, deep = w * rng.uniform(0.3, 0.6), w * rng.uniform(0.2, 0.35)
    if chance(rng, 0.5):
        plate = box('stand', (wide, 0.02, deep), (0, 0.01, z))
    else:
        plate = cylinder('stand', wide / 2, 0.02, (0, 0.01, z), squash=deep / wide)
    neck = box('stand', (w * rng.uniform(0.06, 0.2), tall * 1.4, 0.03), (0, tall * 0.7, z - 0.03))
    return [plate, neck], tall


def monitor(rng) -> Solids:
    """Flat, curved and tube screens on a stand; tilted and turned."""
    w = rng.uniform(0.35, 1.5)
    h = w * rng.uniform(0.42, 0.78)
    stand, tall = _stand(rng, w, 0)
    t = rng.uniform(0.02, 0.06)
    style = number(rng, 0, 3)
    if style == 0:  # a tube behind the screen
        deep = w * rng.uniform(0.5, 0.9)
        tube = prism('screen', (w * 0.95, deep, h * 0.95), (0, 0, -deep / 2), top=(0.5, 0.5))
        tube = tube.moved(rotation(-np.pi / 2, 'x'), (0, h / 2, -deep / 2))
        screen = [box('screen', (w, h, t * 2), (0, h / 2, 0)), tube]
    elif style == 1:  # curved: five strips on an arc
        bend = rng.uniform(0.1, 0.35)
        strip = box('screen', (w / 5 * 1.03, h, t), (0, h / 2, -w / bend / 5))
        screen = [
            s.moved(rotation(-a), (0, 0, w / bend / 5))
            for a in np.arange(-2, 3) * bend
            for s in [strip]
        ]
    else:
        screen = [box('screen', (w, h, t), (0, h / 2, 0))]
        frame = [box('frame', (t, h, t * 1.6), (w / 2 - t / 2, h / 2, 0))]
        screen += both(frame)
        screen += [box('frame', (w, t, t * 1.6), (0, y, 0)) for y in (t / 2, h - t / 2)]
    if style != 1 and chance(rng, 0.25):
        screen += both([box('speaker', (w * 0.1, h, t * 2), (w * 0.55, h / 2, -t))])
    tilt = 0.0 if style == 0 else rng.normal(-0.05, 0.1)
    turn = rotation(rng.normal(0, 0.25)) @ rotation(tilt, 'x')
    return grounded(stand + placed(screen, (0, tall, 0), turn=turn))


def office_chair(rng) -> Solids:
    """A star foot on castors, a lift, a padded seat that turns, a back, arms."""
    r, seat, t = rng.uniform((0.26, 0.38, 0.05), (0.36, 0.58, 0.12))
    count, castor = number(rng, 4, 6), 0.03
    solids = around([rod('leg', (0, 0.12, 0), (r, 0.07, 0), 0.025, top=0.7)], count)
    solids += around([disc('wheel', castor, 0.04, (r, castor, 0), axis='z')], count)
    solids.append(rod('leg', (0, 0.1, 0), (0, seat, 0), 0.03))
    w, d = rng.uniform((0.42, 0.42), (0.56, 0.54))
    if chance(rng, 0.3):
        top = [cylinder('seat', w / 2, t, (0, 0, 0), squash=d / w)]
    else:
        top = [prism('seat', (w, t, d), (0, 0, 0), top=(0.95, 0.95))]
    tall, gap = rng.uniform(0.25, 0.8), rng.uniform(0.0, 0.2)
    style = number(rng, 0, 2)
    middle = gap + tall / 2
    if style == 0:
        back = [prism('back', (w * 0.85, tall, 0.06), (0, middle, 0), top=(rng.uniform(0.6, 1), 1))]
    elif style == 1:
        back = [ellipsoid('back', (w * 0.45, tall / 2, 0.05), (0, middle, 0))]
    else:
        rows = gap + tall * (np.arange(3) + 0.5) / 3
        back = [
            box('back', (w * 0.85, tall * 0.27, 0.05), (0, y, 0.02 * k)) for k, y in enumerate(rows)
        ]
    back.append(box('back', (0.07, middle, 0.03), (0, middle / 2, -0.04)))
    if chance(rng, 0.2):
        back.append(box('back', (w * 0.5, 0.14, 0.07), (0, gap + tall + 0.1, 0.02)))
    top += placed(back, (0, 0, -d / 2), turn=rotation(-rng.uniform(0, 0.35), 'x'))
    if chance(rng, 0.6):
        y, x = rng.uniform(0.18, 0.27), w / 2 + 0.03
        arm = [
            box('arm', (0.06, 0.03, d * 0.55), (x, y, 0)),
            rod('arm', (x, 0, 0), (x, y, 0), 0.018),
        ]
        top += both(arm)
    return solids + placed(top, (0, seat, 0), turn=rotation(rng.uniform(-np.pi, np.pi)))


def stool(rng) -> Solids:
    """Bar, milking, piano and step stools; round or square, three legs or one."""
    r, h, t = rng.uniform((0.14, 0.25, 0.02), (0.24, 0.85, 0.1))
    round_seat = chance(rng, 0.65)
    if round_seat:
        seat = cylinder('seat', r, t, (0, h - t / 2, 0), top=rng.uniform(0.85, 1.1))
    else:
        size = (2 * r, t, 2 * r * rng.uniform(0.6, 1))
        seat = prism('seat', size, (0, h - t / 2, 0), top=(0.95, 0.95))
    if chance(rng, 0.3):
        foot = cylinder('leg', r * rng.uniform(0.8, 1.3), 0.04, (0, 0.02, 0), top=0.5)
        rest = ring('rung', r * 0.9, 0.012, (0, h * 0.3, 0), rotate=FLAT)
        return [seat, foot, rod('leg', (0, 0.02, 0), (0, h - t, 0), 0.03), rest]
    count, splay = number(rng, 3, 4), rng.uniform(0.9, 1.6)
    thin, reach = rng.uniform(0.012, 0.03), r * (0.75 if round_seat else 0.95)
    start = np.pi / 4
    leg = rod('leg', (reach * splay, 0, 0), (reach, h - t, 0), thin)
    solids = [seat, *around([leg], count, start=start)]
    for k in np.linspace(0.25, 0.55, number(rng, 0, 2)):
        at = reach * (splay + (1 - splay) * k)
        half = np.pi / count
        if chance(rng, 0.3):
            solids.append(ring('rung', at, thin * 0.6, (0, k * h, 0), rotate=FLAT))
        else:
            ends = [(at * np.cos(half), k * h, s * at * np.sin(half)) for s in (-1, 1)]
            solids += around([rod('rung', ends[0], ends[1], thin * 0.6)], count, start=start + half)
    return solids


def stairs(rng) -> Solids:
    """Straight or winding steps, closed or open, with or without a rail."""
    w, rise, going = rng.uniform((0.7, 0.15, 0.2), (1.4, 0.22, 0.32))
    count = number(rng, 4, 12)
    solids = []
    if chance(rng, 0.3):  # winding about a post
        turn = rng.uniform(0.25, 0.5)
        step = prism('step', (going, w, 0.04), (0, w / 2, 0), top=(2.0, 1)).moved(FLAT)
        for k in range(count):
            solids.append(step.moved(rotation(k * turn), (0, rise * (k + 1), 0)))
            if k % 2 == 0 and count < 10:
                end = rotation(k * turn) @ np.array([0, 0, w * 0.95])
                foot = end + (0, rise * (k + 1), 0)
                solids.append(rod('rail', foot, foot + (0, 0.9, 0), 0.02))
        return [*solids, cylinder('post', 0.06, rise * count + 1, (0, (rise * count + 1) / 2, 0))]
    closed, t = chance(rng, 0.5), rng.uniform(0.03, 0.06)
    for k in range(count):
        y, z = rise * (k + 1), -going * k
        tall = y if closed else t
        solids.append(box('step', (w, tall, going), (0, y - tall / 2, z)))
    end = np.array([0, rise * count, -going * (count - 1)])
    if not closed:
        start = np.array([w / 2, 0.06, going / 2])
        solids += both([rod('post', start, end + (w / 2, 0, 0), 0.05)])
    for x in ((), (0.5,), (-0.5, 0.5))[number(rng, 0, 2)]:
        high = np.array([x * w * 0.95, 0.9, 0])
        solids.append(rod('rail', high + (0, rise, 0), high + end, 0.025))
        for k in np.linspace(0, 1, number(rng, 2, 5)):
            foot = high + (0, rise - 0.9, 0) + k * (end - (0, rise, 0))
            solids.append(rod('post', foot, foot + (0, 0.9, 0), 0.02))
    return solids


def ladder(rng) -> Solids:
    """A leaning ladder or a step ladder at some opening angle."""
    h, w, t = rng.uniform((1.2, 0.35, 0.02), (3.0, 0.55, 0.04))
    count = number(rng, 4, 9)
    narrow = rng.uniform(0.6, 1.0)
    side = [rod('rail', (w / 2, 0, 0), (w / 2 * narrow, h, 0), t)]
    solids = both(side)
    wide_step = chance(rng, 0.5)
    for k in (np.arange(count) + 0.6) / count:
        half = w / 2 * (1 + (narrow - 1) * k)
        if wide_step:
            solids.append(box('rung', (2 * half, t, t * 4), (0, k * h, 0)))
        else:
            solids.append(rod('rung', (-half, k * h, 0), (half, k * h, 0), t * 0.6))
    if chance(rng, 0.5):
        lean = rng.uniform(0.08, 0.45)
        front = placed(solids, turn=rotation(-lean, 'x'), about=(0, h, 0))
        back = both([rod('rail', (w / 2, 0, 0), (w / 2 * narrow, h, 0), t * 0.7)])
        back += [box('rung', (w * 0.9, t, t), (0, h * k, 0)) for k in (0.25, 0.6)]
        solids = front + placed(back, turn=rotation(lean, 'x'), about=(0, h, 0))
        solids.append(box('rung', (w * narrow, t, 0.15), (0, h, 0)))
        return placed(solids, (0, -h * (1 - np.cos(lean)), 0))
    return grounded(placed(solids, turn=rotation(-rng.uniform(0, 0.4), 'x')))
