"""Parametric aircraft and spacecraft; the nose is +z, units are metres."""

import numpy as np

from ..solids import box, cylinder, ellipsoid, lathe, prism, ring, rod, rotation
from .assembly import Solids, around, both, chance, disc, grounded, number, pipe, placed, taper
from .things import wing


def _rotor(rng, reach, count, y) -> Solids:
    """Blades that turn about y."""
    droop = rng.uniform(-0.05, 0.08)
    blade = box('rotor', (reach, 0.05, reach * 0.09), (reach / 2, 0, 0)).moved(
        rotation(-droop, 'z')
    )
    hub = cylinder('rotor', reach * 0.06, 0.3, (0, 0, 0))
    return placed([hub, *around([blade], count, start=rng.uniform(0, 6))], (0, y, 0))


def helicopter(rng) -> Solids:
    """Light, military and two-rotor helicopters on skids or wheels."""
    long, reach = rng.uniform((3.0, 3.5), (6.0, 6.0))
    w = long * rng.uniform(0.22, 0.32)
    blades, y = number(rng, 2, 5), w * rng.uniform(1.0, 1.5)
    mast = [rod('rotor', (0, w * 0.6, 0), (0, y, 0), 0.12)]
    if chance(rng, 0.2):  # a rotor at each end
        solids = [taper('body', (w, w * 1.2, long), (0, 0, 0), top=(0.9, 0.85))]
        for z, lift in ((-0.45, 0.5), (0.45, 0)):
            tower = prism(
                'tail', (w * 0.5, w, w * 0.8), (0, w * (0.7 + lift / 2), 0), top=(0.6, 0.6)
            )
            rotor = _rotor(rng, reach * 0.8, 3, w * (1.3 + lift))
            solids += placed([tower, *rotor], (0, 0, long * z))
    else:
        solids = [ellipsoid('body', (w / 2, w * 0.6, long / 2), (0, 0, long * 0.1)), *mast]
        solids += _rotor(rng, reach, blades, y)
        if chance(rng, 0.6):
            size = (w * 0.9, w * 0.95, long * 0.5)
            solids.append(prism('body', size, (0, 0.1 * w, 0), top=(0.8, 0.8)))
        end = (0, w * rng.uniform(0.1, 0.4), -reach * rng.uniform(0.95, 1.2))
        solids.append(rod('tail', (0, w * 0.2, -long * 0.2), end, w * 0.22, top=0.4))
        fin = prism(
            'tail', (w * 0.1, w, w * 0.5), (0, w * 0.4, 0), top=(1, 0.6), shift=(0, -w * 0.2)
        )
        spin = around([box('rotor', (0.05, w * 0.8, w * 0.1), (w * 0.12, w * 0.4, 0))], 3, 'x')
        solids += placed([fin, *spin], end)
        if chance(rng, 0.4):
            solids += both(
                [box('tail', (w * 0.6, 0.08, w * 0.3), (w * 0.3, end[1], end[2] * 0.85))]
            )
    x, low = w * rng.uniform(0.4, 0.6), -w * rng.uniform(0.75, 1.1)
    if chance(rng, 0.6):
        skid = [rod('skid', (x, low, -long * 0.3), (x, low, long * 0.45), 0.06)]
        skid += [
            rod('skid', (x, low, z * long), (w * 0.2, 0, z * long), 0.05) for z in (-0.15, 0.3)
        ]
        solids += both(skid)
    else:
        legs = [rod('skid', (x, low, -0.1 * long), (w * 0.2, 0, -0.1 * long), 0.06)]
        solids += both([*legs, disc('skid', w * 0.16, w * 0.12, (x, low, -0.1 * long))])
        solids += pipe('skid', [(0, low, long * 0.4), (0, 0, long * 0.4)], 0.06)
        solids.append(disc('skid', w * 0.13, w * 0.12, (0, low, long * 0.4)))
    if chance(rng, 0.35):
        stub = [box('body', (w * 0.8, 0.1, w * 0.4), (w * 0.6, -w * 0.1, 0))]
        stub.append(disc('body', w * 0.14, w * 0.9, (w * 0.8, -w * 0.25, 0), axis='z'))
        solids += both(stub)
    return grounded(solids)


