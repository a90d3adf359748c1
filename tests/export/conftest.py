import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def untold_traces() -> Iterator[None]:
    """Keeps pytest from collecting what PyTorch says while it traces: some of it is long."""
    logger = logging.getLogger("torch.__trace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logger, "disabled", True)
        yield
