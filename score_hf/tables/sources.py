"""What the tables need beside this package: prepared sets and converted weights, by folder."""

from dataclasses import dataclass

from ..data import semantic_sets
from ..data.records import Kind
from ..data.semantic_sets import SemanticSet


@dataclass(frozen=True)
class DataFolder:
    """A prepared set below the folder of all sets.

    Args:
        title: What the paper calls it.
        kind: Whether it has objects or label images.
        command: What makes it: the name and the options of `score-hf prepare`.
        train_split: The split that is trained on, if any is.
        test_split: The split that is tested, if any is.
        extra_names: Names that the model can answer with and that are always wrong.
    """

    title: str
    kind: Kind
    command: str
    train_split: str | None = None
    test_split: str | None = None
    extra_names: tuple[str, ...] = ()


# One command makes all five of the authors' release.
_RELEASE = "score --root RAW --output {root}"


def _labelled(title: SemanticSet, command: str) -> DataFolder:
    extra = title.unscored_names if title.unscored_in_vocabulary else ()
    return DataFolder(
        title.title,
        "semantic",
        f"{command} --output {{folder}}",
        test_split=title.split,
        extra_names=extra,
    )


DATA_FOLDERS = {
    "isaid": DataFolder("iSAID", "instance", _RELEASE, "train", "val"),
    "sior": DataFolder("SIOR", "instance", _RELEASE, "train", "val"),
    "nwpu": DataFolder("NWPU", "instance", _RELEASE, test_split="val"),
    "sota": DataFolder("SOTA", "instance", _RELEASE, test_split="val"),
    "fast": DataFolder("FAST", "instance", _RELEASE, test_split="val"),
    "landdiscover": DataFolder(
        "LandDiscover50K", "semantic", "landdiscover --root RAW --output {folder}", "train"
    ),
    "flair": _labelled(semantic_sets.FLAIR, "flair --root RAW"),
    "fast_semantic": _labelled(
        semantic_sets.FAST, "samrs --root RAW --subset fast --semantic --split val"
    ),
    "potsdam": _labelled(semantic_sets.POTSDAM, "potsdam --root RAW"),
    "floodnet": _labelled(semantic_sets.FLOODNET, "floodnet --root RAW"),
}

# Options of `score-hf convert` for each pair of the general CLIP and a remote-sensing one, all
# ViT-L/14, with the text tower that Table 6 needs.
_PAIRS = {
    "remoteclip": "",
    "georsclip": "--context ViT-L-14 --context-weights "
    "hf-hub:Zilun/GeoRSCLIP/ckpt/RS5M_ViT-L-14.pt ",
    "skyclip": "--context ViT-L-14 --context-weights SkyCLIP_ViT_L14_top50pct.zip ",
    "clip": "--context ViT-L-14 --context-weights openai ",
}
WEIGHT_FOLDERS = {
    name: f"score-hf convert {options}--out-of-vocabulary context -o {{folder}}"
    for name, options in _PAIRS.items()
}

# Weights of the out-of-vocabulary scores (seen, other classes) in the authors' scripts
# `eval_isaid.sh` and `eval_sior.sh`, by training and test set. They are of SCORE itself; whether
# variants had others is not known.
AUTHORS_ENSEMBLE = {
    ("isaid", "nwpu"): (0.4, 0.4),
    ("isaid", "sota"): (0.0, 0.4),
    ("isaid", "fast"): (0.2, 0.2),
    ("isaid", "sior"): (0.4, 0.4),
    ("sior", "nwpu"): (0.2, 0.6),
    ("sior", "sota"): (0.0, 0.2),
    ("sior", "fast"): (0.2, 0.4),
    ("sior", "isaid"): (0.2, 0.2),
}
# Of Table A no script is published: here what the authors' code measures with while it trains.
OWN_ENSEMBLE = (0.4, 0.8)
