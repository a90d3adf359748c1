import pytest

from score_hf.conversion.staging import check_output, staged

MODEL = ["config.json", "model.safetensors"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_model(folder, text="new"):
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "score"}')
    (folder / "model.safetensors").write_text(text)


def test_a_folder_appears_whole_and_with_the_rights_of_any_other(tmp_path):
    output = tmp_path / "deep" / "model"
    with staged(output) as place:
        write_model(place)
        assert not output.exists() and place.parent.parent == output.parent
    (tmp_path / "other").mkdir()
    assert names(output.parent) == ["model"] and names(output) == MODEL
    assert output.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_files_get_the_rights_of_any_other(tmp_path):
    (tmp_path / "other").write_text("")
    for output in (tmp_path / "model", tmp_path / "model.safetensors"):
        with staged(output, folder=not output.suffix) as place:
            if not output.suffix:
                write_model(place)
            file = place if output.suffix else place / "model.safetensors"
            file.write_text("")
            file.chmod(0o600)
        file = output if output.suffix else output / "model.safetensors"
        assert file.stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("name", ["x.txt", "model.PTH", "model.tar.gz"])
def test_a_folder_is_not_called_like_a_file(tmp_path, name):
    with pytest.raises(ValueError, match=r"`output` '.*' must name a folder, not a file that ends"):
        check_output(tmp_path / name)
    check_output(tmp_path / name, folder=False)
    (tmp_path / name).mkdir()
    check_output(tmp_path / name)
    check_output(tmp_path / "score-0.4")


def test_a_file_is_replaced_only_when_asked(tmp_path):
    output = tmp_path / "model.pth"
    output.write_text("old")
    with pytest.raises(ValueError, match=r"exists already"), staged(output, folder=False):
        pass
    with staged(output, overwrite=True, folder=False) as place:
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
    assert (output / "model.safetensors").read_text() == "old" and names(tmp_path) == ["model"]


def test_what_was_there_comes_back_when_the_new_cannot_be_renamed(tmp_path):
    output = tmp_path / "model"
    write_model(output, "old")
    # Nothing was written.
    with pytest.raises(FileNotFoundError), staged(output, overwrite=True):
        pass
    assert (output / "model.safetensors").read_text() == "old" and names(tmp_path) == ["model"]


def test_an_overwritten_model_leaves_nothing_behind(tmp_path):
    output = tmp_path / "model"
    write_model(output, "old")
    (output / "model-00001-of-00002.safetensors").write_text("old")
    with staged(output, overwrite=True) as place:
        write_model(place)
    assert names(output) == MODEL and names(tmp_path) == ["model"]


def test_an_empty_folder_is_taken(tmp_path):
    output = tmp_path / "model"
    output.mkdir()
    with staged(output) as place:
        write_model(place)
    assert names(output) == MODEL


def test_a_folder_that_is_no_model_is_never_overwritten(tmp_path):
    (tmp_path / "holiday.jpg").write_text("picture")
    for overwrite, reason in ((False, "exists already"), (True, "other things than a model")):
        with pytest.raises(ValueError, match=reason):
            check_output(tmp_path, overwrite)


@pytest.mark.parametrize(
    ("config", "holds"),
    [
        ('{"model_type": "bert"}', r"a config.json of 'bert'"),
        ("[]", "no config.json of one"),
        ("{", "no config.json of one"),
    ],
)
def test_a_folder_of_another_model_is_never_overwritten(tmp_path, config, holds):
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ValueError, match=rf"other things than a model \(.*{holds}\)"):
        check_output(tmp_path, overwrite=True)


def test_folders_beside_a_model_are_never_overwritten(tmp_path):
    write_model(tmp_path / "run")
    (tmp_path / "run" / "checkpoint-100").mkdir()
    with pytest.raises(ValueError, match=r"\(the folder checkpoint-100\), which are not overwri"):
        check_output(tmp_path / "run", overwrite=True)


def test_neither_takes_the_place_of_the_other(tmp_path):
    (tmp_path / "weights.pt").write_text("precious")
    write_model(tmp_path / "model.pth")
    with pytest.raises(ValueError, match=r"must be a folder, but there is a file"):
        check_output(tmp_path / "weights.pt", overwrite=True)
    with pytest.raises(ValueError, match=r"must be a file, but there is a folder"):
        check_output(tmp_path / "model.pth", overwrite=True, folder=False)


def test_links_lead_to_the_place(tmp_path):
    for name in ("there", "nowhere", "circle"):
        (tmp_path / f"to_{name}").symlink_to(f"to_{name}" if name == "circle" else name)
    (tmp_path / "there").mkdir()
    for name in ("there", "nowhere"):
        with staged(tmp_path / f"to_{name}") as place:
            write_model(place)
        assert (tmp_path / f"to_{name}").is_symlink() and names(tmp_path / name) == MODEL
    with pytest.raises(ValueError, match=r"`output` '.*to_circle' cannot be written"):
        check_output(tmp_path / "to_circle")


def test_names_may_be_long(tmp_path):
    with staged(tmp_path / ("é" * 127)) as place:
        write_model(place)
    assert names(tmp_path) == ["é" * 127]
    with pytest.raises(ValueError, match=r"cannot be written: .*too long"):
        check_output(tmp_path / ("é" * 128))


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
