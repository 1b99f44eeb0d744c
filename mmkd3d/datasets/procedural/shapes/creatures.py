"""People and animals with articulated limbs; y up, facing +z, metres."""

from typing import NamedTuple

import numpy as np

from ..free_form import Bar, blob, stand, tubes
from ..solids import Solid, box, cylinder, ellipsoid, rotation

Solids = list[Solid]
UP, AHEAD = np.array([0, 1.0, 0]), np.array([0, 0, 1.0])


def aim(swing: float, spread: float = 0.0) -> np.ndarray:
    """A direction: down, swung to +z, then spread to +x (radians)."""
    wide = np.cos(spread)
    return np.array([np.sin(spread), -np.cos(swing) * wide, np.sin(swing) * wide])


def joints(start, *bones) -> np.ndarray:
    """Joints of a chain, with a point in the middle of each bone.

    Args:
        start: (3,) first joint.
        bones: (length, direction (3,)) of each.

    Returns:
        (2 K + 1, 3) points.
    """
    points = [np.asarray(start, float)]
    for length, direction in bones:
        for _ in range(2):
            points.append(points[-1] + length / 2 * np.asarray(direction))
    return np.array(points)


class Pose(NamedTuple):
    """Angles of a human: trunk, then (left, right) of the limbs, radians."""

    lean: float
    thigh: np.ndarray
    knee: np.ndarray
    arm: np.ndarray
    out: np.ndarray
    elbow: np.ndarray


def _human_pose(rng) -> Pose:
    """Standing, walking, running, sitting, squatting, or arms raised."""
    kind = rng.integers(7)
    step = rng.uniform(0.2, 0.9) * rng.choice([-1, 1]) * np.array([1, -1])
    arm, out, elbow = rng.normal(0, 0.15, 2), rng.uniform(0.05, 0.35, 2), rng.uniform(0, 0.5, 2)
    thigh, knee, lean = rng.normal(0, 0.06, 2), rng.uniform(0, 0.12, 2), rng.normal(0, 0.08)
    if kind in (1, 2):
        thigh, arm = step * (0.6, 1.1)[kind - 1], -step * rng.uniform(0.4, 1.2)
        knee = np.maximum(-thigh, 0.05) * rng.uniform(0.3, 1.9)
        elbow = rng.uniform(0, 1.0, 2) + kind * 0.4
        lean = 0.15 * kind * rng.uniform(0, 1.5)
    elif kind == 3:
        thigh, knee = rng.uniform(1.2, 1.75, 2), rng.uniform(1.0, 1.9, 2)
        arm, elbow = rng.uniform(0, 0.9, 2), rng.uniform(0.2, 1.5, 2)
    elif kind == 4:
        thigh, knee, lean = rng.uniform(0.8, 2.0, 2), rng.uniform(1.2, 2.3, 2), rng.uniform(0, 0.7)
        arm = rng.uniform(0, 1.6, 2)
    elif kind == 5:  # arms to the sides or up
        out, elbow = rng.uniform(0.8, 2.9, 2), rng.uniform(0, 1.2, 2) * rng.integers(2)
        if rng.random() < 0.5:
            out, elbow = out[[0, 0]], elbow[[0, 0]]
    elif kind == 6:  # one or both arms forward or up
        arm = rng.uniform(0, 3.0, 2) * rng.permutation([1, rng.integers(2)])
        thigh, lean = thigh + step * 0.2, rng.normal(0, 0.3)
    return Pose(lean, thigh, knee, arm, out, elbow)


