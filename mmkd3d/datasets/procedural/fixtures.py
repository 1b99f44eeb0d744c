"""What only rooms have: doors, windows, curtains, kitchen and bath.

Same frame as the furniture; what hangs on a wall has its back at z = 0.
"""
import numpy as np

from .solids import Solid, bowl, box, cylinder, lathe, prism, ring, rotation

Solids = list[Solid]


def _frame(part, width, height, bar, depth) -> Solids:
    """Four bars around an opening that stands on y = 0."""
    solids = [
        box(part, (bar, height, depth), (s * (width - bar) / 2, height / 2, 0))
        for s in (-1, 1)
    ]
    return solids + [
        box(part, (width, bar, depth), (0, y, 0))
        for y in (bar / 2, height - bar / 2)
    ]


def door(rng) -> Solids:
    """A leaf with panels in a frame, and a knob."""
    w, h = rng.uniform((.75, 1.95), (1., 2.15))
    leaf = box('leaf', (w, h, .05), (0, h / 2, .01))
    knob = cylinder('knob', .03, .08, (w * .4, 1., .06),
                    rotate=rotation(np.pi / 2, 'x'))
    panels = [
        box('leaf', (w * .6, h * .3, .02), (0, h * k, .04)) for k in (.28, .7)
    ] if rng.random() < .5 else []
    frame = [
        box('frame', (.08, h + .08, .12), (s * (w / 2 + .04), h / 2 + .04, 0))
        for s in (-1, 1)
    ] + [box('frame', (w + .16, .08, .12), (0, h + .04, 0))]
    return [leaf, knob] + panels + frame


def window(rng) -> Solids:
    """A frame with a pane and bars; its sill is at y = 0."""
    w, h = rng.uniform((.7, .8), (1.8, 1.4))
    solids = _frame('frame', w, h, .07, .12)
    solids.append(box('pane', (w, h, .02), (0, h / 2, 0)))
    for k in range(1, int(rng.integers(1, 4))):
        x = w * (k / 3 - .5)
        solids.append(box('frame', (.05, h, .08), (x, h / 2, 0)))
    return solids + [box('sill', (w * 1.05, .04, .2), (0, -.02, .1))]


def picture(rng) -> Solids:
    """A flat framed picture."""
    w, h = rng.uniform((.3, .3), (1., .8))
    return _frame('frame', w, h, .04, .06) + [
        box('canvas', (w, h, .03), (0, h / 2, 0))
    ]


def curtain(rng, *, width=None, height=None) -> Solids:
    """Narrow folds side by side, from the floor."""
    w = width or rng.uniform(.3, .6)
    h = height or rng.uniform(1.8, 2.2)
    fold = rng.uniform(.06, .1)
    count = max(int(w / fold), 2)
    x = ((np.arange(count) + .5) / count - .5) * w
    return [
        cylinder('cloth', w / count * .55, h, (k, h / 2, .06),
                 squash=rng.uniform(.5, 1.), top=rng.uniform(.8, 1.))
        for k in x
    ]


def shower_curtain(rng) -> Solids:
    """A curtain of the length of a bathtub, on a rod."""
    w, h = rng.uniform(.8, 1.5), 1.7
    rail = cylinder('rail', .015, 1.6, (0, h + .22, .06),
                    rotate=rotation(np.pi / 2, 'z'))
    cloth = [
        s.moved(np.eye(3), (0, .2, 0))
        for s in curtain(rng, width=w, height=h)
    ]
    return [rail] + cloth


def counter(rng) -> Solids:
    """A kitchen base unit with a top that overhangs."""
    w, h, d = rng.uniform((1.2, .85, .55), (2.4, .95, .65))
    count = int(w / .55)
    solids = [
        box('body', (w, h - .14, d - .04), (0, (h - .04) / 2 + .05, -.02)),
        box('top', (w, .04, d), (0, h - .02, 0)),
        box('plinth', (w * .98, .1, d - .12), (0, .05, -.06))
    ]
    return solids + [
        box('body', (w / count * .92, h * .75, .02),
            (w * ((k + .5) / count - .5), h * .5, d / 2 - .03))
        for k in range(count)
    ]


