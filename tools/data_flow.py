"""Draws `docs/assets/data_flow.svg`, the way of a picture and of class names through SCORE.

`python -m tools.data_flow` writes the file anew.
"""

# ruff: noqa: RUF001 (the paper's Greek letters and the sign of multiplication are meant)

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

OUTPUT = Path(__file__).parents[1] / "docs" / "assets" / "data_flow.svg"
WIDTH, HEIGHT = 900, 868
# Fill and outline.
KINDS = {
    "data": ("#ffffff", "#8a94a6"),
    "frozen": ("#e6e9ef", "#6b7689"),
    "trained": ("#dbe8fb", "#3b6fb6"),
    "computed": ("#fdf3dc", "#b98a1f"),
}
LEGEND = {
    "frozen": "published CLIPs, frozen",
    "trained": "trained",
    "computed": "computed from these",
}
INK, FAINT, PAPER = "#1d2430", "#4a5568", "#ffffff"


@dataclass(frozen=True)
class Box:
    """A part of the way.

    Args:
        left: Of the box, as all lengths in units of the picture.
        top: Of the box.
        kind: A key of `KINDS`.
        title: Its name.
        lines: What it does or holds, a line each.
        width: Of the box.
    """

    left: int
    top: int
    kind: str
    title: str
    lines: tuple[str, ...] = ()
    width: int = 256

    @property
    def height(self) -> int:
        """Of the box."""
        return 38 + 18 * len(self.lines)

    def draw(self) -> Iterator[str]:
        """Gives the elements of the box."""
        fill, stroke = KINDS[self.kind]
        middle = self.left + self.width / 2
        yield (
            f'<rect x="{self.left}" y="{self.top}" width="{self.width}" height="{self.height}" '
            f'rx="8" fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>'
        )
        yield _text(middle, self.top + 24, self.title, size=15, weight=600)
        for number, line in enumerate(self.lines, 1):
            yield _text(middle, self.top + 25 + 18 * number, line, color=FAINT)


@dataclass(frozen=True)
class Arrow:
    """A flow of data.

    Args:
        points: (x, y) of its corners, the last one at its head.
        label: What flows.
        label_at: (x, y) of the start of the label.
    """

    points: tuple[tuple[int, int], ...]
    label: str = ""
    label_at: tuple[int, int] = (0, 0)

    def draw(self) -> Iterator[str]:
        """Gives the elements of the arrow."""
        corners = " ".join(f"{x},{y}" for x, y in self.points)
        yield (
            f'<polyline points="{corners}" fill="none" stroke="{FAINT}" stroke-width="1.6" '
            'marker-end="url(#head)"/>'
        )
        if self.label:
            yield _text(*self.label_at, self.label, size=12, anchor="start", color=FAINT)


# Three columns: the general CLIP and the decoders, the scene's context, the names.
A, B, C = 26, 322, 618
BOXES = (
    Box(174, 20, "data", "picture"),
    Box(C, 20, "data", "class names"),
    Box(174, 92, "computed", "image processor", ("resize, normalise, pad to 32",)),
    Box(C, 92, "computed", "prompts", ("18 sentences a name, tokens",)),
    Box(
        A, 198, "frozen", "general trunk", ("ConvNeXt of a general CLIP", "maps at strides 4 to 32")
    ),
    Box(
        B,
        198,
        "frozen",
        "context trunk",
        ("ViT of a remote-sensing CLIP", "[CLS] and 16 × 16 patches"),
    ),
    Box(C, 198, "frozen", "text tower", ("of the general CLIP", "one row a name: T")),
    Box(A, 328, "trained", "pixel decoder", ("deformable attention", "mask features at stride 4")),
    Box(
        C,
        328,
        "trained",
        "Global Context Adaptation",
        ("moves the names by the scene", "T becomes T̂"),
    ),
    Box(
        A, 446, "trained", "mask decoder", ("9 layers, 300 queries", "a mask and an embedding each")
    ),
    Box(
        B,
        446,
        "trained",
        "Region-Aware Integration",
        ("adds the patches inside", "the widened mask"),
    ),
    Box(
        A,
        574,
        "computed",
        "out of vocabulary",
        ("the general trunk inside", "each mask, against T"),
    ),
    Box(B, 574, "computed", "in vocabulary", ("each class embedding", "against T̂ and void")),
    Box(
        A,
        692,
        "computed",
        "ensemble",
        ("weighs both: α for seen classes, β for others",),
        552,
    ),
    Box(
        A,
        786,
        "data",
        "instances",
        ("the 300 best pairs of query and class: mask, box, score, name",),
        552,
    ),
)
ARROWS = (
    Arrow(((302, 58), (302, 90))),
    Arrow(((746, 58), (746, 90))),
    Arrow(((240, 148), (240, 172), (154, 172), (154, 196))),
    Arrow(((364, 148), (364, 172), (450, 172), (450, 196))),
    Arrow(((746, 148), (746, 196))),
    Arrow(((154, 272), (154, 326))),
    Arrow(((746, 272), (746, 326)), "T", (754, 304)),
    Arrow(((520, 272), (520, 366), (616, 366)), "[CLS]", (530, 358)),
    Arrow(((450, 272), (450, 444)), "patches", (396, 310)),
    Arrow(((154, 402), (154, 444))),
    Arrow(((282, 484), (320, 484))),
    Arrow(((154, 520), (154, 572)), "masks", (162, 550)),
    Arrow(((450, 520), (450, 572))),
    Arrow(((746, 402), (746, 612), (580, 612)), "T̂", (754, 510)),
    Arrow(((26, 236), (12, 236), (12, 612), (24, 612))),
    Arrow(((154, 648), (154, 690))),
    Arrow(((450, 648), (450, 690))),
    Arrow(((302, 748), (302, 784))),
)


def draw() -> str:
    """Draws the picture.

    Returns:
        An SVG document.
    """
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" '
        'font-family="system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif">',
        "<title>The data flow of SCORE</title>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        f'markerHeight="8" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{FAINT}"/></marker>'
        "</defs>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="12" fill="{PAPER}"/>',
    ]
    for one in (*ARROWS, *BOXES):
        parts.extend(one.draw())
    for number, (kind, meaning) in enumerate(LEGEND.items()):
        top = 700 + 38 * number
        fill, stroke = KINDS[kind]
        parts.append(
            f'<rect x="{C + 30}" y="{top}" width="26" height="18" rx="4" fill="{fill}" '
            f'stroke="{stroke}" stroke-width="1.5"/>'
        )
        parts.append(_text(C + 66, top + 14, meaning, anchor="start", color=FAINT))
    return "\n".join((*parts, "</svg>", ""))


def _text(
    x: float,
    y: float,
    content: str,
    size: int = 13,
    weight: int = 400,
    anchor: str = "middle",
    color: str = INK,
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="{color}">{escape(content)}</text>'
    )


if __name__ == "__main__":
    OUTPUT.write_text(draw(), encoding="utf-8")
