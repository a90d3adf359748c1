"""The results as a picture, written as plain SVG."""

from typing import Any

from ..spread import mean_and_spread
from .tables import FIGURES, select

METHODS = ("baseline", "rai", "gca", "score", "tokens", "rai-tokens", "joint", "joint-tokens")
COLOURS = (
    "#777777", "#1f77b4", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#bcbd22",
)  # fmt: skip
PANELS = ("AP", "right by surroundings", "right by sensor")
WIDTH, HEIGHT, GAP, LEGEND = 220, 200, 60, 130


def draw_plot(results: dict[str, Any]) -> str:
    """Draws a panel for each of `PANELS`: figures over the share of ambiguous objects.

    Args:
        results: As they are stored.

    Returns:
        The SVG document.
    """
    width = len(PANELS) * (WIDTH + GAP) + LEGEND
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT + 80}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{HEIGHT + 80}" fill="white"/>',
    ]
    for number, figure in enumerate(PANELS):
        parts += _panel(results, figure, GAP + number * (WIDTH + GAP), 30)
    left, present = len(PANELS) * (WIDTH + GAP) + 20, {one["method"] for one in results["cells"]}
    shown = [one for one in zip(METHODS, COLOURS, strict=True) if one[0] in present]
    for place, (method, colour) in enumerate(shown):
        y = 40 + 18 * place
        parts.append(f'<line x1="{left}" y1="{y}" x2="{left + 22}" y2="{y}" {_pen(colour)}/>')
        parts.append(f'<text x="{left + 28}" y="{y + 4}">{method}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(results: dict[str, Any], figure: str, left: float, top: float) -> list[str]:
    bottom = top + HEIGHT
    parts = [f'<text x="{left}" y="{top - 10}" font-weight="bold">{figure}, %</text>']
    for percent in range(0, 101, 20):
        y = bottom - HEIGHT * percent / 100
        parts.append(f'<line x1="{left}" y1="{y}" x2="{left + WIDTH}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{percent}</text>')
    shares = sorted({one["share"] for one in results["cells"]})
    for share in shares:
        x = left + WIDTH * share
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{share:g}</text>')
    centre = left + WIDTH / 2
    label = "share of ambiguous objects"
    parts.append(f'<text x="{centre}" y="{bottom + 34}" text-anchor="middle">{label}</text>')
    for method, colour in zip(METHODS, COLOURS, strict=True):
        points = []
        for share in shares:
            cells = select(results, method, share)
            summary = mean_and_spread([FIGURES[figure](cell) for cell in cells])
            if summary is None:
                continue
            x, y = left + WIDTH * share, bottom - HEIGHT * summary[0]
            points.append(f"{x:.1f},{y:.1f}")
            reach = HEIGHT * (summary[1] or 0.0)
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>')
            parts.append(
                f'<line x1="{x:.1f}" y1="{y - reach:.1f}" x2="{x:.1f}" y2="{y + reach:.1f}" '
                f"{_pen(colour)}/>"
            )
        if points:
            parts.append(f'<polyline points="{" ".join(points)}" {_pen(colour)}/>')
    return parts


def _pen(colour: str) -> str:
    return f'fill="none" stroke="{colour}" stroke-width="1.5"'
