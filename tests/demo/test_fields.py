import gradio as gr
import pytest

from score_hf.demo.fields import picture_field, read_upload, unread

ADDRESS = "data:image/png;base64,AAAA"


@pytest.fixture(autouse=True)
def uploads(tmp_path, monkeypatch):
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


def test_an_upload_is_read_by_its_path(uploads):
    path = str(uploads / "abc" / "a.png")
    assert read_upload({"path": path, "url": "http://127.0.0.1/file"}) == path


def test_a_data_address_is_taken_as_it_is():
    assert read_upload({"url": ADDRESS}) == ADDRESS


@pytest.mark.parametrize("sent", [None, {}, {"path": None, "url": "http://127.0.0.1/a.png"}])
def test_no_picture_is_none(sent):
    assert read_upload(sent) is None


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "a.png", "uploads/../../a.png", "http://127.0.0.1/a.png", 5, ["a"]]
)
def test_a_path_of_another_place_is_refused(uploads, path):
    (uploads.parent / "a.png").write_text("secret")
    given = path if not isinstance(path, str) else path.replace("uploads", str(uploads))
    with pytest.raises(ValueError, match="but got a path of another place"):
        read_upload({"path": given})


def test_a_link_out_of_the_uploads_is_refused(uploads, tmp_path):
    (uploads / "a.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(ValueError, match="but got a path of another place"):
        read_upload({"path": str(uploads / "a.png")})


@pytest.mark.parametrize(("sent", "kind"), [("a.png", "str"), (5, "int"), ([1], "list")])
def test_what_is_no_file_is_told(sent, kind):
    with pytest.raises(gr.Error, match=f"must be a file that was sent, but got {kind}"):
        picture_field().preprocess(sent)


def test_scripts_are_told_of_a_picture_as_by_gradios_own_field():
    assert picture_field().api_info() == gr.Image(type="filepath").api_info()


@pytest.mark.parametrize("sent", ["x", 2.5, None, [3], {}])
def test_an_unread_field_gives_what_was_sent(sent):
    assert unread(gr.Number(precision=0)).preprocess(sent) is sent
