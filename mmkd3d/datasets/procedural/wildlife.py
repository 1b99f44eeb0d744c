"""Animals of other builds: birds, fish, reptiles, insects; facing +z."""

import numpy as np

from .creatures import AHEAD, UP, Solids, aim, joints
from .free_form import Bar, blob, curve, sheet, stand, tubes
from .solids import bowl, ellipsoid, rotation


def _fin(part, root, tip, root_chord, tip_chord, *, bend=0.0, normal=UP) -> Solids:
    """A thin tapered fin or wing from ``root`` to ``tip``; chords along -z."""
    root, tip = np.asarray(root, float), np.asarray(tip, float)
    t = np.linspace(0, 1, 6)[:, None, None]
    u = np.linspace(0, 1, 5)[None, :, None]
    chord = root_chord + (tip_chord - root_chord) * t
    thick = 0.07 * root_chord * (1 - 0.7 * t) * np.sin(np.pi * u)
    lift = bend * np.linalg.norm(tip - root) * np.sin(np.pi * t * 0.75)
    middle = root + (tip - root) * t - AHEAD * chord * (u - 0.4)
    normal = np.asarray(normal, float)
    return [sheet(part, middle + normal * (lift + s * thick)) for s in (-1, 1)]


def _wings(rng, span, chord, root, up, fold) -> Solids:
    """Two wings: flat, raised, lowered or gliding, swept back."""
    solids, sweep, bend = [], rng.uniform(0, 0.6), rng.uniform(-0.1, 0.25)
    tip_chord = chord * rng.uniform(0.1, 0.5)
    for s in (-1, 1):
        start = root + (s * fold, 0, 0)
        tip = start + np.array([s * np.cos(up), np.sin(up), -sweep]) * span
        solids += _fin('wing', start, tip, chord, tip_chord, bend=bend, normal=(0, 1, 0.05))
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
        solids += _fin('tail', path[0] + (0, 0, wide * 0.4), end, tail, tail * 0.7)
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


def _swimmer(rng, size, profile, level) -> tuple:
    """A body with a swaying axis; returns solids, axis function, sizes."""
    long, deep, wide = size
    sway, phase = rng.uniform(0, 0.12), rng.uniform(0, 2 * np.pi)

    def axis(t):
        wave = sway * np.sin(3.5 * t + phase) * (1.2 - t)
        bent = (0, wave, 0) if level else (wave, 0, 0)
        return np.array([0, 0, (t - 0.5)]) * long + np.array(bent) * long

    path = [axis(t) for t in np.linspace(0, 1, len(profile))]
    radii = np.outer(profile, (wide, deep))
    return tubes([Bar('body', path, radii, cap=0.6)], steps=12, sides=10), axis


def fish(rng) -> Solids:
    """Slim, flat-sided or round fish with a swaying body and various fins."""
    long = rng.uniform(0.15, 0.6)
    deep, wide = long * rng.uniform((0.09, 0.04), (0.32, 0.13))
    profile = np.array([0.12, 0.22, 0.65, 0.95, 1.0, 0.8, 0.35])
    solids, axis = _swimmer(rng, (long, deep, wide), profile, False)
    tall, sweep = deep * rng.uniform(0.5, 1.3), long * rng.uniform(0.1, 0.3)
    fork, tail = rng.uniform(0.1, 0.9), axis(0.02)
    for s in (-1, 1):
        end = tail + (0, s * tall, -sweep * fork)
        solids += _fin('tail', tail, end, sweep * 0.8, sweep * 0.35, normal=(1, 0, 0))
    for side in (1, -1):
        if side > 0 or rng.random() < 0.6:
            t, chord = rng.uniform(0.35, 0.6), long * rng.uniform(0.12, 0.45)
            root = axis(t) + (0, side * deep * 0.85, 0)
            end = root + (0, side * deep * rng.uniform(0.3, 0.9), -chord * 0.4)
            solids += _fin('fin', root, end, chord, chord * rng.uniform(0.2, 0.7), normal=(1, 0, 0))
    for s in (-1, 1):
        root, out = axis(0.7) + (s * wide * 0.8, -deep * 0.3, 0), rng.uniform(0.1, 0.2) * long
        end = root + np.array([s * 0.9, rng.uniform(-0.6, 0.2), -0.8]) * out
        solids += _fin('fin', root, end, out * 0.6, out * 0.5)
        eye = axis(0.86) + (s * wide * 0.7, deep * 0.2, 0)
        solids.append(ellipsoid('eye', np.full(3, long * 0.025), eye))
    return stand(solids)