def biplane(rng) -> Solids:
    """Two or three wings one above the other, struts, a propeller and a fixed gear."""
    long = rng.uniform(5, 8)
    r = long * rng.uniform(0.06, 0.1)
    span, chord, gap = long * rng.uniform((0.45, 0.14, 0.16), (0.75, 0.22, 0.26))
    solids = [
        rod('body', (0, 0, long * 0.35), (0, 0.2 * r, -long * 0.5), r, top=rng.uniform(0.15, 0.4)),
        disc('engine', r * rng.uniform(1.0, 1.2), long * 0.1, (0, 0, long * 0.38), axis='z'),
    ]
    levels = np.linspace(-0.7 * r, -0.7 * r + gap, 2)
    if chance(rng, 0.15):
        levels = np.linspace(-0.7 * r, 1.7 * gap, 3)
    stagger, up = rng.uniform(0, 0.15) * long, rng.uniform(0, 0.08)
    fly = dict(sweep=rng.uniform(0, 0.1) * span, taper=rng.uniform(0.7, 1), up=up)
    for k, y in enumerate(levels):
        at = (0, y, long * 0.12 + stagger * k / len(levels))
        reach = span * (1 if k else rng.uniform(0.8, 1.0))
        solids += both([wing('wing', reach, chord, 0.06 * chord + 0.05, at, **fly)])
    for x in np.linspace(0.3, 0.75, number(rng, 1, 2)) * span:
        lift = x * np.sin(up)
        ends = [
            (x, levels[0] + lift, 0.12 * long),
            (x, levels[-1] + lift, 0.12 * long + stagger / 2),
        ]
        solids += both([rod('strut', ends[0], ends[1], 0.03)])
    fin = dict(sweep=chord * 0.15, taper=rng.uniform(0.5, 0.9))
    solids += both(
        [wing('tail', span * 0.35, chord * 0.7, 0.08, (0, 0.2 * r, -long * 0.45), **fin)]
    )
    size = (0.08, r * rng.uniform(1.8, 2.6), chord * 0.7)
    solids.append(prism('tail', size, (0, size[1] / 2, -long * 0.46), top=(1, 0.6)))
    blade = box('engine', (chord * 0.18, long * 0.14, 0.05), (0, long * 0.07, long * 0.44))
    solids += around([blade], number(rng, 2, 4), 'z', rng.uniform(0, 3))
    low = -r - long * rng.uniform(0.06, 0.12)
    gear = [rod('gear', (0.3 * r, -0.7 * r, long * 0.22), (1.3 * r, low, long * 0.22), 0.05)]
    gear.append(disc('gear', long * 0.045, 0.15, (1.3 * r, low, long * 0.22)))
    return grounded(solids + both(gear))


def fighter_jet(rng) -> Solids:
    """Delta, swept and twin-tailed jets, with missiles, in level flight."""
    long = rng.uniform(9, 15)
    w, h = long * rng.uniform((0.08, 0.07), (0.15, 0.11))
    nose = long * rng.uniform(0.25, 0.4)
    solids = [
        box('body', (w, h, long - nose), (0, 0, -nose / 2)),
        taper(
            'body', (w, h, nose), (0, 0, (long - nose) / 2), top=(0.08, 0.1), shift=(0, -h * 0.2)
        ),
        ellipsoid('cockpit', (w * 0.3, h * 0.5, long * 0.09), (0, h * 0.42, long * 0.22)),
    ]
    delta = chance(rng, 0.4)
    span, chord = long * rng.uniform((0.22, 0.25), (0.4, 0.4))
    sweep = chord * rng.uniform(0.3, 0.5) if delta else span * rng.uniform(-0.2, 0.8)
    fly = dict(
        sweep=sweep, taper=0.1 if delta else rng.uniform(0.3, 0.6), up=rng.uniform(-0.1, 0.1)
    )
    z = -long * rng.uniform(0.05, 0.2)
    solids += both([wing('wing', span, chord, h * 0.15, (w * 0.4, 0, z), **fly)])
    if not delta or chance(rng, 0.5):
        at = -long * 0.42 if not delta else long * 0.15
        tail = dict(sweep=span * 0.15, taper=0.4)
        solids += both([wing('tail', span * 0.5, chord * 0.4, h * 0.1, (w * 0.4, 0, at), **tail)])
    tall = h * rng.uniform(1.2, 2.2)
    fin = dict(top=(0.5, 0.5), shift=(0, -chord * 0.2))
    size = (h * 0.12, tall, chord * 0.5)
    if chance(rng, 0.5):
        lean = rotation(-rng.uniform(0, 0.5), 'z')
        one = [prism('tail', size, (0, tall / 2, 0), **fin)]
        solids += both(placed(one, (w * 0.4, h * 0.3, -long * 0.38), turn=lean))
    else:
        solids.append(prism('tail', size, (0, h * 0.3 + tall / 2, -long * 0.4), **fin))
    for x in ((0,), (-0.25, 0.25))[number(rng, 0, 1)]:
        r = min(h * 0.45, w * (0.45 if x == 0 else 0.24))
        solids.append(rod('engine', (x * w, 0, -long * 0.4), (x * w, 0, -long * 0.55), r, top=0.8))
    if chance(rng, 0.6):
        intake = box('engine', (w * 0.35, h * 0.8, long * 0.3), (w * 0.6, -h * 0.1, long * 0.02))
        solids += both([intake])
    for k in np.linspace(0.35, 0.8, number(rng, 0, 3)):
        x, y = w * 0.4 + span * k, -h * 0.25 + span * k * np.sin(fly['up'])
        middle = z - sweep * k
        ends = [(x, y, middle - chord * 0.4), (x, y, middle + chord * 0.5)]
        solids += both([rod('missile', ends[0], ends[1], h * 0.1)])
    return grounded(solids)


