"""Birds, snakes, lizards, frogs and dinosaurs; facing +z."""

import numpy as np

from ..free_form import Bar, curve, sheets, stand, tubes
from ..solids import cross, ellipsoid, rotation
from .creatures import AHEAD, UP, Solids, aim, joints


def fin(part, root, tip, root_chord, tip_chord, *, bend=0.0, normal=UP) -> Solids:
    """A thin tapered fin or wing from ``root`` to ``tip``; chords along -z."""
    root, tip = np.asarray(root, float), np.asarray(tip, float)
    t = np.linspace(0, 1, 6)[:, None, None]
    u = np.linspace(0, 1, 5)[None, :, None]
    chord = root_chord + (tip_chord - root_chord) * t
    thick = 0.07 * root_chord * (1 - 0.7 * t) * np.sin(np.pi * u)
    lift = bend * np.linalg.norm(tip - root) * np.sin(np.pi * t * 0.75)
    middle = root + (tip - root) * t - AHEAD * chord * (u - 0.4)
    normal = np.asarray(normal, float)
    grids = np.stack([middle + normal * (lift + s * thick) for s in (-1, 1)])
    # both faces outwards: rows from the root turn the normal to +-normal
    first = int(cross(tip - root, -AHEAD) @ normal > 0)
    grids[1 - first] = grids[1 - first, ::-1]
    return sheets(part, grids)


def _wings(rng, span, chord, root, up, fold) -> Solids:
    """Two wings: flat, raised, lowered or gliding, swept back."""
    solids, sweep, bend = [], rng.uniform(0, 0.6), rng.uniform(-0.1, 0.25)
    tip_chord = chord * rng.uniform(0.1, 0.5)
    for s in (-1, 1):
        start = root + (s * fold, 0, 0)
        tip = start + np.array([s * np.cos(up), np.sin(up), -sweep]) * span
        solids += fin('wing', start, tip, chord, tip_chord, bend=bend, normal=(0, 1, 0.05))
    return solids


def bird(rng) -> Solids:
    """Flying or standing birds: songbird, duck, heron, owl, penguin-like."""
    wide, long, neck = rng.uniform((0.05, 0.1, 0.01), (0.1, 0.2, 0.18))
    slope, flying = rng.uniform(0.0, 1.2), rng.random() < 0.5
    slope *= 0.3 if flying else 1.0
    way = np.array([0, np.sin(slope), np.cos(slope)])
    path = np.outer((-1, -0.5, 0, 0.6, 1.0), way) * long
    body = wide * np.array([0.25, 0.7, 1.0, 0.9, 0.6])
    rise = slope + rng.uniform(0.1, 1.0)
    bend = np.array([0, np.sin(rise), np.cos(rise)])
    nape = path[-1] + bend * neck
    top = nape + UP * neck * rng.uniform(0, 0.8)
    head, beak = wide * rng.uniform((0.42, 0.2), (0.75, 1.5))
    tip = top + rotation(rng.normal(0, 0.4)) @ np.array([0, rng.normal(-0.1, 0.1), 1]) * (
        head + beak
    )
    bars = [
        Bar('body', path, body),
        Bar('neck', [path[-2], nape, top], [wide * 0.75, (wide * 0.3 + head) / 2, head * 0.6]),
        Bar(
            'beak',
            [top, (top + tip) / 2, tip],
            head * np.array([0.5, 0.35, 0.08]),
            flat=rng.uniform(0.5, 1),
        ),
    ]
    leg = rng.uniform(0.03, 0.3) * (0.5 if flying else 1)
    for s in (-1, 1):
        hip, swing = (
            (s * wide * 0.4, -wide * 0.6, -long * 0.1),
            rng.normal(-1.1 if flying else 0, 0.25),
        )
        line = joints(hip, (leg * 0.5, aim(swing + 0.4)), (leg * 0.6, aim(swing - 0.3)))
        bars.append(Bar('leg', line, wide * 0.09))
        for turn in (-0.5, 0.0, 0.5):
            toe = line[-1] + rotation(turn) @ aim(swing + 1.5) * wide * 0.6
            bars.append(Bar('leg', [line[-1], toe], wide * 0.06))
    solids = [*tubes(bars, steps=6, sides=7), ellipsoid('head', (head * 0.9, head, head), top)]
    fan, tail = rng.uniform(0.3, 1.2) * wide, rng.uniform(0.4, 1.4) * long
    for s in (-1, 1):
        end = path[0] + (s * fan, 0, -tail * 0.3)
        solids += fin('tail', path[0] + (0, 0, wide * 0.4), end, tail, tail * 0.7)
    if flying:
        span, up = long * rng.uniform(1.3, 3.2), rng.uniform(-0.6, 1.0)
        solids += _wings(rng, span, long * rng.uniform(0.6, 1.1), path[3] * 0.7, up, wide * 0.5)
    else:
        for s in (-1, 1):
            radii = (wide * 0.25, wide * 0.7, long * 0.9)
            turn = rotation(-slope, 'x') @ rotation(-s * rng.uniform(0, 0.3))
            solids.append(
                ellipsoid('wing', radii, path[1] + (s * wide * 0.8, 0.3 * wide, 0), rotate=turn)
            )
    return stand(solids)


