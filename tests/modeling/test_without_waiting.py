"""The forward pass never reads a number back from its device, and compiles as one graph."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from score_hf import ScoreForInstanceSegmentation
from tests.tiny import MODEL_KINDS, make_inputs, tiny_config

# What makes a GPU's results come to the CPU: `.item()`, `int(...)`, `if tensor`, boolean indices.
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero")


class CountWaits(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.waits = []

    def __torch_dispatch__(self, operator, types, arguments=(), keywords=None):
        name = operator.overloadpacket.__name__
        by_mask = name.startswith("index") and any(
            isinstance(index, torch.Tensor) and index.dtype == torch.bool
            for given in arguments[1:2]
            for index in (given if isinstance(given, list | tuple) else [given])
        )
        if by_mask or any(name.startswith(wait) for wait in WAITS):
            self.waits.append(name)
        return operator(*arguments, **(keywords or {}))


def model_and_pixels(**changes):
    model = ScoreForInstanceSegmentation(tiny_config(**changes)).eval()
    return model, make_inputs(model.config, 2)["pixel_values"]


@pytest.mark.parametrize("changes", [{}, *MODEL_KINDS], ids=str)
@torch.no_grad()
def test_inference_waits_for_nothing(changes):
    model, pixels = model_and_pixels(**changes)
    with CountWaits() as counted:
        model(pixel_values=pixels)
    assert counted.waits == []


@torch.no_grad()
def test_the_counter_sees_waits():
    with CountWaits() as counted:
        float(torch.ones(3).sum())
        torch.ones(3)[torch.tensor([True, False, True])]
    assert len(counted.waits) == 2


@pytest.mark.parametrize("changes", [{}, {"region_context": "joint", "global_context": "tokens"}])
@torch.no_grad()
def test_the_model_is_one_graph(changes):
    model, pixels = model_and_pixels(**changes)
    expected = model(pixel_values=pixels).class_queries_logits
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    found = compiled(pixel_values=pixels).class_queries_logits
    torch.testing.assert_close(found, expected)
