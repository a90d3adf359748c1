import pytest
import torch

from score_hf.evaluation.instance_task import InstanceTask
from score_hf.evaluation.predicting import predict_rows
from score_hf.evaluation.sweep import best_cell, grid_of, rank_instances
from score_hf.evaluation.vocabulary import make_vocabulary
from tests.evaluation.made_sets import NAMES, instance_set
from tests.tiny import tiny_processor


@pytest.mark.parametrize("threshold, extra", [(0.0, []), (0.05, ["water", "car"])])
@pytest.mark.parametrize("alpha, beta", [(0.4, 0.8), (0.0, 1.0)])
def test_stored_logits_give_the_instances_that_the_model_gives(
    tiny_model, monkeypatch, alpha, beta, threshold, extra
):
    """In every bit, for weights other than those that the logits were stored with too."""
    processor, rows = tiny_processor(), list(instance_set(3))
    processor.image_processor.max_detections = 20
    vocabulary = make_vocabulary(NAMES, None, ["ship", "bridge"], extra)
    task = InstanceTask(
        processor, vocabulary, {"images": [], "annotations": []}, threshold, keep_logits=True
    )
    classifier = vocabulary.encode(tiny_model, processor)
    stored = list(predict_rows(tiny_model, processor, classifier, rows, task.read))
    monkeypatch.setattr(tiny_model.config, "alpha", alpha)
    monkeypatch.setattr(tiny_model.config, "beta", beta)
    expected = predict_rows(tiny_model, processor, classifier, rows, task.read)
    seen = torch.tensor(vocabulary.ensemble_as_seen)
    for record, wanted in zip(stored, expected, strict=True):
        result = rank_instances(record["logits"], seen, alpha, beta, threshold, 20)
        assert task.as_predictions(result) == wanted["predictions"] != []


def test_own_weights_become_part_of_the_grid():
    assert grid_of(0.4, 0.35) == (
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
        [0.0, 0.2, 0.35, 0.4, 0.6, 0.8, 1.0],
    )


def test_best_cell():
    assert best_cell([0.0, 1.0], [0.5], [[None], [0.3]]) == {"AP": 0.3, "alpha": 1.0, "beta": 0.5}
    assert best_cell([0.0], [0.5, 0.6], [[0.3, 0.3]])["beta"] == 0.5
    assert best_cell([0.0], [0.5], [[None]]) is None
