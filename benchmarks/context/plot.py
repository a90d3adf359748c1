"""The results as a picture."""

from typing import Any

from matplotlib.figure import Figure

from ..drawing import as_svg
from ..spread import mean_and_spread
from .tables import FIGURES, select

METHODS = ("baseline", "rai", "gca", "score", "tokens", "rai-tokens", "joint", "joint-tokens")
PANELS = ("AP", "right by surroundings", "right by sensor")


def draw_plot(results: dict[str, Any]) -> str:
    """Draws a panel for each of `PANELS`: figures over the share of ambiguous objects.

    Args:
        results: As they are stored.

    Returns:
        The SVG document.
    """
    shares = sorted({one["share"] for one in results["cells"]})
    picture = Figure(figsize=(11, 3.2), layout="constrained")
    panels = picture.subplots(1, len(PANELS))
    for panel, figure in zip(panels, PANELS, strict=True):
        panel.set_title(f"{figure}, %")
        panel.set_xlabel("share of ambiguous objects")
        panel.set_ylim(0, 100)
        panel.grid(alpha=0.3)
        for number, method in enumerate(METHODS):
            known = [
                (share, *summary)
                for share in shares
                if (summary := _summary(results, method, share, figure))
            ]
            if known:
                x, y, spread = zip(*known, strict=True)
                panel.errorbar(
                    x,
                    [100 * middle for middle in y],
                    [100 * (one or 0.0) for one in spread],
                    color=f"C{number}",
                    marker="o",
                    markersize=3,
                    label=method,
                )
    handles, labels = panels[0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside right center")
    return as_svg(picture)


def _summary(
    results: dict[str, Any], method: str, share: float, figure: str
) -> tuple[float, float | None] | None:
    return mean_and_spread([FIGURES[figure](cell) for cell in select(results, method, share)])
