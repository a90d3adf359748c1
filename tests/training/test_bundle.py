import json

import torch
from safetensors.torch import load_file

from score_hf import bundled_model
from score_hf.loading import load_model
from score_hf.training.bundle import bundle


def test_a_bundled_model_is_half_the_size_and_without_code(tiny_folder, tmp_path):
    output = tmp_path / "model"
    output.mkdir()
    (output / "README.md").write_text("Mine.")
    bundle(tiny_folder, output)

    assert (output / "README.md").read_text() == "Mine." and not list(output.glob("*.py"))
    shipped = bundled_model("score-tiny")
    assert {path.name for path in output.iterdir()} == {path.name for path in shipped.iterdir()}
    assert "auto_map" not in "".join(path.read_text() for path in output.glob("*.json"))
    assert json.loads((output / "config.json").read_text())["dtype"] == "float32"
    stored = load_file(output / "model.safetensors")
    assert stored["void_embedding.weight"].dtype == torch.float16
    model, processor = load_model(output)
    source, _ = load_model(tiny_folder)
    assert model.dtype == torch.float32 and processor.seen_classes
    torch.testing.assert_close(
        model.void_embedding.weight, source.void_embedding.weight, rtol=1e-3, atol=1e-3
    )
