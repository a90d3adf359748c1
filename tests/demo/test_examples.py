import json

import pytest
from PIL import Image

from score_hf.demo.examples import read_examples
from score_hf.demo.gallery import gallery
from score_hf.demo.limits import Limits
from score_hf.demo.vocabulary import read_vocabulary
from tests.demo.conftest import EXAMPLES
from tests.demo.test_tables import Text

TWO_PACKAGE_PICTURES = 2


def test_the_space_shows_every_picture_and_attributes_it():
    examples = read_examples(EXAMPLES)
    pictures = {path.name for path in EXAMPLES.glob("*.png")}
    assert {one.picture.name for one in examples} == pictures
    attribution = (EXAMPLES / "ATTRIBUTION.md").read_text()
    for name in pictures:
        kind = name.partition("_")[0]
        assert f"`{kind}_*.png`" in attribution or f"`{name}`" in attribution
    assert sum(path.stat().st_size for path in EXAMPLES.iterdir()) < 3_000_000


def test_every_example_can_be_segmented(engine):
    for one in [*read_examples(EXAMPLES), *read_examples(None)]:
        assert read_vocabulary(one.classes, None, Limits()).notice == ""
        assert engine.open(str(one.picture)).picture.mode == "RGB"


def test_the_package_has_pictures_of_its_own():
    examples = read_examples(None)
    assert len(examples) == TWO_PACKAGE_PICTURES
    assert {one.is_drawn for one in examples} == {True, False}


def test_drawn_examples_are_what_the_attribution_says():
    from score_hf.drawn_scenes import draw_scene

    for seed, name in ((1010, "drawn_airfield"), (1008, "drawn_harbor")):
        with Image.open(EXAMPLES / f"{name}.png") as picture:
            assert picture.tobytes() == draw_scene(seed, (320, 400)).image.tobytes()


def test_every_small_picture_is_a_button_with_its_title():
    examples = read_examples(EXAMPLES)
    html = gallery(examples)
    assert Text(html).tags.count("button") == len(examples)
    for index, one in enumerate(examples):
        assert f'data-index="{index}" title="{one.title}"' in html
        assert f'alt="{one.title}"' in html


@pytest.mark.parametrize("content", [None, "no json", "[{}]", "[1]", "{}{}"])
def test_a_folder_without_a_list_is_told(tmp_path, content):
    if content is not None:
        (tmp_path / "examples.json").write_text(content)
    with pytest.raises(ValueError, match=r"^`examples` must be a folder with an examples\.json"):
        read_examples(tmp_path)


def test_a_missing_picture_is_told(tmp_path):
    entry = {"file": "gone.png", "title": "Gone", "classes": "ship"}
    (tmp_path / "examples.json").write_text(json.dumps([entry]))
    with pytest.raises(ValueError, match=r"lists 'gone\.png', which is not there"):
        read_examples(tmp_path)