def human(rng) -> Solids:
    """A person in some pose: child or adult, thin or thick, hair or hat."""
    tall = rng.choice([rng.uniform(1.5, 1.95), rng.uniform(0.9, 1.4)], p=(0.75, 0.25))
    child = np.clip((1.5 - tall) / 0.6, 0, 1)
    head = tall * (0.07 + 0.03 * child) * rng.uniform(0.92, 1.1)
    thick = tall * rng.uniform(0.75, 1.35) * (1 + 0.1 * child)
    leg, arm = tall * rng.uniform((0.235, 0.165), (0.27, 0.195)) * (1 - 0.15 * child)
    wide, hips, belly = thick * rng.uniform((0.095, 0.075, 0.06), (0.135, 0.105, 0.12))
    pose, trunk, turn = _human_pose(rng), tall * rng.uniform(0.28, 0.32), rng.normal(0, 0.25)
    bend = rng.normal(0, 0.15)
    up = np.array([np.sin(bend), np.cos(pose.lean), np.sin(pose.lean)])
    spine = joints((0, 0, 0), (trunk * 0.5, (up + UP) / 2), (trunk * 0.5, up))
    neck = spine[-1] + up * tall * 0.03
    top = neck + (up + UP + (0, 0, rng.normal(0.1, 0.2))) / 2 * head * 1.1
    across = rotation(turn) @ np.array([1.0, 0.15 * bend, 0])
    deep = 0.62
    body = [
        [hips, hips * deep * 1.1],
        [(hips + belly) / 2, belly * 0.8],
        [belly * 0.95, belly * deep * 1.15],
        [wide * 0.95, wide * 0.62],
        [wide * 0.7, wide * 0.42],
    ]
    bars = [
        Bar('torso', spine, body, side=(np.array([1.0, 0, 0]) + across) / 2, cap=0.5),
        Bar('head', [spine[-1], neck, top], tall * 0.033),
    ]
    neckline = spine[-1] - up * tall * 0.03
    bars += _limbs(rng, pose, (leg, arm), thick, hips * 0.55, (neckline, across * wide))
    solids = tubes(bars)
    solids.append(ellipsoid('head', (head * 0.78, head * 1.1, head * 0.9), top))
    solids += _human_top(rng, head, top) + _dress(rng, hips, leg, pose)
    lying = rng.choice([-1, 1]) * np.pi / 2 * (rng.random() < 0.06)
    return stand([s.moved(rotation(lying, 'x')) for s in solids])


def _limbs(rng, pose: Pose, long, thick, hip, shoulders) -> list[Bar]:
    """Legs and arms with feet and hands; ``shoulders`` is (middle, half)."""
    bars, (leg, arm), (middle, half) = [], long, shoulders
    for k, s in enumerate((-1, 1)):
        thigh, shin = aim(pose.thigh[k], s * rng.uniform(0, 0.2)), pose.thigh[k] - pose.knee[k]
        path = joints((s * hip, 0, 0), (leg, thigh), (leg, aim(shin)))
        foot = aim(shin + np.pi / 2 - rng.uniform(-0.2, 0.3), s * rng.uniform(0, 0.3))
        bars.append(Bar('leg', path, thick * np.array([0.056, 0.052, 0.036, 0.037, 0.024])))
        bars.append(
            Bar('foot', path[-1] + np.outer((-0.3, 0.4, 1), foot) * leg * 0.42, thick * 0.026)
        )
        shoulder = middle + s * half
        upper = aim(pose.arm[k], s * pose.out[k])
        fore = aim(pose.arm[k] + pose.elbow[k], s * pose.out[k] * rng.uniform(0.3, 1.1))
        path = joints(shoulder, (arm, upper), (arm, fore))
        bars.append(Bar('arm', path, thick * np.array([0.036, 0.031, 0.025, 0.026, 0.018])))
        hand = path[-1] + np.outer((0, 0.5, 1), fore) * arm * 0.42
        bars.append(Bar('hand', hand, thick * np.array([0.018, 0.026, 0.014]), flat=0.6))
    return bars


def _human_top(rng, head, top) -> Solids:
    """A nose, and hair or a hat or neither."""
    nose = Bar('head', top + np.array([[0, 0.1, 0.8], [0, -0.25, 1.05]]) * head, head * 0.13)
    solids, kind = tubes([nose], steps=4, sides=6), rng.random()
    if kind < 0.45:
        back, size = rng.uniform((0.1, 0.85), (0.35, 1.1)) * head
        solids.append(
            blob(
                'hair',
                (head * 0.88, size * rng.uniform(0.9, 1.3), size),
                top + (0, head * 0.3, -back),
                rng,
                bumps=0.06,
            )
        )
    elif kind < 0.65:
        y, brim = top[1] + head * 0.55, head * rng.uniform(1.1, 1.9)
        crown = head * rng.uniform(0.5, 1.2)
        solids += [
            cylinder('hat', brim, head * 0.1, (top[0], y, top[2])),
            cylinder(
                'hat', head * 0.9, crown, (top[0], y + crown / 2, top[2]), top=rng.uniform(0.3, 1.0)
            ),
        ]
    return solids


def _dress(rng, hips, leg, pose) -> Solids:
    """A skirt on some who stand."""
    if rng.random() < 0.8 or np.abs(pose.thigh).max() > 0.3:
        return []
    long = leg * rng.uniform(0.7, 1.8)
    wide = hips * rng.uniform(1.4, 2.4)
    return [cylinder('skirt', wide, long, (0, -long / 2, 0), top=hips * 1.05 / wide, squash=0.8)]


