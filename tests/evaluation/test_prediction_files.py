import json

import pytest

from score_hf.evaluation.prediction_files import PredictionFolder, write_json, write_predictions

SETTINGS = {"alpha": 0.4, "classes": ("ship", "harbor")}


def record(number: int) -> dict:
    return {
        "image_id": number,
        "predictions": [{"category_id": 1, "segmentation": {}, "score": number / 7}],
    }


def folder_with(path, numbers, rank=0):
    with PredictionFolder(path, SETTINGS, rank) as store:
        for number in numbers:
            store.append(record(number))
    return path


def test_records_of_all_processes_are_found(tmp_path):
    folder_with(tmp_path, [5, 0], rank=0)
    folder_with(tmp_path, [3], rank=1)
    with PredictionFolder(tmp_path, SETTINGS) as store:
        assert store.image_ids == {0, 3, 5}
        assert [store.read(number) for number in (3, 5, 0)] == [record(3), record(5), record(0)]


@pytest.mark.parametrize("left", [1, 20, -1])
def test_unfinished_line_is_dropped_and_its_image_done_again(tmp_path, left):
    folder_with(tmp_path, [1, 2])
    part = tmp_path / "part-00000.jsonl"
    whole, last = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(whole + last[:left])
    with PredictionFolder(tmp_path, SETTINGS) as store:
        assert store.image_ids == {1}
        store.append(record(2))
        store.append(record(4))
        store.refresh()
        assert store.image_ids == {1, 2, 4}
    assert part.read_bytes().startswith(whole + last)


def test_image_that_two_processes_did_counts_once(tmp_path):
    folder_with(tmp_path, [1, 2], rank=0)
    folder_with(tmp_path, [2], rank=1)
    with PredictionFolder(tmp_path, SETTINGS) as store:
        write_predictions(store, [1, 2], tmp_path / "all.json")
    written = json.loads((tmp_path / "all.json").read_text())
    assert [entry["image_id"] for entry in written] == [1, 2]
    assert written[0] == {"image_id": 1, **record(1)["predictions"][0]}


def test_other_settings_are_refused(tmp_path):
    folder_with(tmp_path, [1])
    with pytest.raises(ValueError, match=r"made with `alpha` 0\.4 instead of 0\.2: go on with"):
        PredictionFolder(tmp_path, {**SETTINGS, "alpha": 0.2})
    with pytest.raises(ValueError, match="`task` None instead of 'semantic'"):
        PredictionFolder(tmp_path, {**SETTINGS, "task": "semantic"})


def test_damaged_line_within_a_file(tmp_path):
    folder_with(tmp_path, [1, 2])
    part = tmp_path / "part-00000.jsonl"
    part.write_bytes(b"\0" + part.read_bytes()[1:])
    with pytest.raises(ValueError, match=r"part-00000\.jsonl is damaged: delete it"):
        PredictionFolder(tmp_path, SETTINGS)


@pytest.mark.parametrize(
    "line", ["5", "null", "[" * 100_000, '{"image_id": []}', '{"image_id": 2, "predictions": 3}']
)
def test_lines_of_another_form_are_damaged(tmp_path, line):
    folder_with(tmp_path, [1])
    (tmp_path / "part-00001.jsonl").write_text(line + "\n")
    with pytest.raises(ValueError, match=r"part-00001.jsonl is damaged: delete it"):
        PredictionFolder(tmp_path, SETTINGS)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000])
def test_damaged_settings(tmp_path, content):
    folder_with(tmp_path, [1])
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"settings.json is damaged: delete"):
        PredictionFolder(tmp_path, SETTINGS)


def test_no_predictions_is_an_empty_list(tmp_path):
    with PredictionFolder(tmp_path / "new", SETTINGS) as store:
        write_predictions(store, [], tmp_path / "all.json")
        store.remove()
    assert json.loads((tmp_path / "all.json").read_text()) == []
    assert not (tmp_path / "new").exists()


def test_json_stays_whole(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"AP": 0.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"AP": float("nan")})
    assert json.loads(path.read_text()) == {"AP": 0.5}
