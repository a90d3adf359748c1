import contextlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from score_hf.data.loading import coco_ground_truth, load_split
from score_hf.evaluation import evaluator
from score_hf.evaluation.evaluator import evaluate_model, fingerprint
from score_hf.evaluation.instance_task import InstanceTask
from score_hf.evaluation.task import FIGURES
from tests.evaluation.made_sets import (
    NAMES,
    instance_rows,
    instance_set,
    made_set,
    noisy_predictions,
    png,
    semantic_set,
    write_set,
)
from tests.evaluation.test_coco_metrics import plain_pycocotools
from tests.tiny import tiny_processor


def evaluate(model, dataset, **options):
    return evaluate_model(model, tiny_processor(), dataset, progress=False, **options)


@pytest.fixture
def noisy(monkeypatch):
    """A model that is partly right: what it reads is the truth, moved a little."""

    def install(dataset):
        predictions = noisy_predictions(coco_ground_truth(dataset))

        def read(task, outputs, rows):
            return [
                {
                    "predictions": [
                        {key: value for key, value in entry.items() if key != "image_id"}
                        for entry in predictions
                        if entry["image_id"] == row["image_id"]
                    ]
                }
                for row in rows
            ]

        monkeypatch.setattr(InstanceTask, "read", read)
        return predictions

    return install


def test_figures_and_predictions_are_those_of_plain_pycocotools(tiny_model, noisy, tmp_path):
    dataset = instance_set(8)
    noisy(dataset)
    path = tmp_path / "predictions.json"
    figures = evaluate(
        tiny_model, dataset, predictions_file=path, training_names=["SHIP", "storage tank"]
    )
    truth = coco_ground_truth(dataset)
    precision = plain_pycocotools(truth, json.loads(path.read_text())).eval["precision"]
    precision = precision[:, :, :, 0, 2]
    assert 0 < figures["AP"] == precision[precision > -1].mean()
    assert list(figures["per_class"]) == list(NAMES)
    assert figures["seen"] == pytest.approx(precision[:, :, :2].mean())
    assert figures["unseen"] == figures["per_class"]["harbor"]
    assert set(FIGURES["instance"]) <= set(figures)
    assert figures["num_images"] == 8
    assert figures["settings"]["seen_classes"] == [True, True, False, False]
    assert sum(figures["objects"].values()) == sum(
        not entry["iscrowd"] for entry in truth["annotations"]
    )


def test_streamed_dataset_gives_the_same(tiny_model, tmp_path):
    folder = write_set(tmp_path / "set", instance_set(4))
    cache = tmp_path / "cache"
    whole = evaluate(tiny_model, load_split(folder, "val", cache_dir=cache))
    streamed = evaluate(tiny_model, load_split(folder, "val", streaming=True))
    assert streamed == whole


def test_batches_give_the_same(tiny_model, tmp_path):
    dataset = instance_set(5)
    paths = [tmp_path / "one.json", tmp_path / "three.json"]
    for path, size in zip(paths, (1, 3), strict=True):
        evaluate(tiny_model, dataset, batch_size=size, predictions_file=path)
    one, three = (json.loads(path.read_text()) for path in paths)
    assert len(one) == len(three) > 0
    for entry, other in zip(one, three, strict=True):
        assert entry["image_id"] == other["image_id"]
        assert entry["score"] == pytest.approx(other["score"], abs=1e-5)


def test_evaluation_goes_on_where_it_was(tiny_model, tmp_path, monkeypatch):
    dataset, folder = instance_set(6), tmp_path / "work"
    expected = evaluate(tiny_model, dataset)
    predicted = []
    plain_read = InstanceTask.read

    def counted_read(task, outputs, rows):
        if len(predicted) == 4:
            raise KeyboardInterrupt
        predicted.extend(row["image_id"] for row in rows)
        return plain_read(task, outputs, rows)

    monkeypatch.setattr(InstanceTask, "read", counted_read)
    with pytest.raises(KeyboardInterrupt):
        evaluate(tiny_model, dataset, folder=folder)
    done, predicted = predicted, []
    assert evaluate(tiny_model, dataset, folder=folder) == expected
    assert len(predicted) == 2 and not {*done} & {*predicted}


class Neighbours:
    """Processes that are threads."""

    def __init__(self, rank: int, count: int, barrier: threading.Barrier, items: list):
        self.rank, self.count, self.barrier, self.items = rank, count, barrier, items

    @property
    def is_first(self):
        return self.rank == 0

    def wait(self):
        self.barrier.wait(timeout=600)

    def gather(self, item):
        self.items[self.rank] = item
        self.wait()
        items = list(self.items)
        self.wait()
        return items if self.is_first else []

    def share(self, item):
        items = self.gather(item)
        self.items[0] = items[0] if self.is_first else self.items[0]
        self.wait()
        shared = self.items[0]
        self.wait()
        return shared