def hand(rng) -> Solids:
    """A hand with fingers spread, bent, pointing or in a fist, fingers up."""
    palm, wide = rng.uniform((0.08, 0.07), (0.11, 0.1))
    thick = palm * rng.uniform(0.11, 0.17)
    kind = rng.integers(4)
    curl = rng.uniform(0, 0.35, 5) if kind == 0 else rng.uniform(0, 1.4, 5)
    if kind == 1:
        curl[:] = rng.uniform(0.3, 1.5)
    elif kind == 2:
        curl = np.where(rng.random(5) < 0.5, 1.5, 0.1)
    fan = rng.uniform(0.02, 0.22)
    bars = []
    for k in range(4):
        x, angle = (k - 1.5) / 3 * (wide - 1.6 * thick), -(k - 1.5) * fan
        long = palm * (0.85, 1.0, 0.93, 0.72)[k] * rng.uniform(0.9, 1.1)
        path, bend = [np.array([x, palm * 0.85, 0])], 0.0
        for share in (0.15, 0.36, 0.28, 0.21):
            step = np.array([-np.sin(angle), np.cos(bend), np.sin(bend)])
            path.append(path[-1] + share * long * step)
            bend += curl[k] * (0.9 if share < 0.2 else 0.85)
        bars.append(Bar('finger', path, thick * np.linspace(1.05, 0.75, 5)))
    side, out = rng.choice([-1, 1]), rng.uniform(0.3, 1.1)
    base = np.array([side * wide * 0.38, palm * 0.25, 0])
    away = np.array([side * np.sin(out), np.cos(out), rng.uniform(0, 0.6)])
    away2 = away + (-side * 0.5 * curl[4], 0, 0.4 * curl[4])
    thumb = joints(base, (palm * 0.4, away), (palm * 0.45, away2))
    bars.append(Bar('thumb', thumb, thick * np.array([1.4, 1.4, 1.1, 1.05, 0.8]), side=AHEAD))
    half, low = wide / 2, palm * -0.1
    flesh = [(half * 0.62, thick * 1.3), (half * 0.95, thick * 1.5), (half, thick * 1.1)]
    bars.append(Bar('palm', [(0, 0, 0), (0, palm * 0.5, 0), (0, palm * 0.95, 0)], flesh, cap=0.3))
    long = palm * rng.uniform(0.4, 1.6)
    wrist = [(half * 0.75, thick * 1.9), (half * 0.6, thick * 1.4), (half * 0.6, thick * 1.3)]
    bars.append(
        Bar('wrist', [(0, low - long, 0), (0, low - long / 2, 0), (0, 0, 0)], wrist, cap=0.1)
    )
    solids = tubes(bars)
    turn = rotation(rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)]), rng.choice(['x', 'z']))
    return stand([s.moved(turn) for s in solids])


def _hair(rng, r, wide) -> Solids:
    """Hair on most heads, long on some."""
    if rng.random() < 0.35:
        return []
    size = r * rng.uniform(1.0, 1.2)
    radii = (size * wide * 1.15, size * rng.uniform(0.9, 1.2), size)
    solids = [blob('hair', radii, (0, r * 0.6, -r * 0.35), rng, bumps=0.08, waves=3)]
    if rng.random() < 0.4:
        drop = rng.uniform(0.8, 2.2)
        fall = np.array([[0, 0.4, -0.6], [0, -0.5, -0.9], [0, -drop, -0.9]]) * r
        solids += tubes([Bar('hair', fall, r * np.array([0.9, 0.85, 0.5]), flat=0.4)])
    return solids


