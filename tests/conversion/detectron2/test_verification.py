from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from score_hf.conversion.detectron2.checkpoint import convert_checkpoint
from score_hf.conversion.detectron2.config import AttentionHeads
from tests.conversion.detectron2.original_checkpoints import fc_clip_checkpoint
from tests.tiny import tiny_tokenizer

pytest.importorskip("open_clip")
from score_hf.conversion.clip_tokenizer import clip_tokenizer
from score_hf.conversion.detectron2.verification import compare_towers
from score_hf.conversion.verification import check_differences

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
    converted = convert_checkpoint(state, tiny_tokenizer(), AttentionHeads(context=4))

    differences = compare_towers(converted, state)

    check_differences(differences, 1e-5)
    assert [one.name for one in differences][-2:] == ["global context", "dense context"]


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