def evaluate_together(monkeypatch, model, dataset, count, **options):
    """What each of several processes returns, or raises."""
    barrier, items = threading.Barrier(count), [None] * count
    own = threading.local()

    @contextlib.contextmanager
    def joined():
        yield Neighbours(own.rank, count, barrier, items)

    def run(rank):
        own.rank = rank
        try:
            return evaluate(model, dataset, **options)
        except ValueError as error:
            return str(error)

    monkeypatch.setattr(evaluator, "joined_processes", joined)
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


@pytest.mark.parametrize("shares_a_folder", [True, False])
def test_every_image_is_predicted_by_one_process(
    tiny_model, monkeypatch, tmp_path, shares_a_folder
):
    """Whether or not the processes see one another's files, also with more of them than images."""
    dataset = instance_set(5)
    options = {"sweep": True} | ({"folder": tmp_path / "work"} if shares_a_folder else {})
    expected = evaluate(tiny_model, dataset, sweep=True)
    predicted = []
    plain_read = InstanceTask.read

    def counted_read(task, outputs, rows):
        predicted.extend(row["image_id"] for row in rows)
        return plain_read(task, outputs, rows)

    monkeypatch.setattr(InstanceTask, "read", counted_read)
    for count in (2, 7):
        predicted.clear()
        figures = evaluate_together(monkeypatch, tiny_model, dataset, count, **options)
        assert figures == [expected] * count
        # The predictions that one folder holds are those of the round before.
        done = [] if shares_a_folder and count == 7 else dataset["image_id"]
        assert sorted(predicted) == sorted(done)


def test_files_of_several_processes_need_a_folder(tiny_model, monkeypatch, tmp_path):
    told = evaluate_together(
        monkeypatch, tiny_model, instance_set(1), 2, report_file=tmp_path / "report.html"
    )
    assert all(text.startswith("`folder`, on a disk that all processes share") for text in told)


def test_other_weights_do_not_go_on(tiny_model, tmp_path):
    evaluate(tiny_model, instance_set(2), folder=tmp_path)
    bias = tiny_model.class_head.pool_projection.bias
    before = fingerprint(tiny_model)
    kept = bias.detach().clone()
    with torch.no_grad():
        bias[0] += 0.5
        try:
            assert fingerprint(tiny_model) != before
            with pytest.raises(ValueError, match="unfinished predictions made with `weights`"):
                evaluate(tiny_model, instance_set(2), folder=tmp_path)
        finally:
            bias.copy_(kept)
    assert fingerprint(tiny_model) == before


def test_model_is_left_as_it_was(tiny_model):
    tiny_model.train()
    try:
        evaluate(tiny_model, instance_set(1), alpha=0.1, beta=0.3)
        assert tiny_model.training
        with pytest.raises(ValueError, match="`beta` must be a number between 0 and 1"):
            evaluate(tiny_model, instance_set(1), alpha=0.1, beta=3)
        assert tiny_model.training
    finally:
        tiny_model.eval()
    assert (tiny_model.config.alpha, tiny_model.config.beta) == (0.4, 0.8)


def test_weights_of_the_ensemble_matter(tiny_model, tmp_path):
    paths = [tmp_path / "in.json", tmp_path / "out.json"]
    for path, weight in zip(paths, (0.0, 1.0), strict=True):
        figures = evaluate(
            tiny_model, instance_set(2), alpha=weight, beta=weight, predictions_file=path
        )
        assert figures["settings"]["alpha"] == figures["settings"]["beta"] == weight
    assert paths[0].read_text() != paths[1].read_text()


def test_sweep_holds_the_plain_result(tiny_model):
    plain = evaluate(tiny_model, instance_set(6), alpha=0.25, beta=0.5)
    swept = evaluate(tiny_model, instance_set(6), alpha=0.25, beta=0.5, sweep=True)
    sweep = swept.pop("sweep")
    assert swept == plain
    assert sweep["alphas"][2] == 0.25 and sweep["betas"][3] == 0.5
    assert sweep["AP"][2][3] == plain["AP"]
    other = evaluate(tiny_model, instance_set(6), alpha=0.8, beta=0.2)
    assert sweep["AP"][sweep["alphas"].index(0.8)][1] == other["AP"]
    assert sweep["best"]["AP"] == max(np.ravel(sweep["AP"]))


def test_weight_that_no_class_has_is_not_tried(tiny_model, monkeypatch):
    tried = []
    measure = evaluator.SharedWork.measure

    def counted(work, *arguments):
        tried.append(arguments[1:])
        return measure(work, *arguments)

    monkeypatch.setattr(evaluator.SharedWork, "measure", counted)
    figures = evaluate(tiny_model, instance_set(1), training_names=NAMES, sweep=True)
    assert len(tried) == 1 + 6
    assert all(len(set(row)) == 1 for row in figures["sweep"]["AP"])


