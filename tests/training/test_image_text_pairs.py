import json

import numpy as np
import pytest
from PIL import Image

from score_hf.data.loading import class_names, load_split
from score_hf.data.records import ImageRecord, ObjectRecord
from score_hf.training.batches import Spread
from score_hf.training.image_text_pairs import CaptionedImages, ObjectCrops, PairBatches
from score_hf.training.small_architectures import start_tiny
from tests.training.prepared_set import encode, write_records


def write_captions(folder, colours=((200, 0, 0), (0, 0, 200))):
    folder.mkdir()
    rows = []
    for number, colour in enumerate(colours):
        Image.new("RGB", (40, 30), colour).save(folder / f"{number}.png")
        rows.append({"file_name": f"{number}.png", "captions": [f"Field {number}", "A Field"]})
    (folder / "captions.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


@pytest.fixture
def objects(tmp_path):
    """One picture: three green ships to the left, one white tank in the lower right corner."""
    pixels, records = np.zeros((64, 64, 3), dtype=np.uint8), []
    for top in (0, 20, 40):
        pixels[top : top + 10, :10] = (0, 255, 0)
        mask = np.zeros((64, 64), dtype=bool)
        mask[top : top + 10, :10] = True
        records.append(ObjectRecord("ship", encode(mask)))
    pixels[54:, 54:] = 255
    mask = np.zeros((64, 64), dtype=bool)
    mask[54:, 54:] = True
    records.append(ObjectRecord("tank", encode(mask)))
    image = ImageRecord(0, "a.png", Image.fromarray(pixels), 64, 64, objects=tuple(records))
    folder = write_records(tmp_path / "set", [image], ["ship", "tank"])
    rows = load_split(folder, "train")
    assert class_names(rows) == ["ship", "tank"]
    return ObjectCrops(rows, ["ship, boat", "storage tank"], ["view of a {}."])


def test_rare_classes_are_cropped_as_often_and_named_by_their_names(objects):
    pairs = [objects.draw(32, np.random.default_rng(seed)) for seed in range(60)]
    assert 20 <= sum(pair.label for pair in pairs) <= 40
    assert {pair.text for pair in pairs if pair.label == 0} == {
        "view of a ship.",
        "view of a boat.",
    }
    for pair in pairs:
        assert pair.pixels.shape == (32, 32, 3)
        white, green = (pair.pixels == 255).all(axis=2).any(), (pair.pixels[..., 1] > 250).any()
        assert white if pair.label else green


def test_captions_go_with_their_images(tmp_path):
    captioned = CaptionedImages(write_captions(tmp_path / "captions"))
    pairs = [captioned.draw(32, np.random.default_rng(seed)) for seed in range(30)]
    assert {pair.text for pair in pairs} == {"field 0", "field 1", "a field"}
    for pair in pairs:
        assert (pair.pixels[..., 0] > 100).all() == (pair.label == 0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "must be a folder with captions.jsonl"),
        ([{"captions": ["a"]}], "a `file_name` and"),
        ([{"file_name": "a.png", "captions": "a field"}], "a list of texts"),
        ([{"file_name": "a.png", "captions": [1]}], "a list of texts"),
        ([None], "a list of texts"),
    ],
)
def test_folders_without_captions_are_told(tmp_path, rows, message):
    if rows is not None:
        (tmp_path / "captions.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    with pytest.raises(ValueError, match=message):
        CaptionedImages(tmp_path)


def test_damaged_captions_and_pictures_are_told(tmp_path):
    file = tmp_path / "captions.jsonl"
    file.write_text("{")
    with pytest.raises(ValueError, match=r"captions.jsonl' must have a row of JSON a line"):
        CaptionedImages(tmp_path)
    file.write_text('{"file_name": "a.png", "captions": ["a field"]}\n')
    captioned = CaptionedImages(tmp_path)
    for content in (None, b"no picture"):
        if content is not None:
            (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(ValueError, match=r"names the picture 'a.png' .* cannot be read"):
            captioned.draw(32, np.random.default_rng(0))


def test_pairs_do_not_depend_on_how_they_are_spread(objects, tmp_path):
    processor = start_tiny()[1]
    captioned = CaptionedImages(write_captions(tmp_path / "captions"))
    batch = PairBatches(objects, captioned, 0.5, processor, 32, Spread(4), seed=1)[3]
    assert batch["pixel_values"].shape == (4, 3, 32, 32)
    assert (batch["labels"] >= 2).tolist() == [True, True, False, False]

    def alone(process):
        spread = Spread(4, num_processes=2, process=process)
        return PairBatches(objects, None, 0.5, processor, 32, spread, seed=1)[3]

    assert (alone(0)["labels"] < 2).all()
    assert alone(1)["labels"].tolist() == batch["labels"][2:].tolist()
    assert (alone(1)["pixel_values"] == batch["pixel_values"][2:]).all()
