"""Room fixtures: doors, windows, curtains, kitchen and bath.

Same axes as the furniture; wall-mounted objects have their back at z = 0.
"""

import numpy as np

from ..solids import Solid, bowl, box, cylinder, lathe, prism, ring, rotation

Solids = list[Solid]


def _frame(part, width, height, bar, depth) -> Solids:
    """Four bars around an opening that stands on y = 0."""
    solids = [
        box(part, (bar, height, depth), (s * (width - bar) / 2, height / 2, 0)) for s in (-1, 1)
    ]
    return solids + [box(part, (width, bar, depth), (0, y, 0)) for y in (bar / 2, height - bar / 2)]


def door(rng) -> Solids:
    """A leaf with panels in a frame, and a knob."""
    w, h = rng.uniform((0.75, 1.95), (1.0, 2.15))
    leaf = box('leaf', (w, h, 0.05), (0, h / 2, 0.01))
    knob = cylinder('knob', 0.03, 0.08, (w * 0.4, 1.0, 0.06), rotate=rotation(np.pi / 2, 'x'))
    panels = (
        [box('leaf', (w * 0.6, h * 0.3, 0.02), (0, h * k, 0.04)) for k in (0.28, 0.7)]
        if rng.random() < 0.5
        else []
    )
    frame = [
        box('frame', (0.08, h + 0.08, 0.12), (s * (w / 2 + 0.04), h / 2 + 0.04, 0)) for s in (-1, 1)
    ] + [box('frame', (w + 0.16, 0.08, 0.12), (0, h + 0.04, 0))]
    return [leaf, knob] + panels + frame


def window(rng) -> Solids:
    """A frame with a pane and bars; its sill is at y = 0."""
    w, h = rng.uniform((0.7, 0.8), (1.8, 1.4))
    solids = _frame('frame', w, h, 0.07, 0.12)
    solids.append(box('pane', (w, h, 0.02), (0, h / 2, 0)))
    for k in range(1, int(rng.integers(1, 4))):
        x = w * (k / 3 - 0.5)
        solids.append(box('frame', (0.05, h, 0.08), (x, h / 2, 0)))
    return solids + [box('sill', (w * 1.05, 0.04, 0.2), (0, -0.02, 0.1))]


def picture(rng) -> Solids:
    """A flat framed picture."""
    w, h = rng.uniform((0.3, 0.3), (1.0, 0.8))
    return _frame('frame', w, h, 0.04, 0.06) + [box('canvas', (w, h, 0.03), (0, h / 2, 0))]


def curtain(rng, *, width=None, height=None) -> Solids:
    """Narrow folds side by side, from the floor."""
    w = width or rng.uniform(0.3, 0.6)
    h = height or rng.uniform(1.8, 2.2)
    fold = rng.uniform(0.06, 0.1)
    count = max(int(w / fold), 2)
    x = ((np.arange(count) + 0.5) / count - 0.5) * w
    return [
        cylinder(
            'cloth',
            w / count * 0.55,
            h,
            (k, h / 2, 0.06),
            squash=rng.uniform(0.5, 1.0),
            top=rng.uniform(0.8, 1.0),
        )
        for k in x
    ]


def shower_curtain(rng) -> Solids:
    """A curtain of the length of a bathtub, on a rod."""
    w, h = rng.uniform(0.8, 1.5), 1.7
    rail = cylinder('rail', 0.015, 1.6, (0, h + 0.22, 0.06), rotate=rotation(np.pi / 2, 'z'))
    cloth = [s.moved(np.eye(3), (0, 0.2, 0)) for s in curtain(rng, width=w, height=h)]
    return [rail] + cloth


def counter(rng) -> Solids:
    """A kitchen base unit with a top that overhangs."""
    w, h, d = rng.uniform((1.2, 0.85, 0.55), (2.4, 0.95, 0.65))
    count = int(w / 0.55)
    solids = [
        box('body', (w, h - 0.14, d - 0.04), (0, (h - 0.04) / 2 + 0.05, -0.02)),
        box('top', (w, 0.04, d), (0, h - 0.02, 0)),
        box('plinth', (w * 0.98, 0.1, d - 0.12), (0, 0.05, -0.06)),
    ]
    return solids + [
        box(
            'body',
            (w / count * 0.92, h * 0.75, 0.02),
            (w * ((k + 0.5) / count - 0.5), h * 0.5, d / 2 - 0.03),
        )
        for k in range(count)
    ]


