"""Tables 1 to 6 and A of the paper: rows, columns and numbers as they are printed.

The averages are printed numbers too. Two of them are not the mean of their row: SCORE trained on
SIOR (32.59, the mean is 32.58) and GCA alone trained on SIOR (31.43, the mean is 31.38). Tables 3
and 6 give one experiment, SkyCLIP with the general CLIP on FAST, as 12.43 and 12.42.
"""

from dataclasses import dataclass
from typing import Literal

Ensemble = Literal["general", "context"]


@dataclass(frozen=True)
class Variant:
    """How this package gets the numbers of a row.

    Args:
        suffix: What follows the training set in the recipe's name; none is SCORE itself.
        weights: Which remote-sensing CLIP the training starts with.
        out_of_vocabulary: Which CLIP scores classes out of vocabulary.
    """

    suffix: str = ""
    weights: str = "remoteclip"
    out_of_vocabulary: Ensemble = "general"


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Args:
        head: What names it.
        printed: The paper's numbers in percent, one a column.
        variant: How to repeat it; None for a method of others, which is shown only.
    """

    head: tuple[str, ...]
    printed: tuple[float, ...]
    variant: Variant | None = None


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        trained_on: Name of the training set.
        tested_on: Name of the set that is tested; None is the average over the training set's.
    """

    trained_on: str
    tested_on: str | None


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper.

    Args:
        number: "1" to "6" or "A".
        caption: Its title.
        row_heads: What the heads of the rows are.
        columns: Its columns.
        rows: Its rows.
        metric: The figure of an evaluation that it shows.
        names_training: Whether training sets stand above the columns.
    """

    number: str
    caption: str
    row_heads: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    metric: Literal["AP", "mIoU"] = "AP"
    names_training: bool = False


def _columns(trained_on: str, *tested_on: str | None) -> tuple[Column, ...]:
    return tuple(Column(trained_on, name) for name in tested_on)


_FROM_ISAID = _columns("isaid", "nwpu", "sota", "fast", "sior")
_BOTH = (
    *_columns("isaid", "nwpu", "sota", "fast", "sior", None),
    *_columns("sior", "nwpu", "sota", "fast", "isaid", None),
)
_SCORE = (67.59, 42.57, 13.67, 30.90)
_SCORE_BOTH = (*_SCORE, 38.68, 69.17, 23.68, 10.33, 27.15, 32.59)

_TABLES = (
    PaperTable(
        "1",
        "Comparison with SOTA methods on open-vocabulary remote sensing instance segmentation",
        ("Method",),
        _BOTH,
        (
            Row(
                ("ODISE",),
                (36.40, 13.91, 4.65, 13.68, 17.16, 41.77, 12.3, 5.88, 12.68, 18.16),
            ),
            Row(
                ("FC-CLIP",),
                (60.67, 33.62, 11.88, 26.79, 33.24, 60.69, 19.84, 8.67, 22.24, 27.86),
            ),
            Row(("MAFT+",), (35.32, 6.63, 5.52, 9.84, 14.33, 39.99, 7.77, 5.92, 9.63, 15.83)),
            Row(
                ("ZoRI",),
                (62.06, 30.02, 12.65, 26.27, 32.75, 59.77, 20.26, 9.58, 23.46, 28.27),
            ),
            Row(("SCORE (Ours)",), _SCORE_BOTH, Variant()),
        ),
        names_training=True,
    ),
    PaperTable(
        "2",
        "Component analysis of SCORE",
        ("RAI", "GCA"),
        _BOTH,
        (
            Row(
                ("✗", "✗"),
                (58.59, 36.44, 11.56, 26.43, 33.25, 61.02, 20.85, 9.14, 22.44, 28.36),
                Variant("baseline"),
            ),
            Row(
                ("✓", "✗"),
                (66.32, 39.55, 12.85, 28.91, 36.91, 68.47, 21.28, 9.70, 25.16, 31.15),
                Variant("rai"),
            ),
            Row(
                ("✗", "✓"),
                (67.21, 38.14, 12.37, 28.96, 36.67, 69.07, 22.05, 9.79, 24.61, 31.43),
                Variant("gca"),
            ),
            Row(("✓", "✓"), _SCORE_BOTH, Variant()),
        ),
        names_training=True,
    ),
    PaperTable(
        "3",
        "Ablation study: VLMs for scene context extraction",
        ("VLM",),
        _FROM_ISAID,
        (
            Row(("CLIP",), (64.03, 38.74, 11.42, 28.11), Variant(weights="clip")),
            Row(("SkyCLIP",), (65.04, 33.57, 12.43, 28.96), Variant(weights="skyclip")),
            Row(("GeoRSCLIP",), (64.72, 39.33, 12.56, 28.13), Variant(weights="georsclip")),
            Row(("RemoteCLIP",), _SCORE, Variant()),
        ),
    ),
    PaperTable(
        "4",
        "Ablation study: choice of context in RAI",
        ("Choice of Context",),
        _FROM_ISAID,
        (
            Row(("[CLS] token",), (67.06, 40.35, 12.58, 29.07), Variant("cls")),
            Row(("Patch embeddings",), (66.14, 37.95, 12.60, 28.97), Variant("intermediate")),
            Row(("Regional context",), _SCORE, Variant()),
        ),
    ),
    PaperTable(
        "5",
        "Ablation study: adaptation methods in GCA",
        ("Method",),
        _FROM_ISAID,
        (
            Row(("w/o injection",), (66.32, 39.55, 12.85, 28.91), Variant("rai")),
            Row(("add",), (65.72, 39.89, 11.11, 29.86), Variant("add")),
            Row(("concat",), (47.53, 15.51, 1.74, 18.23), Variant("concat")),
            Row(("MHA",), _SCORE, Variant()),
        ),
    ),
    PaperTable(
        "6",
        "Ablation study: open-vocabulary classification",
        ("Context VLM", "OV VLM"),
        _FROM_ISAID,
        (
            Row(
                ("SkyCLIP", "SkyCLIP"),
                (64.57, 32.49, 12.44, 27.22),
                Variant(weights="skyclip", out_of_vocabulary="context"),
            ),
            Row(("SkyCLIP", "CLIP"), (65.04, 33.57, 12.42, 28.96), Variant(weights="skyclip")),
            Row(
                ("GeoRSCLIP", "GeoRSCLIP"),
                (63.67, 38.76, 12.55, 27.15),
                Variant(weights="georsclip", out_of_vocabulary="context"),
            ),
            Row(("GeoRSCLIP", "CLIP"), (64.72, 39.33, 12.56, 28.13), Variant(weights="georsclip")),
            Row(
                ("RemoteCLIP", "RemoteCLIP"),
                (66.05, 40.26, 11.65, 29.43),
                Variant(out_of_vocabulary="context"),
            ),
            Row(("RemoteCLIP", "CLIP"), _SCORE, Variant()),
        ),
    ),
    PaperTable(
        "A",
        "Comparison with SOTA methods on open-vocabulary remote sensing semantic segmentation",
        ("Method",),
        _columns("landdiscover", "flair", "fast_semantic", "potsdam", "floodnet", None),
        (
            Row(("CAT-SEG",), (19.71, 15.55, 39.57, 35.91, 27.69)),
            Row(("GSNet",), (18.35, 15.21, 43.29, 37.68, 28.63)),
            Row(("SCORE (Ours)",), (29.33, 21.51, 26.51, 41.70, 29.76), Variant()),
        ),
        metric="mIoU",
        names_training=True,
    ),
)

TABLES = {table.number: table for table in _TABLES}
