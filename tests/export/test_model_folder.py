"""Graphs of tiny random models, compared with PyTorch on what they were not traced with."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.export import ExportedProgram

from score_hf import ScoreForInstanceSegmentation
from score_hf.export import model_folder
from score_hf.export.checking import TOLERANCE, check_graph
from score_hf.export.image_half import (
    OUTPUTS,
    ScoreImageHalf,
    input_names,
    random_inputs,
    trace_image_half,
)
from score_hf.export.model_folder import export_model
from tests.tiny import MODEL_KINDS, TINY_CLASSES, tiny_config, tiny_processor

SIZE = (64, 96)


def fresh_model(seed: int = 0, **changes) -> ScoreForInstanceSegmentation:
    torch.manual_seed(seed)
    return ScoreForInstanceSegmentation(tiny_config(**changes)).eval()


@pytest.fixture(scope="module")
def program() -> ExportedProgram:
    return trace_image_half(ScoreImageHalf(fresh_model()), SIZE)


@pytest.fixture
def traced_before(program, monkeypatch) -> None:
    """Tracing takes most of an export's time: it is done once."""
    monkeypatch.setattr(model_folder, "trace_image_half", lambda half, size: program)


def check_again(graph, half: ScoreImageHalf) -> None:
    for batch, classes, seed in ((2, 3, 5), (1, 1, 6)):
        inputs = random_inputs(half.model.config, batch, SIZE, classes, seed)
        with torch.no_grad():
            expected = half(**inputs)
        for found, wanted in zip(graph(inputs), expected, strict=True):
            assert found.shape == wanted.shape
            assert (found - wanted).abs().max() <= TOLERANCE * wanted.abs().max()


def test_torch_folder(traced_before, tmp_path):
    done = export_model(fresh_model(), tiny_processor(), tmp_path / "made", "torch", size=SIZE)
    assert {path.name for path in done.folder.iterdir()} == {
        *("model.pt2", "classes.npz", "settings.json")
    }
    assert done.names == list(TINY_CLASSES) and done.difference <= TOLERANCE
    loaded = torch.export.load(done.folder / "model.pt2").module()
    check_again(lambda inputs: loaded(**inputs), ScoreImageHalf(fresh_model()))


@pytest.mark.slow
def test_onnx_folder_of_one_size(traced_before, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from score_hf.export.onnx_graph import OnnxSession

    done = export_model(fresh_model(), tiny_processor(), tmp_path / "made", "onnx", size=SIZE)
    check_again(OnnxSession(done.folder / "model.onnx"), ScoreImageHalf(fresh_model()))


def test_settings_tell_what_the_processor_does(tiny_model):
    settings = json.loads(json.dumps(model_folder.describe(tiny_model, tiny_processor(), None)))
    assert settings["resize"] == {"shortest_edge": 64, "longest_edge": 96}
    assert settings["inputs"] == input_names(tiny_model.config)
    assert settings["outputs"] == list(OUTPUTS)
    assert settings["height_and_width"] is None and settings["mask_stride"] == 4
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    image = (picture * settings["rescale_factor"] - settings["mean"]) / settings["std"]
    expected = tiny_processor()(images=picture, return_tensors="pt")["pixel_values"][0]
    np.testing.assert_allclose(image.transpose(2, 0, 1), expected.numpy(), atol=1e-5)
    processor = tiny_processor()
    processor.image_processor.do_resize = False
    settings = model_folder.describe(tiny_model, processor, SIZE)
    assert settings["resize"] is None and settings["height_and_width"] == list(SIZE)


def test_a_graph_that_differs_is_not_left_behind(traced_before, tmp_path):
    with pytest.raises(RuntimeError, match=r"differs from PyTorch by .* nothing was written"):
        export_model(fresh_model(1), tiny_processor(), tmp_path / "made", "torch", size=SIZE)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(traced_before, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"`output` .* exists already"):
        export_model(fresh_model(), tiny_processor(), tmp_path, "torch")


@pytest.mark.parametrize("size", [(0, 64), (64, 100)])
def test_sizes_that_the_network_cannot_take(size, tiny_model, tmp_path):
    with pytest.raises(ValueError, match="`size` must be a height and a width in multiples of 32"):
        export_model(tiny_model, tiny_processor(), tmp_path / "made", "torch", size=size)


def test_integers_are_for_onnx(tiny_model, tmp_path):
    with pytest.raises(ValueError, match="`int8` is for ONNX only, but the format is 'torch'"):
        export_model(tiny_model, tiny_processor(), tmp_path / "made", "torch", int8=True)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("damage", [lambda x: 1.02 * x, lambda x: x * torch.nan])
def test_the_comparison_sees_differences(place, damage, tiny_model):
    half = ScoreImageHalf(tiny_model)

    def graph(inputs, damaged=()):
        return tuple(
            damage(one) if index in damaged else one for index, one in enumerate(half(**inputs))
        )

    assert check_graph(graph, half, None) == 0
    with pytest.raises(RuntimeError, match="differs"):
        check_graph(lambda inputs: graph(inputs, (place,)), half, None)


def test_the_comparison_sees_other_shapes(tiny_model):
    half = ScoreImageHalf(tiny_model)
    with pytest.raises(RuntimeError, match="differs from PyTorch by inf"):
        check_graph(lambda inputs: (half(**inputs)[0][:, :-1], half(**inputs)[1]), half, SIZE)


@pytest.mark.slow
@pytest.mark.parametrize("changes", MODEL_KINDS, ids=str)
@pytest.mark.parametrize("format", ["torch", "onnx"])
def test_every_kind_of_model_at_any_size(changes, format, tmp_path):
    if format == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    model = fresh_model(**changes)
    done = export_model(model, tiny_processor(), tmp_path / "made", format)
    assert done.difference <= TOLERANCE
    vocabulary = np.load(done.folder / "classes.npz")
    settings = json.loads(Path(done.folder / "settings.json").read_text())
    assert set(vocabulary) == {"names", *settings["inputs"][1:]}