def shark(rng) -> Solids:
    """Sharks (upright tail), dolphins and whales (level tail)."""
    long, whale = rng.uniform(2, 5), rng.random() < 0.5
    deep = long * rng.uniform(0.07, 0.14 + 0.06 * whale)
    snout = rng.uniform(0.2, 0.7)
    profile = np.array([0.12, 0.2, 0.5, 0.85, 1.0, 0.95, 0.75, snout * 0.6])
    size = (long, deep, deep * rng.uniform(0.8, 1.1))
    solids, axis = _swimmer(rng, size, profile, whale)
    tail, reach = axis(0.02), long * rng.uniform(0.1, 0.18)
    for s in (-1, 1):
        long_side = 1.0 if whale or s > 0 else rng.uniform(0.4, 0.9)
        up = (s, 0, 0) if whale else (0, s, 0)
        end = tail + np.array(up) * reach * long_side - AHEAD * reach * 0.6
        normal = UP if whale else (1, 0, 0)
        solids += _fin('tail', tail, end, reach * 0.7, reach * 0.2, normal=normal)
    back, size = axis(rng.uniform(0.45, 0.6)) + UP * deep * 0.85, long * rng.uniform(0.05, 0.15)
    solids += _fin(
        'fin', back, back + UP * size - AHEAD * size, size * 1.3, size * 0.3, normal=(1, 0, 0)
    )
    for s in (-1, 1):
        root, out = axis(0.68) + (s * deep * 0.7, -deep * 0.4, 0), long * rng.uniform(0.1, 0.2)
        end = root + np.array([s, rng.uniform(-0.7, 0), -0.6]) * out
        solids += _fin('fin', root, end, out * 0.6, out * 0.2)
    if whale and rng.random() < 0.6:
        nose = axis(0.97) - UP * deep * 0.2
        beak = [nose, nose + AHEAD * long * 0.06]
        solids += tubes([Bar('body', beak, deep * np.array([0.35, 0.2]))])
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


def _crawling_legs(rng, count, start, long, r) -> list[Bar]:
    """Bent legs on both sides; ``start`` is (x, y, z of first, z of last)."""
    x, y, front, back = start
    lift, spread = rng.uniform(0.1, 0.7), rng.uniform(0.3, 1.0)
    bars = []
    for s in (-1, 1):
        for z in np.linspace(front, back, count):
            turn = spread * (z - (front + back) / 2) / max(abs(front - back) / 2, 1e-6)
            turn += rng.normal(0, 0.15)
            out = np.array([s * np.cos(turn), 0, np.sin(turn)])
            root = np.array([s * x, y, z])
            knee = root + (out + UP * lift) * long * 0.45
            foot = knee + out * long * rng.uniform(0.25, 0.5)
            foot[1] = y - long * 0.35
            bars.append(
                Bar('leg', [root, knee, foot], r * np.array([1, 0.8, 0.45]), side=(0.1, 0.1, 1))
            )
    return bars


def spider(rng) -> Solids:
    """A spider: eight long legs, two body balls; thin to thick."""
    body = rng.uniform(0.02, 0.06)
    r = body * rng.uniform((0.5, 0.45, 0.7), (1.0, 1.0, 1.5))
    chest = body * rng.uniform(0.4, 0.8)
    legs = _crawling_legs(
        rng,
        4,
        (chest * 0.7, 0, chest * 0.7, -chest * 0.6),
        body * rng.uniform(2, 6),
        body * rng.uniform(0.05, 0.16),
    )
    solids = [
        ellipsoid('abdomen', r, (0, r[1] * 0.3, -chest - r[2] * 0.75)),
        ellipsoid('thorax', (chest, chest * 0.7, chest * 1.1), (0, 0, 0)),
    ]
    jaws = [
        Bar(
            'jaw',
            [(s * chest * 0.35, 0, chest * 0.9), (s * chest * 0.3, -chest * 0.5, chest * 1.4)],
            chest * 0.16,
        )
        for s in (-1, 1)
    ]
    return stand(solids + tubes(legs + jaws, steps=6, sides=6))


