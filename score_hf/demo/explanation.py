"""Why an object has its class: the three probabilities, and the region that was looked at."""

from dataclasses import dataclass
from html import escape

import numpy as np
import torch
from PIL import Image, ImageDraw

from ..processing.predictions import MASK_STRIDE
from .found import Ensemble, FoundObject, StoredResult
from .views import display_picture, display_size, outline

_LISTED = 5
_UNSEEN_CELL = 0.6


@dataclass(frozen=True)
class ClassScore:
    """How one class scores for an object.

    Args:
        label: Index of the class.
        inside: In-vocabulary probability among the classes.
        outside: Out-of-vocabulary probability among the classes.
        mixed: Probability after the ensemble, "no object" being possible too.
        weight: How much the out-of-vocabulary score counts: alpha or beta.
    """

    label: int
    inside: float
    outside: float
    mixed: float
    weight: float


def score_classes(
    result: StoredResult, ensemble: Ensemble, query: int
) -> tuple[list[ClassScore], float]:
    """Scores every class for an object.

    Args:
        result: The stored result.
        ensemble: How scores are mixed.
        query: The query that found the object.

    Returns:
        The scores in the order of the classes, and the probability that there is no object.
    """
    network = result.network
    in_logits = torch.from_numpy(network.in_logits[query])
    out_logits = torch.from_numpy(network.out_logits[ensemble.trunk][query])
    mixed = result.class_logits(ensemble)[query].softmax(-1).tolist()
    inside, outside = in_logits[:-1].softmax(-1).tolist(), out_logits[:-1].softmax(-1).tolist()
    return [
        ClassScore(
            label,
            inside[label],
            outside[label],
            mixed[label],
            ensemble.alpha if entry.seen else ensemble.beta,
        )
        for label, entry in enumerate(result.classes)
    ], mixed[-1]


def explain(result: StoredResult, ensemble: Ensemble, found: FoundObject, caption: str) -> str:
    """Explains the class of an object.

    Args:
        result: The stored result.
        ensemble: How scores are mixed.
        found: The object.
        caption: What the picture of its region shows.

    Returns:
        HTML: a sentence about the score, a table of the best classes, the caption.
    """
    scores, void = score_classes(result, ensemble, found.query)
    best = sorted(scores, key=lambda one: -one.mixed)[:_LISTED]
    if found.label not in {one.label for one in best}:
        best.append(scores[found.label])
    rows = "".join(
        f'<tr{_mark(one, found)}><th scope="row">{escape(result.classes[one.label].name)}</th>'
        f"{_cell(one.inside)}{_cell(one.outside)}{_cell(one.mixed)}"
        f'<td class="weight">{one.weight:.2f}</td></tr>'
        for one in best
    )
    name = escape(result.classes[found.label].name)
    quality = found.score / found.class_probability
    return (
        f'<div class="explanation"><h3>No. {found.number}: {name}</h3>'
        f"<p>Score {found.score:.3f} = class probability {found.class_probability:.3f} &times; "
        f"mean mask probability {quality:.3f}. Probability of no object: {void:.3f}.</p>"
        '<div class="scroll"><table><thead><tr><th scope="col">Class</th>'
        '<th scope="col">In vocabulary</th><th scope="col">Out of vocabulary</th>'
        '<th scope="col">Ensemble</th><th scope="col" class="weight">Weight</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        "<p><small>In vocabulary: the trained network; out of vocabulary: the frozen CLIP; both "
        "among the classes only. Ensemble: their geometric mean, in which the second counts by "
        "its weight (alpha for seen classes, beta for others), less the probability of no object."
        f"</small></p><p>{escape(caption)}</p></div>"
    )


def region_caption(result: StoredResult, found: FoundObject) -> str:
    """Tells what `draw_region` shows."""
    name = result.classes[found.label].name
    if result.network.regions is None:
        return f"The mask of no. {found.number}, {name}. This model looks at no region around it."
    rows, columns = result.network.regions.shape[1:]
    cells = int(result.network.regions[found.query].sum())
    if not cells:
        return (
            f"Region-Aware Integration saw nothing for no. {found.number}, {name}: no cell of the "
            f"{rows} x {columns} grid has its centre in the dilated mask. The line is its mask."
        )
    return (
        f"Where Region-Aware Integration looked for no. {found.number}, {name}: the bright cells, "
        f"{cells} of a grid of {rows} x {columns}, are its dilated mask. The line is its mask."
    )


def draw_region(result: StoredResult, found: FoundObject) -> Image.Image:
    """Draws the cells of the context's grid that Region-Aware Integration pooled for an object.

    Args:
        result: The stored result.
        found: The object.

    Returns:
        The picture at display size, dark outside of the region, its mask outlined.
    """
    picture, (height, width) = display_picture(result), display_size(result.size)
    regions = result.network.regions
    if regions is not None and regions[found.query].any():
        region = regions[found.query]
        bright = Image.new("L", picture.size)
        pen, lines = ImageDraw.Draw(bright), []
        vertical, horizontal = _cell_borders(result, height, width, region.shape)
        for row, column in zip(*np.nonzero(region), strict=True):
            # The grid lies over the padded input: cells may lie outside the picture.
            left, right = horizontal[column], horizontal[column + 1]
            top, bottom = vertical[row], vertical[row + 1]
            if left < width and top < height:
                pen.rectangle((left, top, right - 1, bottom - 1), fill=255)
                lines.append((left, top, right, bottom))
        dark = Image.blend(picture, Image.new("RGB", picture.size), _UNSEEN_CELL)
        dark.paste(picture, (0, 0), bright)
        for line in lines:
            ImageDraw.Draw(dark).rectangle(line, outline=(255, 255, 255))
        picture = dark
    return outline(picture, found.mask(result.size, (height, width)))


def _cell_borders(
    result: StoredResult, height: int, width: int, grid: tuple[int, ...]
) -> tuple[list[int], list[int]]:
    """Where on the display the borders between rows and between columns of the grid lie."""
    padded = [side * MASK_STRIDE for side in result.network.mask_logits.shape[1:]]
    borders = []
    for cells, length, inside, shown in zip(
        grid, padded, result.network.image_size, (height, width), strict=True
    ):
        step = length / cells * shown / inside
        borders.append([round(number * step) for number in range(cells + 1)])
    return borders[0], borders[1]


def _mark(score: ClassScore, found: FoundObject) -> str:
    return ' class="chosen"' if score.label == found.label else ""


def _cell(probability: float) -> str:
    return (
        f'<td><span class="bar" style="width: {probability * 4:.2f}em"></span>'
        f"{probability:.3f}</td>"
    )
