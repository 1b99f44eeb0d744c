"""The categories of ``ToyShapes``: builder and part names of each."""

from collections.abc import Callable
from typing import NamedTuple

from . import (
    abstract,
    animals,
    arms,
    bath,
    buildings,
    craft,
    creatures,
    fittings,
    furniture,
    household,
    insects,
    personal,
    plants,
    play,
    sea_life,
    ships,
    structures,
    things,
    tools,
    vehicles,
    wildlife,
)


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
    sailboat=Category(ships.sailboat, ('hull', 'house', 'mast', 'sail', 'keel')),
    ship=Category(ships.ship, ('hull', 'house', 'funnel', 'mast', 'gun', 'load', 'sail')),
    spaceship=Category(craft.spaceship, ('hull', 'engine', 'wing', 'cockpit')),
    submarine=Category(ships.submarine, ('hull', 'tower', 'periscope', 'fin', 'screw')),
    tank=Category(vehicles.tank, ('track', 'hull', 'turret', 'barrel')),
    tractor=Category(vehicles.tractor, ('body', 'wheel', 'cab', 'exhaust', 'arm')),
    train=Category(vehicles.train, ('body', 'cab', 'chimney', 'wheel')),
    truck=Category(vehicles.truck, ('cab', 'frame', 'cargo', 'wheel')),
    wheel=Category(vehicles.wheel, ('rim', 'spoke', 'hub')),
    # kitchen, bath and office
    bathtub=Category(bath.bathtub, ('tub', 'tap', 'foot')),
    curtain=Category(bath.curtain, ('cloth', 'rail', 'tie')),
    door=Category(bath.door, ('leaf', 'handle', 'panel', 'frame')),
    dresser=Category(fittings.dresser, ('body', 'top', 'leg', 'drawer', 'handle', 'mirror')),
    ladder=Category(fittings.ladder, ('rail', 'rung')),
    microwave=Category(fittings.microwave, ('body', 'panel', 'key', 'door', 'handle', 'foot')),
    monitor=Category(fittings.monitor, ('stand', 'screen', 'frame', 'speaker')),
    office_chair=Category(fittings.office_chair, ('leg', 'wheel', 'seat', 'back', 'arm')),
    oven=Category(fittings.oven, ('body', 'burner', 'door', 'handle', 'knob', 'panel')),
    refrigerator=Category(fittings.refrigerator, ('body', 'door', 'handle', 'shelf')),
    sink=Category(bath.sink, ('bowl', 'stand', 'tap')),
    stairs=Category(fittings.stairs, ('step', 'post', 'rail')),
    stool=Category(fittings.stool, ('seat', 'leg', 'rung')),
    toilet=Category(bath.toilet, ('base', 'bowl', 'seat', 'tank', 'lid')),
    wardrobe=Category(fittings.wardrobe, ('body', 'leg', 'door', 'handle', 'shelf', 'drawer')),
    wastebasket=Category(bath.wastebasket, ('body', 'rim', 'pedal', 'lid', 'handle', 'wheel')),
    window=Category(bath.window, ('frame', 'pane', 'bar', 'sill', 'shutter')),
    # small things
    book=Category(personal.book, ('cover', 'page')),
    camera=Category(personal.camera, ('body', 'lens', 'finder', 'button', 'tripod', 'grip')),
    candelabra=Category(household.candelabra, ('base', 'stem', 'arm', 'cup', 'candle')),
    clock=Category(personal.clock, ('case', 'hand', 'crown', 'foot', 'bell', 'strap')),
    crate=Category(household.crate, ('body', 'post', 'lid', 'handle')),
    eyeglasses=Category(personal.eyeglasses, ('frame', 'bridge', 'temple', 'lens')),
    flashlight=Category(personal.flashlight, ('barrel', 'head', 'switch', 'lens', 'handle')),
    goblet=Category(household.goblet, ('foot', 'stem', 'bowl', 'handle')),
    hat=Category(personal.hat, ('crown', 'brim', 'band')),
    iron=Category(household.iron, ('sole', 'body', 'handle', 'dial')),
    keyboard=Category(personal.keyboard, ('base', 'key', 'mouse')),
    pot=Category(household.pot, ('body', 'handle', 'lid')),
    shoe=Category(personal.shoe, ('sole', 'heel', 'upper', 'lace')),
    teapot=Category(household.teapot, ('body', 'lid', 'spout', 'handle')),
    telephone=Category(personal.telephone, ('body', 'key', 'receiver')),
    umbrella=Category(personal.umbrella, ('canopy', 'rib', 'shaft', 'grip')),
    # tools and weapons
    axe=Category(tools.axe, ('handle', 'head', 'blade')),
    bolt=Category(tools.bolt, ('head', 'shaft', 'thread', 'nut')),
    cannon=Category(arms.cannon, ('barrel', 'axle', 'wheel', 'trail', 'shield')),
    gear=Category(tools.gear, ('tooth', 'rim', 'hub', 'shaft')),
    hammer=Category(tools.hammer, ('handle', 'head', 'claw')),
    handgun=Category(arms.handgun, ('grip', 'frame', 'barrel', 'trigger', 'cylinder')),
    hook=Category(tools.hook, ('hook', 'shaft', 'plate', 'bar', 'eye')),
    knife=Category(tools.knife, ('handle', 'bolster', 'blade')),
    pliers=Category(tools.pliers, ('joint', 'jaw', 'handle')),
    rifle=Category(
        arms.rifle, ('frame', 'barrel', 'stock', 'grip', 'trigger', 'magazine', 'scope', 'bipod')
    ),
    scissors=Category(tools.scissors, ('screw', 'blade', 'handle')),
    screwdriver=Category(tools.screwdriver, ('handle', 'shaft', 'tip')),
    shovel=Category(tools.shovel, ('shaft', 'blade', 'handle')),
    sword=Category(tools.sword, ('handle', 'pommel', 'guard', 'blade')),
    wrench=Category(tools.wrench, ('handle', 'jaw', 'screw')),
    # buildings and structures
    bridge=Category(structures.bridge, ('deck', 'arch', 'pier', 'rail', 'truss', 'tower', 'cable')),
    castle=Category(buildings.castle, ('tower', 'wall', 'battlement', 'gate', 'roof')),
    church=Category(buildings.church, ('nave', 'roof', 'tower', 'spire', 'door', 'cross')),
    crane=Category(structures.crane, ('base', 'mast', 'jib', 'weight', 'cab', 'rope', 'hook')),
    fence=Category(structures.fence, ('post', 'rail', 'picket')),
    gate=Category(structures.gate, ('post', 'arch', 'beam', 'leaf')),
    gazebo=Category(structures.gazebo, ('floor', 'post', 'roof', 'well', 'rail')),
    house=Category(buildings.house, ('wall', 'window', 'roof', 'door', 'chimney', 'post')),
    lighthouse=Category(
        buildings.lighthouse, ('tower', 'gallery', 'lantern', 'roof', 'base', 'house')
    ),
    skyscraper=Category(buildings.skyscraper, ('tower', 'spire', 'base', 'band', 'roof')),
    temple=Category(buildings.temple, ('base', 'column', 'beam', 'roof', 'hall')),
    tent=Category(structures.tent, ('cloth', 'pole', 'rope')),
    windmill=Category(buildings.windmill, ('tower', 'cap', 'sail', 'door', 'gallery')),
    # games, music, machines
    chandelier=Category(play.chandelier, ('canopy', 'cord', 'arm', 'light', 'body', 'shade')),
    chess_piece=Category(play.chess_piece, ('base', 'body', 'collar', 'head')),
    drum=Category(play.drum, ('shell', 'hoop', 'lug', 'leg', 'cymbal')),
    fan=Category(play.fan, ('blade', 'motor', 'cage', 'pole', 'base')),
    horn=Category(play.horn, ('bell', 'tube', 'mouthpiece', 'valve')),
    piano=Category(play.piano, ('body', 'key', 'leg', 'lid', 'pedal', 'stool')),
    robot=Category(play.robot, ('body', 'head', 'eye', 'antenna', 'arm', 'hand', 'leg', 'foot')),
    satellite=Category(play.satellite, ('body', 'panel', 'boom', 'dish', 'aerial')),
    wheelbarrow=Category(play.wheelbarrow, ('tray', 'wheel', 'handle', 'leg')),
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
