import pytest

from score_hf.conversion.staging import check_output, staged


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_model(folder, text="new"):
    folder.mkdir()
    (folder / "config.json").write_text(text)


def test_a_folder_appears_whole_and_with_the_rights_of_any_other(tmp_path):
    output = tmp_path / "deep" / "model"
    with staged(output) as place:
        write_model(place)
        assert not output.exists() and place.parent.parent == output.parent
    (tmp_path / "other").mkdir()
    assert names(output.parent) == ["model"] and names(output) == ["config.json"]
    assert output.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_file_is_replaced_only_when_asked(tmp_path):
    output = tmp_path / "model.pth"
    output.write_text("old")
    with pytest.raises(ValueError, match=r"exists already"), staged(output):
        pass
    with staged(output, overwrite=True) as place:
        place.write_text("new")
    assert output.read_text() == "new" and names(tmp_path) == ["model.pth"]


@pytest.mark.parametrize("error", [ValueError("no"), OSError("full"), KeyboardInterrupt()])
def test_nothing_is_left_when_it_breaks_off(tmp_path, error):
    with pytest.raises(type(error)), staged(tmp_path / "deep" / "er" / "model") as place:
        write_model(place)
        raise error
    assert names(tmp_path) == []


def test_what_was_there_stays_when_it_breaks_off(tmp_path):
    output = tmp_path / "model"
    write_model(output, "old")
    with pytest.raises(KeyboardInterrupt), staged(output, overwrite=True) as place:
        write_model(place)
        raise KeyboardInterrupt
    assert (output / "config.json").read_text() == "old" and names(tmp_path) == ["model"]


def test_what_was_there_comes_back_when_the_new_cannot_be_renamed(tmp_path):
    output = tmp_path / "model"
    write_model(output, "old")
    # Nothing was written.
    with pytest.raises(FileNotFoundError), staged(output, overwrite=True):
        pass
    assert (output / "config.json").read_text() == "old" and names(tmp_path) == ["model"]


def test_an_overwritten_model_leaves_nothing_behind(tmp_path):
    output = tmp_path / "model"
    write_model(output, "old")
    (output / "model-00001-of-00002.safetensors").write_text("old")
    with staged(output, overwrite=True) as place:
        write_model(place)
    assert names(output) == ["config.json"] and names(tmp_path) == ["model"]


def test_an_empty_folder_is_taken(tmp_path):
    output = tmp_path / "model"
    output.mkdir()
    with staged(output) as place:
        write_model(place)
    assert names(output) == ["config.json"]


def test_a_folder_that_is_no_model_is_never_overwritten(tmp_path):
    (tmp_path / "holiday.jpg").write_text("picture")
    for overwrite, reason in ((False, "exists already"), (True, "other things than a model")):
        with pytest.raises(ValueError, match=reason):
            check_output(tmp_path, overwrite)


def test_a_place_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file' is a file"):
        check_output(tmp_path / "file" / "model")


def test_what_could_not_be_renamed_at_the_end_is_told_at_the_start(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"`output` '/' is where a disk is mounted"):
        check_output("/")
    # The tests may run as root, to whom nothing is protected.
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ValueError, match=r"deep' cannot be written: '.*' is protected"):
        check_output(tmp_path / "very" / "deep")
