import numpy as np
import pytest
from PIL import Image

from score_hf.demo.limits import Limits, read_picture
from tests.demo.conftest import SCENE

SMALL = Limits(picture_pixels=20_000, network_pixels=10_000)


@pytest.fixture
def processor(engine):
    return engine.image_processor


def save(path, mode: str, size: tuple[int, int] = (64, 48), **options):
    Image.new(mode, size).save(path, **options)
    return str(path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "I;16", "1", "LA"])
def test_pictures_of_any_mode_become_results(engine, tmp_path, mode):
    name = "a.jpg" if mode == "CMYK" else "a.png"
    opened = engine.open(save(tmp_path / name, mode))
    assert opened.picture.mode == "RGB" and opened.picture.size == (64, 48)
    assert opened.pixel_values.shape == (1, 3, 64, 64) and opened.name == name


def test_a_turned_photograph_is_upright(engine, tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    path = save(tmp_path / "a.jpg", "RGB", exif=exif)
    assert engine.open(path).picture.size == (48, 64)


def test_a_pasted_data_address_is_read(engine):
    from score_hf.demo.examples import Example
    from score_hf.demo.gallery import gallery

    address = gallery([Example(SCENE, "", "")]).partition('src="')[2].partition('"')[0]
    opened = engine.open(address)
    assert opened.name == "picture" and opened.picture.size == (144, 144)


def test_a_data_address_is_limited_as_files_are(processor):
    with pytest.raises(ValueError, match=r"^The picture has more than the 1 MB"):
        read_picture(
            "data:image/png;base64," + "A" * 1_500_000, Limits(file_megabytes=1), processor
        )


@pytest.mark.parametrize("upload", [None, ""])
def test_no_picture_is_told(processor, upload):
    with pytest.raises(ValueError, match=r"^There is no picture yet"):
        read_picture(upload, Limits(), processor)


def test_a_large_picture_is_told_in_a_sentence(processor, tmp_path):
    path = save(tmp_path / "a.png", "RGB", (200, 150))
    with pytest.raises(ValueError) as caught:
        read_picture(path, SMALL, processor)
    assert str(caught.value) == (
        "The picture is 200 x 150, 0.03 million pixels, and this demo takes up to 0.02 million: "
        "cut out a part or make it smaller."
    )


def test_a_picture_too_large_for_the_network_is_told(processor, tmp_path):
    path = save(tmp_path / "a.png", "RGB", (120, 120))
    with pytest.raises(ValueError) as caught:
        read_picture(path, SMALL, processor)
    assert str(caught.value) == (
        "The picture is 120 x 120, for this model 0.0164 million pixels, and the demo computes up "
        "to 0.01 million at once: cut out a part or make it smaller."
    )


def test_a_bomb_is_refused_before_it_is_decoded(processor, tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", "1", (20_000, 20_000))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(ValueError, match=r"^The picture has far more than the 16 million pixels"):
        read_picture(path, Limits(), processor)


@pytest.mark.parametrize("side", [9_000, 10_000])
def test_a_size_that_pillow_warns_of_is_told_in_words_of_the_demo(processor, tmp_path, side):
    path = save(tmp_path / "a.png", "1", (side, side))
    with pytest.raises(ValueError, match=rf"^The picture is {side} x {side}, {side**2 // 10**6} m"):
        read_picture(path, Limits(), processor)


def test_programs_that_draw_are_no_pictures(processor, tmp_path, monkeypatch):
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_: pytest.fail("it was run"))
    path = tmp_path / "a.png"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(ValueError, match=r"it is none of PNG, JPEG, WEBP, GIF, BMP, TIFF\.$"):
        read_picture(str(path), Limits(), processor)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.gif", "a.bmp", "a.tif"])
def test_the_usual_formats_are_read(processor, tmp_path, name):
    assert read_picture(save(tmp_path / name, "RGB"), Limits(), processor).size == (64, 48)


@pytest.mark.parametrize("content", [b"", b"no picture", SCENE.read_bytes()[:5000]])
def test_what_is_no_picture_is_told_without_the_path(processor, tmp_path, content):
    path = tmp_path / "secret folder" / "a.png"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^The picture cannot be decoded") as caught:
        read_picture(str(path), Limits(), processor)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("upload", ["http://127.0.0.1:9/a.png", "https://127.0.0.1:9/a.png"])
def test_an_address_is_never_fetched(processor, upload):
    with pytest.raises(ValueError, match=r"^The picture is no file"):
        read_picture(upload, Limits(), processor)


def test_a_grey_picture_of_16_bits_shows_what_the_model_sees(engine, tmp_path):
    Image.fromarray(np.full((40, 40), 257 * 100, dtype=np.uint16)).save(tmp_path / "a.png")
    picture = engine.open(str(tmp_path / "a.png")).picture
    assert picture.getpixel((0, 0)) == (100, 100, 100)
