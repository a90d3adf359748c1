"""`score-hf segment`, `info` and `stitch` on whole scenes, with a tiny model of random weights."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from score_hf.cli import app
from score_hf.commands.scene_engines import EngineChoice

if not all(map(find_spec, ("rasterio", "shapely", "pyogrio", "pyarrow", "pyproj", "geopandas"))):
    pytest.skip("needs score-hf[geo]", allow_module_level=True)

import geopandas

from tests.scenes.drawn_rasters import boxes_raster, write_raster


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def segment(tiny_folder, tmp_path):
    def call(*arguments: object) -> Result:
        return run(
            "segment", *arguments, "--model", tiny_folder, "--device", "cpu", "--threshold", "0.01",
            "--classes", "ship, harbor",
        )  # fmt: skip

    return call


def test_a_geotiff_becomes_a_geopackage(segment, tmp_path):
    scene = boxes_raster(tmp_path / "port.tif")
    done = segment(scene, "-o", tmp_path / "out", "--tile", 96)
    assert done.exit_code == 0, done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["port.gpkg"]
    table = geopandas.read_file(tmp_path / "out" / "port.gpkg")
    assert table.crs.to_epsg() == 32632 and set(table["class_name"]) <= {"ship", "harbor"}
    assert f"{len(table)} instances in {scene}, written to" in done.stdout
    assert "Area (m2)" in done.stdout and "PIXELS" not in done.stderr


def test_the_same_command_twice_gives_the_same_bytes(segment, tmp_path):
    scene = boxes_raster(tmp_path / "port.tif")
    for name in ("a.gpkg", "b.gpkg"):
        done = segment(scene, "-o", tmp_path / name, "--tile", 96)
        assert done.exit_code == 0, done.stderr
    assert (tmp_path / "a.gpkg").read_bytes() == (tmp_path / "b.gpkg").read_bytes()


def test_pictures_and_scenes_together_each_in_its_formats(segment, tmp_path):
    scene = boxes_raster(tmp_path / "port.tif")
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    out = tmp_path / "out"
    done = segment(tmp_path / "*.[tp][in][fg]", "-o", out, "--format", "coco,geojson")
    assert done.exit_code == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "port.geojson", "port.json", "port.qml", "results.json",
    ]  # fmt: skip
    assert json.loads((out / "port.json").read_text())["images"][0]["width"] == 200
    assert scene.name not in (out / "results.json").read_text()


def test_a_scene_that_fits_one_tile_gives_what_the_picture_gives(segment, tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (3, 50, 64), dtype=np.uint8)
    write_raster(tmp_path / "a.tif", values)
    Image.fromarray(values.transpose(1, 2, 0)).save(tmp_path / "b.png")
    done = segment(tmp_path / "a.tif", tmp_path / "b.png", "-o", tmp_path, "--format", "coco", "-f")
    assert done.exit_code == 0, done.stderr
    tiled = json.loads((tmp_path / "a.json").read_text())["annotations"]
    plain = json.loads((tmp_path / "results.json").read_text())["annotations"]
    keys = ("category_id", "segmentation", "bbox", "area", "score")
    assert (
        [[one[key] for key in keys] for one in tiled]
        == [[one[key] for key in keys] for one in plain]
        != []
    )


def test_pictures_too_large_to_be_seen_at_once_go_through_tiles(segment, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    Image.new("RGB", (150, 100)).save(tmp_path / "a.png")
    done = segment(tmp_path / "a.png", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert "its results are in PIXELS" in done.stderr
    assert (tmp_path / "out" / "a.gpkg").exists()


def test_scenes_of_one_name_get_files_of_their_own(segment, tmp_path):
    scenes = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        scenes.append(boxes_raster(tmp_path / folder / "port.tif", size=(64, 64)))
    (tmp_path / "list.txt").write_text("\n".join(map(str, scenes)))
    done = segment(f"@{tmp_path / 'list.txt'}", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["port-2.gpkg", "port.gpkg"]


def test_tiles_that_are_kept_are_stitched_again(segment, tmp_path):
    scene = boxes_raster(tmp_path / "port.tif")
    work = tmp_path / "work"
    first = segment(scene, "-o", tmp_path / "a.gpkg", "--tile", 96, "--work", work, "--keep-work")
    assert first.exit_code == 0, first.stderr
    done = run("stitch", work, "-o", tmp_path / "b.gpkg", "--threshold", 0.01)
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "a.gpkg").read_bytes() == (tmp_path / "b.gpkg").read_bytes()
    scores = geopandas.read_file(tmp_path / "a.gpkg")["score"]
    middle = float(scores.median())
    done = run("stitch", work, "-o", tmp_path / "c.gpkg", "--threshold", middle, "--merge", "none")
    assert done.exit_code == 0, done.stderr
    assert geopandas.read_file(tmp_path / "c.gpkg")["score"].min() >= middle - 1e-4
    next(work.rglob("*.npz")).unlink()
    done = run("stitch", work, "-o", tmp_path / "d.gpkg", "--threshold", 0.5)
    assert done.exit_code == 2 and "lacks the tile in row" in done.stderr
    done = run("stitch", work, "-o", tmp_path / "d.gpkg", "--threshold", 0.5, "--partial")
    assert done.exit_code == 1 and "tiles are missing in it" in done.stderr
    assert (tmp_path / "d.gpkg").exists()


def test_a_vocabulary_file(tiny_folder, tmp_path):
    scene = boxes_raster(tmp_path / "port.tif")
    (tmp_path / "classes.csv").write_text(
        "name,prompts,threshold,merge\nship,ship|vessel,0.9,\nharbor,,0.01,stuff\n"
    )
    done = run(
        "segment", scene, "--model", tiny_folder, "--classes-file", tmp_path / "classes.csv",
        "-o", tmp_path / "a.gpkg", "--device", "cpu",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert "vessel" in done.stdout
    assert set(geopandas.read_file(tmp_path / "a.gpkg")["class_name"]) == {"harbor"}


def test_info_says_what_would_be_done(tiny_folder, tmp_path):
    scene = boxes_raster(tmp_path / "port.tif")
    done = run("info", scene, "--model", tiny_folder, "--tile", 64, "--overlap", 16)
    assert done.exit_code == 0, done.stderr
    for words in ("200 x 150 pixels, 3 bands of uint8", "EPSG:32632", "0.5 x 0.5 m",
                  "12 (4 x 3) of 64, overlap 16", "MiB", "seconds"):  # fmt: skip
        assert words in done.stdout
    assert list(tmp_path.iterdir()) == [scene]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.tif"], "'no.tif'"),
        (["port.tif", "--format", "png"], "must have one of gpkg, parquet, fgb, geojson, coco"),
        (["port.tif", "--format", "shp"], "`--format` must be of png, coco, gpkg"),
        (["port.tif", "--bands", "red"], "`--bands` must be three numbers"),
        (["port.tif", "--bands", "1,2,9"], "`--bands` must be numbers from 1 to 3"),
        (["port.tif", "--gsd", "0.05"], "would make up pixels"),
        (
            ["port.tif", "--tile", "32", "--overlap", "64"],
            "`--tile` must be larger than `--overlap`",
        ),
        (["port.tif", "--merge", "some"], "`--merge` must be things, stuff or none"),
        (["port.tif", "--stretch", "most"], "`--stretch` must be auto"),
        (["port.tif", "other.tif", "-o", "a.gpkg"], "must be a folder for 2 inputs"),
        (["port.tif", "-o", "there.gpkg"], "give `--overwrite`"),
        (["port.tif", "-o", "file/a.gpkg"], "cannot be written"),
        (["plain.png", "--tile", "64", "-o", "a.geojson"], "GeoJSON holds longitudes"),
        (["grey.tif"], "has 1 band of values"),
        (["empty.tif"], "has no pixel that holds data"),
        (["text.tif", "--tile", "64"], "must be a raster that GDAL reads"),
        (["@port.tif"], "which cannot be read"),
        (["*.jpg"], "fits no file"),
        (["port.tif", "--progress", "dots"], "`--progress` must be bar or json, got 'dots'"),
        (["port.tif", "--bbox", "9,45"], "`--bbox` must be west,south,east,north"),
        (["port.tif", "--aoi", "file"], "`--aoi` must be a vector file"),
        (["port.tif", "--crs", "mercator?"], "`--crs` must be source, utm or a code"),
        (["port.tif", "--rasters", "mask"], "`--rasters` must be of class, instance, score"),
        (["plain.png", "--tile", "64", "--stac"], "STAC item needs a place on the ground"),
        (["item.json"], "is JSON, but no STAC item"),
        (["port.tif", "--engine", "dask"], "`--engine` must be local or ray, got 'dask'"),
        (["port.tif", "--workers", "2"], "`--workers` is for `--engine ray`"),
        (["port.tif", "--devices", "9"], "Give `--devices` or `--device`, got both"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(segment, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    for name in ("port.tif", "other.tif"):
        boxes_raster(Path(name), size=(64, 64))
    write_raster(Path("grey.tif"), np.ones((1, 64, 64), dtype=np.uint8))
    write_raster(Path("empty.tif"), np.zeros((3, 64, 64), dtype=np.uint8), nodata=0)
    Image.new("RGB", (64, 64)).save("plain.png")
    Path("text.tif").write_text("no raster")
    Path("item.json").write_text("{}")
    Path("there.gpkg").touch()
    Path("file").touch()
    done = segment(*arguments)
    assert done.exit_code in (1, 2)
    assert sum(message in line for line in done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.output
    assert not list(tmp_path.glob("*.part*"))


def test_without_rasterio_a_geotiff_says_what_to_install(segment, tmp_path, monkeypatch):
    scene = boxes_raster(tmp_path / "port.tif")
    monkeypatch.setitem(sys.modules, "rasterio", None)
    done = segment(scene, "-o", tmp_path / "out")
    assert done.exit_code == 2 and "pip install 'score-hf[geo]'" in done.stderr


@pytest.mark.parametrize(
    ("devices", "environment", "message"),
    [
        ("0,99", {}, "names cuda:0, but this machine has 0 GPUs"),
        ("cpu,gpu", {}, "must be numbers or names such as cuda:0, got 'cpu,gpu'"),
        ("cpu", {"RANK": "1", "WORLD_SIZE": "2"}, "a launcher of several processes, got both"),
    ],
)
def test_devices_that_cannot_be(monkeypatch, devices, environment, message):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(ValueError, match=message):
        EngineChoice.read("local", devices, None, None, environment)


def test_processes_of_a_launcher_take_the_gpus_of_their_machine(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    environment = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    choice = EngineChoice.read("local", None, None, None, environment)
    assert choice.device == "cuda:1" and choice.is_helper
    assert EngineChoice.read("local", None, None, "cpu", environment).device == "cpu"
    assert EngineChoice.read("local", "0,1", None, None, {}).devices == ("cuda:0", "cuda:1")
    assert EngineChoice.read("local", None, None, None, {}).device is None


def test_processes_of_a_launcher_share_the_tiles(segment, tmp_path, monkeypatch):
    scene = boxes_raster(tmp_path / "port.tif")
    assert segment(scene, "-o", tmp_path / "a.gpkg", "--tile", 96).exit_code == 0
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        done = segment(scene, "-o", tmp_path / "b.gpkg", "--tile", 96)
        assert done.exit_code == 0, done.stderr
        assert ("process 1 of 2 has done its share" in done.stdout) == (rank == "1")
    assert (tmp_path / "a.gpkg").read_bytes() == (tmp_path / "b.gpkg").read_bytes()
    done = segment(scene, "-o", tmp_path / "b.gpkg", "--tile", 96, "--overwrite")
    assert done.exit_code == 2 and "delete the old files before they start" in done.stderr


@pytest.mark.slow
def test_several_devices_give_the_same_bytes(tiny_folder, tmp_path):
    scene = boxes_raster(tmp_path / "port.tif")
    for name, option in (("a", "--device=cpu"), ("b", "--devices=cpu,cpu")):
        done = run(
            "segment", scene, "--model", tiny_folder, option, "--threshold", "0.01",
            "--classes", "ship, harbor", "-o", tmp_path / f"{name}.gpkg", "--tile", 96,
        )  # fmt: skip
        assert done.exit_code == 0 and "the process on" not in done.stderr
    assert (tmp_path / "a.gpkg").read_bytes() == (tmp_path / "b.gpkg").read_bytes()


def test_everything_beside_the_map(segment, tmp_path):
    boxes_raster(tmp_path / "port.tif")
    item = {"stac_version": "1.0.0", "assets": {"visual": {"href": "port.tif"}}}
    (tmp_path / "item.json").write_text(json.dumps(item))
    done = segment(
        tmp_path / "item.json", "-o", tmp_path / "a.parquet", "--tile", 96, "--crs", "utm",
        "--rasters", "class,score", "--stac", "--progress", "json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert lines[-1]["done"] == lines[-1]["total"] == len(lines) and lines[-1]["found"] > 0
    names = {path.name for path in tmp_path.iterdir()}
    assert {"a.parquet", "a_class.tif", "a_score.tif", "a.stac.json"} <= names
    page = run("map", tmp_path / "a.parquet")
    if find_spec("folium"):
        assert page.exit_code == 0, page.stderr
        assert (tmp_path / "a.html").stat().st_size > 2000
        again = run("map", tmp_path / "a.parquet")
        assert again.exit_code == 2 and "give `--overwrite`" in again.stderr
    else:
        assert page.exit_code == 2 and "pip install 'score-hf[geo]'" in page.stderr


def test_pages_of_what_is_no_map(tmp_path):
    (tmp_path / "text.gpkg").write_text("no map")
    done = run("map", tmp_path / "text.gpkg")
    assert done.exit_code == 2 and "`MAP` must be a vector file" in done.stderr
    geopandas.GeoDataFrame({"a": [1]}, geometry=geopandas.points_from_xy([1], [2])).to_file(
        tmp_path / "other.gpkg"
    )
    done = run("map", tmp_path / "other.gpkg")
    assert done.exit_code == 2 and "has no column 'class_name'" in done.stderr
