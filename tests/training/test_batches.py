import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from score_hf.data.loading import load_split
from score_hf.data.records import ImageRecord, ObjectRecord
from score_hf.drawn_scenes import DRAWN_VOCABULARY
from score_hf.training.batches import (
    Collator,
    DrawnBatches,
    Spread,
    StoredBatches,
    StreamedBatches,
)
from score_hf.training.recipe import AugmentationRecipe
from score_hf.training.samples import (
    FIRST_DRAWN_SEED,
    DamagedImage,
    DrawnSamples,
    RowReader,
    StoredSamples,
    stream_rows,
)
from score_hf.training.small_architectures import start_tiny
from score_hf.training.step_prompts import StepPrompts
from tests.training.prepared_set import drawn_scene, encode, png, write_drawn_set, write_records

AUGMENTATION = AugmentationRecipe(crop_size=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_drawn_set(tmp_path_factory.mktemp("set") / "drawn", images=5)


@pytest.fixture(scope="module")
def rows(folder):
    return load_split(folder, "train", cache_dir=folder / "cache")


@pytest.fixture(scope="module")
def collator():
    return Collator(start_tiny()[1], seed=1)


def batches(rows, collator, spread, **options):
    return StoredBatches(StoredSamples(rows, AUGMENTATION, True), collator, spread, **options)


def same(one, other):
    return one.seeds == other.seeds and all(
        torch.equal(a, b)
        for name in one.inputs
        for a, b in zip(one.inputs[name], other.inputs[name], strict=True)
    )


@pytest.mark.parametrize(("accumulation", "processes"), [(2, 1), (1, 2), (2, 2), (4, 1)])
def test_the_parts_of_a_step_make_up_the_whole(rows, collator, accumulation, processes):
    whole = batches(rows, collator, Spread(4))
    for step in range(4):
        parts = [
            batches(rows, collator, Spread(4, accumulation, processes, process))[
                step * accumulation + number
            ]
            for number in range(accumulation)
            for process in range(processes)
        ]
        expected = whole[step]
        assert [seed for part in parts for seed in part.seeds] == expected.seeds
        assert [number for part in parts for number in part.image_ids] == expected.image_ids
        pixels = torch.cat([part.inputs["pixel_values"] for part in parts])
        assert torch.equal(pixels, expected.inputs["pixel_values"])
        masks = [masks for part in parts for masks in part.inputs["mask_labels"]]
        for ours, theirs in zip(masks, expected.inputs["mask_labels"], strict=True):
            assert torch.equal(ours, theirs)


def test_an_epoch_shows_each_image_once_and_the_next_in_another_order(rows, collator):
    found = batches(rows, collator, Spread(5))
    orders = [found[step].image_ids for step in range(3)]
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    # And each time in another view.
    shown = {
        tuple(pixels.flatten()[:50].tolist())
        for step in range(3)
        for number, pixels in zip(
            found[step].image_ids, found[step].inputs["pixel_values"], strict=True
        )
        if number == 0
    }
    assert len(shown) == 3


def test_workers_change_nothing(rows, collator):
    made = batches(rows, collator, Spread(2))
    loaders = [
        DataLoader(made, batch_size=None, sampler=range(3, 9), num_workers=workers)
        for workers in (0, 2)
    ]
    for ours, theirs in zip(*loaders, strict=True):
        assert same(ours, theirs)


def test_batches_that_cannot_be_spread_are_told():
    with pytest.raises(ValueError, match=r"a multiple of 2 processes x 3 accumulated passes.* 4"):
        Spread(4, 3, 2)


def test_a_batch_holds_normalised_pictures_and_their_masks(rows, collator):
    samples = StoredSamples(rows, None, True)
    batch = collator([samples.read(index, np.random.default_rng(0)) for index in (0, 1)], 0, [0, 1])
    assert batch.inputs["pixel_values"].shape == (2, 3, 64, 64)
    for number in range(2):
        scene = drawn_scene(number)
        assert torch.equal(batch.inputs["mask_labels"][number], torch.from_numpy(scene.masks))
        names = [list(DRAWN_VOCABULARY)[label] for label in batch.inputs["class_labels"][number]]
        assert names == scene.class_names
    expected = start_tiny()[1](images=drawn_scene(1).image, return_tensors="pt")
    assert torch.equal(batch.inputs["pixel_values"][1], expected["pixel_values"][0])
    moved = batch.to(torch.device("meta"))
    assert moved.inputs["mask_labels"][0].is_meta and moved.names == batch.names


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 7), (1, 50), (50, 3)])
def test_pictures_that_could_be_taken_for_channels(tmp_path, collator, height, width):
    picture = Image.new("RGB", (width, height))
    one = ObjectRecord("ship", encode(np.ones((height, width), dtype=bool)))
    record = ImageRecord(0, "small.png", picture, width, height, objects=(one,))
    path = write_records(tmp_path / "set", [record], ["ship"])
    rows = load_split(path, "train", cache_dir=tmp_path / "cache")
    batch = StoredBatches(StoredSamples(rows, None, True), collator, Spread(1))[0]
    (masks,) = batch.inputs["mask_labels"]
    assert batch.inputs["pixel_values"].shape == (1, 3, *masks.shape[1:])
    assert masks.sum() == height * width


