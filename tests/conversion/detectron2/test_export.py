import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from score_hf import ScoreForInstanceSegmentation
from score_hf.conversion.completeness import weight_files
from score_hf.conversion.detectron2.checkpoint import convert_checkpoint
from score_hf.conversion.detectron2.config import CheckpointHints
from score_hf.conversion.detectron2.export import export_checkpoint
from score_hf.conversion.detectron2.extras import EXTRAS_FILE, OriginalExtras
from tests.tiny import tiny_config, tiny_processor, tiny_tokenizer

WEIGHTS = Path(__file__).parents[2] / "fixtures" / "parity" / "seed202" / "weights.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The goldens' weights as a model's folder."""
    folder = tmp_path_factory.mktemp("golden")
    converted = convert_checkpoint(
        load_file(WEIGHTS), tiny_tokenizer(), CheckpointHints(context_heads=4)
    )
    converted.model.save_pretrained(folder, max_shard_size="2MB")
    converted.processor.save_pretrained(folder)
    converted.extras.save(folder)
    return folder


@pytest.mark.parametrize("name", ["model_final.pth", "back.safetensors", "folder"])
def test_the_way_back_is_exact(folder, tmp_path, name):
    theirs = load_file(WEIGHTS)

    written = export_checkpoint(folder, tmp_path / name)

    assert written.path == tmp_path / (name if "." in name else "folder/model_final.pth")
    if written.path.suffix == ".pth":
        back = torch.load(written.path, weights_only=True)["model"]
    else:
        back = load_file(written.path)
    assert set(back) == set(theirs) and written.tensors == len(theirs)
    for tensor_name, tensor in theirs.items():
        assert back[tensor_name].dtype == tensor.dtype
        assert torch.equal(back[tensor_name], tensor)
    assert written.settings == written.path.with_suffix(".json") and written.settings.is_file()
    assert written.notes == (
        "There is no text tower in it, which the original reads class names with.",
    )


def test_what_else_lies_in_the_folder_is_not_read(folder, tmp_path):
    copy = Path(shutil.copytree(folder, tmp_path / "model"))
    for name in ("model", "model/model.safetensors", "model/config.pth"):
        with pytest.raises(ValueError, match="must lie outside the model's folder"):
            export_checkpoint(copy, tmp_path / name, overwrite=True)
    written = export_checkpoint(copy, tmp_path / "model_final.safetensors")
    shutil.copy(written.path, copy)

    again = export_checkpoint(copy, tmp_path / "again.safetensors")

    assert again.tensors == written.tensors and again.notes == written.notes
    weight_files(copy)[0].unlink()
    with pytest.raises(ValueError, match="is not complete"):
        export_checkpoint(copy, tmp_path / "other.pth")


def test_trained_values_keep_their_type(folder, tmp_path):
    model = ScoreForInstanceSegmentation.from_pretrained(folder)
    with torch.no_grad():
        model.void_embedding.weight.add_(1e-4)
    model.save_pretrained(tmp_path / "trained")
    OriginalExtras.load(folder).save(tmp_path / "trained")

    back = load_file(export_checkpoint(tmp_path / "trained", tmp_path / "b.safetensors").path)

    assert back["void_embedding.weight"].dtype == torch.float32
    assert torch.equal(back["void_embedding.weight"], model.void_embedding.weight.detach())
    assert back["gca.multiattn.0.in_proj_weight"].dtype == torch.float16


def test_without_extras_the_loss_weights_are_made_anew(folder, tmp_path):
    model = ScoreForInstanceSegmentation.from_pretrained(folder)
    model.save_pretrained(tmp_path / "model")
    written = export_checkpoint(tmp_path / "model", tmp_path / "unknown.safetensors")
    assert any("There is no criterion.empty_weight" in note for note in written.notes)

    tiny_processor().save_pretrained(tmp_path / "model")
    written = export_checkpoint(tmp_path / "model", tmp_path / "known.safetensors")

    assert not any("criterion" in note for note in written.notes)
    made = load_file(written.path)["criterion.empty_weight"]
    assert torch.equal(made, torch.tensor([1.0, 1.0, 0.1]))


def test_what_the_original_does_not_have_is_told(tmp_path):
    config = tiny_config(global_context="concat", region_kernel="clamp")
    ScoreForInstanceSegmentation(config).save_pretrained(tmp_path / "model")
    tiny_processor().save_pretrained(tmp_path / "model")

    notes = export_checkpoint(tmp_path / "model", tmp_path / "out.pth").notes

    assert any("no global_context='concat'" in note for note in notes)
    assert any("no region_kernel='clamp'" in note for note in notes)
    assert any("the stored vocabulary of 3 classes: give `--classes`" in note for note in notes)
    (lost,) = [note for note in notes if "original has no place for" in note]
    assert "global_adaptation.concat_projection.weight" in lost and "formation.delta" in lost
    assert "stored_" not in lost


def test_wrong_places_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match=r"must be a model's folder .* there is none in"):
        export_checkpoint(tmp_path, tmp_path / "out.pth")
    (tmp_path / "out.pth").write_bytes(b"precious")
    with pytest.raises(ValueError, match="exists already"):
        export_checkpoint(folder, tmp_path / "out.pth")
    assert (tmp_path / "out.pth").read_bytes() == b"precious"
    (tmp_path / "other.json").write_bytes(b"precious")
    with pytest.raises(ValueError, match=r"other\.json' exists already"):
        export_checkpoint(folder, tmp_path / "other.pth")
    assert not (tmp_path / "other.pth").exists()
    with pytest.raises(ValueError, match=r"must name a folder, not a file that ends in \.txt"):
        export_checkpoint(folder, tmp_path / "x.txt")
    export_checkpoint(folder, tmp_path / "out.pth", overwrite=True)
    assert (tmp_path / "out.pth").stat().st_size > 1_000_000

    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "config.json").write_text((folder / "config.json").read_text())
    (empty / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"has a config\.json that cannot be read"):
        export_checkpoint(empty, tmp_path / "empty.pth")
    (empty / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(ValueError, match=r"is not complete: it has neither model\.safetensors nor"):
        export_checkpoint(empty, tmp_path / "empty.pth")


def test_extras_of_unknown_types_are_passed_over(tmp_path):
    state = {"a": torch.ones(2, dtype=torch.float16), "b": torch.ones(1)}
    OriginalExtras.of(state, ["b"]).save(tmp_path)
    path = tmp_path / EXTRAS_FILE
    path.write_bytes(path.read_bytes().replace(b"float16", b"floatXX"))

    extras = OriginalExtras.load(tmp_path)

    assert extras.types == {} and torch.equal(extras.tensors["b"], state["b"])
    assert OriginalExtras.load(tmp_path / "nowhere") == OriginalExtras()
