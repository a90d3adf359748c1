import datetime
from itertools import pairwise

import pytest

from score_hf.plain_yaml import read_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in pairwise("abcdefg")
)


def test_plain_values_are_read_and_aliases_followed():
    assert read_yaml("a: &a [1, x]\nb: *a\nc: 2020-01-02") == {
        "a": [1, "x"],
        "b": [1, "x"],
        "c": datetime.date(2020, 1, 2),
    }
    assert read_yaml("") is None


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "a: b: c",
        "\x00",
        "[" * 5000,
        "2001-99-99",
        "!!timestamp x",
        "!!bool x",
        "!!int ''",
        "? [a]\n: 1",
        "!!python/object/apply:os.system [true]",
        "9" * 5000,
    ],
)
def test_what_is_no_yaml_is_told_in_a_line(text):
    with pytest.raises(ValueError, match=r"^[^\n]+[^.\n]$") as told:
        read_yaml(text)
    assert len(str(told.value)) <= 300 and type(told.value) is ValueError


@pytest.mark.parametrize("text", [BOMB, "&a [*a]", "&a {b: *a}", "- &a [1, *a]"])
def test_a_few_lines_do_not_stand_for_endless_values(text):
    with pytest.raises(ValueError, match="stands for more than 100,000 values"):
        read_yaml(text)
