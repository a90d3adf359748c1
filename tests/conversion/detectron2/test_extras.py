import pytest
import torch
from safetensors.torch import save_file

from score_hf.conversion.detectron2.extras import EXTRAS_FILE, OriginalExtras


def test_what_was_kept_is_read_again(tmp_path):
    state = {"a": torch.ones(2), "b": torch.ones(3).half()}
    OriginalExtras.of(state, ["a"]).save(tmp_path)
    read = OriginalExtras.load(tmp_path)
    assert torch.equal(read.tensors["a"], state["a"]) and read.types == {"b": torch.float16}


@pytest.mark.parametrize("types", ["null", "[]", "{", "[" * 100_000])
def test_a_damaged_file_is_told(tmp_path, types):
    save_file({"a": torch.ones(2)}, tmp_path / EXTRAS_FILE, metadata={"types": types})
    with pytest.raises(ValueError, match=r"detectron2_extras\.safetensors' is damaged \("):
        OriginalExtras.load(tmp_path)
    (tmp_path / EXTRAS_FILE).write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"detectron2_extras\.safetensors' is damaged \("):
        OriginalExtras.load(tmp_path)


def test_types_that_are_not_known_are_ignored(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / EXTRAS_FILE, metadata={"types": '{"b": ["x"]}'})
    assert OriginalExtras.load(tmp_path).types == {}
