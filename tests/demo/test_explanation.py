import numpy as np
import pytest
import torch

from score_hf import Segmenter
from score_hf.demo.explanation import draw_region, explain, region_caption, score_classes
from score_hf.demo.found import Ensemble
from tests.demo.conftest import NAMES
from tests.demo.test_tables import Text


@pytest.fixture(scope="module")
def roundabout(result, objects):
    label = [one.name for one in result.classes].index("roundabout")
    return next(one for one in objects if one.label == label)


def test_scores_are_those_of_the_model(engine, result, objects):
    segmenter = Segmenter("score-tiny", engine.read_vocabulary(NAMES).class_names, device="cpu")
    inputs = engine.image_processor(result.picture, return_tensors="pt")
    with torch.inference_mode():
        outputs = segmenter.model(**inputs, classifier=segmenter._classifier)
    for one in objects[:5]:
        scores, void = score_classes(result, engine.about.ensemble, one.query)
        logits = outputs.class_queries_logits[0, one.query].softmax(-1)
        assert [*(score.mixed for score in scores), void] == pytest.approx(logits.tolist())
        inside = outputs.in_vocabulary_logits[0, one.query, :-1].softmax(-1)
        outside = outputs.out_of_vocabulary_logits[0, one.query, :-1].softmax(-1)
        assert [score.inside for score in scores] == pytest.approx(inside.tolist())
        assert [score.outside for score in scores] == pytest.approx(outside.tolist())


def test_weights_at_their_ends_leave_one_vocabulary(result, objects):
    for ensemble, name in (
        (Ensemble(0, 0, "general"), "inside"),
        (Ensemble(1, 1, "general"), "outside"),
    ):
        scores, void = score_classes(result, ensemble, objects[0].query)
        for score in scores:
            assert score.mixed == pytest.approx(getattr(score, name) * (1 - void), abs=1e-6)


def test_seen_classes_have_alpha_and_others_beta(result, objects):
    scores, _ = score_classes(result, Ensemble(0.2, 0.8, "general"), objects[0].query)
    assert [score.weight for score in scores] == [0.2] * 5 + [0.8]
    assert result.classes[5].name == "zebra"


def test_the_explanation_adds_up(engine, result, roundabout):
    html = explain(result, engine.about.ensemble, roundabout, "Caption <b>")
    text = Text(html)
    assert f"No. {roundabout.number}: roundabout" in text.text and "Caption <b>" in text.text
    assert f"Score {roundabout.score:.3f} = class probability" in text.text
    assert text.tags.count("tr") == 6 and html.count('class="chosen"') == 1


def test_the_region_is_bright_where_the_model_looked(result, roundabout):
    drawn = np.asarray(draw_region(result, roundabout)).astype(int)
    plain = np.asarray(result.picture).astype(int)
    region = result.network.regions[roundabout.query]
    rows, columns = region.shape
    padded = np.array(result.network.mask_logits.shape[1:]) * 4
    caption = region_caption(result, roundabout)
    assert f"{region.sum()} of a grid of {rows} x {columns}" in caption
    for row in range(rows):
        for column in range(columns):
            middle = int((row + 0.4) * padded[0] / rows), int((column + 0.4) * padded[1] / columns)
            if middle[0] >= plain.shape[0] or middle[1] >= plain.shape[1]:
                continue
            if roundabout.covers(middle[1] + 3, middle[0] + 3) or region[row, column]:
                continue
            assert (drawn[middle] <= plain[middle]).all()
    mask = roundabout.mask(result.size)
    assert (drawn[mask] == plain[mask]).mean() > 0.9


def test_an_object_smaller_than_a_cell_is_told(engine, result, objects):
    small = [one for one in objects if not result.network.regions[one.query].any()]
    assert small
    assert "saw nothing" in region_caption(result, small[0])
    assert draw_region(result, small[0]).size == result.picture.size


def test_a_model_without_region_is_told(engine, result, roundabout):
    from dataclasses import replace

    without = replace(result, network=replace(result.network, regions=None))
    assert "looks at no region" in region_caption(without, roundabout)
    assert draw_region(without, roundabout).size == result.picture.size
