import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from score_hf.data.readers.samrs_pickle import read_objects
from tests.data.drawn_files import truncate


def object_of(label: int) -> dict:
    return {
        "mask": {"size": [10, 12], "counts": "1234"},
        "bbox": np.array([1.0, 2.0, 5.5, 6.0]),
        "category": "ship",
        "label": label,
        "size": np.int64(20),
    }


def write(path: Path, content: object, protocol: int) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "kind",
    [np.int64, np.int32, np.uint8, int],
    ids=lambda kind: kind.__name__,
)
def test_numbers_of_numpy_become_plain_integers(tmp_path, protocol, kind):
    path = write(tmp_path / "a.pkl", [object_of(kind(17)), object_of(kind(3))], protocol)
    objects = read_objects(path)
    assert [one["label"] for one in objects] == [17, 3]
    assert all(type(one["label"]) is int for one in objects)
    assert objects[0]["mask"] == {"size": [10, 12], "counts": "1234"}
    assert objects[0]["size"] == 20


def test_big_endian_and_negative_numbers(tmp_path):
    scalar = np.array([-5], dtype=">i4")[0]
    path = write(tmp_path / "a.pkl", [{"label": scalar}], 2)
    swapped = path.read_bytes().replace(b"X\x01\x00\x00\x00<", b"X\x01\x00\x00\x00>")
    assert read_objects(path)[0]["label"] == -5
    path.write_bytes(
        swapped.replace(b"\xc3\xbb\xc3\xbf\xc3\xbf\xc3\xbf", b"\xc3\xbf\xc3\xbf\xc3\xbf\xc3\xbb")
    )
    assert read_objects(path)[0]["label"] == -5


def test_files_written_with_numpy_1(tmp_path):
    path = write(tmp_path / "a.pkl", [object_of(np.int64(4))], 2)
    path.write_bytes(path.read_bytes().replace(b"numpy._core", b"numpy.core"))
    assert read_objects(path)[0]["label"] == 4


class RunsACommand:
    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


class Evaluates(RunsACommand):
    def __reduce__(self):
        return eval, (f"open({self.command!r}, 'w')",)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("attack", [RunsACommand, Evaluates])
def test_nothing_in_a_file_is_run(tmp_path, protocol, attack):
    mark = tmp_path / "was-here"
    command = f"touch {mark}" if attack is RunsACommand else str(mark)
    path = write(tmp_path / "a.pkl", [{"label": 0, "mask": attack(command)}], protocol)
    with pytest.raises(ValueError, match=r"a\.pkl', which was not read because it names \w+\.\w+"):
        read_objects(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "content", [np.dtype("O"), np.float64(1), {"label": 0}, ["ship"], None], ids=str
)
def test_other_content_is_refused(tmp_path, content):
    with pytest.raises(ValueError, match="one dictionary an object"):
        read_objects(write(tmp_path / "a.pkl", content, 4))


def test_allowed_names_cannot_reach_further(tmp_path):
    # Asks for an attribute of what an allowed name gives, as newer pickles can.
    deeper = b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93."
    (tmp_path / "a.pkl").write_bytes(deeper)
    with pytest.raises(ValueError, match="which was not read"):
        read_objects(tmp_path / "a.pkl")


def test_a_reference_outside_the_file_is_refused(tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04\x8c\x01aQ.")
    with pytest.raises(ValueError, match="outside the file"):
        read_objects(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle at all",
        b"\x80\x04R.",
        # These would set aside gigabytes: a part with a high number, and a long array of bytes.
        b"\x80\x02]r\xff\xff\xff\x07.",
        b"\x80\x05\x96\xff\xff\xff\x7f\x00\x00\x00\x00.",
    ],
)
def test_a_damaged_file_is_told_apart(tmp_path, content):
    path = tmp_path / "a.pkl"
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"a\.pkl' cannot be decoded"):
        read_objects(path)


def test_half_a_file_is_damaged(tmp_path):
    path = write(tmp_path / "a.pkl", [object_of(1)], 4)
    truncate(path)
    with pytest.raises(OSError, match="cannot be decoded"):
        read_objects(path)
