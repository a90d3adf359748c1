import json

import pytest

from score_hf.data.readers import json_stream
from score_hf.data.readers.json_stream import iterate_lists

CONTENTS = {
    "info": {"year": 2024, "nested": [1, [2]]},
    "images": [{"id": 1, "name": "größe ☂"}, {"id": 2, "name": 'a "quoted\\" } ] name'}],
    "empty": [],
    "numbers": [1, 12.5, -3e4, True, None],
    "licence": None,
}


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("ascii", [True, False])
@pytest.mark.parametrize("indent", [None, 2])
def test_same_items_wherever_the_window_ends(tmp_path, monkeypatch, chunk, ascii, indent):
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(CONTENTS, ensure_ascii=ascii, indent=indent), encoding="utf-8")
    items = list(iterate_lists(path))
    assert [(item.key, item.value) for item in items] == [
        (key, value) for key in ("images", "numbers") for value in CONTENTS[key]
    ]
    content = path.read_bytes()
    for item in items:
        assert json.loads(content[item.start : item.start + item.length]) == item.value


def test_a_file_that_is_damaged_at_its_begin_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "_CHUNK", 64)
    path = tmp_path / "a.json"
    path.write_text('{"a": [{"id": 1} {"id": 2}]' + " " * 10_000)
    places = []
    fill = json_stream._Reader._fill

    def counted(reader):
        places.append(reader.place)
        return fill(reader)

    monkeypatch.setattr(json_stream._Reader, "_fill", counted)
    with pytest.raises(ValueError, match="is no complete JSON file"):
        list(iterate_lists(path))
    path.write_text('{"a": [{"id": 1, "b": ?' + "x" * 10_000)
    with pytest.raises(ValueError, match="is no complete JSON file"):
        list(iterate_lists(path))
    assert len(places) < 6


def test_byte_order_mark_is_skipped(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": [1]}', encoding="utf-8-sig")
    (item,) = iterate_lists(path)
    assert (item.value, path.read_bytes()[item.start : item.start + item.length]) == (1, b"1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1, 2]",
        '{"images": [{"id": 1}, {"id"',
        '{"a": [1 2]}',
        '{"a": [1]',
        "<html>",
        '{"a" 1}',
        pytest.param('{"a": [' + "[" * 100_000, id="brackets in brackets"),
    ],
)
def test_what_is_no_json_file_is_told_in_one_sentence(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"a\.json' is no complete JSON file.*near byte \d+"):
        list(iterate_lists(path))
