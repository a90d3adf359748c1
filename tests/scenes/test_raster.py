import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.transform import Affine, from_origin

from score_hf.scenes import ReadingOptions, Scene, TileGrid, Window

from .drawn_rasters import UTM, boxes_raster, write_raster


def noise(count: int = 3, size=(120, 150), dtype="uint8", high: int = 256) -> np.ndarray:
    return np.random.default_rng(0).integers(0, high, (count, *size)).astype(dtype)


def whole(scene: Scene) -> Window:
    return Window(0, 0, scene.height, scene.width)


def test_windows_show_the_pixels_of_the_file(tmp_path):
    values = noise()
    with Scene(write_raster(tmp_path / "a.tif", values)) as scene:
        tile = scene.read(Window(10, 20, 50, 90))
        assert (scene.height, scene.width, scene.crs_name) == (120, 150, UTM)
        assert scene.grid.pixel_metres == pytest.approx((0.5, 0.5), rel=1e-3)
    assert tile.valid is None
    assert (tile.image == values[:, 10:50, 20:90].transpose(1, 2, 0)).all()


@pytest.mark.parametrize("gsd", [0.3, 1.2, 3.0])
@pytest.mark.parametrize("place", ["utm", "degrees", "mercator", "rotated", "south up"])
def test_the_pixels_of_a_place_do_not_depend_on_the_tile(tmp_path, gsd, place):
    crs, transform = {
        "utm": (UTM, from_origin(500000, 5000000, 0.5, 0.5)),
        "degrees": ("EPSG:4326", from_origin(9, 60, 9e-6, 4.5e-6)),
        "mercator": ("EPSG:3857", from_origin(1e6, 8.4e6, 1.0, 1.0)),
        "rotated": (
            UTM,
            Affine(0.433, 0.25, 500000, 0.25, -0.433, 5000000),
        ),
        "south up": (UTM, Affine(0.5, 0, 500000, 0, 0.5, 5000000)),
    }[place]
    path = write_raster(tmp_path / "a.tif", noise(), crs, transform)
    with Scene(path, ReadingOptions(gsd=gsd)) as scene:
        everything = scene.read(whole(scene)).image
        assert scene.grid.pixel_metres == (gsd, gsd)
        for row, column in (grid := TileGrid(scene.height, scene.width, 24, 7)):
            window = grid.window(row, column)
            part = everything[window.slices_in(whole(scene))].astype(int)
            assert abs(scene.read(window).image - part).max() <= 1


def test_pixels_that_are_not_square_on_the_ground_are_made_so(tmp_path):
    # At 60 degrees north a degree of longitude is half as long.
    path = write_raster(tmp_path / "a.tif", noise(), "EPSG:4326", from_origin(9, 60, 1e-5, 1e-5))
    with Scene(path) as scene:
        across, down = scene.grid.pixel_metres
        assert across == down == pytest.approx(0.557, rel=0.01)
        assert scene.width == 150 and scene.height == pytest.approx(240, abs=1)


def test_nearly_the_wanted_ground_size_takes_the_pixels_as_they_are(tmp_path):
    values = noise()
    with Scene(write_raster(tmp_path / "a.tif", values), ReadingOptions(gsd=0.52)) as scene:
        assert scene.grid.is_native
        assert (scene.read(whole(scene)).image == values.transpose(1, 2, 0)).all()


def test_16_bits_are_stretched_once_for_the_scene(tmp_path):
    values = noise(size=(200, 200), dtype="uint16", high=3000)
    values[:, :100] //= 10
    with Scene(write_raster(tmp_path / "a.tif", values)) as scene:
        everything = scene.read(whole(scene)).image
        dark = scene.read(Window(0, 0, 100, 200)).image
    assert (dark == everything[:100]).all()
    assert everything.min() == 0 and everything.max() == 255 and dark.max() < 40


def test_8_and_16_bits_of_one_picture_give_one_stretch(tmp_path):
    values = noise(size=(100, 100))
    options = ReadingOptions(stretch="2%,98%")
    with (
        Scene(write_raster(tmp_path / "a.tif", values), options) as first,
        Scene(write_raster(tmp_path / "b.tif", values.astype("uint16") * 16), options) as second,
    ):
        difference = first.read(whole(first)).image.astype(int) - second.read(whole(second)).image
    assert abs(difference).max() <= 1


