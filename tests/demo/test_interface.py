import torch

from score_hf import ScoreForInstanceSegmentation
from score_hf.demo.engine import DemoEngine
from score_hf.demo.examples import read_examples
from score_hf.demo.interface import build_demo
from score_hf.demo.scene_section import can_take_scenes
from tests.demo.conftest import EXAMPLES
from tests.tiny import tiny_config, tiny_processor


def tiny(**changes) -> ScoreForInstanceSegmentation:
    torch.manual_seed(0)
    return ScoreForInstanceSegmentation(tiny_config(**changes)).eval()


def page_of(model: ScoreForInstanceSegmentation) -> dict[str, dict]:
    """The page of a model: properties of its components by id."""
    config = build_demo(DemoEngine(model, tiny_processor()), []).get_config_file()
    return {one["props"].get("elem_id"): one["props"] for one in config["components"]}


def test_the_trunk_can_be_chosen_where_a_model_has_both():
    both, one = page_of(tiny(out_of_vocabulary="context")), page_of(tiny())
    assert both["trunk"]["visible"] and not one["trunk"]["visible"]
    assert [value for _, value in both["trunk"]["choices"]] == ["context", "general"]
    assert both["trunk"]["value"] == "context"


def test_alpha_and_beta_start_as_the_model_has_them():
    page = page_of(tiny(alpha=0.15, beta=0.6))
    assert (page["alpha"]["value"], page["beta"]["value"]) == (0.15, 0.6)


def test_a_model_without_text_tower_asks_for_no_names():
    model = tiny()
    tokens = tiny_processor().tokenize_classes(["ship", "car"])
    model.store_vocabulary(model.build_classifier(**tokens), ["ship", "car"], False)
    page = page_of(model)
    assert not page["names"]["visible"] and not page["preset"]["visible"]
    assert "2 classes" in page["vocabulary"]["value"]


def test_nobody_is_told_that_the_demo_runs(monkeypatch):
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "True")
    page = build_demo(DemoEngine(tiny(), tiny_processor()), [])
    assert page.analytics_enabled is False


def test_only_the_endpoint_for_scripts_is_public(engine):
    page = build_demo(engine, read_examples(EXAMPLES))
    public = [one for one in page.fns.values() if one.api_visibility != "private"]
    assert [one.api_name for one in public] == ["segment"]


def test_passes_through_the_network_wait_for_one_another(engine):
    page = build_demo(engine, read_examples(EXAMPLES))
    waiting = [one for one in page.fns.values() if one.concurrency_id == "model"]
    assert len(waiting) == 4 + can_take_scenes()
    assert {one.concurrency_limit for one in waiting} == {1}


def test_a_visitor_has_all_in_the_state_of_the_visit(engine):
    page = build_demo(engine, read_examples(EXAMPLES))
    states = [one for one in page.blocks.values() if one.get_block_name() == "state"]
    assert [(one.value, one.time_to_live) for one in states] == [(None, 3600)]
    assert page.delete_cache == (360, 3600)
