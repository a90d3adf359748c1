import base64
import errno
import http.server
import io
import threading
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from score_hf.processing.image_loading import (
    list_images,
    open_image,
    read_pixels,
    to_8_bits,
)
from score_hf.processing.image_sizes import SizeLimit


def drawn(height=10, width=16):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 9, columns * 9, rows + columns], axis=-1).astype(np.uint8)


def as_png(image):
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(drawn()).save(path)
    return path


def test_paths_are_opened_and_lists_flattened(picture):
    array, tensor = drawn(), torch.zeros(3, 4, 4)
    images = list_images([str(picture), [picture, array], (tensor,), np.stack([array, array])])
    assert len(images) == 6
    assert np.array_equal(np.asarray(images[0]), array)
    assert np.array_equal(np.asarray(images[1]), array)
    assert images[2] is array
    assert images[3] is tensor
    assert np.array_equal(images[5], array)


def test_data_address(picture):
    encoded = base64.b64encode(picture.read_bytes()).decode()
    image = open_image(f"data:image/png;base64,{encoded}")
    assert np.array_equal(np.asarray(image), drawn())


def test_http_address(picture):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = self.path == "/picture.png"
            self.send_response(200 if found else 404)
            self.end_headers()
            if found:
                self.wfile.write(picture.read_bytes())

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        try:
            assert np.array_equal(np.asarray(open_image(f"{address}/picture.png")), drawn())
            with pytest.raises(ValueError, match=r"`images`.*missing.png.*404"):
                open_image(f"{address}/missing.png")
        finally:
            server.shutdown()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_to_files_and_to_images(tmp_path, orientation):
    turned = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, 1),
    }[orientation](drawn())
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    Image.fromarray(drawn()).save(path, exif=exif)
    assert np.array_equal(np.asarray(open_image(path)), turned)
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(to_8_bits(image, "`images`")), turned)


def damaged(path, change):
    raw = bytearray(path.read_bytes())
    if change == "truncated":
        raw = raw[: len(raw) // 2]
    elif change == "corrupt":
        raw[len(raw) // 2] ^= 0xFF
    else:
        raw = bytearray(b"not an image")
    bad = path.with_name(f"{change}.png")
    bad.write_bytes(raw)
    return bad


@pytest.mark.parametrize("change", ["truncated", "corrupt", "text"])
def test_damaged_files_are_named(picture, change):
    bad = damaged(picture, change)
    with pytest.raises(ValueError, match=rf"`images` has .*{change}\.png.* cannot be decoded"):
        list_images([picture, bad])


def test_a_format_that_is_not_known_is_called_so():
    with pytest.raises(ValueError, match=r"decoded \(its format is not known\); give"):
        open_image("data:image/png;base64,AAAA")


def test_an_image_that_is_damaged_further_on_is_named(picture):
    with (
        Image.open(damaged(picture, "truncated")) as image,
        pytest.raises(ValueError, match=r"`images\[2\]` cannot be decoded"),
    ):
        to_8_bits(image, "`images[2]`")


def test_empty_files_are_called_so(tmp_path):
    empty = tmp_path / "empty.png"
    empty.touch()
    for source in (empty, "data:image/png;base64,"):
        with pytest.raises(ValueError, match=r"`images` has .*(empty|base64).*, which is empty"):
            open_image(source)


@pytest.mark.parametrize("most", [159, 70])
def test_absurdly_large_files_are_refused_undecoded(picture, monkeypatch, most):
    # Pillow itself warns of more than this many pixels, and refuses more than twice as many.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("it was decoded"))
    with (
        warnings.catch_warnings(),
        pytest.raises(ValueError, match=rf"picture\.png.* too large .* {most} pixels .*tiles"),
    ):
        warnings.simplefilter("error")
        open_image(picture)


def test_the_limit_of_pillow_can_be_lifted(picture, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert open_image(picture).size == (16, 10)


def test_files_larger_than_the_network_takes_are_refused_undecoded(picture, monkeypatch):
    limit = SizeLimit(max_pixels=1024, size=None, divisor=32)
    assert open_image(picture, limit).size == (16, 10)
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("it was decoded"))
    with pytest.raises(ValueError, match=r"`images` has .*picture\.png', which is 16 pixels wide"):
        list_images([[picture]], size_limit=SizeLimit(max_pixels=1023, size=None, divisor=32))


def test_a_file_that_may_not_be_read_is_named(picture, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ValueError, match=r"picture\.png', which cannot be read \(Permission den"):
        open_image(picture)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("nowhere.png", ValueError, r"'nowhere\.png', which is no file"),
        ("data:image/png;base64,!!", ValueError, "base64"),
        (None, TypeError, "NoneType"),
        ([b"bytes"], TypeError, "bytes"),
    ],
)
def test_what_is_no_image_is_refused(source, error, message):
    with pytest.raises(error, match=message):
        list_images(source)