@pytest.mark.parametrize(
    ("stretch", "expected"), [("0,3000", (0, 128, 255)), ("auto", (0, 128, 255))]
)
def test_values_given(tmp_path, stretch, expected):
    values = np.tile(np.array([0, 1500, 3000], dtype="int16"), (3, 60, 40))
    with Scene(write_raster(tmp_path / "a.tif", values), ReadingOptions(stretch=stretch)) as scene:
        assert tuple(scene.read(Window(0, 0, 1, 3)).image[0, :, 0]) == expected


def test_floats_with_nan(tmp_path):
    values = noise().astype("float32") / 255
    values[:, 5, 7] = np.nan
    with Scene(write_raster(tmp_path / "a.tif", values)) as scene:
        tile = scene.read(whole(scene))
    assert not tile.valid[5, 7] and tile.valid.sum() == tile.valid.size - 1


def test_nodata_is_known_and_filled_with_the_mean(tmp_path):
    values = noise(high=200) + 50
    values[:, :, :40] = 0
    with Scene(write_raster(tmp_path / "a.tif", values.astype("uint8"), nodata=0)) as scene:
        tile = scene.read(whole(scene))
    assert not tile.valid[:, :40].any() and tile.valid[:, 40:].all()
    assert abs(tile.image[3, 3].astype(float) - tile.image[:, 40:].mean(axis=(0, 1))).max() < 4


def test_nodata_given_by_the_user(tmp_path):
    values = noise()
    values[:, 2:4, 3:9] = 7
    path = write_raster(tmp_path / "a.tif", values)
    with Scene(path, ReadingOptions(nodata=7)) as scene:
        tile = scene.read(whole(scene))
    assert not tile.valid[2:4, 3:9].any()
    assert scene.read is not None and tile.valid.mean() > 0.99


def test_alpha_tells_where_data_are_and_is_no_colour(tmp_path):
    values = noise(4)
    values[3] = 255
    values[3, :30] = 0
    path = write_raster(tmp_path / "a.tif", values, photometric="RGB", alpha="YES")
    with Scene(path) as scene:
        assert scene.bands == (1, 2, 3)
        tile = scene.read(whole(scene))
    assert not tile.valid[:30].any() and tile.valid[30:].all()


def test_bands_by_their_meaning_or_by_wish(tmp_path):
    values = noise(4)
    path = write_raster(tmp_path / "a.tif", values)
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [
            ColorInterp.undefined,
            ColorInterp.blue,
            ColorInterp.green,
            ColorInterp.red,
        ]
    with Scene(path) as scene:
        assert scene.bands == (4, 3, 2)
    with Scene(path, ReadingOptions(bands=(1, 1, 2))) as scene:
        assert (scene.read(whole(scene)).image == values[[0, 0, 1]].transpose(1, 2, 0)).all()


def test_ground_control_points(tmp_path):
    path = tmp_path / "a.tif"
    corners = [(0, 0, 0, 0), (0, 150, 75, 0), (120, 0, 0, -60), (120, 150, 75, -60)]
    points = [
        GroundControlPoint(row, column, 500000 + x, 5000000 + y) for row, column, x, y in corners
    ]
    with rasterio.open(
        path, "w", driver="GTiff", height=120, width=150, count=3, dtype="uint8"
    ) as dataset:
        dataset.write(noise())
        dataset.gcps = (points, rasterio.CRS.from_string(UTM))
    with Scene(path) as scene:
        assert scene.crs_name == UTM
        assert scene.grid.pixel_metres == pytest.approx((0.5, 0.5), rel=0.02)
        corner = scene.grid.transform.c, scene.grid.transform.f
        assert corner == pytest.approx((500000, 5000000), abs=0.5)


def test_a_mosaic_of_files_is_one_scene(tmp_path):
    left = write_raster(tmp_path / "a.tif", noise(size=(64, 64)))
    right = write_raster(
        tmp_path / "b.tif", noise(size=(64, 64)), transform=from_origin(500032, 5000000, 0.5, 0.5)
    )
    vrt = tmp_path / "both.vrt"
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}">'
        + "".join(
            f'<SimpleSource><SourceFilename relativeToVRT="1">{path.name}</SourceFilename>'
            f'<SourceBand>{band}</SourceBand><SrcRect xOff="0" yOff="0" xSize="64" ySize="64"/>'
            f'<DstRect xOff="{offset}" yOff="0" xSize="64" ySize="64"/></SimpleSource>'
            for path, offset in ((left, 0), (right, 64))
        )
        + "</VRTRasterBand>"
        for band in (1, 2, 3)
    )
    vrt.write_text(
        f'<VRTDataset rasterXSize="128" rasterYSize="64"><SRS>{UTM}</SRS>'
        f"<GeoTransform>500000, 0.5, 0, 5000000, 0, -0.5</GeoTransform>{bands}</VRTDataset>"
    )
    with Scene(vrt) as scene:
        image = scene.read(whole(scene)).image
        assert (image[:, 64:] == image[:, :64]).all()
        assert scene.width == 128


