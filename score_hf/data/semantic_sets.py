"""What a result on each semantic set means: its classes, and which pixels and names count.

The paper evaluates on FLAIR, FAST, Potsdam and FloodNet "following the evaluation settings in
[60]", which is GSNet (supplement A.2); the authors' code (commit 562cb5d) registers instance sets
only. So what counts is taken from GSNet's code (github.com/yecy749/GSNet, commit aca7224), and it
is not known whether SCORE's own evaluation differed: which names or synonyms it gave to the text
tower, at which size it read the images, and whether it scored Potsdam's clutter, which Table C
lists as a sixth category though GSNet ignores it.
"""

from dataclasses import dataclass

from .categories import FAST as FAST_NAMES

_LANDDISCOVER_NAMES = (
    "background", "bare land", "grass", "pavement", "road", "tree", "water", "agriculture land",
    "buildings", "forest land", "barren land", "urban land", "large-vehicle", "swimming-pool",
    "helicopter", "bridge", "plane", "ship", "soccer-ball-field", "basketball-court",
    "ground-track-field", "small-vehicle", "baseball-diamond", "tennis-court", "roundabout",
    "storage-tank", "harbor", "container-crane", "airport", "helipad", "chimney",
    "expressway service area", "expresswalltoll station", "dam", "golf field", "overpass",
    "stadium", "train station", "vehicle", "windmill",
)  # fmt: skip
_FLAIR_NAMES = (
    "building", "pervious surface", "impervious surface", "bare soil", "water", "coniferous",
    "deciduous", "brushwood", "vineyard", "herbaceous vegetation", "agricultural land",
    "plowed land",
)  # fmt: skip
_FLOODNET_NAMES = (
    "Building-Flooded", "Building-Non-Flooded", "Road-Flooded", "Road-Non-Flooded", "Water",
    "Tree", "Vehicle", "Pool", "Grass",
)  # fmt: skip


@dataclass(frozen=True)
class SemanticSet:
    """A semantic set as `score-hf prepare` writes it and as its result is to be computed.

    The mean IoU is over all pixels of the split whose label is not 255, and over those classes
    that occur in the truth, as detectron2's evaluator does for GSNet; a pixel that is ignored
    counts for no class, whatever is predicted there.

    Attributes:
        name: Of the set, as in the summary that `score-hf prepare` writes.
        title: In the paper's Table A.
        split: That the paper evaluates (or trains on), as `score-hf prepare` calls it.
        class_names: Classes that count, in the order of the labels that are written. Cleaned as
            the processor does (lower case, `-` and `_` to blanks) they are the paper's Table C.
        unscored_names: Classes of the files whose pixels become 255, unless asked for otherwise.
        unscored_in_vocabulary: Whether GSNet's text tower gets these names all the same, so that
            its model can predict them where another class is right.
        paper_images: Number of images that the paper states.
        paper_classes: Number of categories that the paper states (Table C).
    """

    name: str
    title: str
    split: str
    class_names: tuple[str, ...]
    unscored_names: tuple[str, ...]
    unscored_in_vocabulary: bool
    paper_images: int
    paper_classes: int

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Names that the text tower gets in GSNet's evaluation, those that count first."""
        return self.class_names + (self.unscored_names if self.unscored_in_vocabulary else ())

    @property
    def all_names(self) -> tuple[str, ...]:
        """Names of the classes when those that do not count are kept."""
        return self.class_names + self.unscored_names


# Table C's spelling of class 32, "expresswalltoll station", is GSNet's: prompts must keep it to
# give the text embeddings of its weights. GSNet registers 0 as the ignored label, but its loss
# ignores 255 only: background is trained as a class, and stays one here.
LANDDISCOVER = SemanticSet(
    name="landdiscover",
    title="LandDiscover50K",
    split="train",
    class_names=_LANDDISCOVER_NAMES,
    unscored_names=(),
    unscored_in_vocabulary=False,
    paper_images=51_846,
    paper_classes=40,
)

# IGN's README counts 13 classes ("other" included) or 19, and its configuration scores 15 of the
# 19: those results do not compare with these over 12.
FLAIR = SemanticSet(
    name="flair",
    title="FLAIR",
    split="test",
    class_names=_FLAIR_NAMES,
    unscored_names=("other",),
    unscored_in_vocabulary=False,
    paper_images=15_700,
    paper_classes=12,
)

# The labels are SAM's, made from boxes, not drawn by hand; pixels outside all boxes are 255.
FAST = SemanticSet(
    name="samrs-fast",
    title="FAST",
    split="val",
    class_names=FAST_NAMES,
    unscored_names=(),
    unscored_in_vocabulary=False,
    paper_images=3_207,
    paper_classes=37,
)

# 5,472 is what all 38 tiles give, 144 patches each; GSNet's folder is named `val`.
POTSDAM = SemanticSet(
    name="potsdam",
    title="Potsdam",
    split="whole",
    class_names=("impervious surface", "building", "low vegetation", "tree", "car"),
    unscored_names=("clutter",),
    unscored_in_vocabulary=False,
    paper_images=5_472,
    paper_classes=6,
)

# GSNet scores the 450 validation and 448 test images together.
FLOODNET = SemanticSet(
    name="floodnet",
    title="FloodNet",
    split="val_test",
    class_names=_FLOODNET_NAMES,
    unscored_names=("Background",),
    unscored_in_vocabulary=True,
    paper_images=898,
    paper_classes=9,
)

# In the order of Table A.
EVALUATED = (FLAIR, FAST, POTSDAM, FLOODNET)