def test_a_stream_gives_whole_batches_in_any_spread(folder, collator):
    streamed = load_split(folder, "train", streaming=True)

    def rows():
        return stream_rows(streamed, seed=3, buffer_size=4, skip_empty=True)

    def ids(spread, numbers, workers=0):
        made = StreamedBatches(rows, RowReader(streamed, AUGMENTATION), collator, spread, numbers)
        loader = DataLoader(made, batch_size=None, num_workers=workers)
        return [batch.image_ids for batch in loader]

    whole = ids(Spread(2), range(5))
    assert sorted(number for numbers in whole for number in numbers) == sorted(
        [*range(5), *range(5)]
    )
    assert ids(Spread(2), range(2, 5)) == whole[2:]
    assert ids(Spread(2), range(5), workers=1) == whole
    halves = [ids(Spread(2, 1, 2, process), range(5)) for process in (0, 1)]
    assert [first + second for first, second in zip(*halves, strict=True)] == whole


def test_objects_in_sight_are_kept_and_crowds_are_not(tmp_path, collator):
    masks = np.zeros((3, 64, 64), dtype=bool)
    masks[0, 5:20, 5:20] = masks[1, 40:60, 40:60] = masks[2, 5:20, 40:60] = True
    objects = tuple(
        ObjectRecord(name, encode(mask), iscrowd=crowd)
        for name, mask, crowd in zip("aba", masks, (False, False, True), strict=True)
    )
    picture = Image.new("RGB", (64, 64), (50, 60, 70))
    crowd = ObjectRecord("a", encode(masks[0]), iscrowd=True)
    records = [
        ImageRecord(1, "1.png", picture, 64, 64, objects=objects),
        ImageRecord(2, "2.png", picture, 64, 64, objects=(crowd,)),
        ImageRecord(3, "3.png", picture, 64, 64),
    ]
    write_records(tmp_path, records, ("a", "b"))
    rows = load_split(tmp_path, "train", cache_dir=tmp_path / "cache")

    assert len(StoredSamples(rows, None, skip_empty=True)) == 1
    every = StoredSamples(rows, None, skip_empty=False)
    assert len(every) == 3
    sample = every.read(0, np.random.default_rng(0))
    assert sample.labels.tolist() == [0, 1] and np.array_equal(sample.masks, masks[:2])
    assert every.read(1, np.random.default_rng(0)).masks.shape == (0, 64, 64)

    class Fixed:
        def random(self):
            return 0.9

        def uniform(self, low, high):
            return high

    enlarged = StoredSamples(rows, AugmentationRecipe(crop_size=32, scale=(4, 4)), True)
    sample = enlarged.read(0, Fixed())
    # The crop shows rows and columns from 86 to 118 of 128: the second object.
    assert sample.labels.tolist() == [1] and sample.masks.all()
    empty = write_records(tmp_path / "empty", records[1:], ("a", "b"))
    with pytest.raises(ValueError, match="has no image with an object"):
        StoredSamples(load_split(empty, "train", cache_dir=tmp_path / "cache"), None, True)


def test_label_images_give_a_mask_for_each_class_in_sight(tmp_path, collator):
    label = np.full((40, 40), 255, dtype=np.uint8)
    label[:20], label[20:, :10] = 2, 0
    picture = Image.new("RGB", (40, 40))
    record = ImageRecord(1, "1.png", picture, 40, 40, label=label)
    write_records(tmp_path, [record], ("road", "tree", "water"), kind="semantic")
    rows = load_split(tmp_path, "train", cache_dir=tmp_path / "cache")

    sample = StoredSamples(rows, None, True).read(0, np.random.default_rng(0))
    assert sample.labels.tolist() == [0, 2]
    assert [mask.sum() for mask in sample.masks] == [200, 800]
    jittered = StoredSamples(rows, AugmentationRecipe(crop_size=64, scale=(0.5, 0.5)), True)
    sample = jittered.read(0, np.random.default_rng(0))
    assert sample.labels.tolist() == [0, 2] and sample.masks.shape == (2, 64, 64)
    assert sample.masks.sum() == 32 * 16 + 16 * 8


