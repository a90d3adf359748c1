import html
import json
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from score_hf.demo import handlers as handlers_module
from score_hf.demo.handlers import Handlers, Visit
from score_hf.demo.tables import SEEN_WORDS
from score_hf.demo.views import INSTANCES, VIEWS
from tests.demo.conftest import NAMES, SCENE

LABELS = list(range(6))


@pytest.fixture(autouse=True)
def uploads(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def handlers(engine) -> Handlers:
    return Handlers(engine)


@pytest.fixture
def visit(engine, result, objects) -> Visit:
    return Visit(result, objects, engine.about.ensemble, 100)


def segment(handlers: Handlers, upload=str(SCENE), names=NAMES, view=INSTANCES, threshold=0.3):
    return list(handlers.segment_and_show(upload, names, view, threshold, 0.2, 0.8, "general", 100))


def clicked(index, row=None) -> gr.SelectData:
    return gr.SelectData(None, {"index": index, "value": None, "row_value": row})


def test_segmenting_tells_its_steps_and_ends_with_a_result(handlers, objects):
    *steps, last = segment(handlers)
    assert [one["status"] for one in steps] == [
        "Reading 7 names …",
        "Looking for them …",
        "Drawing …",
    ]
    assert steps[0]["cancel"]["interactive"] and not last["cancel"]["interactive"]
    assert [one.score for one in last["visit"].objects] == [one.score for one in objects]
    assert last["shown"]["value"] == LABELS
    assert last["shown"]["choices"][5] == ("zebra", 5)
    assert len(last["table"]) == len(last["chosen"]["choices"])
    assert Image.open(last["overlay"]["value"]).size == (400, 320)
    assert last["overlay"]["alt_text"] == f"The picture with {last['status']}"
    assert last["compare"][1] == last["overlay"]["value"]


def test_what_a_visitor_types_is_shown_as_text(handlers):
    names = "<b>plane</b>, <i>roundabout</i>, <u>car</u>"
    *_, last = segment(handlers, names=names, threshold=0.05)
    best = last["table"][0][1]
    assert best.startswith("<") and best in last["overlay"]["alt_text"]
    assert html.escape(best) in last["status"] and best not in last["status"]
    explained = handlers.explain(last["visit"], 1, INSTANCES, 0.05, [0, 1, 2])["explanation"]
    for markup in (last["legend"], explained, handlers.show_vocabulary(names)):
        assert html.escape(best) in markup and best not in markup


def test_between_its_steps_it_can_be_cancelled(handlers, engine, monkeypatch):
    monkeypatch.setattr(engine, "segment", lambda *_: pytest.fail("it went on"))
    steps = handlers.segment_and_show(str(SCENE), NAMES, INSTANCES, 0.3, 0.2, 0.8, "general", 100)
    next(steps), next(steps)
    steps.close()


@pytest.mark.parametrize(
    ("upload", "names", "message"),
    [
        (None, NAMES, "There is no picture yet"),
        (str(SCENE), " ", "There are no class names yet"),
        (__file__, NAMES, "The picture cannot be decoded"),
        (str(SCENE), "<b>a</b>, <b>A</b>", "&lt;b&gt;a&lt;/b&gt;"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(handlers, upload, names, message):
    with pytest.raises(gr.Error) as caught:
        segment(handlers, upload, names)
    assert message in caught.value.message and not caught.value.print_exception


def test_filters_make_no_new_pass(handlers, engine, visit, monkeypatch):
    monkeypatch.setattr(engine, "segment", lambda *_: pytest.fail("the network ran"))
    monkeypatch.setattr(engine, "encode", lambda *_: pytest.fail("names were encoded"))
    for view in VIEWS:
        every = handlers.redraw(visit, view, 0.1, LABELS)
        fewer = handlers.redraw(visit, view, 0.8, LABELS)
        planes = handlers.redraw(visit, view, 0.1, [0])
        assert len(every["table"]) > len(fewer["table"]) > 0
        assert {row[1] for row in planes["table"]} == {"plane"}
        pictures = {Path(one["overlay"]["value"]).read_bytes() for one in (every, fewer, planes)}
        assert len(pictures) == 3
    mixed = handlers.mix(visit, INSTANCES, 0.1, LABELS, 1.0, 1.0, "general", 100)
    assert mixed["visit"].ensemble.alpha == 1.0
    assert [one.score for one in mixed["visit"].objects] != [one.score for one in visit.objects]
    assert visit.ensemble.alpha == 0.2


def test_without_a_result_nothing_happens(handlers):
    told = {"status": "There is no result here: segment a picture first."}
    assert handlers.redraw(None, INSTANCES, 0.3, []) == told
    assert handlers.mix(None, INSTANCES, 0.3, [], 0, 0, "general", 100) == told
    assert handlers.click(None, 0.3, [], clicked([1, 1])) == {}
    assert handlers.explain(None, None, INSTANCES, 0.3, []) == {}
    with pytest.raises(gr.Error, match="There is no result here"):
        handlers.write_coco(None, 0.3, [])


def test_a_click_and_a_row_choose_an_object(handlers, visit, objects):
    one = objects[0]
    row, column = np.argwhere(one.mask(visit.result.size))[0]
    chosen = handlers.click(visit, 0.3, LABELS, clicked([int(column), int(row)]))["chosen"]
    there = [other for other in objects if other.covers(column, row) and other.score >= 0.3]
    assert chosen == min(there, key=lambda other: other.piece.area).number
    assert handlers.click(visit, 0.3, [], clicked([int(column), int(row)]))["chosen"] is None
    assert handlers.pick(clicked([7, 2], ["12", "ship"]))["chosen"] == 12


def test_the_chosen_object_is_explained_and_highlighted(handlers, visit):
    plain = handlers.explain(visit, None, INSTANCES, 0.3, LABELS)
    chosen = handlers.explain(visit, 1, INSTANCES, 0.3, LABELS)
    assert plain["explanation"] == "" and not plain["region"]["visible"]
    assert "No. 1:" in chosen["explanation"] and chosen["region"]["visible"]
    assert "no. 1," in chosen["region"]["alt_text"]
    brightness = [np.asarray(Image.open(one["overlay"])).mean() for one in (plain, chosen)]
    assert brightness[1] < 0.8 * brightness[0]


def test_downloads_are_files_where_the_server_keeps_them(handlers, visit, uploads):
    coco = Path(handlers.write_coco(visit, 0.5, LABELS))
    picture = Path(handlers.write_picture(visit, INSTANCES, 0.5, LABELS))
    semantic = Path(handlers.write_picture(visit, VIEWS[1], 0.5, LABELS))
    assert {one.name for one in (coco, picture, semantic)} == {
        "drawn_airfield_instances.json",
        "drawn_airfield_instances.png",
        "drawn_airfield_semantic.png",
    }
    assert all(one.is_relative_to(uploads) for one in (coco, picture, semantic))
    kept = [one for one in visit.objects if one.score >= 0.5]
    assert len(json.loads(coco.read_text())["annotations"]) == len(kept)
    assert Image.open(picture).width > 400 and Image.open(semantic).size == (400, 320)


def test_the_api_answers_with_the_models_own_ensemble(handlers, objects):
    answer = handlers.segment(str(SCENE), NAMES)
    kept = [one for one in objects if one.score >= 0.3]
    assert [one["score"] for one in answer["instances"]] == [round(one.score, 6) for one in kept]
    assert len(handlers.segment(str(SCENE), NAMES, max_instances=3)["instances"]) <= 3
    assert handlers.segment(str(SCENE), NAMES, 0.3, 1.0, 1.0) != answer


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 2}, "`threshold` must be a number between 0 and 1"),
        ({"threshold": "x"}, "`threshold` must be a number between 0 and 1"),
        ({"alpha": -1}, "`alpha` must be"),
        ({"beta": float("nan")}, "`beta` must be"),
        ({"max_instances": 0}, "`max_instances` must be a positive integer"),
        ({"max_instances": 2.5}, "`max_instances` must be a positive integer"),
        ({"max_instances": "x"}, "`max_instances` must be a positive integer"),
        ({"max_instances": True}, "`max_instances` must be a positive integer"),
        ({"max_instances": [3]}, "`max_instances` must be a positive integer"),
        ({"max_instances": float("nan")}, "`max_instances` must be a positive integer"),
    ],
)
def test_the_api_tells_what_is_wrong(handlers, options, message):
    with pytest.raises(gr.Error) as caught:
        handlers.segment(str(SCENE), NAMES, **options)
    assert message in caught.value.message


@pytest.mark.parametrize("classes", [["plane", "ship"], {"a": 1}, 5, True])
def test_the_api_takes_names_as_one_text(handlers, classes):
    with pytest.raises(gr.Error, match=r"`classes` must be one text of names, but got "):
        handlers.segment(str(SCENE), classes)


def test_the_vocabulary_is_shown_back_while_it_is_typed(handlers):
    assert SEEN_WORDS[False] in handlers.show_vocabulary("zebra")
    wrong = handlers.show_vocabulary("<i>, <I>")
    assert 'class="notice"' in wrong and "<i>" not in wrong


def test_nothing_of_a_visitor_stays_in_the_handlers(handlers, engine):
    before = dict(vars(handlers)), set(vars(engine))
    segment(handlers)
    assert (dict(vars(handlers)), set(vars(engine))) == before
    kept = {name for name, value in vars(handlers_module).items() if isinstance(value, dict | list)}
    assert kept <= {"__builtins__"}
