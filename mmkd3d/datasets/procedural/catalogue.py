"""The categories of ``ToyShapes``: builder and part names of each."""

from collections.abc import Callable
from typing import NamedTuple

from . import craft, furniture, things, vehicles


class Category(NamedTuple):
    build: Callable
    parts: tuple[str, ...]


CATEGORIES: dict[str, Category] = dict(
    airplane=Category(things.airplane, ('body', 'wing', 'tail', 'engine')),
    bed=Category(furniture.bed, ('mattress', 'frame', 'headboard', 'pillow', 'leg')),
    bench=Category(furniture.bench, ('seat', 'leg', 'back', 'arm')),
    bookshelf=Category(furniture.bookshelf, ('side', 'board', 'back', 'book')),
    bottle=Category(things.bottle, ('body', 'neck', 'cap')),
    cabinet=Category(furniture.cabinet, ('body', 'door', 'handle', 'leg')),
    car=Category(things.car, ('body', 'cabin', 'wheel', 'mirror')),
    chair=Category(furniture.chair, ('seat', 'leg', 'back', 'arm')),
    desk=Category(furniture.desk, ('top', 'drawer', 'leg', 'panel', 'hutch')),
    guitar=Category(things.guitar, ('body', 'neck', 'head')),
    lamp=Category(furniture.lamp, ('base', 'pole', 'shade')),
    laptop=Category(things.laptop, ('base', 'keyboard', 'screen')),
    mug=Category(things.mug, ('body', 'handle')),
    sofa=Category(furniture.sofa, ('seat', 'back', 'arm', 'foot')),
    table=Category(furniture.table, ('top', 'leg', 'shelf')),
    vase=Category(things.vase, ('body', 'neck', 'handle', 'plant')),
    # vehicles
    bicycle=Category(vehicles.bicycle, ('frame', 'wheel', 'handlebar', 'seat', 'pedal')),
    biplane=Category(craft.biplane, ('body', 'engine', 'wing', 'strut', 'tail', 'gear')),
    bus=Category(vehicles.bus, ('body', 'window', 'wheel')),
    excavator=Category(vehicles.excavator, ('track', 'body', 'cab', 'arm', 'bucket')),
    fighter_jet=Category(
        craft.fighter_jet, ('body', 'cockpit', 'wing', 'tail', 'engine', 'missile')
    ),
    helicopter=Category(craft.helicopter, ('body', 'rotor', 'tail', 'skid')),
    hot_air_balloon=Category(craft.hot_air_balloon, ('balloon', 'basket', 'rope')),
    motorcycle=Category(
        vehicles.motorcycle, ('frame', 'wheel', 'handlebar', 'tank', 'seat', 'engine', 'exhaust')
    ),
    rocket=Category(craft.rocket, ('body', 'nose', 'nozzle', 'booster', 'fin')),
    sailboat=Category(craft.sailboat, ('hull', 'house', 'mast', 'sail', 'keel')),
    ship=Category(craft.ship, ('hull', 'house', 'funnel', 'mast', 'gun', 'load', 'sail')),
    spaceship=Category(craft.spaceship, ('hull', 'engine', 'wing', 'cockpit')),
    submarine=Category(craft.submarine, ('hull', 'tower', 'periscope', 'fin', 'screw')),
    tank=Category(vehicles.tank, ('track', 'hull', 'turret', 'barrel')),
    tractor=Category(vehicles.tractor, ('body', 'wheel', 'cab', 'exhaust', 'arm')),
    train=Category(vehicles.train, ('body', 'cab', 'chimney', 'wheel')),
    truck=Category(vehicles.truck, ('cab', 'frame', 'cargo', 'wheel')),
    wheel=Category(vehicles.wheel, ('rim', 'spoke', 'hub')),
)


def part_table() -> tuple[dict[str, tuple[int, ...]], tuple[str, ...]]:
    """Global part ids of each category, and the name of each id."""
    table, names = {}, []
    for name, category in CATEGORIES.items():
        first = len(names)
        names += [f'{name} {part}' for part in category.parts]
        table[name] = tuple(range(first, len(names)))
    return table, tuple(names)