def test_a_plain_picture_has_no_place(tmp_path):
    Image.fromarray(noise().transpose(1, 2, 0)).save(tmp_path / "a.png")
    with Scene(tmp_path / "a.png") as scene:
        assert scene.crs is None and scene.grid.pixel_metres is None
        assert scene.grid.transform == Affine.identity()


def test_a_dataset_that_is_open_stays_open(tmp_path):
    with rasterio.open(boxes_raster(tmp_path / "a.tif")) as dataset:
        with Scene(dataset) as scene:
            scene.read(whole(scene))
        assert not dataset.closed


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda path: path.write_text("no raster"), {}, "must be a raster that GDAL reads"),
        (lambda path: None, {}, "must be a raster that GDAL reads"),
        (lambda path: write_raster(path, noise(1)), {}, "has 1 band of values.*`bands` 1,1,1"),
        (lambda path: write_raster(path, noise(2)), {}, "has 2 bands of values"),
        (lambda path: write_raster(path, noise()), {"bands": (1, 2, 4)}, "from 1 to 3"),
        (
            lambda path: write_raster(path, np.zeros((3, 60, 60), "uint8"), nodata=0),
            {},
            "has no pixel that holds data",
        ),
        (lambda path: write_raster(path, noise()), {"gsd": 0.1}, "would make up pixels"),
        (lambda path: write_raster(path, noise()), {"gsd": -1.0}, "must be a positive number"),
        (lambda path: write_raster(path, noise(), crs=None), {"gsd": 1.0}, "it has no coordinate"),
        (
            lambda path: write_raster(path, noise(dtype="uint16")),
            {"stretch": "none"},
            "can be none only for scenes of 8 bits",
        ),
    ],
)
def test_scenes_that_cannot_be_read(tmp_path, make, options, message):
    path = tmp_path / "a.tif"
    make(path)
    with pytest.raises(ValueError, match=message) as error, Scene(path, ReadingOptions(**options)):
        pass
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("stretch", ["", "3,2", "a,b", "5%", "2%,101%", "1,2,3"])
def test_stretches_that_are_none(stretch):
    with pytest.raises(ValueError, match="`stretch` must be auto, none"):
        ReadingOptions(stretch=stretch)


def test_what_is_no_source():
    with pytest.raises(TypeError, match="`scene` must be a path"):
        Scene(3)


class RangedFiles(SimpleHTTPRequestHandler):
    """Serves parts of files, as object stores do, and counts the bytes."""

    sent = 0

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content, asked = path.read_bytes(), self.headers.get("Range")
        start, end = 0, len(content) - 1
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or end), end)
        part = content[start : end + 1]
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {start}-{end}/{len(content)}")
        self.end_headers()
        if body:
            self.wfile.write(part)
            type(self).sent += len(part)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(RangedFiles, directory=tmp_path))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_addresses_are_read_window_by_window(tmp_path, address, monkeypatch):
    monkeypatch.setenv("GDAL_HTTP_VERSION", "1.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    values = np.random.default_rng(0).integers(0, 255, (3, 2048, 2048), dtype=np.uint8)
    path = write_raster(tmp_path / "s.tif", values, blockxsize=256, blockysize=256)
    RangedFiles.sent = 0
    window = Window(900, 900, 1000, 1000)
    with Scene(f"{address}/s.tif") as scene:
        assert (scene.read(window).image == values[:, 900:1000, 900:1000].transpose(1, 2, 0)).all()
        assert scene.name == f"{address}/s.tif"
    assert RangedFiles.sent < path.stat().st_size / 4
    with pytest.raises(ValueError, match=r"none\.tif' cannot be opened"):
        Scene(f"{address}/none.tif")


def test_a_connection_that_is_lost_is_an_unreadable_window(tmp_path, address, monkeypatch):
    monkeypatch.setenv("GDAL_HTTP_VERSION", "1.1")
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    values = np.random.default_rng(0).integers(0, 255, (3, 2048, 2048), dtype=np.uint8)
    path = write_raster(tmp_path / "t.tif", values, blockxsize=256, blockysize=256)
    with Scene(f"{address}/t.tif") as scene:
        path.unlink()
        with pytest.raises(OSError, match="cannot be read at"):
            scene.read(Window(1800, 1800, 1900, 1900))
