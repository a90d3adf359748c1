"""What happens when a visitor does something: from values of components to values of components.

A visitor's result lives in the visitor's own state, which goes in and out; nothing is kept here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from PIL import Image

from ..inference import DEFAULT_THRESHOLD
from ..processing.predictions import check_count, check_fraction
from ..processing.prompts import shortened
from .engine import DemoEngine
from .errors import plain_errors
from .explanation import draw_region, explain, region_caption
from .files import api_answer, coco_results, file_name
from .found import (
    LOWEST_THRESHOLD,
    Ensemble,
    FoundObject,
    StoredResult,
    filter_objects,
    find_objects,
    object_at,
)
from .keeping import new_folder
from .tables import legend, object_choices, object_rows, tell, vocabulary_chips
from .views import (
    INSTANCES,
    Wish,
    display_picture,
    display_size,
    draw_full_size,
    draw_parts,
    highlight,
    make_parts,
)

_JPEG_QUALITY = 92
# Before the first, and when it was deleted: after an hour, or to make room for others.
_NO_RESULT = "There is no result here: segment a picture first."

# Values of components by their names; what is not there stays as it is.
Shown = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Visit:
    """What a visitor has.

    Args:
        result: The stored result.
        objects: All instances found in it, with the visitor's ensemble.
        ensemble: How scores were mixed.
        max_detections: How many instances there could be.
    """

    result: StoredResult
    objects: tuple[FoundObject, ...]
    ensemble: Ensemble
    max_detections: int

    def wish(self, view: str, threshold: float, shown: list[int]) -> Wish:
        """Puts together what the visitor wants to see."""
        return Wish(view, threshold, frozenset(shown), self.ensemble, self.max_detections)


class Handlers:
    """The events of the demo.

    Args:
        engine: The model that visitors share.
    """

    def __init__(self, engine: DemoEngine) -> None:
        self.engine = engine

    def show_vocabulary(self, text: str) -> str:
        """Shows back what was typed, or says what is wrong with it."""
        try:
            return vocabulary_chips(self.engine.read_vocabulary(text))
        except ValueError as error:
            return f'<p class="notice">{escape(str(error))}</p>'

    def segment_and_show(
        self,
        upload: str | None,
        text: str,
        view: str,
        threshold: float,
        alpha: float,
        beta: float,
        trunk: str,
        max_detections: int,
    ) -> Iterator[Shown]:
        """Segments a picture; between its steps a visitor can cancel."""
        with plain_errors():
            opened = self.engine.open(upload)
            vocabulary = self.engine.read_vocabulary(text)
            step = f"Reading {sum(len(one.synonyms) for one in vocabulary.classes)} names"
            yield {"status": f"{step} …", "cancel": gr.update(interactive=True)}
            classifier = self.engine.encode(vocabulary)
            yield {"status": "Looking for them …"}
            result = self.engine.segment(opened, vocabulary, classifier)
            yield {"status": "Drawing …"}
            visit = self._visit(result, Ensemble(alpha, beta, trunk), max_detections)
            labels = list(range(len(result.classes)))
            choices = [(one.name, label) for label, one in enumerate(result.classes)]
            yield {
                "visit": visit,
                "cancel": gr.update(interactive=False),
                "shown": gr.update(choices=choices, value=labels),
                "details": gr.update(visible=True),
                **self.redraw(visit, view, threshold, labels),
            }

    def mix(
        self,
        visit: Visit | None,
        view: str,
        threshold: float,
        shown: list[int],
        alpha: float,
        beta: float,
        trunk: str,
        max_detections: int,
    ) -> Shown:
        """Mixes the stored scores anew."""
        if visit is None:
            return {"status": _NO_RESULT}
        with plain_errors():
            visit = self._visit(visit.result, Ensemble(alpha, beta, trunk), max_detections)
            return {"visit": visit, **self.redraw(visit, view, threshold, shown)}

    def redraw(self, visit: Visit | None, view: str, threshold: float, shown: list[int]) -> Shown:
        """Shows the stored result in another way."""
        if visit is None:
            return {"status": _NO_RESULT}
        with plain_errors():
            result, wish = visit.result, visit.wish(view, threshold, shown)
            parts = make_parts(result, visit.objects, wish, self.engine.image_processor)
            objects = filter_objects(visit.objects, threshold, wish.shown)
            overlay = save_picture(draw_parts(result, parts), "overlay")
            sentence = tell(result, visit.objects, parts, wish)
            return {
                "status": escape(sentence),
                "overlay": gr.update(value=overlay, alt_text=f"The picture with {sentence}"),
                "compare": (save_picture(display_picture(result), "picture"), overlay),
                "legend": legend(parts, result.classes, view),
                "table": object_rows(objects, result.classes),
                "chosen": gr.update(choices=object_choices(objects, result.classes), value=None),
                "explanation": "",
                "region": gr.update(value=None, visible=False),
            }

    def click(
        self,
        visit: Visit | None,
        threshold: float,
        shown: list[int],
        event: gr.SelectData,
    ) -> Shown:
        """Chooses the object that was clicked in the overlay."""
        if visit is None:
            return {}
        column, row = event.index
        height, width = visit.result.size
        drawn_height, drawn_width = display_size(visit.result.size)
        objects = filter_objects(visit.objects, threshold, shown)
        there = object_at(objects, column * width / drawn_width, row * height / drawn_height)
        return {"chosen": None if there is None else there.number}

    def pick(self, event: gr.SelectData) -> Shown:
        """Chooses the object of a row of the table, however it is sorted."""
        return {"chosen": int(event.row_value[0])}

    def explain(
        self,
        visit: Visit | None,
        chosen: int | None,
        view: str,
        threshold: float,
        shown: list[int],
    ) -> Shown:
        """Explains the chosen object and highlights it."""
        if visit is None:
            return {}
        with plain_errors():
            result, wish = visit.result, visit.wish(view, threshold, shown)
            parts = make_parts(result, visit.objects, wish, self.engine.image_processor)
            overlay = draw_parts(result, parts)
            found = next((one for one in visit.objects if one.number == chosen), None)
            if found is None:
                return {
                    "overlay": save_picture(overlay, "overlay"),
                    "explanation": "",
                    "region": gr.update(value=None, visible=False),
                }
            caption = region_caption(result, found)
            mask = found.mask(result.size, display_size(result.size))
            return {
                "overlay": save_picture(highlight(overlay, mask), "overlay"),
                "explanation": explain(result, visit.ensemble, found, caption),
                "region": gr.update(
                    value=save_picture(draw_region(result, found), "region"),
                    alt_text=caption,
                    visible=True,
                ),
            }

    def write_coco(self, visit: Visit | None, threshold: float, shown: list[int]) -> str:
        """Writes what is shown as a COCO json."""
        with plain_errors():
            objects, result = self._kept(visit, threshold, shown)
            assert visit is not None
            wish = visit.wish(INSTANCES, threshold, shown)
            path = new_folder() / file_name(result, "instances.json")
            coco_results(result, objects, self.engine.about.name, wish).write(path)
            return str(path)

    def write_picture(
        self, visit: Visit | None, view: str, threshold: float, shown: list[int]
    ) -> str:
        """Writes the view as a PNG: instances at full size, others as they are shown."""
        with plain_errors():
            objects, result = self._kept(visit, threshold, shown)
            assert visit is not None
            wish = visit.wish(view, threshold, shown)
            if view == INSTANCES:
                drawn = draw_full_size(result, objects)
            else:
                parts = make_parts(result, visit.objects, wish, self.engine.image_processor)
                drawn = draw_parts(result, parts)
            path = new_folder() / file_name(result, f"{view.lower()}.png")
            drawn.save(path)
            return str(path)

    def segment(
        self,
        image: str | None,
        classes: str,
        threshold: float = DEFAULT_THRESHOLD,
        alpha: float | None = None,
        beta: float | None = None,
        max_instances: int | None = None,
    ) -> dict[str, Any]:
        """Finds the instances of named classes in an aerial picture.

        Args:
            image: The picture, seen from above.
            classes: Names, separated by commas; | separates synonyms: "ship, oil tank | tank".
            threshold: Lowest score of an instance, 0 to 1.
            alpha: Weight of out-of-vocabulary scores for classes seen in training, 0 to 1.
            beta: The same for classes not seen in training.
            max_instances: How many instances there can be.

        Returns:
            image (width, height), classes (name, synonyms, seen) and instances by falling score.
        """
        with plain_errors(html=False):
            own = self.engine.about
            if not isinstance(classes, str | None):
                raise ValueError(
                    f"`classes` must be one text of names, but got {shortened(repr(classes))}: "
                    'write for example "ship, storage tank | oil tank".'
                )
            threshold = max(check_fraction(threshold, "threshold"), LOWEST_THRESHOLD)
            ensemble = Ensemble(
                own.ensemble.alpha if alpha is None else check_fraction(alpha, "alpha"),
                own.ensemble.beta if beta is None else check_fraction(beta, "beta"),
                own.ensemble.trunk,
            )
            count = own.max_detections if max_instances is None else self._count(max_instances)
            opened = self.engine.open(image)
            vocabulary = self.engine.read_vocabulary(classes)
            result = self.engine.segment(opened, vocabulary, self.engine.encode(vocabulary))
            visit = self._visit(result, ensemble, count)
            every = range(len(result.classes))
            return api_answer(result, filter_objects(visit.objects, threshold, every))

    def _visit(self, result: StoredResult, ensemble: Ensemble, max_detections: float) -> Visit:
        count = self._count(max_detections)
        return Visit(result, find_objects(result, ensemble, count), ensemble, count)

    def _count(self, max_detections: float) -> int:
        # Sliders and JSON know no whole numbers.
        is_whole = isinstance(max_detections, float) and max_detections.is_integer()
        whole: Any = int(max_detections) if is_whole else max_detections
        return min(check_count(whole, "max_instances"), self.engine.about.max_detections)

    def _kept(
        self, visit: Visit | None, threshold: float, shown: list[int]
    ) -> tuple[list[FoundObject], StoredResult]:
        if visit is None:
            raise ValueError(_NO_RESULT)
        return filter_objects(visit.objects, threshold, shown), visit.result


def save_picture(picture: Image.Image, name: str) -> str:
    """Saves a picture for display where the server keeps, and after a while deletes, its files."""
    path = new_folder() / f"{name}.jpg"
    # Outlines a pixel wide lose their colour where colour has half the resolution.
    picture.save(path, quality=_JPEG_QUALITY, subsampling=0)
    return str(path)