def refrigerator(rng) -> Solids:
    """A tall body with two doors and bar handles."""
    w, h, d = rng.uniform((.55, 1.4, .55), (.9, 1.9, .75))
    cut = h * rng.uniform(.55, .75)
    doors = [
        box('door', (w, hi - lo - .02, .06), (0, (lo + hi) / 2, d / 2 + .03))
        for lo, hi in ((.04, cut), (cut, h))
    ]
    grips = [
        box('handle', (.03, .3, .05), (-w * .4, y, d / 2 + .08))
        for y in (cut - .25, cut + .2)
    ]
    return [box('body', (w, h, d), (0, h / 2, 0))] + doors + grips


def basin(part, size, center, *, rim=.04) -> Solids:
    """An open box-shaped vessel with walls: bathtubs and sinks."""
    (w, h, d), (x, y, z) = size, center
    solids = [box(part, (w, rim, d), (x, y - h / 2 + rim / 2, z))]
    for s in (-1, 1):
        solids.append(box(part, (rim, h, d), (x + s * (w - rim) / 2, y, z)))
        solids.append(box(part, (w, h, rim), (x, y, z + s * (d - rim) / 2)))
    return solids


def _tap(x, y, z) -> Solids:
    return [
        box('tap', (.03, .18, .03), (x, y + .09, z)),
        box('tap', (.03, .03, .15), (x, y + .17, z + .07))
    ]


def bathtub(rng) -> Solids:
    """A tub with thick walls and a tap at one end."""
    w, h, d = rng.uniform((1.4, .45, .65), (1.7, .6, .8))
    tub = basin('tub', (w, h, d), (0, h / 2, 0), rim=rng.uniform(.05, .09))
    return tub + _tap(-w * .45, h, 0)


def wash_stand(rng) -> Solids:
    """A sink on a column."""
    w, d = rng.uniform((.45, .38), (.65, .5))
    y = rng.uniform(.8, .9)
    foot = lathe('foot', [(.13, 0), (.08, y * .3), (.1, y - .15)])
    return foot + basin('sink', (w, .16, d), (0, y - .08, 0)) + _tap(
        0, y, -d * .42)


def inset_sink(rng) -> Solids:
    """A sink to be let into a counter; its rim is at y = 0."""
    w, d = rng.uniform((.4, .35), (.6, .45))
    return basin('sink', (w, .17, d), (0, -.06, 0), rim=.02) + _tap(
        0, .02, -d * .45)


def toilet(rng) -> Solids:
    """A bowl on a foot with a seat ring and a tank."""
    y, r = rng.uniform((.38, .17), (.44, .21))
    tank = rng.uniform(.3, .4)
    flat = rotation(np.pi / 2, 'x')
    return [
        cylinder('base', r * .6, y * .6, (0, y * .3, 0), squash=1.3, top=1.2),
        bowl('bowl', (r, y * .55, r * 1.3), (0, y, 0)),
        ring('seat', r * .85, .03, (0, y, 0), rotate=flat),
        ring('seat', r * .85, .03, (0, y, r * .3), rotate=flat),
        box('tank', (r * 2, tank, .18), (0, y + tank / 2, -r * 1.3 - .04)),
        box('tank', (r * 1.1, y, .14), (0, y / 2, -r * 1.3))
    ]


def garbage_bin(rng) -> Solids:
    """An open or lidded bin."""
    r, h = rng.uniform((.12, .28), (.22, .6))
    if rng.random() < .5:
        wall = cylinder('body', r * .8, h, (0, h / 2, 0),
                        top=rng.uniform(1, 1.25), ends=(True, False))
        return [wall]
    solids = [
        prism('body', (2 * r * .85, h, 1.6 * r), (0, h / 2, 0),
              top=(1.15, 1.1))
    ]
    return solids + lathe('lid', [(r * .7, h), (r * .4, h + .07)])
