from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from score_hf.conversion.detectron2.checkpoint import convert_checkpoint
from score_hf.conversion.detectron2.config import CheckpointHints
from tests.conversion.detectron2.original_checkpoints import fc_clip_checkpoint
from tests.tiny import tiny_tokenizer

pytest.importorskip("open_clip")
from score_hf.conversion.clip_tokenizer import clip_tokenizer
from score_hf.conversion.detectron2.verification import compare_towers
from score_hf.conversion.open_clip.verification import check_differences

WEIGHTS = Path(__file__).parents[2] / "fixtures" / "parity" / "seed202" / "weights.safetensors"


@pytest.mark.parametrize("linear_head", [False, True])
def test_general_towers_compute_what_open_clip_does(linear_head):
    state = fc_clip_checkpoint(linear_head=linear_head)
    converted = convert_checkpoint(state, clip_tokenizer())

    differences = compare_towers(converted, state)

    check_differences(differences, 1e-5)
    assert [one.name for one in differences][4:] == [
        "visual head",
        "logit scale",
        "tokens of the text tower",
        "embeddings of the text tower",
    ]
    assert all(one.scale > 0 for one in differences)


def test_context_computes_the_originals_last_block():
    state = load_file(WEIGHTS)
    converted = convert_checkpoint(state, tiny_tokenizer(), CheckpointHints(context_heads=4))

    differences = compare_towers(converted, state)

    check_differences(differences, 1e-5)
    assert [one.name for one in differences][-2:] == ["global context", "dense context"]


def test_activations_are_those_that_were_given():
    hints = CheckpointHints(general_activation="quick_gelu")
    state = fc_clip_checkpoint()
    quick = convert_checkpoint(state, clip_tokenizer(), hints)
    assert quick.model.text_tower.config.hidden_act == "quick_gelu"
    check_differences(compare_towers(quick, state), 1e-5)

    hints = CheckpointHints(context_heads=4, context_activation="gelu")
    state = load_file(WEIGHTS)
    exact = convert_checkpoint(state, tiny_tokenizer(), hints)
    usual = convert_checkpoint(state, tiny_tokenizer(), CheckpointHints(context_heads=4))
    check_differences(compare_towers(exact, state), 1e-5)
    pixels = torch.randn(1, 3, 32, 32)
    contexts = [one.model.context_trunk(pixels).cls for one in (exact, usual)]
    assert not torch.allclose(*contexts, rtol=1e-3)
    assert any("runs with QuickGELU" in note for note in usual.notes)
    assert not any("QuickGELU" in note for note in exact.notes)


def test_a_changed_tower_shows():
    state = fc_clip_checkpoint()
    # The model may share its memory with what it is made of.
    copy = {name: tensor.clone() for name, tensor in state.items()}
    converted = convert_checkpoint(copy, clip_tokenizer())
    with torch.no_grad():
        converted.model.general_trunk.stages[2].layers[0].pwconv1.bias += 0.1
        converted.model.text_tower.text_projection.weight *= 1.01

    with pytest.raises(ValueError, match=r"stage 3 of .* embeddings of the text tower by 1\.0e-02"):
        check_differences(compare_towers(converted, state))
