"""Plots as SVG documents that are the same whenever they are drawn."""

import io

import matplotlib
from matplotlib.figure import Figure


def as_svg(picture: Figure) -> str:
    """Writes a plot; text stays text, and neither time nor chance enters."""
    written = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "score-hf", "svg.fonttype": "none"}):
        picture.savefig(written, format="svg", metadata={"Date": None})
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines()) + "\n"
