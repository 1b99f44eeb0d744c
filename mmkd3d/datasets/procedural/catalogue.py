"""The categories of ``ToyShapes``: builder and part names of each."""

from collections.abc import Callable
from typing import NamedTuple

from . import abstract, animals, creatures, furniture, insects, plants, sea_life, things, wildlife


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
    # creatures, plants and free forms
    alien=Category(creatures.alien, ('body', 'leg', 'arm', 'head', 'antenna', 'eye')),
    band=Category(abstract.band, ('band',)),
    bear=Category(animals.BUILDERS['bear'], ('body', 'leg', 'tail', 'neck', 'head', 'ear')),
    bird=Category(wildlife.bird, ('body', 'neck', 'beak', 'leg', 'head', 'tail', 'wing')),
    bush=Category(plants.bush, ('leaves', 'stem')),
    butterfly=Category(insects.butterfly, ('wing', 'body', 'antenna')),
    cactus=Category(plants.cactus, ('stem', 'arm', 'pot')),
    camel=Category(
        animals.BUILDERS['camel'], ('body', 'leg', 'tail', 'neck', 'head', 'ear', 'hump')
    ),
    cat=Category(animals.BUILDERS['cat'], ('body', 'leg', 'tail', 'neck', 'head', 'ear')),
    chain=Category(abstract.chain, ('link',)),
    conifer=Category(plants.conifer, ('trunk', 'leaves')),
    cow=Category(animals.BUILDERS['cow'], ('body', 'leg', 'tail', 'neck', 'head', 'ear', 'horn')),
    crab=Category(insects.crab, ('shell', 'leg', 'claw', 'eye')),
    deer=Category(animals.BUILDERS['deer'], ('body', 'leg', 'tail', 'neck', 'head', 'ear', 'horn')),
    dinosaur=Category(wildlife.dinosaur, ('body', 'head', 'leg', 'arm', 'plate')),
    dog=Category(animals.BUILDERS['dog'], ('body', 'leg', 'tail', 'neck', 'head', 'ear')),
    elephant=Category(
        animals.BUILDERS['elephant'],
        ('body', 'leg', 'tail', 'neck', 'head', 'ear', 'trunk', 'tusk'),
    ),
    fish=Category(sea_life.fish, ('body', 'tail', 'fin', 'eye')),
    flower=Category(plants.flower, ('stem', 'petal', 'centre', 'leaf')),
    free_vase=Category(abstract.free_vase, ('body', 'handle')),
    frog=Category(wildlife.frog, ('body', 'leg', 'eye')),
    fruit=Category(plants.fruit, ('flesh', 'stem', 'leaf')),
    giraffe=Category(
        animals.BUILDERS['giraffe'], ('body', 'leg', 'tail', 'neck', 'head', 'ear', 'horn')
    ),
    hand=Category(creatures.hand, ('finger', 'thumb', 'palm', 'wrist')),
    head=Category(creatures.head, ('skull', 'face', 'nose', 'ear', 'neck', 'bust', 'hair')),
    horse=Category(
        animals.BUILDERS['horse'], ('body', 'leg', 'tail', 'neck', 'head', 'ear', 'mane')
    ),
    human=Category(
        creatures.human, ('torso', 'head', 'leg', 'foot', 'arm', 'hand', 'hat', 'skirt', 'hair')
    ),
    insect=Category(insects.insect, ('abdomen', 'thorax', 'head', 'leg', 'antenna', 'wing')),
    knot=Category(abstract.knot, ('tube',)),
    leaf=Category(plants.leaf, ('blade', 'stalk')),
    lion=Category(animals.BUILDERS['lion'], ('body', 'leg', 'tail', 'neck', 'head', 'ear', 'mane')),
    lizard=Category(wildlife.lizard, ('body', 'head', 'leg')),
    mouse=Category(animals.BUILDERS['mouse'], ('body', 'leg', 'tail', 'neck', 'head', 'ear')),
    mushroom=Category(plants.mushroom, ('stem', 'cap')),
    octopus=Category(sea_life.octopus, ('head', 'eye', 'arm')),
    palm=Category(plants.palm, ('trunk', 'leaf', 'fruit')),
    pebble=Category(abstract.pebble, ('body',)),
    pig=Category(animals.BUILDERS['pig'], ('body', 'leg', 'tail', 'neck', 'head', 'ear')),
    pipe=Category(abstract.pipe, ('branch', 'pipe', 'flange')),
    potted_plant=Category(plants.potted_plant, ('pot', 'leaves', 'stem')),
    rabbit=Category(animals.BUILDERS['rabbit'], ('body', 'leg', 'tail', 'neck', 'head', 'ear')),
    rhinoceros=Category(
        animals.BUILDERS['rhinoceros'], ('body', 'leg', 'tail', 'neck', 'head', 'ear', 'horn')
    ),
    sculpture=Category(abstract.sculpture, ('body',)),
    shark=Category(sea_life.shark, ('body', 'tail', 'fin')),
    sheep=Category(
        animals.BUILDERS['sheep'], ('body', 'leg', 'tail', 'neck', 'head', 'ear', 'horn', 'wool')
    ),
    skull=Category(creatures.skull, ('cranium', 'face', 'jaw', 'teeth')),
    snake=Category(wildlife.snake, ('body', 'head')),
    spider=Category(insects.spider, ('abdomen', 'thorax', 'leg', 'jaw')),
    spring=Category(abstract.spring, ('coil', 'end')),
    star=Category(abstract.star, ('body',)),
    star_polyhedron=Category(abstract.star_polyhedron, ('body',)),
    superquadric=Category(abstract.superquadric, ('body',)),
    teddy_bear=Category(creatures.teddy_bear, ('body', 'leg', 'arm', 'head', 'muzzle', 'ear')),
    tree=Category(plants.tree, ('trunk', 'leaves')),
    turtle=Category(sea_life.turtle, ('shell', 'belly', 'head', 'tail', 'leg')),
    twisted_column=Category(abstract.twisted_column, ('column', 'base')),
    wavy_sheet=Category(abstract.wavy_sheet, ('sheet',)),
)


def part_table() -> tuple[dict[str, tuple[int, ...]], tuple[str, ...]]:
    """Global part ids of each category, and the name of each id."""
    table, names = {}, []
    for name, category in CATEGORIES.items():
        first = len(names)
        names += [f'{name} {part}' for part in category.parts]
        table[name] = tuple(range(first, len(names)))
    return table, tuple(names)