def insect(rng) -> Solids:
    """Ants, beetles, flies, wasps: three body parts, six legs, maybe wings."""
    long = rng.uniform(0.01, 0.04)
    head, chest = long * rng.uniform(0.12, 0.25, 2)
    r = long * rng.uniform((0.14, 0.12, 0.25), (0.38, 0.3, 0.55))
    solids = [
        blob('abdomen', r, (0, r[1] * 0.2, -chest * 0.8 - r[2]), rng, bumps=0.04),
        ellipsoid('thorax', (chest * 0.85, chest * 0.8, chest * 1.2), (0, 0, 0)),
        ellipsoid(
            'head', (head, head * 0.85, head * rng.uniform(0.8, 1.2)), (0, 0, chest + head * 0.8)
        ),
    ]
    bars = _crawling_legs(
        rng,
        3,
        (chest * 0.6, 0, chest * 0.8, -chest * 0.8),
        long * rng.uniform(0.6, 1.5),
        long * rng.uniform(0.015, 0.05),
    )
    feel = long * rng.uniform(0.15, 0.7)
    for s in (-1, 1):
        root = np.array([s * head * 0.4, head * 0.4, chest + head * 1.3])
        bend = root + np.array([s * 0.4, 0.6, 0.2]) * feel * 0.5
        tip = bend + np.array([s * 0.5, rng.uniform(-0.5, 0.5), 0.8]) * feel * 0.5
        bars.append(Bar('antenna', [root, bend, tip], long * 0.015, side=(0.2, 0, 1.0)))
    if rng.random() < 0.5:
        span, up = long * rng.uniform(0.5, 1.3), rng.uniform(0.0, 0.9)
        for s in (-1, 1):
            for back in (0.2, 0.9)[: rng.integers(1, 3)]:
                root = np.array([s * chest * 0.5, chest * 0.7, -chest * 0.3])
                tip = root + np.array([s * np.cos(up), np.sin(up), -back]) * span
                solids += _fin('wing', root, tip, span * 0.2, span * 0.4)
    return stand(solids + tubes(bars, steps=6, sides=6))


def butterfly(rng) -> Solids:
    """Four rounded wings, open or raised, on a thin body."""
    span, up = rng.uniform(0.03, 0.07), rng.uniform(-0.2, 1.35)
    lobes = rng.uniform((0.9, 0.6, 0.7, 0.6), (1.2, 0.9, 1.0, 1.1))
    solids, t = [], np.linspace(0, 1, 7)[:, None]
    u = np.linspace(-1, 1, 7)[None]
    points = rng.uniform(0.6, 1.4)
    for s in (-1, 1):
        for sign, out, long in ((1, lobes[0], lobes[2]), (-1, lobes[1], lobes[3])):
            half = 0.5 * long * np.sqrt(np.clip(np.sin(np.pi * (0.06 + 0.94 * t) ** points), 0, 1))
            half = half * (0.25 + 0.75 * t)
            z = sign * (0.45 * long * t + 0.05) + half * u
            x = out * t * (1 - 0.12 * u * u) * np.ones_like(u)
            lift = 0.08 * np.sin(np.pi * t) * np.ones_like(u)
            grid = np.stack(
                [s * (x * np.cos(up) - lift * np.sin(up)), x * np.sin(up) + lift * np.cos(up), z],
                -1,
            )
            solids.append(sheet('wing', grid * span))
    thick = span * rng.uniform(0.04, 0.1)
    body = np.array([[0, 0, -0.7], [0, 0, -0.2], [0, 0, 0.25], [0, 0, 0.5]]) * span
    bars = [Bar('body', body, thick * np.array([0.5, 0.9, 1.1, 0.9]))]
    for s in (-1, 1):
        tip = body[-1] + np.array([s * rng.uniform(0.1, 0.4), rng.uniform(0, 0.3), 0.5]) * span
        bars.append(
            Bar('antenna', [body[-1], (body[-1] + tip) / 2 + UP * span * 0.05, tip], thick * 0.18)
        )
    return stand(solids + tubes(bars, steps=6, sides=7))


def octopus(rng) -> Solids:
    """A head with five to ten arms that curl: octopus, squid, jellyfish."""
    size, arms = rng.uniform(0.08, 0.2), rng.integers(5, 11)
    tall, reach = size * rng.uniform(0.8, 2.0), size * rng.uniform(1.5, 4.0)
    head = blob(
        'head', (size, tall, size * rng.uniform(0.8, 1.1)), (0, tall * 0.6, 0), rng, bumps=0.07
    )
    droop, bars = rng.uniform(-0.5, 1.2), []
    for k in range(arms):
        a = 2 * np.pi * (k + rng.uniform(-0.2, 0.2)) / arms
        out, pitch, turn = np.array([np.cos(a), 0, np.sin(a)]), -droop, rng.normal(0, 0.35)
        path = [out * size * 0.45]
        for _ in range(4):
            path.append(path[-1] + (out * np.cos(pitch) + UP * np.sin(pitch)) * reach / 4)
            pitch += rng.normal(0.25, 0.4)
            out = rotation(turn) @ out
        side = np.cross(path[2] - path[0], UP) + (1e-3, 0, 0)
        bars.append(
            Bar('arm', path, size * rng.uniform(0.2, 0.3) * np.linspace(1, 0.2, 5), side=side)
        )
    eyes = [
        ellipsoid('eye', np.full(3, size * 0.2), (s * size * 0.5, tall * 0.45, size * 0.75))
        for s in (-1, 1)
    ]
    return stand([head, *eyes, *tubes(bars)])


