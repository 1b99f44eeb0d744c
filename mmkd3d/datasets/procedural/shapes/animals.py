"""Four-legged animals: one skeleton, ranges for each species, many postures."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..free_form import Bar, blob, stand, tubes
from ..solids import cross, ellipsoid, rotation
from .creatures import AHEAD, UP, Solids, aim, joints


class Species(NamedTuple):
    """Proportions; lengths in units of the leg, angles in radians.

    In ``SPECIES`` every field is a range, after a draw a number.
    """

    size: Any  # length of a leg in metres
    long: Any  # body
    deep: Any  # half the height of the body
    leg: Any  # radius
    neck: Any
    rise: Any  # neck above the horizontal
    head: Any
    snout: Any  # width of the muzzle, as a share of the head
    ear: Any
    tail: Any


# fmt: off
SPECIES = dict(
    bear=Species((.5, .8), (1.3, 1.7), (.38, .5), (.13, .18), (.2, .3), (.1, .5), (.45, .58), (.4, .55), (.1, .15), (.06, .12)),  # noqa: E501
    camel=Species((1.0, 1.4), (.8, 1.0), (.21, .28), (.045, .065), (.7, 1.0), (.5, 1.1), (.35, .42), (.5, .65), (.07, .1), (.35, .5)),  # noqa: E501
    cat=Species((.15, .25), (1.1, 1.5), (.2, .3), (.055, .08), (.15, .3), (.4, 1.0), (.33, .45), (.55, .8), (.12, .22), (.7, 1.3)),  # noqa: E501
    cow=Species((.6, .9), (1.2, 1.6), (.32, .43), (.065, .1), (.25, .45), (0., .6), (.48, .6), (.55, .75), (.15, .27), (.6, .9)),  # noqa: E501
    deer=Species((.5, .9), (.8, 1.1), (.16, .23), (.032, .05), (.45, .65), (.7, 1.2), (.33, .45), (.35, .5), (.14, .25), (.08, .16)),  # noqa: E501
    dog=Species((.15, .5), (.9, 1.8), (.18, .36), (.045, .1), (.25, .5), (.5, 1.1), (.4, .65), (.3, .6), (.12, .38), (.3, .9)),  # noqa: E501
    elephant=Species((1.4, 2.0), (1.1, 1.5), (.42, .55), (.13, .19), (.15, .3), (.1, .6), (.5, .62), (.6, .75), (.4, .75), (.4, .6)),  # noqa: E501
    giraffe=Species((1.7, 2.3), (.55, .8), (.16, .22), (.035, .055), (.9, 1.4), (.9, 1.4), (.28, .38), (.4, .6), (.09, .15), (.4, .6)),  # noqa: E501
    horse=Species((.7, 1.1), (.85, 1.15), (.19, .28), (.045, .07), (.5, .7), (.5, 1.1), (.48, .6), (.45, .6), (.1, .16), (.5, .8)),  # noqa: E501
    lion=Species((.5, .8), (1.1, 1.5), (.22, .3), (.07, .1), (.2, .35), (.3, .8), (.42, .52), (.55, .75), (.09, .14), (.8, 1.2)),  # noqa: E501
    mouse=Species((.02, .04), (2.0, 2.9), (.55, .8), (.1, .14), (.05, .25), (0., .4), (.7, .95), (.15, .35), (.3, .65), (1.8, 3.3)),  # noqa: E501
    pig=Species((.25, .45), (1.8, 2.6), (.48, .7), (.1, .15), (.1, .3), (-.1, .25), (.6, .85), (.4, .6), (.2, .38), (.15, .4)),  # noqa: E501
    rabbit=Species((.08, .15), (1.3, 2.0), (.45, .65), (.1, .14), (.1, .25), (.5, 1.0), (.5, .7), (.5, .8), (.5, 1.0), (.1, .2)),  # noqa: E501
    rhinoceros=Species((.7, 1.0), (1.5, 2.1), (.46, .6), (.14, .2), (.2, .35), (-.3, .2), (.7, .9), (.5, .7), (.14, .22), (.3, .5)),  # noqa: E501
    sheep=Species((.3, .5), (1.1, 1.6), (.4, .55), (.055, .08), (.2, .4), (.3, .9), (.4, .55), (.45, .6), (.15, .25), (.1, .3)),  # noqa: E501
)
# fmt: on
SITTERS = ('bear', 'cat', 'dog', 'lion', 'rabbit')


class Posture(NamedTuple):
    """Pitch of the trunk; swing and fold of the fore and hind legs (2 each)."""

    pitch: float
    fore: np.ndarray
    hind: np.ndarray
    fold_fore: np.ndarray
    fold_hind: np.ndarray
    graze: bool


def _posture(rng, name: str, animal: Species) -> Posture:
    """Standing, walking, galloping, grazing, sitting, lying or rearing."""
    kinds = ('stand', 'walk', 'gallop', 'graze', 'lie', 'rear', 'sit')
    share = np.array([0.2, 0.27, 0.15, 0.12, 0.08, 0.06, 0.2 * (name in SITTERS)])
    kind = rng.choice(kinds, p=share / share.sum())
    fore, hind, pitch = rng.normal(0, 0.08, 2), rng.normal(0, 0.08, 2), rng.normal(0, 0.05)
    fold_fore, fold_hind = rng.uniform(0, 0.1, 2), rng.uniform(0, 0.25, 2)
    step = rng.uniform(0.15, 0.55) * rng.choice([-1, 1]) * np.array([1, -1])
    if kind == 'walk':
        fore, hind = fore + step, hind - step * rng.choice([-1, 1])
        fold_fore = rng.uniform(0, 1.0, 2) * (fore > 0)
    elif kind == 'gallop':
        reach = rng.uniform(-0.8, 1.0)
        fore, hind = fore + reach, hind - reach
        fold_fore, fold_hind = rng.uniform(0, 1.2, 2), rng.uniform(0, 0.7, 2)
        pitch += rng.uniform(-0.2, 0.3)
    elif kind == 'lie':
        fore, fold_fore = rng.uniform(0.5, 1.3, 2), rng.choice([-0.6, 2.2]) * np.ones(2)
        hind, fold_hind = rng.uniform(0.8, 1.2, 2), rng.uniform(1.0, 1.4, 2)
    elif kind == 'rear':
        pitch = rng.uniform(0.5, 1.2)
        fore, fold_fore = fore + rng.uniform(0.2, 1.5, 2) + pitch, rng.uniform(0.2, 1.8, 2)
    elif kind == 'sit':
        pitch = np.arcsin(np.clip((0.95 - animal.deep) / animal.long, 0.2, 0.85))
        hind, fold_hind = rng.uniform(0.8, 1.1, 2), rng.uniform(1.1, 1.4, 2)
        fore = fore + 0.05
    return Posture(pitch, fore, hind, fold_fore, fold_hind, kind == 'graze')


def _legs(rng, animal: Species, pose: Posture, trunk, wide: float) -> list[Bar]:
    bars, r, deep = [], animal.leg, animal.deep
    thick = r + 0.35 * deep * np.array([1.0, 0.55])
    for k, s in enumerate((-1, 1)):
        hip = trunk(-animal.long * 0.42) + (s * wide * 0.55, -deep * 0.15, 0)
        swing, fold = pose.hind[k], pose.fold_hind[k]
        bones = [
            (0.38, aim(swing + 0.3, s * 0.05)),
            (0.36, aim(swing - 0.45 - fold)),
            (0.26, aim(swing + 0.1 + fold * 0.5)),
        ]
        path = joints(hip, *bones)
        path = np.concatenate([path, [path[-1] + aim(swing + 1.45) * r * 1.6]])
        radii = np.r_[thick, r * 1.25, r, r * 0.85, r * 0.8, r * 0.9, r]
        bars.append(Bar('leg', path, radii))
        hip = trunk(animal.long * 0.4) + (s * wide * 0.5, -deep * 0.2, 0)
        swing, fold = pose.fore[k], pose.fold_fore[k]
        bones = [
            (0.3, aim(swing - 0.15, s * 0.03)),
            (0.34, aim(swing + 0.05)),
            (0.26, aim(swing - fold)),
        ]
        path = joints(hip, *bones)
        path = np.concatenate([path, [path[-1] + aim(swing - fold + 1.4) * r * 1.6]])
        radii = np.r_[thick * 0.85, r * 1.15, r, r * 0.9, r * 0.8, r * 0.85, r]
        bars.append(Bar('leg', path, radii))
    return bars


def _tail(rng, animal: Species, rump) -> Bar:
    """A tail that hangs, stands or curls."""
    angle, curl = rng.uniform(0.2, 1.4), rng.uniform(-1.2, 0.4)
    if rng.random() < 0.35:
        angle = rng.uniform(1.5, 2.6)
    path, aside = [np.asarray(rump)], rng.normal(0, 0.3)
    for k in range(4):
        way = aim(-angle - curl * k / 3, aside * k / 3)
        path.append(path[-1] + way * animal.tail / 4)
    r = max(animal.leg * rng.uniform(0.25, 0.6), animal.tail * 0.02)
    return Bar(
        'tail', path, r * rng.choice([1, 2], 5) * (1, 1, 1, 1, 0.6) if animal.tail > 0.3 else r
    )


def _ears(rng, name: str, animal: Species, skull, head) -> list[Bar]:
    """Upright, sideways or hanging ears."""
    lift = rng.uniform(0.4, 1.2)
    if name in ('dog', 'pig', 'rabbit') and rng.random() < 0.4:
        lift = rng.uniform(-1.3, -0.2)
    elif name in ('cow', 'sheep', 'camel'):
        lift = rng.uniform(-0.4, 0.4)
    elif name == 'rabbit':
        lift = 1.3
    wide = animal.ear * dict(mouse=0.5, rabbit=0.16, elephant=0.55).get(
        name, rng.uniform(0.22, 0.36)
    )
    bars = []
    for s in (-1, 1):
        start = skull + (s * head * 0.2, head * 0.2, 0)
        way = np.array([s * np.cos(lift), np.sin(lift), rng.normal(-0.15, 0.2)])
        if name == 'elephant':
            start, way = skull + (s * head * 0.28, 0, -head * 0.15), np.array([s, -0.2, -0.7])
        path = start + np.outer((0, 0.5, 1), way) * animal.ear
        side = cross(way, AHEAD)
        bars.append(Bar('ear', path, wide * np.array([0.7, 1.0, 0.45]), side=side, flat=0.3))
    return bars


def quadruped(rng, name: str) -> Solids:
    """An animal of a species in some posture, with what only it has."""
    low, high = np.array(SPECIES[name]).T
    animal = Species(*rng.uniform(low, high))
    pose, deep, long, head = _posture(rng, name, animal), animal.deep, animal.long, animal.head
    wide, sag, arch = deep * rng.uniform((0.6, -0.1, 0.0), (0.9, 0.15, 0.25)) * (1, 1, 1)
    turn = rotation(-pose.pitch, 'x')
    bow = rng.normal(0, 0.12)

    def trunk(z):
        t = 2 * z / long
        return turn @ np.array([bow * (t * t - 0.5), (arch - sag) * (1 - t * t), z])

    path = [trunk(long * t) for t in (-0.5, -0.25, 0, 0.25, 0.48)]
    girth = np.array([0.7, 0.95, 0.95 + sag, 1.03, 0.8])[:, None] * (wide, deep)
    bars = [Bar('body', path, girth, cap=0.7), *_legs(rng, animal, pose, trunk, wide)]
    bars.append(_tail(rng, animal, trunk(-long * 0.5) + (0, deep * 0.4, -deep * 0.4)))
    rise = rng.uniform(-1.1, -0.6) if pose.graze else animal.rise + pose.pitch * 0.4
    yaw = rotation(rng.normal(0, 0.3))
    base = trunk(long * 0.47) + (0, deep * 0.25, 0)
    neck_way = np.array([0, np.sin(rise), np.cos(rise)])
    bend = yaw @ np.array([0, np.sin(rise * 0.8 + 0.15), np.cos(rise * 0.8 + 0.15)])
    nape = base + neck_way * animal.neck * 0.6 + bend * (animal.neck * 0.4 + deep * 0.3)
    radii = np.array([deep * 0.72, deep * 0.3 + head * 0.14, head * 0.22])
    bars.append(
        Bar(
            'neck', [base - neck_way * deep * 0.3, base + neck_way * animal.neck * 0.6, nape], radii
        )
    )
    nod = rng.uniform(-0.8, 0.15) - 0.5 * pose.graze
    face = yaw @ np.array([0, np.sin(nod), np.cos(nod)])
    skull = nape + face * head * 0.1
    path = nape + np.outer((-0.05, 0.25, 0.6, 0.85), face) * head
    radii = head * np.array([0.22, 0.28, 0.15 + 0.12 * animal.snout, 0.25 * animal.snout])
    bars.append(Bar('head', path, radii))
    bars += _ears(rng, name, animal, skull, head)
    bars += _extras(rng, name, animal, skull, face, (base, nape))
    solids = tubes(bars)
    if name == 'camel':
        for z in ((-0.02,), (-0.22, 0.2))[rng.integers(2)]:
            r = deep * rng.uniform((0.5, 0.7, 0.6), (0.7, 1.1, 0.9))
            solids.append(ellipsoid('hump', r, trunk(long * z) + (0, deep * 0.85, 0)))
    elif name == 'lion' and rng.random() < 0.6:
        r = head * rng.uniform(0.5, 0.75)
        solids.append(blob('mane', (r, r * 1.1, r * 0.8), nape - face * r * 0.6, rng, bumps=0.1))
    elif name == 'sheep':
        r = np.array([wide * 1.2, deep * 1.1, long * 0.62])
        solids.append(blob('wool', r, trunk(0), rng, bumps=0.05, waves=6))
    return stand([s.moved(np.eye(3) * animal.size) for s in solids])


def _antler(rng, root, side, size) -> list[Bar]:
    """A curved beam with tines."""
    out, up = rng.uniform((0.3, 0.6), (0.8, 1.0)) * size
    beam = root + np.array(
        [[0, 0, 0], [side * out, up * 0.5, -0.1 * size], [side * out * 0.8, up, 0.1 * size]]
    )
    bars = [Bar('horn', beam, size * np.array([0.06, 0.045, 0.02]), side=AHEAD)]
    for k in range(rng.integers(1, 4)):
        start = beam[1] + (beam[2] - beam[1]) * (k * 0.3)
        tip = start + np.array([side * rng.uniform(-0.2, 0.3), 0.35, 0.3]) * size * 0.7
        bars.append(Bar('horn', [start, tip], size * np.array([0.04, 0.015]), side=AHEAD))
    return bars


def _extras(rng, name, animal, skull, face, neck) -> list[Bar]:
    """Horns, antlers, a trunk and tusks, a mane."""
    head, bars = animal.head, []
    muzzle = skull + face * head * 0.72
    if name == 'elephant':
        path, angle, curl = [muzzle], rng.uniform(0.0, 0.6), rng.uniform(-0.3, 0.75)
        for _ in range(5):
            path.append(path[-1] + aim(angle) * 0.18)
            angle += curl
        bars.append(Bar('trunk', path, np.linspace(0.15, 0.05, 6) * head / 0.55))
        long = rng.choice([0.0, rng.uniform(0.2, 0.6)])
        for s in (-1, 1) if long else ():
            start = muzzle + (s * head * 0.17, -0.05, -0.05)
            steps = np.array([[0, 0, 0], [s * 0.1, -0.3, 0.6], [s * 0.1, -0.1, 1.0]])
            bars.append(Bar('tusk', start + steps * long, np.array([0.04, 0.035, 0.012])))
    elif name == 'rhinoceros':
        for at, size in ((0.62, rng.uniform(0.25, 0.5)), (0.35, rng.uniform(0, 0.25))):
            start = skull + face * head * at + (0, head * 0.12, 0)
            tip = start + (UP + face * 0.4) * size * head
            bars.append(
                Bar('horn', [start, (start + tip) / 2, tip], head * np.array([0.1, 0.07, 0.01]))
            )
    elif name in ('cow', 'sheep', 'giraffe') and rng.random() < (0.7 + 0.3 * (name == 'giraffe')):
        size = head * rng.uniform(0.25, 0.7) * (0.5 if name == 'giraffe' else 1.0)
        curve = np.array([[0, 0, 0], [0.7, 0.3, 0], rng.uniform((0.3, 0.6, -0.5), (1.0, 1.2, 0.6))])
        if name == 'giraffe':
            curve[:, 0] *= 0.2
        for s in (-1, 1):
            start = skull + (s * head * 0.14, head * 0.18, 0)
            radii = size * np.array([0.14, 0.11, 0.04])
            bars.append(Bar('horn', start + curve * (s, 1, 1) * size, radii, side=(0.3, 0, 1)))
    elif name == 'deer' and rng.random() < 0.65:
        for s in (-1, 1):
            root = skull + (s * head * 0.12, head * 0.2, 0)
            bars += _antler(rng, root, s, animal.neck * rng.uniform(0.7, 1.2))
    elif name == 'horse' and rng.random() < 0.75:
        base, nape = neck
        back = cross(np.array([1.0, 0, 0]), nape - base)
        back = -back / np.linalg.norm(back) * animal.deep * 0.5
        if back[1] < 0:
            back = -back
        path = [base + back, (base + nape) / 2 + back * 0.8, nape + back * 0.5]
        bars.append(
            Bar('mane', path, animal.deep * np.array([[0.08, 0.3], [0.1, 0.4], [0.08, 0.25]]))
        )
    return bars


BUILDERS = {name: partial(quadruped, name=name) for name in SPECIES}
