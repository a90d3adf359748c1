import subprocess
import sys

import pytest

from score_hf.output_places import exclusively, make_folder

HOLD = """
import sys, time
from pathlib import Path
from score_hf.output_places import exclusively, make_folder
with exclusively(Path(sys.argv[1]), "busy"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_one_process_at_a_time_until_it_is_killed(tmp_path):
    lock = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(ValueError, match="the other is at it"),
            exclusively(lock, "the other is at it"),
        ):
            pass
        assert lock.exists()
        other.kill()
    with exclusively(lock, "nobody is"):
        pass
    assert not lock.exists()


def test_it_ends_with_an_error_too(tmp_path):
    with pytest.raises(KeyError), exclusively(tmp_path / "lock", "busy"):
        raise KeyError
    with exclusively(tmp_path / "lock", "busy"):
        pass


def test_a_disk_without_locks_is_none_the_worse(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr("score_hf.output_places.FileLock.acquire", refuse)
    with exclusively(tmp_path / "lock", "busy"):
        pass


@pytest.mark.parametrize("name", ["file", "file/folder", "file/folder/another"])
def test_a_file_in_the_way_of_a_folder_is_told(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=f"`there` needs the folder '.*{name}', but that, or what"):
        make_folder(tmp_path / name, "there")
    make_folder(tmp_path / "new" / "folder")
    make_folder(tmp_path / "new" / "folder")
