"""What published checkpoints were trained on: class names and prompts, of which none are stored.

FC-CLIP (Yu et al., NeurIPS 2023) trained on COCO's 133 panoptic classes under names with synonyms
and in ViLD's prompts. SCORE trained on iSAID or SIOR under the names of their annotation files.
"""

# ViLD's sentences, of which FC-CLIP takes these 14; some end without a full stop.
VILD_TEMPLATES = (
    "a photo of a {}.",
    "This is a photo of a {}",
    "There is a {} in the scene",
    "There is the {} in the scene",
    "a photo of a {} in the scene",
    "a photo of a small {}.",
    "a photo of a medium {}.",
    "a photo of a large {}.",
    "This is a photo of a small {}.",
    "This is a photo of a medium {}.",
    "This is a photo of a large {}.",
    "There is a small {} in the scene.",
    "There is a medium {} in the scene.",
    "There is a large {} in the scene.",
)


def _classes(table: str) -> tuple[str, ...]:
    """Reads one class a line."""
    return tuple(table.strip().splitlines())


# In the order of COCO's category ids: 80 things, then 53 kinds of stuff.
COCO_THINGS = _classes(
    """
person, child, girl, boy, woman, man, people, children, girls, boys, women, men, lady, guy, ladies, guys, clothes
bicycle, bicycles, bike, bikes
car, cars
motorcycle, motorcycles
airplane, airplanes
bus, buses
train, trains, locomotive, locomotives, freight train
truck, trucks
boat, boats
traffic light
fire hydrant
stop sign
parking meter
bench, benches
bird, birds
cat, cats, kitties, kitty
dog, dogs, puppy, puppies
horse, horses, foal
sheep
cow, cows, calf
elephant, elephants
bear, bears
zebra, zebras
giraffe, giraffes
backpack, backpacks
umbrella, umbrellas
handbag, handbags
tie
suitcase, suitcases
frisbee
skis
snowboard
sports ball
kite, kites
baseball bat
baseball glove
skateboard
surfboard
tennis racket
bottle, bottles, water bottle
wine glass, wine glasses, wineglass
cup, cups, water cup, water glass
fork, forks
knife, knives
spoon, spoons
bowl, bowls
banana, bananas
apple, apples, apple fruit
sandwich, sandwiches
orange fruit
broccoli
carrot, carrots
hot dog
pizza
donut, donuts
cake, cakes
chair, chairs
couch, sofa, sofas
potted plant, potted plants, pottedplant, pottedplants, planter, planters
bed, beds
dining table, dining tables, diningtable, diningtables, plate, plates, diningtable tablecloth
toilet
tv
laptop
mouse
tv remote, remote control
keyboard
cell phone, mobile
microwave
oven, ovens
toaster
sink, sinks
refrigerator, fridge
book, books
clock
vase, vases
scissor, scissors
teddy bear, teddy bears
hair drier
toothbrush, toothbrushes
"""  # noqa: E501
)
COCO_STUFF = _classes(
    """
banner, banners
blanket, blankets
bridge
cardboard
counter
curtain, curtains
door, doors
wood floor
flower, flowers
fruit, fruits
gravel
house
lamp, bulb, lamps, bulbs
mirror
tennis net
pillow, pillows
platform
playingfield, tennis court, baseball field, soccer field, tennis field
railroad
river
road
roof
sand
sea, sea wave, wave, waves
shelf
snow
stairs
tent
towel
brick wall
stone wall
tile wall
wood wall
water
window blind
window
tree, trees, palm tree, bushes
fence, fences
ceiling
sky, clouds
cabinet, cabinets
table
floor, flooring, tile floor
pavement
mountain, mountains
grass
dirt
paper
food
building, buildings
rock
wall, walls
rug
"""
)
ISAID_CLASSES = _classes(
    """
ship
storage_tank
baseball_diamond
tennis_court
basketball_court
Ground_Track_Field
Bridge
Large_Vehicle
Small_Vehicle
Helicopter
Swimming_pool
Roundabout
Soccer_ball_field
plane
Harbor
"""
)
SIOR_CLASSES = _classes(
    """
airplane
airport
baseball field
basketball court
bridge
chimney
expressway-service-area
expressway-toll-station
dam
golffield
ground track field
harbor
overpass
ship
stadium
storage tank
tennis court
train station
vehicle
windmill
"""
)

# By the beginning of detectron2's name of the data set.
VOCABULARIES = {
    "openvocab_coco_2017": COCO_THINGS + COCO_STUFF,
    "isaid": ISAID_CLASSES,
    "sior": SIOR_CLASSES,
}


def vocabulary_of(dataset: str) -> tuple[str, ...] | None:
    """Finds the classes of a data set by detectron2's name of it.

    Args:
        dataset: For example "isaid_train_instance".

    Returns:
        One item a class, a comma inside an item separates synonyms; None if it is not known.
    """
    matching = (names for start, names in VOCABULARIES.items() if dataset.startswith(start))
    return next(matching, None)


def vocabulary_of_size(classes: int) -> tuple[str, ...] | None:
    """Finds the vocabulary of so many classes; each published one has another number.

    Args:
        classes: Number of classes, without "no object".

    Returns:
        As `vocabulary_of`.
    """
    return next((names for names in VOCABULARIES.values() if len(names) == classes), None)
