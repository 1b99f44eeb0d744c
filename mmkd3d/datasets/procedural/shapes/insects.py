"""Insects, spiders and crabs: many jointed legs; facing +z."""

import numpy as np

from ..free_form import Bar, blob, sheet, stand, tubes
from ..solids import ellipsoid, rotation
from .creatures import UP, Solids
from .wildlife import fin


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
                solids += fin('wing', root, tip, span * 0.2, span * 0.4)
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
            solids.append(sheet('wing', (grid if s < 0 else grid[::-1]) * span))
    thick = span * rng.uniform(0.04, 0.1)
    body = np.array([[0, 0, -0.7], [0, 0, -0.2], [0, 0, 0.25], [0, 0, 0.5]]) * span
    bars = [Bar('body', body, thick * np.array([0.5, 0.9, 1.1, 0.9]))]
    for s in (-1, 1):
        tip = body[-1] + np.array([s * rng.uniform(0.1, 0.4), rng.uniform(0, 0.3), 0.5]) * span
        bars.append(
            Bar('antenna', [body[-1], (body[-1] + tip) / 2 + UP * span * 0.05, tip], thick * 0.18)
        )
    return stand(solids + tubes(bars, steps=6, sides=7))


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