def test_16_bits_are_scaled_by_their_full_range(tmp_path):
    values = np.array([[0, 128, 129, 257, 32768, 65535]], dtype=np.uint16)
    expected = torch.tensor([[0, 0, 1, 1, 128, 255]], dtype=torch.uint8)
    path = tmp_path / "deep.png"
    Image.fromarray(values).save(path)
    for image in (open_image(path), values, values.astype(">u2"), torch.from_numpy(values)):
        assert torch.equal(to_8_bits(image, "`images`"), expected)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.array([[True, False]]), [[255, 0]]),
        (np.array([[0, 255]], dtype=np.int32), [[0, 255]]),
        (Image.fromarray(np.array([[7, 200]], dtype=np.int32)), [[7, 200]]),
        (np.array([[1, 2, 3]], dtype=np.uint8)[:, ::-1], [[3, 2, 1]]),
        (np.array([[0.5, 3.0]]), [[0.5, 3.0]]),
        (torch.tensor([[0.5, 3.0]], dtype=torch.bfloat16), [[0.5, 3.0]]),
    ],
)
def test_other_numbers(image, expected):
    result = to_8_bits(image, "`images`")
    assert result.dtype in (torch.uint8, torch.float32)
    assert result.tolist() == expected


def test_premultiplied_transparency_is_undone():
    image = Image.new("RGBA", (2, 2), (200, 100, 50, 128))
    assert to_8_bits(image.convert("RGBa"), "`images`").mode == "RGBA"


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((0, 4, 3), np.uint8), ValueError, "no pixels"),
        (Image.new("RGB", (0, 4)), ValueError, "no pixels"),
        (np.full((4, 4, 3), np.nan), ValueError, "NaN"),
        (torch.full((3, 4, 4), float("inf")), ValueError, "infinite"),
        (np.full((4, 4), 300), ValueError, "300"),
        (np.full((4, 4), -1), ValueError, "-1"),
        (np.zeros((6, 6, 5), np.uint8), ValueError, "channels"),
        (np.zeros((2, 3, 4, 4, 3), np.uint8), ValueError, "dimensions"),
        (np.zeros(4, np.uint8), ValueError, "dimensions"),
        (np.zeros((4, 4), object), TypeError, "object"),
        (np.zeros((4, 4), complex), TypeError, "complex"),
        (None, TypeError, "NoneType"),
        ([[1, 2]], TypeError, "list"),
    ],
)
def test_what_holds_no_colours_is_refused(image, error, message):
    with pytest.raises(error, match=rf"`images\[1\]`.*{message}"):
        to_8_bits(image, "`images[1]`")


def test_channels_come_first_and_grey_is_repeated():
    array = drawn()
    expected = torch.from_numpy(array).permute(2, 0, 1)
    for image in (array, array.transpose(2, 0, 1), Image.fromarray(array)):
        assert torch.equal(read_pixels(image, "`images`", in_colour=True), expected)
    for grey in (array[..., 0], array[..., :1], array[None, ..., 0]):
        assert torch.equal(
            read_pixels(grey, "`images`", in_colour=True), expected[:1].expand(3, -1, -1)
        )
        assert torch.equal(read_pixels(grey, "`images`", in_colour=False), expected[:1])


def test_an_unclear_order_of_channels_can_be_told():
    array = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3)
    first = read_pixels(array, "`images`", in_colour=True)
    assert torch.equal(first, torch.from_numpy(array))
    last = read_pixels(array, "`images`", in_colour=True, channel_order="channels_last")
    assert torch.equal(last, torch.from_numpy(array).permute(2, 0, 1))


@pytest.mark.parametrize("opacity", [0, 100, 255])
def test_transparency_is_laid_over_white(opacity):
    array = np.dstack([drawn(), np.full((10, 16), opacity, np.uint8)])
    expected = drawn() * (opacity / 255) + 255 - opacity
    for image in (array, Image.fromarray(array), torch.from_numpy(array)):
        blended = read_pixels(image, "`images`", in_colour=True).permute(1, 2, 0).numpy()
        assert np.abs(blended - expected).max() <= 1
    floats = read_pixels(array / 255, "`images`", in_colour=True).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(floats, expected / 255, atol=1e-6)


def test_transparent_floats_must_lie_between_0_and_1():
    with pytest.raises(ValueError, match=r"`images` has four channels of floats.*0 to 7"):
        read_pixels(np.linspace(0, 7, 64).reshape(4, 4, 4), "`images`", in_colour=True)


def test_a_picture_that_cannot_be_brought_to_colours_is_refused(monkeypatch):
    def stumble(image, mode):
        raise ValueError("palette index out of range")

    picture = Image.new("P", (4, 4))
    monkeypatch.setattr(Image.Image, "convert", stumble)
    with pytest.raises(ValueError, match=r"`images\[0\]` cannot be decoded \(palette index out"):
        read_pixels(picture, "`images[0]`", in_colour=True)
