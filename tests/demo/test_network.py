import pickle
from dataclasses import fields

import numpy as np
import pytest
import torch
from PIL import Image

from score_hf import ScoreForInstanceSegmentation
from score_hf.demo.engine import DemoEngine
from score_hf.demo.network import encode_names, run_network
from score_hf.modeling.region_formation import dilate
from tests.tiny import make_inputs, tiny_config, tiny_processor


def run(model: ScoreForInstanceSegmentation, names=("ship", "storage tank, oil tank", "car")):
    tokens = tiny_processor().tokenize_classes(list(names))
    classifier = encode_names(model, {key: value.numpy() for key, value in tokens.items()})
    inputs = {key: value.numpy() for key, value in make_inputs(model.config, 1).items()}
    return run_network(model, inputs["pixel_values"], inputs["pixel_mask"], classifier)


def tiny(**changes) -> ScoreForInstanceSegmentation:
    torch.manual_seed(0)
    return ScoreForInstanceSegmentation(tiny_config(**changes)).eval()


def test_a_model_with_both_trunks_scores_as_each_of_them_would():
    both = tiny(out_of_vocabulary="context")
    general = tiny(out_of_vocabulary="general")
    general.load_state_dict(both.state_dict(), strict=False)
    result, expected = run(both), run(general)
    assert set(result.out_logits) == {"context", "general"}
    assert set(expected.out_logits) == {"general"}
    # The void column takes no part in the ensemble.
    assert np.array_equal(
        result.out_logits["general"][:, :-1], expected.out_logits["general"][:, :-1]
    )
    assert not np.allclose(
        result.out_logits["context"][:, :-1], result.out_logits["general"][:, :-1]
    )


def test_regions_are_the_dilated_masks_on_the_grid(tiny_model):
    result = run(tiny_model)
    masks = torch.from_numpy(result.mask_logits)[None]
    size = tiny_model.region_integration.formation.sizes[
        int(tiny_model.region_integration.formation.kernel_logits.argmax())
    ]
    dilated = torch.nn.functional.interpolate(
        dilate(masks, size), size=(4, 4), mode="bilinear", align_corners=False
    )
    assert result.regions.shape == (8, 4, 4) and result.regions.any()
    assert np.array_equal(result.regions, dilated[0].numpy() > 0)


@pytest.mark.parametrize("kind", ["none", "cls"])
def test_a_model_without_regions_has_none(kind):
    assert run(tiny(region_context=kind)).regions is None


def test_it_travels_to_another_process_and_back(tiny_model):
    result = run(tiny_model)
    copy = pickle.loads(pickle.dumps(result))
    for field in fields(result):
        before, after = getattr(result, field.name), getattr(copy, field.name)
        assert type(after) in (np.ndarray, dict, tuple)
        if field.name == "out_logits":
            before, after = before["general"], after["general"]
        assert np.array_equal(before, after)


def test_a_model_without_text_tower_finds_its_stored_classes(tiny_model, tmp_path):
    model = tiny()
    tokens = tiny_processor().tokenize_classes(["ship", "car"])
    model.store_vocabulary(model.build_classifier(**tokens), ["ship", "car"], False)
    engine = DemoEngine(model, tiny_processor(), "stored")
    vocabulary = engine.read_vocabulary("whatever is typed")
    assert [(one.name, one.seen) for one in vocabulary.classes] == [("ship", True), ("car", False)]
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    opened = engine.open(str(tmp_path / "a.png"))
    assert engine.encode(vocabulary) is None
    assert engine.segment(opened, vocabulary, None).network.in_logits.shape == (8, 3)