def hot_air_balloon(rng) -> Solids:
    """A balloon or a blimp with a basket or cabin below."""
    r = rng.uniform(3, 6)
    if chance(rng, 0.3):
        long, y = r * rng.uniform(1.8, 3), r * 1.3
        fin = prism('rope', (r * 0.06, r * 0.7, r * 0.8), (0, r * 0.75, -0.75 * long), top=(1, 0.6))
        size = (r * 0.35, r * 0.3, r * rng.uniform(0.6, 1.2))
        cabin = prism('basket', size, (0, -r * 1.05, 0.1 * long), top=(1.2, 1.2))
        body = [ellipsoid('balloon', (r, r, long), (0, 0, 0)), cabin]
        return grounded(body + around([fin], 4, 'z', rng.choice([0, np.pi / 4])))
    mouth, tall = r * rng.uniform((0.12, 1.9), (0.3, 2.7))
    k = np.linspace(0, 1, 8)
    belly = rng.uniform(0.5, 0.68)
    radius = np.where(k < belly, mouth + (r - mouth) * np.sin(k / belly * np.pi / 2), 0)
    cap = np.sqrt(np.clip(1 - ((k - belly) / (1 - belly)) ** 2, 0, 1)) * r
    radius = np.where(k < belly, radius, cap)
    drop, side = r * rng.uniform(0.3, 0.6), r * rng.uniform(0.14, 0.25)
    y = side * 1.4 + drop
    solids = lathe('balloon', list(zip(radius, y + k * tall)), base=False)
    edge = mouth * 0.7
    rope = rod('rope', (side * 0.7, side, side * 0.7), (edge, y + 0.1, edge), r * 0.012)
    solids += around([rope], 4)
    if chance(rng, 0.5):
        basket = prism(
            'basket', (2 * side, side * 1.4, 2 * side), (0, side * 0.7, 0), top=(1.1, 1.1)
        )
    else:
        basket = cylinder('basket', side, side * 1.4, (0, side * 0.7, 0), top=1.15)
    return [*solids, basket]