def head(rng) -> Solids:
    """A human head on a neck, maybe on a bust, with hair or without."""
    r = rng.uniform(0.085, 0.105)
    wide, long, jaw = rng.uniform((0.72, 1.1, 0.55), (0.9, 1.3, 0.85))
    solids = [
        ellipsoid('skull', (r * wide, r * 0.95, r * 1.05), (0, r * 0.35, -r * 0.1)),
        ellipsoid(
            'face', (r * wide * jaw * 1.1, r * 0.8, r * 0.75), (0, -r * (long - 0.7), r * 0.25)
        ),
        ellipsoid('face', (r * 0.22, r * 0.2, r * 0.2), (0, -r * (long - 0.05), r * 0.78)),
    ]
    tip, low = rng.uniform((1.15, 0.15), (1.5, 0.45))
    eyes, gap = r * rng.uniform(0.12, 0.2), rng.uniform(0.28, 0.38)
    bars = [
        Bar(
            'nose',
            np.array([[0, 0.25, 0.9], [0, -low / 2, tip - 0.1], [0, -low, tip - 0.2]]) * r,
            r * np.array([0.08, 0.13, 0.2]),
        ),
        Bar(
            'face',
            np.array([[-0.25, -0.68, 0.88], [0, -0.72, 1.02], [0.25, -0.68, 0.88]]) * r,
            r * 0.1,
            side=UP,
        ),
    ]
    bars += [
        Bar(
            'ear',
            np.array([[s * wide, -0.3, 0], [s * wide * 1.08, 0, -0.1], [s * wide, 0.28, -0.05]])
            * r,
            r * np.array([[0.07, 0.12], [0.1, 0.2], [0.1, 0.2]]),
        )
        for s in (-1, 1)
    ]
    tilt = rng.normal(0, 0.12, 2)
    base = np.array([tilt[0], -1.9, -0.3 + tilt[1]]) * r
    bars.append(Bar('neck', [base, base / 2, (0, -r * 0.3, -r * 0.2)], r * rng.uniform(0.45, 0.68)))
    solids += [ellipsoid('face', (eyes,) * 3, (s * r * gap, r * 0.15, r * 0.82)) for s in (-1, 1)]
    solids += tubes(bars)
    if rng.random() < 0.4:
        half, drop = rng.uniform(1.5, 2.2) * r, rng.uniform(0.8, 2.0) * r
        chest = base - (0, r * 0.1, 0)
        path = [chest - (0, drop, 0), chest - (0, drop / 2, 0), chest]
        body = [(half * 0.95, half * 0.55), (half, half * 0.5), (r * 0.6, r * 0.5)]
        solids += tubes([Bar('bust', path, body, cap=0.1)])
    return stand(solids + _hair(rng, r, wide))


def skull(rng) -> Solids:
    """A bare skull with eye sockets' rims, cheeks, teeth and a jaw."""
    r, wide, long, gape = rng.uniform((0.09, 0.62, 0.55, 0), (0.11, 0.92, 0.95, 0.5))
    tall, back = rng.uniform((0.75, 0.9), (1.05, 1.35)) * r
    solids = [
        blob('cranium', (r * wide, tall, back), (0, r * 0.3, r * 0.9 - back), rng, bumps=0.03),
        ellipsoid('face', (r * wide * 0.6, r * long * 0.7, r * 0.4), (0, -r * 0.35, r * 0.6)),
    ]
    angle = np.linspace(0, 2 * np.pi, 6)[:-1]
    eye = np.stack([np.cos(angle), np.sin(angle) * 0.85, 0 * angle], axis=1) * r * 0.24
    rims = [
        Bar('face', eye + (s * r * 0.34, r * 0.05, r * 0.88), r * 0.07, side=AHEAD) for s in (-1, 1)
    ]
    solids += tubes(rims, closed=True, steps=13, sides=6)
    drop = -r * (long * 0.9 + gape)
    row = np.array(
        [[-0.62, 0.5, -0.1], [-0.5, 0.05, 0.3], [0, 0, 0.8], [0.5, 0.05, 0.3], [0.62, 0.5, -0.1]]
    )
    solids += tubes(
        [Bar('jaw', row * (r * wide, r, r) + (0, drop, 0), r * 0.13, side=UP)], steps=12
    )
    for s in (-1, 1):
        cheek = np.array([[s * 0.45, 0, 0.75], [s * wide, -0.05, 0.4], [s * wide, 0, 0]]) * r
        solids += tubes(
            [Bar('face', cheek - (0, r * 0.25, 0), r * 0.09, side=UP)], steps=6, sides=6
        )
    size = r * 0.075
    for level in (-r * long * 0.85, drop + r * 0.13):
        solids += [
            box('teeth', (size * 1.6, size * 2.4, size), (x * r, level, r * (0.86 - 0.9 * x * x)))
            for x in np.linspace(-0.32, 0.32, 5)
        ]
    return stand(solids)


