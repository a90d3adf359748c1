import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from score_hf import ScoreForInstanceSegmentation
from score_hf.conversion.detectron2.checkpoint import convert_checkpoint
from score_hf.conversion.detectron2.export import ExportedCheckpoint, export_checkpoint
from score_hf.conversion.detectron2.settings import ModelSettings
from score_hf.conversion.model_card import ModelCardFacts
from score_hf.conversion.model_folder import write_model_folder
from score_hf.conversion.published_weights import WeightSource
from tests.tiny import tiny_config, tiny_processor, tiny_tokenizer

ROOT = Path(__file__).parents[3]
UNTOLD = {
    "stored_synonyms": 0,
    "id2label": None,
    "alpha": 0.1,
    "pixel_decoder_points": 4,
    "untrained_parts": ["mask_decoder", "region_integration", "void_embedding"],
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[Path, ExportedCheckpoint]:
    """A model that follows no rule, and what became of it."""
    folder = tmp_path_factory.mktemp("exported")
    config = tiny_config(**UNTOLD)
    config.context_config.hidden_act = "gelu"
    config.context_config.layer_norm_eps = 1e-4
    config.text_config.hidden_act = "quick_gelu"
    torch.manual_seed(0)
    model = ScoreForInstanceSegmentation(config)
    model.region_integration.formation.calls.fill_(7)
    processor = tiny_processor()
    processor.templates = ["a picture of {}."]
    processor.image_processor.size = {"shortest_edge": 300, "longest_edge": 400}
    facts = ModelCardFacts("Tiny", general=WeightSource("convnext", "openai"))
    write_model_folder(folder / "model", model, processor, facts)
    return folder / "model", export_checkpoint(folder / "model", folder / "there.safetensors")


def test_everything_comes_back_that_tensors_do_not_tell(exported):
    folder, written = exported
    settings = ModelSettings.load(written.settings)

    converted = convert_checkpoint(load_file(written.path), tiny_tokenizer(), settings=settings)

    model = ScoreForInstanceSegmentation.from_pretrained(folder)
    fields = [one.to_diff_dict() for one in (converted.model.config, model.config)]
    for written_with_a_folder in ("architectures", "auto_map", "dtype"):
        for one in fields:
            one.pop(written_with_a_folder, None)
    assert fields[0] == fields[1]
    back, state = converted.model.state_dict(), model.state_dict()
    assert set(back) == set(state)
    assert all(torch.equal(back[name], tensor) for name, tensor in state.items())
    assert converted.processor.templates == ["a picture of {}."]
    assert converted.processor.seen_classes == tiny_processor().seen_classes
    assert converted.processor.image_processor.size["shortest_edge"] == 300
    assert [one["weights"] for one in settings.weight_sources] == ["openai"]


def test_a_process_that_has_loaded_nothing_yet_can_read_them(exported):
    code = """
import sys
from pathlib import Path
from score_hf.conversion.detectron2.settings import ModelSettings
from tests.tiny import tiny_tokenizer

print(ModelSettings.load(Path(sys.argv[1])).make_processor(tiny_tokenizer()).templates)
"""
    command = [sys.executable, "-c", code, str(exported[1].settings)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=ROOT, stdin=subprocess.DEVNULL
    )
    assert done.stdout == "['a picture of {}.']\n"


def test_parts_that_were_trained_since_are_not_called_random(exported):
    _, written = exported
    settings = ModelSettings.load(written.settings)
    state = load_file(written.path)
    state["void_embedding.weight"] += 0.01

    converted = convert_checkpoint(state, tiny_tokenizer(), settings=settings)

    assert converted.model.config.untrained_parts == []


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda fields: fields.clear(), "or the json file .* its fields are none"),
        (lambda fields: fields.update(other=1), "must be detectron2's yaml file .* or the json"),
        (lambda fields: fields["config"].update(num_queries=0), "model that cannot be: .*queries"),
        (lambda fields: fields["config"].update(num_queries=9), r"must be of shape \(9, 32\)"),
        (lambda fields: fields["processor"].update(templates=7), "processor that cannot be"),
        (lambda fields: fields.update(config=None), "its config is None"),
        (lambda fields: fields["config"].update(hidden_size="x" * 9999), "cannot be: .{300}$"),
        (lambda fields: fields.update(kernel={"a": 10**400}), "its kernel is {'a': 1000"),
        (lambda fields: fields.update(weight_sources=[1]), r"its weight_sources are \[1\]"),
        (lambda fields: fields["config"].update(untrained_parts=3), "model that cannot be"),
    ],
)
def test_other_files_are_refused(exported, tmp_path, break_it, said):
    _, written = exported
    fields = json.loads(written.settings.read_text())
    break_it(fields)
    (tmp_path / "broken.json").write_text(json.dumps(fields))

    with pytest.raises(ValueError, match=said):
        settings = ModelSettings.load(tmp_path / "broken.json")
        convert_checkpoint(load_file(written.path), tiny_tokenizer(), settings=settings)


def test_what_is_no_json_is_refused(tmp_path):
    for content in ("[1]", "{", "", "[" * 100_000):
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(ValueError, match="must be detectron2's yaml file"):
            ModelSettings.load(tmp_path / "x.json")
