from pathlib import Path

import pytest
import torch

from score_hf import ScoreForInstanceSegmentation, Segmenter
from tests.tiny import tiny_config, tiny_processor

# On tiny tensors threads mostly wait for one another, above all on a busy machine.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_model() -> ScoreForInstanceSegmentation:
    torch.manual_seed(0)
    return ScoreForInstanceSegmentation(tiny_config()).eval()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, tiny_model) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_model.save_pretrained(folder)
    tiny_processor().save_pretrained(folder)
    return folder


@pytest.fixture
def segmenter(tiny_model) -> Segmenter:
    return Segmenter(tiny_model, ["ship", "Storage_Tank, fuel tank"], processor=tiny_processor())
