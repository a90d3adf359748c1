from html.parser import HTMLParser

import pytest

from score_hf.demo.found import filter_objects
from score_hf.demo.tables import (
    HEADERS,
    count_chips,
    legend,
    object_choices,
    object_rows,
    tell,
    vocabulary_chips,
)
from score_hf.demo.views import INSTANCES, PANOPTIC, SEMANTIC, Wish, make_parts
from score_hf.visualize import class_color


class Text(HTMLParser):
    """The text of HTML, and its tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_chips_show_what_was_understood(engine):
    html = vocabulary_chips(engine.read_vocabulary("Plane | jet, zebra"))
    text = Text(html)
    assert "2 classes, 1 of them seen in training" in text.text
    assert "Plane also jet seen" in text.text and "zebra unseen" in text.text
    assert text.tags.count("li") == 2


def test_what_a_visitor_types_is_no_html(engine):
    attack = "<img src=x onerror=alert(1)>"
    vocabulary = engine.read_vocabulary(f"{attack} | <b>b</b>")
    text = Text(vocabulary_chips(vocabulary))
    assert "img" not in text.tags and "b" not in text.tags
    assert attack in text.text


def test_rows_are_objects_in_pixels(engine, result, objects):
    kept = filter_objects(objects, 0.5, range(6))
    rows = object_rows(kept, result.classes)
    assert len(rows) == len(kept) and all(len(row) == len(HEADERS) for row in rows)
    for row, one in zip(rows, kept, strict=True):
        assert row[:5] == [
            one.number,
            result.classes[one.label].name,
            "seen",
            round(one.score, 3),
            one.piece.area,
        ]
        mask = one.mask(result.size)
        left, top, width, height = row[5:]
        assert mask[top : top + height, left : left + width].sum() == one.piece.area == mask.sum()
    assert object_choices(kept, result.classes)[0][1] == kept[0].number


@pytest.mark.parametrize(
    ("view", "words"),
    [(INSTANCES, " objects of "), (PANOPTIC, " segments of "), (SEMANTIC, "% of the picture has")],
)
def test_a_sentence_tells_what_is_seen(engine, result, objects, view, words):
    wish = Wish(view, 0.3, frozenset(range(6)), engine.about.ensemble, 100)
    parts = make_parts(result, objects, wish, engine.image_processor)
    sentence = tell(result, objects, parts, wish)
    assert words in sentence and "in 400 x 320 pixels at a threshold of 0.30" in sentence
    names = {result.classes[part.label].name for part in parts}
    assert all(name in Text(legend(parts, result.classes, view)).text for name in names)


def test_nothing_found_names_the_best(engine, result, objects):
    wish = Wish(INSTANCES, 0.99, frozenset(range(6)), engine.about.ensemble, 100)
    best = objects[0]
    assert tell(result, objects, [], wish) == (
        "Nothing found in 400 x 320 pixels at a threshold of 0.99; the best is "
        f"{result.classes[best.label].name} with {best.score:.2f}: lower the threshold to see it."
    )
    hidden = Wish(INSTANCES, 0.99, frozenset(), engine.about.ensemble, 100)
    assert tell(result, objects, [], hidden).endswith("at a threshold of 0.99.")
    assert legend([], result.classes, INSTANCES) == ""


def test_a_scenes_legend_lists_what_was_found_in_the_colours_of_the_classes():
    html = count_chips({"ship": 0, "<b>car</b>": 3})
    text = Text(html)
    assert text.text == "<b>car</b> 3" and text.tags == ["ul", "li", "span", "span"]
    assert f"rgb{class_color(1)}" in html and count_chips({"ship": 0}) == ""