def snake(rng) -> Solids:
    """A snake that winds, coils up, or raises its head."""
    kind, count = rng.integers(3), 14
    t = np.linspace(0, 1, count)
    long, r = rng.uniform(0.8, 2.0), rng.uniform(0.015, 0.05)
    if kind == 0:
        waves, wide = rng.uniform((0.7, 0.05), (3.0, 0.22))
        path = np.stack([wide * np.sin(2 * np.pi * waves * t + t), 0 * t, t], axis=1) * long
    else:
        turns, inner = rng.uniform((1.0, 0.2), (2.6, 0.6))
        size = long / (2 * np.pi * turns)
        a = 2 * np.pi * turns * t
        around = size * (1.3 - (1 - inner) * t)
        rise = rng.uniform(0, 1.5) * r * turns * t
        path = np.stack([around * np.cos(a), rise, around * np.sin(a)], axis=1)
    if rng.random() < 0.6:
        path[-3:, 1] += np.array([0.35, 0.8, 1.0]) * long * rng.uniform(0.1, 0.3)
    radii = r * np.interp(t, [0, 0.4, 0.85, 0.93, 1], [0.15, 1, 1, 0.65, 0.6])
    ahead = path[-1] - path[-2]
    ahead = ahead / np.linalg.norm(ahead) + (0, -0.5, 0)
    head = path[-1] + np.outer((-0.5, 1.0, 2.6), ahead) * r
    bars = [Bar('body', path, radii, side=(0.05, 1.0, 0.1))]
    solids = tubes(bars, steps=36, sides=8)
    size = r * np.array([[0.6, 0.7], [0.7, 1.3], [0.4, 0.6]])
    solids += tubes([Bar('head', head, size, side=(0.05, 1.0, 0.1))])
    return stand(solids)


def _dinosaur_legs(rng, biped: bool, deep: float, spine) -> list[Bar]:
    """Four legs, or two and short arms; ``spine`` is (hip, middle, chest)."""
    bars = []
    step = rng.uniform(-0.5, 0.5) * np.array([1, -1])
    leg = rng.uniform(0.6, 0.95) if biped else rng.uniform(0.4, 0.8)
    for k, s in enumerate((-1, 1)):
        for front in (False, True):
            at, long = (spine[2], leg) if front else (spine[0], leg * 1.05)
            root = at + np.array([s * deep * 0.55, -deep * 0.2, 0])
            swing, r = step[k] * (-1 if front else 1), deep * 0.3
            if front and biped:
                long, r, swing = leg * rng.uniform(0.25, 0.5), deep * 0.12, 0.5
            path = joints(
                root,
                (long * 0.4, aim(swing + 0.35)),
                (long * 0.4, aim(swing - 0.4)),
                (long * 0.25, aim(swing + 0.2)),
            )
            path = np.concatenate([path, [path[-1] + AHEAD * r * 1.3]])
            bars.append(
                Bar(
                    'leg' if not (front and biped) else 'arm',
                    path,
                    r * np.array([1.4, 1.2, 0.8, 0.7, 0.5, 0.5, 0.55, 0.5]),
                )
            )
    return bars


