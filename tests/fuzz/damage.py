"""Whole files with something wrong in them."""

import json
import zipfile
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from hypothesis import strategies as st

Strategy = st.SearchStrategy

_NUMBERS = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 1 << 20, (1 << 31) - 1, (1 << 32) - 1)
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 255, 65_536, 10**6, 2**31, 2**32, 2**63, -(2**63), 2**64,
    10**400, 0.5, -0.5, 1e-300, 1e300, float("inf"), float("-inf"), float("nan"),
    "", " ", "0", "1", "x", "x" * 2000, "a, b | c; d", "\x00", "\ud800", "é\u202e",
    "../../etc/passwd", "/etc/passwd", "no", "2001-99-99", "*", "<b>", "{}", "%s", "__class__",
    [], {}, [[]], [{}], [None], {"": None}, {"a": {"b": []}}, [1, 2], ["a", "b"], [0] * 300,
)  # fmt: skip
_DEEP = 1200


@st.composite
def damaged(draw: st.DrawFn, files: Sequence[bytes], parts: Sequence[bytes] = ()) -> bytes:
    """Files with up to four edits.

    Args:
        draw: Given by Hypothesis.
        files: Whole ones.
        parts: What else may stand in such files, such as keywords.
    """
    content = draw(st.sampled_from(files))
    for _ in range(draw(st.integers(1, 4))):
        # Most of what a format says stands at its begin, in many at its end.
        near = draw(st.sampled_from((1, 1, 16, 16, 256, -16)))
        place = draw(st.integers(0, max(0, len(content) // abs(near))))
        place = place if near > 0 else len(content) - place
        content = _edit(draw, content, place, files, parts)
    return content


def _edit(
    draw: st.DrawFn, content: bytes, place: int, files: Sequence[bytes], parts: Sequence[bytes]
) -> bytes:
    kinds = ("byte", "number", "cut", "drop", "repeat", "insert", "splice")
    kind = draw(st.sampled_from(kinds))
    before, after = content[:place], content[place:]
    if kind == "byte":
        return before + draw(st.binary(min_size=1, max_size=2)) + after[1:]
    if kind == "number":
        size = draw(st.sampled_from((1, 2, 4, 8)))
        number = draw(st.sampled_from(_NUMBERS)) % (1 << 8 * size)
        return (
            before + number.to_bytes(size, draw(st.sampled_from(("little", "big")))) + after[size:]
        )
    if kind == "cut":
        return before
    length = draw(st.sampled_from((1, 4, 20, 300)))
    if kind == "drop":
        return before + after[length:]
    if kind == "repeat":
        return before + after[:length] * draw(st.sampled_from((2, 30))) + after[length:]
    if kind == "insert" and parts:
        skipped = draw(st.sampled_from((0, 0, 1, length)))
        return before + draw(st.sampled_from(parts)) + after[skipped:]
    other = draw(st.sampled_from(files))
    return before + other[len(other) * draw(st.integers(0, 16)) // 16 :]


@st.composite
def damaged_tree(
    draw: st.DrawFn, trees: Sequence[Any], values: Sequence[Any] = (), may_be_deep: bool = True
) -> Any:
    """What JSON or YAML hold, with up to three values changed, left out or put elsewhere.

    Args:
        draw: Given by Hypothesis.
        trees: Whole ones.
        values: What else may stand there.
        may_be_deep: Whether a value may also be lists in lists without end.
    """
    tree = draw(st.sampled_from(trees))
    for _ in range(draw(st.integers(1, 3))):
        depth = draw(st.integers(0, 7))
        tree = _change(draw, tree, depth, (*values, *_VALUES), may_be_deep)
    return tree


def _change(
    draw: st.DrawFn, tree: Any, depth: int, values: Sequence[Any], may_be_deep: bool
) -> Any:
    if depth == 0 or not isinstance(tree, dict | list) or not tree:
        return _other_value(draw, tree, values, may_be_deep)
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    key = draw(st.sampled_from(keys))
    changed = dict(tree) if isinstance(tree, dict) else list(tree)
    kind = draw(st.sampled_from(("below",) * 6 + ("leave out", "add", "repeat")))
    if kind == "below":
        changed[key] = _change(draw, tree[key], depth - 1, values, may_be_deep)
    elif kind == "leave out":
        del changed[key]
    elif isinstance(changed, list):
        changed.insert(key, changed[key] if kind == "repeat" else draw(st.sampled_from(values)))
    elif kind == "repeat":
        changed[f"{key}2"] = changed[key]
    else:
        name = draw(st.sampled_from(("", "x", "id", "0", "\x00", "é", "name", str(key).upper())))
        changed[name] = draw(st.sampled_from(values))
    return changed


def _other_value(draw: st.DrawFn, value: Any, values: Sequence[Any], may_be_deep: bool) -> Any:
    kind = draw(st.sampled_from(("other", "other", "other", "inside", "near", "deep")))
    if kind == "inside":
        return draw(st.sampled_from(([value], {"x": value}, str(value))))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "near" and is_number and abs(value) < 2**53:
        return draw(st.sampled_from((value + 1, value - 1, -value, value * 1000, value + 0.5)))
    if kind == "deep" and may_be_deep:
        return _Deep()
    return draw(st.sampled_from(values))


class _Deep:
    """Lists in lists, written as text only: no library bears them as objects."""

    text = "[" * _DEEP + "]" * _DEEP


def as_json(tree: Any) -> bytes:
    """Writes a tree as JSON, which is YAML as well."""

    def default(value: Any) -> str:
        return "@deep@"

    text = json.dumps(tree, default=default)
    return text.replace('"@deep@"', _Deep.text).encode()


def damaged_json(
    trees: Sequence[Any], values: Sequence[Any] = (), parts: Sequence[bytes] = ()
) -> Strategy[bytes]:
    """JSON files with other values in them, or other bytes.

    Args:
        trees: What whole ones hold.
        values: What else may stand there as a value.
        parts: What else may stand there as bytes.
    """
    files = [as_json(tree) for tree in trees]
    changed = damaged_tree(trees, values).map(as_json)
    return st.one_of(changed, changed, damaged(files, (b"[" * 1200, b"{", b'"', b",", *parts)))


@st.composite
def damaged_zip(
    draw: st.DrawFn, archives: Sequence[bytes], damage: Callable[[Sequence[bytes]], Strategy[bytes]]
) -> bytes:
    """Archives whose checksums are right, but what is in them is not.

    Args:
        draw: Given by Hypothesis.
        archives: Whole ones.
        damage: From a part's content to damaged ones.
    """
    with zipfile.ZipFile(BytesIO(draw(st.sampled_from(archives)))) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    place = draw(st.integers(0, len(entries) - 1))
    name, content = entries[place]
    kind = draw(st.sampled_from(("damage",) * 6 + ("drop", "rename", "add", "empty")))
    if kind == "damage":
        entries[place] = (name, draw(damage([content])))
    elif kind == "drop":
        del entries[place]
    elif kind == "rename":
        entries[place] = (draw(st.sampled_from(("x", "../../x", "/x", name + ".npy"))), content)
    elif kind == "add":
        entries.append((draw(st.sampled_from(("x", "a/data.pkl", "a/constants.pkl"))), content))
    else:
        entries[place] = (name, b"")
    written = BytesIO()
    method = draw(st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)))
    with zipfile.ZipFile(written, "w", method) as archive:
        for entry, its_content in dict(entries).items():
            archive.writestr(entry, its_content)
    return written.getvalue()