def _figure(rng, names, size, legs, arms) -> Solids:
    """Body, legs and arms of a toy: thick limbs at random angles."""
    wide, tall, long, reach = size
    body = blob(names[0], (wide, tall, wide * rng.uniform(0.7, 1.0)), (0, 0, 0), rng, bumps=0.06)
    bars, sit = [], rng.uniform(0.9, 1.5) if rng.random() < 0.4 else 0.0
    for k in range(legs):
        x = (k / max(legs - 1, 1) - 0.5) * 2 * wide * 0.6
        way = aim(sit + rng.normal(0, 0.15), np.sign(x) * rng.uniform(0, 0.35))
        path = joints((x, -tall * 0.6, 0), (long * 0.6, way), (long * 0.4, (way + aim(sit)) / 2))
        path = np.concatenate([path, [path[-1] + AHEAD * long * 0.2]])
        bars.append(Bar('leg', path, wide * rng.uniform(0.14, 0.34) * np.linspace(1, 1.15, 6)))
    for k in range(arms):
        s, level = (-1, 1)[k % 2], tall * (0.5 - 0.5 * (k // 2))
        way = aim(rng.uniform(-0.5, 1.2), s * rng.uniform(0.2, 2.3))
        fold = way + rng.normal(0, 0.4, 3)
        path = joints((s * wide * 0.75, level, 0), (reach * 0.5, way), (reach * 0.5, fold))
        bars.append(Bar('arm', path, wide * rng.uniform(0.1, 0.3), side=(0.3, 0.2, 1.0)))
    return [body, *(tubes(bars) if bars else [])]


def alien(rng) -> Solids:
    """A figure with a big head, few or many limbs, antennas and eyes."""
    wide, tall, long, reach = rng.uniform((0.08, 0.12, 0.08, 0.1), (0.22, 0.28, 0.35, 0.35))
    legs, arms = rng.integers(1, 5), rng.choice([0, 2, 2, 4])
    solids = _figure(rng, ('body',), (wide, tall, long, reach), legs, arms)
    r = rng.uniform(0.12, 0.28) * np.array([1, rng.uniform(0.6, 1.4), rng.uniform(0.7, 1.0)])
    y = tall * 0.8 + r[1] + rng.uniform(0, 0.15)
    solids.append(blob('head', r, (0, y, 0), rng, bumps=0.08))
    bars = [Bar('body', [(0, 0, 0), (0, y, 0)], wide * 0.35)]
    antennas = rng.integers(0, 4)
    for x in np.linspace(-0.5, 0.5, antennas) if antennas > 1 else [0.0] * antennas:
        tip = np.array([x * 2 * r[0], y + r[1] * rng.uniform(1.3, 2.2), rng.normal(0, 0.08)])
        bars.append(
            Bar('antenna', [(x * r[0], y + r[1] * 0.7, 0), tip * (0.7, 0.85, 1), tip], 0.012)
        )
        solids.append(ellipsoid('antenna', np.full(3, rng.uniform(0.02, 0.045)), tip))
    count, size = rng.integers(1, 4), rng.uniform(0.03, 0.08)
    for x in np.linspace(-0.5, 0.5, count) if count > 1 else [0.0]:
        at = (x * r[0], y + r[1] * 0.15, r[2] * 0.9)
        solids.append(ellipsoid('eye', np.full(3, size), at))
    return stand(solids + tubes(bars, steps=6, sides=7))


def teddy_bear(rng) -> Solids:
    """A soft toy: round body and head, ears, muzzle; sits or stands."""
    wide, tall, long, reach = rng.uniform((0.1, 0.12, 0.1, 0.12), (0.16, 0.18, 0.2, 0.22))
    solids = _figure(rng, ('body',), (wide, tall, long, reach), 2, 2)
    r = wide * rng.uniform(0.7, 1.15)
    y = tall * 0.8 + r * 0.8
    solids += [
        ellipsoid('head', (r, r * 0.9, r * 0.9), (0, y, 0)),
        ellipsoid(
            'muzzle', (r * 0.45, r * 0.35, r * rng.uniform(0.35, 0.6)), (0, y - r * 0.25, r * 0.8)
        ),
    ]
    ear, long_ear = (
        r * rng.uniform(0.25, 0.42),
        rng.choice([1.0, rng.uniform(1.5, 2.8)], p=(0.75, 0.25)),
    )
    for s in (-1, 1):
        at = (s * r * 0.72, y + r * 0.55 + ear * (long_ear - 0.5), 0)
        solids.append(ellipsoid('ear', (ear, ear * long_ear, ear * 0.45), at))
    return stand(solids)