def dinosaur(rng) -> Solids:
    """Two-legged hunters and long-necked or plated four-legged dinosaurs."""
    biped, size = rng.random() < 0.5, rng.uniform(1.0, 4.0)
    deep, tail = rng.uniform((0.2, 0.9), (0.36, 1.7))
    neck = rng.uniform(0.3, 0.7) if biped else rng.uniform(0.25, 1.8)
    pitch, droop = rng.uniform(0, 0.7) * biped, rng.uniform(-0.1, 0.35)
    rise, side = rng.uniform(0.2, 1.2), rng.normal(0, 0.25, 2)
    way = np.array([0, np.sin(pitch), np.cos(pitch)])
    up = np.array([side[0], np.sin(rise), np.cos(rise)])
    spine = [way * -0.3, way * 0.1, way * 0.45]
    back = [
        spine[0] + np.array([side[1] * t * t, -droop * t - 0.1, -t]) * tail for t in (1, 0.66, 0.33)
    ]
    nape = spine[-1] + up * neck
    path = [*back, *spine, spine[-1] + up * neck * 0.5, nape]
    thin = deep * rng.uniform(0.25, 0.5)
    radii = [
        0.02,
        deep * 0.25,
        deep * 0.5,
        deep,
        deep * 1.02,
        deep * 0.8,
        (deep + thin) * 0.35,
        thin,
    ]
    bars = [Bar('body', path, np.array(radii))]
    head = rng.uniform(0.25, 0.55) if biped else rng.uniform(0.15, 0.4)
    face = np.array([side[0], rng.normal(-0.1, 0.2), 1.0])
    gape = rng.uniform(0, 0.35) * biped
    jaw = head * np.array([[0.22, 0.26], [0.24, 0.28], [0.12, 0.12]])
    bars.append(
        Bar('head', nape + np.outer((-0.15, 0.3, 1), face) * head + (0, head * 0.1, 0), jaw)
    )
    bars.append(
        Bar(
            'head',
            nape + np.outer((0, 0.4, 0.9), face - UP * gape) * head - (0, head * 0.1, 0),
            jaw * 0.6,
        )
    )
    bars += _dinosaur_legs(rng, biped, deep, spine)
    ridge = curve([*back, *spine], 13)[2:]
    plate = rng.uniform(0.15, 0.5) * deep * 2
    if not biped and rng.random() < 0.4:
        for k, at in enumerate(ridge):
            rise = deep * np.interp(k, [0, 6, 10], [0.5, 1.0, 0.85]) * UP
            tip = at + rise + UP * plate * np.sin(np.pi * (k + 2) / 14)
            bars.append(
                Bar('plate', [at + rise * 0.8, tip], plate * np.array([[0.08, 0.4], [0.04, 0.1]]))
            )
    return stand([s.moved(np.eye(3) * size) for s in tubes(bars)])


