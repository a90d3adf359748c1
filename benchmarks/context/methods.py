"""What is compared: the rows of the paper's Tables 2, 4 and 5, and the variants of our own."""

from typing import Any

# Region context and global context of each method.
METHODS: dict[str, tuple[str, str]] = {
    "baseline": ("none", "none"),
    "rai": ("region", "none"),
    "gca": ("none", "attention"),
    "score": ("region", "attention"),
    "cls": ("cls", "attention"),
    "intermediate": ("intermediate", "attention"),
    "add": ("region", "add"),
    "concat": ("region", "concat"),
    "equation": ("region", "equation"),
    "tokens": ("none", "tokens"),
    "rai-tokens": ("region", "tokens"),
    "joint": ("joint", "none"),
    "joint-tokens": ("joint", "tokens"),
}

# Which rows stand together; a method that stands in several tables is trained once.
TABLES: dict[str, dict[str, str]] = {
    "Components (Table 2)": {
        "baseline": "neither",
        "rai": "RAI",
        "gca": "GCA",
        "score": "RAI and GCA",
    },
    "Context in RAI (Table 4), with GCA": {
        "cls": "[CLS] token",
        "intermediate": "patch tokens of an inner block",
        "score": "region",
    },
    "Method of GCA (Table 5), with RAI": {
        "rai": "none",
        "add": "add",
        "concat": "concat",
        "score": "attention, as in the authors' code",
        "equation": "equation 7, as printed",
    },
    "True attention (ours)": {
        "tokens": "classes over all tokens",
        "rai-tokens": "RAI, and classes over all tokens",
        "joint": "queries over one another",
        "joint-tokens": "both",
    },
}


def config_of(method: str) -> dict[str, Any]:
    """The fields of the configuration in which a method differs."""
    region, scene = METHODS[method]
    # Half of the blocks, as `isaid_intermediate` takes the twelfth of 24.
    return {"region_context": region, "global_context": scene, "intermediate_layer": 2}
