import json
import pickle
import resource
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open

from score_hf import ScoreForInstanceSegmentation, ScoreProcessor
from score_hf.conversion.model_card import ModelCardFacts
from score_hf.conversion.model_folder import store_classes, write_model_folder
from tests.isolated import run_isolated
from tests.tiny import make_inputs, tiny_config, tiny_processor

FACTS = ModelCardFacts("Tiny")
ISOLATED = """
import pickle

import torch
from transformers import AutoModelForInstanceSegmentation, AutoProcessor

trusted = {"trust_remote_code": True}
model = AutoModelForInstanceSegmentation.from_pretrained(sys.argv[1], **trusted)
processor = AutoProcessor.from_pretrained(sys.argv[1], **trusted)
with open("inputs", "rb") as file:
    inputs = pickle.load(file)
with torch.no_grad():
    found = model(**inputs, **processor.tokenize_classes(["ship", "oil tank"])), model(**inputs)
with open("found", "wb") as file:
    pickle.dump([output.class_queries_logits for output in found], file)
"""


@pytest.fixture
def model():
    torch.manual_seed(0)
    return ScoreForInstanceSegmentation(tiny_config()).eval()


def test_the_folder_is_complete_and_loads_as_it_was(tmp_path, model):
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    folder = write_model_folder(tmp_path / "model", model, tiny_processor(), FACTS)
    assert folder == tmp_path / "model" and [path.name for path in tmp_path.iterdir()] == ["model"]
    names = {path.name for path in folder.iterdir() if path.suffix != ".py"}
    assert names == {
        "README.md",
        "config.json",
        "model.safetensors",
        "processor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    loaded = ScoreForInstanceSegmentation.from_pretrained(folder).state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in expected.items())
    processor = ScoreProcessor.from_pretrained(folder)
    assert processor.seen_classes == tiny_processor().seen_classes
    assert torch.equal(
        processor.tokenize_classes(["ship"]).input_ids,
        tiny_processor().tokenize_classes(["ship"]).input_ids,
    )


@torch.no_grad()
def test_it_loads_where_neither_this_package_nor_open_clip_is(tmp_path, model):
    processor, inputs = tiny_processor(), make_inputs(model.config, 1)
    write_model_folder(tmp_path / "model", model, processor, FACTS, max_shard_size="200KB")
    tokens = processor.tokenize_classes(["ship", "oil tank"])
    expected = [model(**inputs, **tokens), model(**inputs)]
    (tmp_path / "inputs").write_bytes(pickle.dumps(inputs))
    run_isolated(ISOLATED, tmp_path, tmp_path / "model")
    found = pickle.loads((tmp_path / "found").read_bytes())
    assert torch.equal(found[0], expected[0].class_queries_logits)
    assert torch.equal(found[1], expected[1].class_queries_logits)


def test_large_weights_are_sharded(tmp_path, model):
    folder = write_model_folder(
        tmp_path / "model", model, tiny_processor(), FACTS, max_shard_size="200KB"
    )
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    shards = set(index["weight_map"].values())
    assert len(shards) > 2 and shards == {path.name for path in folder.glob("*.safetensors")}
    assert set(index["weight_map"]) == set(model.state_dict())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", torch.float16])
def test_another_type_is_saved_but_for_the_pixel_decoder(tmp_path, model, dtype):
    folder = write_model_folder(tmp_path / "model", model, tiny_processor(), FACTS, dtype=dtype)
    short = {"float16": "F16", "bfloat16": "BF16"}[str(dtype).removeprefix("torch.")]
    with safe_open(folder / "model.safetensors", "pt") as file:
        for name in file.keys():  # noqa: SIM118
            stored = file.get_slice(name).get_dtype()
            if stored not in ("I64", "BOOL"):
                assert stored == ("F32" if name.startswith("pixel_decoder.") else short), name
    loaded = ScoreForInstanceSegmentation.from_pretrained(folder)
    assert str(loaded.dtype) == f"torch.{dtype}".replace("torch.torch.", "torch.")
    assert f"stored as {str(dtype).removeprefix('torch.')}" in (folder / "README.md").read_text()


def test_weights_beyond_half_precision_are_not_written_as_infinity(tmp_path, model):
    void = model.void_embedding.weight.data
    first = float(void[0, 0])
    try:
        void[0, 0] = -70_000.0
        with pytest.raises(ValueError, match=r"too small for void_embedding.* value is 7e\+04"):
            write_model_folder(tmp_path / "model", model, tiny_processor(), FACTS, dtype="float16")
    finally:
        model.to(torch.float32).void_embedding.weight.data[0, 0] = first
    assert not any(tmp_path.iterdir())


def test_nothing_is_written_over_a_model_unless_asked(tmp_path, model):
    output = tmp_path / "model"
    write_model_folder(output, model, tiny_processor(), FACTS)
    (output / "old.txt").write_text("")
    with pytest.raises(ValueError, match=r"`output` '.*model' exists already"):
        write_model_folder(output, model, tiny_processor(), FACTS, dtype="float16")
    assert model.dtype == torch.float32
    write_model_folder(output, model, tiny_processor(), FACTS, overwrite=True)
    assert not (output / "old.txt").exists()


def test_an_unknown_type_is_refused_before_anything_is_done(tmp_path, model):
    with pytest.raises(ValueError, match="`dtype` must be one of float32"):
        write_model_folder(tmp_path / "model", model, tiny_processor(), FACTS, dtype="int8")
    assert not any(tmp_path.iterdir()) and model.dtype == torch.float32


def test_a_full_disk_is_told_in_one_sentence_and_leaves_nothing(tmp_path):
    code = f"""
import resource, torch
from score_hf.conversion.model_card import ModelCardFacts
from score_hf.conversion.model_folder import write_model_folder
from score_hf import ScoreForInstanceSegmentation
from tests.tiny import tiny_config, tiny_processor

model, processor = ScoreForInstanceSegmentation(tiny_config()), tiny_processor()
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, {resource.RLIM_INFINITY}))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    write_model_folder({str(tmp_path / "model")!r}, model, processor, ModelCardFacts("Tiny"))
except OSError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "The weights cannot be written to" in done.stdout
    assert not any(tmp_path.iterdir())


@torch.no_grad()
@pytest.mark.parametrize("keep", [True, False])
def test_classes_are_stored_with_or_without_the_text_tower(tmp_path, keep):
    torch.manual_seed(0)
    model = ScoreForInstanceSegmentation(tiny_config(stored_synonyms=0, id2label=None)).eval()
    processor, inputs = tiny_processor(), make_inputs(model.config, 1)
    classes = ["ship", "Storage_Tank, oil tank", "harbor"]
    expected = model(**inputs, **processor.tokenize_classes(classes)).class_queries_logits
    store_classes(model, processor, classes, keep_text_tower=keep)
    folder = write_model_folder(tmp_path / "model", model, processor, FACTS)
    loaded = ScoreForInstanceSegmentation.from_pretrained(folder)
    assert loaded.config.id2label == {0: "ship", 1: "Storage_Tank", 2: "harbor"}
    outputs = loaded(**inputs)
    torch.testing.assert_close(outputs.class_queries_logits, expected)
    assert outputs.seen_classes.tolist() == [[1, 1, 0]]
    assert loaded.config.text_tower is keep
    assert any(name.startswith("text_tower.") for name in loaded.state_dict()) is keep


def test_classes_that_mean_the_same_are_refused(model):
    with pytest.raises(ValueError, match="holds 'ship' twice"):
        store_classes(model, tiny_processor(), ["ship", "Ship"])