def lizard(rng) -> Solids:
    """Lizards, crocodiles and newts: low, winding body, spread legs."""
    long, r = rng.uniform(0.3, 1.5), rng.uniform(0.07, 0.13)
    tail, bend, phase = rng.uniform(0.4, 1.0), rng.uniform(0, 0.2), rng.uniform(0, 6)
    z = np.array([-0.5 - tail, -0.5 - tail * 0.66, -0.5 - tail * 0.33, -0.4, 0, 0.35, 0.5, 0.6])
    path = np.stack([bend * np.sin(3.5 * z + phase), 0 * z, z], axis=1)
    path[:3, 1] -= np.array([0.6, 0.45, 0.2]) * r
    path[-2:, 1] += rng.uniform(-0.3, 1.0) * r * np.array([0.5, 1.0])
    girth = r * np.array([0.1, 0.3, 0.55, 0.9, 1.15, 0.95, 0.65, 0.7])
    bars = [Bar('body', path, girth, flat=rng.uniform(0.6, 0.95))]
    snout, wide = rng.uniform(0.15, 0.5), r * rng.uniform(0.7, 1.0)
    way = path[-1] - path[-3]
    way = way / np.linalg.norm(way) * snout
    for gape in (0.0, rng.uniform(0, 0.5)):
        muzzle = path[-1] + np.outer((-0.1, 0.35, 1), way - UP * gape * snout)
        muzzle[:, 1] += r * (0.1 if gape == 0 else -0.2)
        bars.append(Bar('head', muzzle, wide * np.array([1.0, 0.9, 0.4]), flat=0.45))
    leg, feet = rng.uniform(0.15, 0.3), rng.normal(0, 0.5, 4)
    for k, (s, at) in enumerate(((-1, 3), (1, 3), (-1, 5), (1, 5))):
        root = path[at] + (s * r * 0.5, 0, 0)
        out = np.array([s * np.cos(feet[k]), 0, np.sin(feet[k])])
        knee = root + (out + UP * rng.uniform(-0.3, 0.5)) * leg * 0.6
        foot = knee + np.array([s * 0.3, 0, 0.3]) * leg
        foot[1] = -r * rng.uniform(1.0, 1.3)
        line = [root, knee, foot, foot + np.array([s * 0.3, 0, 0.7]) * leg * 0.5]
        bars.append(Bar('leg', line, r * np.array([0.4, 0.3, 0.22, 0.2]), side=(0.1, 0.3, 1.0)))
    return stand([s.moved(np.eye(3) * long) for s in tubes(bars, steps=10)])


def frog(rng) -> Solids:
    """A frog that sits, stretches or leaps."""
    size, r = rng.uniform(0.05, 0.12), rng.uniform((0.4, 0.3), (0.6, 0.45))
    pitch, leap = rng.uniform(0.2, 0.8), rng.random() < 0.4
    way = np.array([0, np.sin(pitch), np.cos(pitch)])
    path = np.outer((-0.7, -0.2, 0.35, 0.75), way)
    bars = [Bar('body', path, np.outer([0.6, 0.95, 1.0, 0.6], r), cap=0.7)]
    fold = rng.uniform(0.2, 0.8) if leap else rng.uniform(1.9, 2.5)
    arm = rng.uniform(-0.4, 1.5) if leap else rng.uniform(0, 0.4)
    for s in (-1, 1):
        hip = path[0] + (s * r[0] * 0.5, 0, 0)
        swing = rng.uniform(-1.4, -0.9) if leap else rng.uniform(1.3, 1.7)
        thigh, shin = aim(swing, s * 0.5), aim(swing - fold, s * 0.35)
        line = joints(
            hip, (0.75, thigh), (0.75, shin), (0.5, aim(swing - fold + (0.4 if leap else 2.2)))
        )
        bars.append(Bar('leg', line, np.array([0.2, 0.2, 0.13, 0.12, 0.08, 0.07, 0.11])))
        front = joints(
            path[2] + (s * r[0] * 0.7, -0.1, 0), (0.35, aim(arm - 0.3, s * 0.6)), (0.4, aim(arm))
        )
        front = np.concatenate([front, [front[-1] + aim(arm + 1.4) * 0.2]])
        bars.append(Bar('leg', front, np.array([0.13, 0.11, 0.09, 0.08, 0.07, 0.09])))
    solids = tubes(bars)
    eye = rng.uniform(0.1, 0.2)
    for s in (-1, 1):
        at = path[-1] + (s * r[0] * 0.45, r[1] * 0.6, 0)
        solids.append(ellipsoid('eye', np.full(3, eye), at))
    return stand([s.moved(np.eye(3) * size) for s in solids])