@pytest.mark.parametrize("task, figure", [(None, "mIoU"), ("semantic", "mIoU"), ("panoptic", "PQ")])
def test_semantic_set(tiny_model, task, figure, tmp_path):
    path = tmp_path / "predictions.json"
    figures = evaluate(
        tiny_model,
        semantic_set(3),
        task=task,
        extra_names=["background"],
        predictions_file=path,
        report_file=tmp_path / "report.html",
    )
    assert 0 <= figures[figure] <= 1 and figures["per_class"]["bridge"] in (None, 0)
    assert figures["settings"]["task"] == task or task is None
    assert set(FIGURES[figures["settings"]["task"]]) <= set(figures)
    assert {entry["category_id"] for entry in json.loads(path.read_text())} <= {1, 2, 3, 4}
    assert "data:image/jpeg" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("task, figure", [("semantic", "mIoU"), ("panoptic", "PQ")])
def test_instance_set_for_maps(tiny_model, task, figure, tmp_path):
    report = tmp_path / "report.html"
    figures = evaluate(tiny_model, instance_set(3), task=task, report_file=report)
    assert 0 <= figures[figure] <= 1
    assert task in report.read_text()


class Page(HTMLParser):
    """Collects what a page refers to, and checks that its elements are closed."""

    def __init__(self):
        super().__init__()
        self.open, self.sources, self.text = [], [], ""

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img"):
            self.open.append(tag)
        named = dict(attributes)
        self.sources += [named[name] for name in ("src", "href") if name in named]
        assert tag != "img" or named["alt"]

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_report_is_complete_in_itself(tiny_model, noisy, tmp_path):
    names = ("ship", 'a <b> & "c"', "harbor", "bridge")
    dataset = instance_set(8, names=names)
    noisy(dataset)
    path = tmp_path / "report.html"
    figures = evaluate(
        tiny_model,
        dataset,
        report_file=path,
        prompts=list(NAMES),
        training_names=["ship"],
        settings={"model": "mine", "dataset": "<made>", "split": "val"},
    )
    page = Page()
    page.feed(path.read_text())
    assert page.open == []
    assert len(page.sources) >= 12
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert "mine on <made> val" in page.text and names[1] in page.text
    assert f"{100 * figures['AP']:.1f}" in page.text
    assert "seen" in page.text and "unseen" in page.text
    assert path.read_text().count("<polyline") == 3 * 4
    assert "http" not in path.read_text()


def test_report_without_objects_or_training_classes(tiny_model, tmp_path):
    processor = tiny_processor()
    processor.seen_classes = None
    rows = [{**row, "objects": []} for row in instance_rows(2)]
    dataset = made_set(rows)
    path = tmp_path / "report.html"
    figures = evaluate_model(
        tiny_model, processor, dataset, report_file=path, threshold=1.0, progress=False
    )
    assert figures["AP"] is None and figures["seen"] is None
    assert "not known" in path.read_text()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"task": "boxes"}, "`task` must be instance, semantic or panoptic, got 'boxes'"),
        ({"task": "panoptic", "sweep": True}, "`sweep` is for the task 'instance'"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ({"threshold": 2}, "`threshold` must be a number between 0 and 1"),
        ({"prompts": ["ship"]}, "`prompts` must have one entry for each of the 4 classes"),
    ],
)
def test_bad_arguments(tiny_model, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(tiny_model, instance_set(1), **options)


def test_instances_of_a_semantic_set(tiny_model):
    with pytest.raises(ValueError, match="`dataset` has label images, without objects"):
        evaluate(tiny_model, semantic_set(1), task="instance")


def test_datasets_that_do_not_work(tiny_model):
    dataset = instance_set(3)
    with pytest.raises(ValueError, match="`dataset` has no images"):
        evaluate(tiny_model, dataset.select([]))
    with pytest.raises(ValueError, match="its own `image_id`, but has 3 twice"):
        evaluate(tiny_model, dataset.select([0, 1, 0]))


def broken(**change):
    rows = instance_rows(2)
    rows[1].update(change)
    return made_set(rows)


def test_picture_of_another_size(tiny_model):
    picture = png(np.zeros((10, 20, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"image 'scene_1\.png' .* \(20, 10\), but its row says"):
        evaluate(tiny_model, broken(image=picture))


def test_damaged_picture_leaves_no_files(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    picture = png(np.zeros((48, 64, 3), dtype=np.uint8))
    picture["bytes"] = picture["bytes"][:50]
    with pytest.raises(ValueError, match=r"image 'scene_1\.png' of `dataset` cannot be decoded"):
        evaluate(tiny_model, broken(image=picture))
    assert os.listdir(tmp_path) == []
