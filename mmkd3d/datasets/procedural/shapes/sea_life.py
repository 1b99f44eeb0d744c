"""Fish, sharks, whales, octopuses and turtles; facing +z."""

import numpy as np

from ..free_form import Bar, blob, stand, tubes
from ..solids import bowl, cross, ellipsoid, rotation
from .creatures import AHEAD, UP, Solids, aim, joints
from .wildlife import fin


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
        solids += fin('tail', tail, end, sweep * 0.8, sweep * 0.35, normal=(1, 0, 0))
    for side in (1, -1):
        if side > 0 or rng.random() < 0.6:
            t, chord = rng.uniform(0.35, 0.6), long * rng.uniform(0.12, 0.45)
            root = axis(t) + (0, side * deep * 0.85, 0)
            end = root + (0, side * deep * rng.uniform(0.3, 0.9), -chord * 0.4)
            solids += fin('fin', root, end, chord, chord * rng.uniform(0.2, 0.7), normal=(1, 0, 0))
    for s in (-1, 1):
        root, out = axis(0.7) + (s * wide * 0.8, -deep * 0.3, 0), rng.uniform(0.1, 0.2) * long
        end = root + np.array([s * 0.9, rng.uniform(-0.6, 0.2), -0.8]) * out
        solids += fin('fin', root, end, out * 0.6, out * 0.5)
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
        solids += fin('tail', tail, end, reach * 0.7, reach * 0.2, normal=normal)
    back, size = axis(rng.uniform(0.45, 0.6)) + UP * deep * 0.85, long * rng.uniform(0.05, 0.15)
    solids += fin(
        'fin', back, back + UP * size - AHEAD * size, size * 1.3, size * 0.3, normal=(1, 0, 0)
    )
    for s in (-1, 1):
        root, out = axis(0.68) + (s * deep * 0.7, -deep * 0.4, 0), long * rng.uniform(0.1, 0.2)
        end = root + np.array([s, rng.uniform(-0.7, 0), -0.6]) * out
        solids += fin('fin', root, end, out * 0.6, out * 0.2)
    if whale and rng.random() < 0.6:
        nose = axis(0.97) - UP * deep * 0.2
        beak = [nose, nose + AHEAD * long * 0.06]
        solids += tubes([Bar('body', beak, deep * np.array([0.35, 0.2]))])
    return stand(solids)


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
        side = cross(path[2] - path[0], UP) + (1e-3, 0, 0)
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
