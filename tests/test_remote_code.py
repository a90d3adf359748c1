"""A saved folder brings its code along, for processes that do not have the package."""

import ast
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import pipeline

import score_hf
from score_hf import ScoreForInstanceSegmentation, ScoreProcessor
from tests.isolated import run_isolated
from tests.tiny import make_inputs, tiny_config, tiny_processor

COPIED = [
    path
    for folder in ("modeling", "processing")
    for path in sorted((Path(score_hf.__file__).parent / folder).glob("*.py"))
    if path.name != "__init__.py"
]
# What comes with Transformers, torch and torchvision.
AT_HAND = {"PIL", "huggingface_hub", "numpy", "torch", "torchvision", "transformers"}
AT_HAND |= {"typing_extensions", *sys.stdlib_module_names}
CLASSES = ["ship", "storage tank, oil tank", "plane"]
SUBTASKS = ("instance", "semantic", "panoptic")

ISOLATED = """
import pickle
import sys

import torch
from PIL import Image
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageSegmentation,
    AutoModelForInstanceSegmentation,
    AutoModelForUniversalSegmentation,
    AutoProcessor,
    AutoTokenizer,
    pipeline,
)

folder, results = sys.argv[1:]
torch.set_num_threads(1)
trusted = {"trust_remote_code": True}
image = Image.open("picture.png")
autos = (
    AutoModelForInstanceSegmentation,
    AutoModel,
    AutoModelForImageSegmentation,
    AutoModelForUniversalSegmentation,
)


def outputs_of(folder, auto):
    processor = AutoProcessor.from_pretrained(folder, **trusted)
    model = auto.from_pretrained(folder, **trusted)
    assert type(model).__module__.startswith("transformers_modules."), type(model)
    assert type(processor).__module__.startswith("transformers_modules."), type(processor)
    inputs = processor(images=image, classes=CLASSES, return_tensors="pt")
    with torch.no_grad():
        classifier = model.build_classifier(**processor.tokenize_classes(CLASSES))
        pixels = {name: inputs[name] for name in ("pixel_values", "pixel_mask")}
        outputs = [model(**inputs), model(**pixels, classifier=classifier), model(**pixels)]
    found = processor.post_process_instance_segmentation(
        outputs[0], threshold=0.0, target_sizes=[image.size[::-1]]
    )
    return [dict(output) for output in outputs], found


config = AutoConfig.from_pretrained(folder, **trusted)
AutoImageProcessor.from_pretrained(folder, **trusted)
AutoTokenizer.from_pretrained(folder, **trusted)
for auto in autos[1:]:
    assert type(auto.from_pretrained(folder, **trusted)).__name__ == "ScoreForInstanceSegmentation"
saved = {"outputs": outputs_of(folder, autos[0]), "labels": config.id2label}

pipe = pipeline("image-segmentation", model=folder, **trusted)
for subtask in SUBTASKS:
    saved[subtask] = [
        (segment["label"], segment["score"], segment["mask"].tobytes())
        for segment in pipe(image, subtask=subtask, threshold=0.0)
    ]

# What was loaded from a folder is saved with its code as well.
AutoModelForInstanceSegmentation.from_pretrained(folder, **trusted).save_pretrained("again")
AutoProcessor.from_pretrained(folder, **trusted).save_pretrained("again")
saved["again"] = outputs_of("again", AutoModelForInstanceSegmentation)
with open(results, "wb") as file:
    pickle.dump(saved, file)
"""


def assert_same(found, expected):
    """Equal bit for bit, whatever it is made of."""
    if isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype and torch.equal(found, expected)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_same(found[name], value)
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        assert found == expected


@pytest.fixture(scope="module")
def picture():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def isolated(tmp_path_factory, tiny_folder, picture):
    """What a process without the package made of the folder, and where it saved it again."""
    place = tmp_path_factory.mktemp("isolated")
    picture.save(place / "picture.png")
    code = f"CLASSES = {CLASSES}\nSUBTASKS = {SUBTASKS}\n{ISOLATED}"
    run_isolated(code, place, tiny_folder, "results")
    return pickle.loads((place / "results").read_bytes()), place / "again"


@torch.no_grad()
def expected_outputs(folder, picture):
    model = ScoreForInstanceSegmentation.from_pretrained(folder)
    processor = ScoreProcessor.from_pretrained(folder)
    inputs = processor(images=picture, classes=CLASSES, return_tensors="pt")
    pixels = {name: inputs[name] for name in ("pixel_values", "pixel_mask")}
    classifier = model.build_classifier(**processor.tokenize_classes(CLASSES))
    outputs = [model(**inputs), model(**pixels, classifier=classifier), model(**pixels)]
    found = processor.post_process_instance_segmentation(
        outputs[0], threshold=0.0, target_sizes=[picture.size[::-1]]
    )
    return [dict(output) for output in outputs], found


def test_model_and_processor_give_the_same_without_the_package(isolated, tiny_folder, picture):
    saved, _ = isolated
    assert saved["labels"] == tiny_config().id2label
    assert_same(saved["outputs"], expected_outputs(tiny_folder, picture))


def test_what_the_copies_save_is_complete_and_the_same(isolated, tiny_folder, picture):
    saved, again = isolated
    assert_same(saved["again"], expected_outputs(tiny_folder, picture))
    assert {path.name for path in again.glob("*.py")} == {path.name for path in COPIED}
    # And those who have the package use theirs.
    assert_same(saved["again"], expected_outputs(again, picture))


@pytest.mark.parametrize("subtask", SUBTASKS)
def test_the_pipeline_gives_the_same_without_the_package(isolated, tiny_folder, picture, subtask):
    saved, _ = isolated
    pipe = pipeline("image-segmentation", model=str(tiny_folder))
    segments = pipe(picture, subtask=subtask, threshold=0.0)
    assert segments and {segment["label"] for segment in segments} <= set(tiny_config().label2id)
    expected = [
        (segment["label"], segment["score"], segment["mask"].tobytes()) for segment in segments
    ]
    assert saved[subtask] == expected


def test_every_file_is_copied_and_no_two_share_a_name(tiny_folder):
    names = [path.name for path in COPIED]
    assert len(set(names)) == len(names)
    assert {path.name for path in tiny_folder.glob("*.py")} == set(names)


@pytest.mark.parametrize("path", COPIED, ids=lambda path: path.stem)
def test_files_import_what_is_copied_or_at_hand(path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1 and node.module and "." not in node.module, ast.unparse(node)
            assert path.with_name(f"{node.module}.py").exists()
    for node in tree.body:
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules = [node.module]
        assert {module.partition(".")[0] for module in modules} <= AT_HAND, ast.unparse(node)


@torch.no_grad()
def test_a_stored_vocabulary_travels_without_the_text_tower(tmp_path):
    torch.manual_seed(0)
    model = ScoreForInstanceSegmentation(tiny_config(stored_synonyms=0, id2label=None)).eval()
    processor = tiny_processor()
    classifier = model.build_classifier(**processor.tokenize_classes(CLASSES))
    model.store_vocabulary(classifier, ["ship", "tank", "plane"], keep_text_tower=False)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    pipe = pipeline("image-segmentation", model=str(tmp_path))
    expected = model(**make_inputs(model.config, 1)).class_queries_logits
    found = pipe.model(**make_inputs(model.config, 1)).class_queries_logits
    assert torch.equal(found, expected)
    segments = pipe(Image.new("RGB", (64, 64)), subtask="semantic")
    assert {segment["label"] for segment in segments} <= {"ship", "tank", "plane"}