def turtle(rng) -> Solids:
    """A domed shell with legs or flippers and a head stretched or drawn in."""
    wide, long = rng.uniform((0.15, 0.18), (0.24, 0.3))
    dome, leg = wide * rng.uniform((0.35, 0.35), (0.95, 0.8))
    sea = rng.random() < 0.4
    solids = [
        bowl('shell', (wide, dome, long), (0, 0, 0), low=0, high=90),
        ellipsoid('belly', (wide * 0.97, wide * 0.16, long * 0.97), (0, 0, 0)),
    ]
    neck, rise = long * rng.uniform(0.15, 0.6), rng.uniform(-0.2, 1.0)
    way = rotation(rng.normal(0, 0.4)) @ np.array([0, np.sin(rise), np.cos(rise)])
    start = np.array([0, 0.02, long * 0.85])
    end, r = start + way * neck, wide * rng.uniform(0.16, 0.28)
    bars = [
        Bar('head', [start - AHEAD * 0.03, (start + end) / 2, end], r * 0.75),
        Bar(
            'head',
            end + np.outer((0, 0.8, 1.7), (way + AHEAD) / 2) * r,
            r * np.array([0.9, 1.1, 0.6]),
        ),
        Bar(
            'tail',
            [(0, 0, -long * 0.9), (0, -0.02, -long * rng.uniform(1.1, 1.5))],
            [r * 0.5, r * 0.1],
        ),
    ]
    for s in (-1, 1):
        for z in (0.62, -0.62):
            root, swing = np.array([s * wide * 0.65, -0.02, z * long]), rng.normal(0, 0.35)
            if sea:
                path = root + np.outer(
                    (0, 0.5, 1), (s, rng.normal(-0.1, 0.3), -0.5 + swing)
                ) * leg * (2.0 if z > 0 else 1.0)
                radii, side = (
                    np.array([[0.03, 0.015], [0.05, 0.012], [0.02, 0.008]]) * wide / 0.2,
                    AHEAD,
                )
            else:
                path = joints(
                    root, (leg * 0.6, aim(swing, s * 0.8)), (leg * 0.6, aim(swing, s * 0.1))
                )
                radii, side = wide * 0.17, AHEAD
            bars.append(Bar('leg', path, radii, side=side))
    return stand(solids + tubes(bars))


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


def crab(rng) -> Solids:
    """A flat shell on bent legs, with two claws."""
    wide, size = rng.uniform(0.7, 1.3), rng.uniform(0.05, 0.2)
    tall, long = rng.uniform((0.2, 0.5), (0.45, 0.8))
    solids = [blob('shell', (wide, tall, long), (0, 0, 0), rng, bumps=0.05)]
    bars = _crawling_legs(
        rng, rng.integers(3, 5), (wide * 0.7, 0, long * 0.4, -long * 0.5), wide * 1.5, 0.1
    )
    for s, big in zip((-1, 1), rng.uniform(0.5, 1.2, 2)):
        root, open_ = np.array([s * wide * 0.65, 0, long * 0.5]), rng.uniform(0.15, 0.5)
        turn = rotation(-s * rng.uniform(-0.3, 0.7))
        elbow = root + turn @ np.array([s * 0.6, rng.uniform(0.1, 0.6), 0.3]) * 0.8
        wrist = elbow + turn @ np.array([-s * 0.1, rng.uniform(-0.3, 0.6), 0.6])
        bars.append(Bar('claw', [root, elbow, wrist], [0.12, 0.13, 0.15], side=UP))
        for k in (-1, 1):
            tip = wrist + np.array([k * open_ * 0.5, 0, 1.0]) * big
            middle = wrist + np.array([k * (open_ + 0.15) * 0.6, 0, 0.45]) * big
            bars.append(
                Bar('claw', [wrist, middle, tip], big * np.array([0.14, 0.2, 0.04]), side=UP)
            )
        eye = np.array([s * 0.25, tall * 0.8 + rng.uniform(0.1, 0.3), long * 0.8])
        bars.append(Bar('eye', [(s * 0.2, 0, long * 0.6), eye], [0.05, 0.08]))
    solids += tubes(bars, steps=6, sides=7)
    return stand([s.moved(np.eye(3) * size) for s in solids])
