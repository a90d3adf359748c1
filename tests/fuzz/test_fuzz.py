import pytest

from .target import Target, run
from .targets import TARGETS

EXAMPLES = 20


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_damaged_inputs_are_read_or_refused_in_a_sentence(target: Target) -> None:
    seen = run(target, EXAMPLES, fixed=True)
    assert seen.inputs >= min(4, EXAMPLES)