def damage(rows, number, stored):
    def change(row):
        return {"image": stored if row["image_id"] == number else row["image"]}

    undecoded = rows.cast_column("image", datasets.Image(decode=False))
    return undecoded.map(change, features=undecoded.features)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"bytes": b"no image", "path": None}, r"'drawn_2.png' \(id 2\).* cannot be read"),
        ({"bytes": png(np.eye(64, dtype=np.uint8))[:60], "path": None}, "cannot be read"),
        (
            {"bytes": png(np.zeros((32, 64, 3), np.uint8)), "path": None},
            r"is of size \(64, 32\), but its row says \(64, 64\)",
        ),
    ],
)
def test_a_damaged_image_is_named_and_fatal_or_replaced(rows, collator, stored, message):
    damaged = damage(rows, 2, stored)
    with pytest.raises(DamagedImage, match=message):
        batches(damaged, collator, Spread(5))[0]

    kept = batches(damaged, collator, Spread(5), skip_damaged=True)
    batch = kept[0]
    assert 2 not in batch.image_ids and len(batch.image_ids) == 5
    assert len(batch.damaged) >= 1 and "drawn_2.png" in batch.damaged[0]
    # The same image takes its place however the step is spread.
    halves = [
        batches(damaged, collator, Spread(10, 1, 2, process), skip_damaged=True)[0]
        for process in (0, 1)
    ]
    whole = batches(damaged, collator, Spread(10), skip_damaged=True)[0]
    assert halves[0].image_ids + halves[1].image_ids == whole.image_ids


def test_a_set_of_nothing_but_damaged_images_is_told(rows, collator):
    damaged = rows
    for number in range(5):
        damaged = damage(damaged, number, {"bytes": b"no image", "path": None})
    with pytest.raises(DamagedImage, match="20 images one after another are damaged"):
        batches(damaged, collator, Spread(1), skip_damaged=True)[0]


class TestDrawn:
    def batches(self, collator, *spread):
        return DrawnBatches(DrawnSamples(64), collator, Spread(*spread))

    def test_scenes_are_drawn_once_and_every_fourth_batch_is_larger(self, collator):
        made = [self.batches(collator, 4)[step] for step in range(5)]
        shapes = [tuple(batch.inputs["pixel_values"].shape[::2]) for batch in made]
        assert shapes == [(4, 64), (4, 64), (4, 64), (1, 128), (4, 64)]
        seen = [number for batch in made for number in batch.image_ids]
        assert len(set(seen)) == len(seen) and min(seen) == FIRST_DRAWN_SEED

    def test_processes_share_a_step(self, collator):
        halves = [self.batches(collator, 8, 1, 2, process) for process in (0, 1)]
        for step in (2, 3):
            whole = self.batches(collator, 8)[step]
            assert halves[0][step].image_ids + halves[1][step].image_ids == whole.image_ids

    def test_quarters_must_be_spread_too(self, collator):
        with pytest.raises(ValueError, match="must be a multiple of 2 processes"):
            self.batches(collator, 4, 1, 2, 0)


class TestPrompts:
    CLASSES = ("ship, boat, vessel", "storage tank, oil tank", "harbor")

    def words(self, prompts, step):
        arguments = prompts.of_step(step)
        ids = arguments["input_ids"]
        return arguments, start_tiny()[1].tokenizer.batch_decode(ids, skip_special_tokens=True)

    def test_a_step_draws_one_synonym_of_each_class_in_some_templates(self):
        prompts = StepPrompts(start_tiny()[1], self.CLASSES, True, 2, seed=0)
        used, templates = set(), set()
        for step in range(30):
            arguments, texts = self.words(prompts, step)
            assert len(texts) == 6 and arguments["class_ids"].tolist() == [0, 1, 2]
            assert arguments["seen_classes"].tolist() == [True] * 3
            first, second = texts[:2]
            used |= {name for name in ("ship", "boat", "vessel") if name in first.split()}
            templates |= {first.split(" of ")[0], second.split(" of ")[0]}
            assert "harbor" in texts[4] and "harbor" in texts[5] and texts[4] != texts[5]
        assert used == {"ship", "boat", "vessel"} and len(templates) == 6
        again = StepPrompts(start_tiny()[1], self.CLASSES, True, 2, seed=0).of_step(7)
        assert torch.equal(again["input_ids"], prompts.of_step(7)["input_ids"])

    def test_all_synonyms_and_templates_are_the_processors_own(self):
        arguments = StepPrompts(start_tiny()[1], self.CLASSES, False, None, seed=0).of_step(0)
        expected = start_tiny()[1].tokenize_classes(list(self.CLASSES))
        assert arguments["class_ids"].tolist() == [0, 0, 0, 1, 1, 2]
        ours = sorted(map(tuple, arguments["input_ids"].tolist()))
        assert ours == sorted(map(tuple, expected["input_ids"].tolist()))

    def test_there_are_no_more_templates_than_the_processor_has(self):
        with pytest.raises(ValueError, match=r"must be at most 18.* but is 19"):
            StepPrompts(start_tiny()[1], self.CLASSES, True, 19, seed=0)
