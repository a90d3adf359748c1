import json

from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from score_hf.demo.files import api_answer, coco_results, file_name
from score_hf.demo.found import filter_objects
from score_hf.demo.views import INSTANCES, Wish


def test_the_coco_json_opens_and_has_the_objects(engine, result, objects, tmp_path):
    kept = filter_objects(objects, 0.4, range(6))
    wish = Wish(INSTANCES, 0.4, frozenset(range(6)), engine.about.ensemble, 100)
    coco_results(result, kept, "score-tiny", wish).write(tmp_path / "a.json")
    coco = COCO(tmp_path / "a.json")
    assert coco.dataset["info"]["alpha"] == 0.2 and coco.dataset["info"]["threshold"] == 0.4
    assert coco.imgs[1]["file_name"] == "drawn_airfield.png"
    for annotation, one in zip(coco.dataset["annotations"], kept, strict=True):
        assert (coco.annToMask(annotation) == one.mask(result.size)).all()
        assert coco.cats[annotation["category_id"]]["name"] == result.classes[one.label].name


def test_nothing_found_is_a_coco_json_too(engine, result, tmp_path):
    wish = Wish(INSTANCES, 0.4, frozenset(), engine.about.ensemble, 100)
    coco_results(result, [], "score-tiny", wish).write(tmp_path / "a.json")
    assert COCO(tmp_path / "a.json").dataset["annotations"] == []


def test_the_answer_is_plain_json(result, objects):
    answer = json.loads(json.dumps(api_answer(result, objects)))
    assert answer["image"] == {"width": 400, "height": 320}
    assert [one["name"] for one in answer["classes"]] == [one.name for one in result.classes]
    assert answer["classes"][0]["synonyms"] == ["plane", "airplane"]
    assert answer["classes"][5]["seen"] is False
    for given, one in zip(answer["instances"], objects, strict=True):
        mask = coco_mask.decode(given["segmentation"])
        assert (mask == one.mask(result.size)).all() and mask.sum() == given["area"]
        assert given["name"] == answer["classes"][given["label"]]["name"]
        left, top, right, bottom = map(int, given["box"])
        assert mask[top:bottom, left:right].sum() == given["area"]


def test_a_download_is_named_after_the_picture(result):
    from dataclasses import replace

    def named(name: str) -> str:
        return file_name(replace(result, name=name), "instances.json")

    assert named("my harbor.png") == "my_harbor_instances.json"
    assert named("../../etc/passwd") == "passwd_instances.json"
    assert named("") == "picture_instances.json"
    assert len(named("x" * 300)) < 80