def rocket(rng) -> Solids:
    """Stages, a nose, fins, boosters and nozzles; upright."""
    r, long = rng.uniform((0.8, 9), (1.6, 20))
    nose, y = r * rng.uniform(1.5, 5), r * 0.8
    curve = rng.uniform(0.5, 0.9)
    second = r * rng.choice([1, rng.uniform(0.6, 1.2)])
    cut = long * rng.uniform(0.4, 0.8)
    profile = [(r, y), (r, y + cut), (second, y + cut + r * 0.5), (second, y + long)]
    solids = lathe('body', profile)
    top = [(second, 0), (second * curve, nose * 0.5), (second * 0.05, nose)]
    solids += placed(lathe('nose', top), (0, y + long, 0))
    jets = cylinder('nozzle', r * 0.45, r * 0.8, (0, r * 0.4, 0), top=0.5, ends=(False, True))
    spread = around(placed([jets], (r * 0.5, 0, 0)), number(rng, 3, 5))
    solids += [jets] if chance(rng, 0.5) else spread
    kind = number(rng, 0, 2)
    if kind != 1:
        count, reach, tall = number(rng, 3, 4), r * rng.uniform(0.8, 2), r * rng.uniform(1.5, 3.5)
        fin = prism(
            'fin',
            (reach, tall, r * 0.12),
            (r + reach / 2 - 0.1, y + tall * 0.3, 0),
            top=(0.4, 1),
            shift=(-reach * 0.3, 0),
        )
        solids += around([fin], count, start=rng.uniform(0, 2))
    if kind != 0:
        size, tall = r * rng.uniform(0.35, 0.8), long * rng.uniform(0.4, 0.75)
        one = lathe('booster', [(size, y), (size, y + tall), (size * 0.1, y + tall + 2 * size)])
        solids += around(placed(one, (r + size, 0, 0)), number(rng, 2, 4), start=rng.uniform(0, 2))
    return solids


def _cruiser(rng, long) -> Solids:
    """A long hull with pods on pylons."""
    r = long * rng.uniform(0.05, 0.1)
    solids = [rod('hull', (0, 0, -long * 0.4), (0, 0, long * 0.3), r, top=rng.uniform(0.5, 1.2))]
    if chance(rng, 0.5):
        size = long * rng.uniform(0.18, 0.3)
        solids.append(ellipsoid('hull', (size, r * 0.6, size), (0, r, long * 0.4)))
    else:
        solids.append(taper('hull', (3 * r, 2 * r, long * 0.3), (0, 0, long * 0.4), top=(0.4, 0.3)))
    x, y = long * rng.uniform((0.12, -0.1), (0.3, 0.15))
    pod = [rod('engine', (x, y, -long * 0.55), (x, y, -long * rng.uniform(0, 0.2)), r * 0.6)]
    pod.append(rod('wing', (0, 0, -long * 0.2), (x, y, -long * 0.3), r * 0.3))
    return solids + both(pod)


def spaceship(rng) -> Solids:
    """Saucers, star fighters and cruisers."""
    long, style = rng.uniform(6, 14), number(rng, 0, 2)
    if style == 0:
        r, h = long / 2, long * rng.uniform(0.06, 0.16)
        solids = [ellipsoid('hull', (r, h, r), (0, 0, 0))]
        dome = r * rng.uniform(0.3, 0.5)
        solids.append(
            ellipsoid('cockpit', (dome, dome * rng.uniform(0.6, 1), dome), (0, h * 0.7, 0))
        )
        foot = rod('engine', (r * 0.5, 0, 0), (r * 0.65, -h * rng.uniform(1.6, 3), 0), r * 0.04)
        solids += around([foot], number(rng, 3, 5))
        if chance(rng, 0.5):
            flat = rotation(np.pi / 2, 'x')
            solids.append(ring('hull', r * 0.95, h * 0.35, (0, 0, 0), rotate=flat))
        return grounded(solids)
    if style == 1:
        return grounded(_cruiser(rng, long))
    w = long * rng.uniform(0.12, 0.25)
    solids = [
        taper('hull', (w, w * 0.8, long), (0, 0, 0), top=(rng.uniform(0.1, 0.5), 0.3)),
        ellipsoid('cockpit', (w * 0.3, w * 0.35, long * 0.12), (0, w * 0.35, 0)),
    ]
    span, chord = long * rng.uniform((0.25, 0.2), (0.6, 0.45))
    fly = dict(sweep=span * rng.uniform(-0.4, 0.7), taper=rng.uniform(0.3, 1.0))
    at = (w * 0.3, 0, -long * 0.2)
    for up in ((0.0,), (-0.3, 0.3), (0.5,), (-0.5,))[number(rng, 0, 3)]:
        solids += both([wing('wing', span, chord, w * 0.12, at, up=up, **fly)])
    for x in np.linspace(0.25, 0.8, number(rng, 1, 2)) * w:
        pod = rod('engine', (x, 0, -long * 0.55), (x, 0, -long * 0.15), w * 0.22, top=0.8)
        solids += both([pod])
    return grounded(solids)
