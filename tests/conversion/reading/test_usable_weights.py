import pytest
import torch

from score_hf.conversion.reading.usable_weights import check_weights, separate


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_weights_of_training_pass(dtype):
    # Its sum is beyond the range of 16 bits.
    check_weights("`weights`", {"a": torch.full((300,), 60_000.0).to(dtype), "b": torch.zeros(0)})


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn]
)
def test_other_types_are_refused(dtype):
    tensors = {"a": torch.zeros(2), "b": torch.zeros(2).to(dtype)}
    kind = str(dtype).removeprefix("torch.")
    with pytest.raises(ValueError, match=rf"^`weights` must be .* but 1 of .*\(b {kind}\)"):
        check_weights("`weights`", tensors)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(value):
    tensors = {name: torch.tensor([0.0, value]) for name in "abcd"} | {"e": torch.zeros(2)}
    with pytest.raises(
        ValueError, match=r"but 4 of its tensors have values .* \(a, b, c, \.\.\.\)"
    ):
        check_weights("`weights`", tensors)


def test_what_shares_memory_is_copied_and_nothing_else():
    block = torch.arange(12.0).view(4, 3)
    tensors = {
        "all": block,
        "same": block,
        "turned": block.T,
        "row": block[3],
        "own": torch.ones(3),
    }
    tensors |= {"left": (pair := torch.ones(2, 3))[0], "right": pair[1], "none": torch.zeros(0)}

    apart = separate(tensors)

    assert list(apart) == list(tensors)
    assert all(torch.equal(apart[name], tensors[name]) for name in tensors)
    copied = [name for name in tensors if apart[name] is not tensors[name]]
    assert len(copied) == 3 and set(copied) < {"all", "same", "turned", "row"}
    kept = [tensor.untyped_storage().data_ptr() for name, tensor in apart.items() if name in copied]
    assert len({*kept, block.data_ptr()}) == 4
