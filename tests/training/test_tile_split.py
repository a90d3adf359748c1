import json

import pytest

from score_hf.training.tile_split import split_tiles


def write_tiles(folder, numbers, categories=({"id": 1, "name": "ship"},)):
    folder.mkdir()
    tiles = {
        "categories": list(categories),
        "images": [
            {"id": 7 + place, "file_name": f"images/tile_{number:06d}_ab.jpg"}
            for place, number in enumerate(numbers)
        ],
        "annotations": [
            {"id": 1, "image_id": 7 + place, "category_id": 1, "area": number}
            for place, number in enumerate(numbers)
        ],
    }
    file = folder / "instances.json"
    file.write_text(json.dumps(tiles))
    return file


def test_tiles_near_the_validation_part_are_in_neither(tmp_path):
    first = write_tiles(tmp_path / "first", [1, 89, 90, 100, 119])
    second = write_tiles(tmp_path / "second", [100, 129, 130, 55])
    output = tmp_path / "split"

    counts = split_tiles([first, second], output, [range(100, 120)], 10, left_out=[55])

    assert counts == {"train": 3, "val": 3, "neither": 3}
    train, val = (json.loads((output / f"{name}.json").read_text()) for name in ("train", "val"))
    assert [one["file_name"] for one in train["images"]] == [
        "../first/images/tile_000001_ab.jpg",
        "../first/images/tile_000089_ab.jpg",
        "../second/images/tile_000130_ab.jpg",
    ]
    assert [(one["id"], one["image_id"], one["area"]) for one in val["annotations"]] == [
        (1, 1, 100),
        (2, 2, 119),
        (3, 3, 100),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "`files` must be COCO files, but '.*' is none"),
        ("{}", "lacks 'categories'"),
        ('{"categories": [], "images": [{"id": 1}], "annotations": []}', "lacks 'file_name'"),
        ('{"categories": 1, "images": [], "annotations": []}', "is none"),
        ("[" * 100_000, "is none"),
        ('{"categories": [], "images": [{"id": 1, "file_name": 5}], "annotations": []}', "has 5"),
    ],
)
def test_what_is_no_coco_file_is_told(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        split_tiles([tmp_path / "a.json"], tmp_path / "split", [range(100, 120)], 10)


@pytest.mark.parametrize(
    ("numbers", "categories", "message"),
    [
        ([5], ({"id": 1, "name": "boat"},), "those of .* differ"),
        ([5], ({"id": 1, "name": "ship"},), "`validation` leaves no tile for val.json"),
    ],
)
def test_what_cannot_be_split_is_told(tmp_path, numbers, categories, message):
    files = [
        write_tiles(tmp_path / "first", [1]),
        write_tiles(tmp_path / "second", numbers, categories),
    ]
    with pytest.raises(ValueError, match=message):
        split_tiles(files, tmp_path / "split", [range(100, 120)], 10)