def refrigerator(rng) -> Solids:
    """A tall body with two doors and bar handles."""
    w, h, d = rng.uniform((0.55, 1.4, 0.55), (0.9, 1.9, 0.75))
    cut = h * rng.uniform(0.55, 0.75)
    doors = [
        box('door', (w, hi - lo - 0.02, 0.06), (0, (lo + hi) / 2, d / 2 + 0.03))
        for lo, hi in ((0.04, cut), (cut, h))
    ]
    grips = [
        box('handle', (0.03, 0.3, 0.05), (-w * 0.4, y, d / 2 + 0.08))
        for y in (cut - 0.25, cut + 0.2)
    ]
    return [box('body', (w, h, d), (0, h / 2, 0))] + doors + grips


def basin(part, size, center, *, rim=0.04) -> Solids:
    """An open box-shaped vessel with walls: bathtubs and sinks."""
    (w, h, d), (x, y, z) = size, center
    solids = [box(part, (w, rim, d), (x, y - h / 2 + rim / 2, z))]
    for s in (-1, 1):
        solids.append(box(part, (rim, h, d), (x + s * (w - rim) / 2, y, z)))
        solids.append(box(part, (w, h, rim), (x, y, z + s * (d - rim) / 2)))
    return solids


def _tap(x, y, z) -> Solids:
    return [
        box('tap', (0.03, 0.18, 0.03), (x, y + 0.09, z)),
        box('tap', (0.03, 0.03, 0.15), (x, y + 0.17, z + 0.07)),
    ]


def bathtub(rng) -> Solids:
    """A tub with thick walls and a tap at one end."""
    w, h, d = rng.uniform((1.4, 0.45, 0.65), (1.7, 0.6, 0.8))
    tub = basin('tub', (w, h, d), (0, h / 2, 0), rim=rng.uniform(0.05, 0.09))
    return tub + _tap(-w * 0.45, h, 0)


def wash_stand(rng) -> Solids:
    """A sink on a column."""
    w, d = rng.uniform((0.45, 0.38), (0.65, 0.5))
    y = rng.uniform(0.8, 0.9)
    foot = lathe('foot', [(0.13, 0), (0.08, y * 0.3), (0.1, y - 0.15)])
    return foot + basin('sink', (w, 0.16, d), (0, y - 0.08, 0)) + _tap(0, y, -d * 0.42)


def inset_sink(rng) -> Solids:
    """A sink built into a counter; its rim is at y = 0."""
    w, d = rng.uniform((0.4, 0.35), (0.6, 0.45))
    return basin('sink', (w, 0.17, d), (0, -0.06, 0), rim=0.02) + _tap(0, 0.02, -d * 0.45)


def toilet(rng) -> Solids:
    """A bowl on a foot with a seat ring and a tank."""
    y, r = rng.uniform((0.38, 0.17), (0.44, 0.21))
    tank = rng.uniform(0.3, 0.4)
    flat = rotation(np.pi / 2, 'x')
    return [
        cylinder('base', r * 0.6, y * 0.6, (0, y * 0.3, 0), squash=1.3, top=1.2),
        bowl('bowl', (r, y * 0.55, r * 1.3), (0, y, 0)),
        ring('seat', r * 0.85, 0.03, (0, y, 0), rotate=flat),
        ring('seat', r * 0.85, 0.03, (0, y, r * 0.3), rotate=flat),
        box('tank', (r * 2, tank, 0.18), (0, y + tank / 2, -r * 1.3 - 0.04)),
        box('tank', (r * 1.1, y, 0.14), (0, y / 2, -r * 1.3)),
    ]


def garbage_bin(rng) -> Solids:
    """An open or lidded bin."""
    r, h = rng.uniform((0.12, 0.28), (0.22, 0.6))
    if rng.random() < 0.5:
        wall = cylinder(
            'body', r * 0.8, h, (0, h / 2, 0), top=rng.uniform(1, 1.25), ends=(True, False)
        )
        return [wall]
    solids = [prism('body', (2 * r * 0.85, h, 1.6 * r), (0, h / 2, 0), top=(1.15, 1.1))]
    return solids + lathe('lid', [(r * 0.7, h), (r * 0.4, h + 0.07)])
