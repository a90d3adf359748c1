import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from score_hf.demo.keeping import delete_old, keep_deleting, new_folder


@pytest.fixture(autouse=True)
def uploads(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def old_folder(seconds: float) -> Path:
    folder = new_folder()
    (folder / "a.jpg").write_text("a picture")
    then = time.time() - seconds
    os.utime(folder, (then, then))
    return folder


def test_folders_are_among_the_uploads_and_each_is_new(uploads):
    first, second = new_folder(), new_folder()
    assert first != second and first.is_dir() and first.is_relative_to(uploads)


def test_only_old_folders_are_deleted(uploads):
    delete_old(5)
    (uploads / "sent").mkdir()
    old, young = old_folder(100), old_folder(2)
    delete_old(5)
    assert not old.exists() and (young / "a.jpg").exists() and (uploads / "sent").exists()


def test_a_server_deletes_while_it_runs_and_then_no_more():
    async def serve() -> tuple[bool, bool]:
        async with keep_deleting(5, every=0.01)(None):
            during, deadline = old_folder(100), time.monotonic() + 30
            while during.exists() and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
        after = old_folder(100)
        await asyncio.sleep(0.5)
        return during.exists(), after.exists()

    # The browser's tests leave a loop running in this thread.
    with ThreadPoolExecutor() as pool:
        assert pool.submit(asyncio.run, serve()).result() == (False, True)
