"""Pictures: the processor's reader, the demo's, label images of data sets, masks as run lengths."""

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from score_hf.data.readers.label_images import decode, read_label, size_of, value_table
from score_hf.demo.limits import Limits, read_picture
from score_hf.drawn_scenes import draw_scene
from score_hf.processing.coco_masks import decode_mask
from score_hf.processing.image_loading import open_image, read_pixels
from score_hf.processing.image_processing_score import ScoreImageProcessor
from score_hf.scenes.routing import is_scene

from .damage import Strategy, damaged, damaged_tree
from .target import Target

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def pictures() -> list[bytes]:
    """One drawn scene in many formats."""
    scene = draw_scene(3, 64).image
    turned = Image.Exif()
    turned[0x0112] = 6
    grey16 = Image.fromarray(np.asarray(scene.convert("L")).astype(np.uint16) * 257)
    written: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (scene, "PNG", {}),
        (scene.convert("RGBA"), "PNG", {"exif": turned}),
        (scene.convert("P"), "PNG", {"transparency": 3}),
        (grey16, "PNG", {}),
        (scene, "JPEG", {"exif": turned}),
        (scene, "JPEG", {"progressive": True}),
        (scene, "TIFF", {}),
        (scene, "TIFF", {"compression": "tiff_lzw"}),
        (grey16, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (scene, "WEBP", {}),
        (scene, "GIF", {"save_all": True, "append_images": [scene.rotate(90)]}),
        (scene, "BMP", {}),
        (scene, "JPEG2000", {}),
        (scene, "TGA", {}),
        (scene, "PPM", {}),
        (scene, "ICO", {}),
    ]
    files = []
    for image, kind, options in written:
        stream = BytesIO()
        image.save(stream, kind, **options)
        files.append(stream.getvalue())
    return files


@st.composite
def _damaged_png(draw: st.DrawFn, files: Sequence[bytes]) -> bytes:
    """A PNG with a chunk that is damaged, but whose checksum is right."""
    content = draw(st.sampled_from([file for file in files if file.startswith(_SIGNATURE)]))
    chunks, place = [], len(_SIGNATURE)
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        kind = content[place + 4 : place + 8]
        chunks.append((kind, content[place + 8 : place + 8 + length]))
        place += length + 12
    number = draw(st.integers(0, len(chunks) - 1))
    kind, data = chunks[number]
    if draw(st.booleans()):
        data = draw(damaged([data]))
    else:
        kind = draw(
            st.sampled_from((b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"iTXt", b"zTXt", b"iCCP"))
        )
        data = draw(st.sampled_from((data, zlib.compress(bytes(10**6)), b"x\x00\x00" + data[:8])))
    chunks[number] = (kind, data)
    if draw(st.booleans()):
        width, height = draw(
            st.sampled_from(((64, 2**31 - 1), (30_000, 30_000), (0, 5), (2, 9999)))
        )
        chunks[0] = (b"IHDR", struct.pack(">II", width, height) + chunks[0][1][8:])
    made = [_SIGNATURE]
    for kind, data in chunks:
        checksum = zlib.crc32(kind + data)
        made += [struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)]
    return b"".join(made)


def _damaged(files: Sequence[bytes]) -> Strategy[bytes]:
    return st.one_of(damaged(files), damaged(files), _damaged_png(files))


def _read_picture(content: bytes, folder: Path) -> None:
    path = folder / "picture"
    path.write_bytes(content)
    limit = ScoreImageProcessor().size_limit()
    assert is_scene(str(path), limit) in (True, False)
    read_pixels(open_image(path, limit), "`images[0]`", in_colour=True)


def _read_upload(content: bytes, folder: Path) -> None:
    path = folder / "upload"
    path.write_bytes(content)
    read_picture(str(path), Limits(), ScoreImageProcessor())


def _read_label(content: bytes, folder: Path) -> None:
    path = folder / "label"
    path.write_bytes(content)
    size_of(path)
    decode(path, "RGB")
    read_label(path, value_table({0: 0, 255: 1}))


def _labels() -> list[bytes]:
    values = np.zeros((20, 30), dtype=np.uint8)
    files = []
    for kind in ("PNG", "TIFF", "BMP"):
        stream = BytesIO()
        Image.fromarray(values).save(stream, kind)
        files.append(stream.getvalue())
    return files


def _masks() -> list[Any]:
    polygon = [2.0, 2.0, 9.0, 2.0, 9.0, 7.0]
    return [
        {"size": [8, 10], "counts": [20, 5, 55]},
        {"size": [8, 10], "counts": "d05g1"},
        [polygon],
        [polygon, [0, 0, 3, 0, 3, 3, 0, 3]],
    ]


def _read_mask(tree: Any, _: Path) -> None:
    decode_mask(tree, (8, 10), "annotations[0]")


TARGETS = (
    Target("pictures", pictures, _damaged, _read_picture),
    Target("uploads", lambda: pictures()[:6], _damaged, _read_upload),
    Target("labels", _labels, _damaged, _read_label, (OSError, ValueError)),
    Target(
        "masks", _masks, lambda trees: damaged_tree(trees, may_be_deep=False), _read_mask,
        (TypeError, ValueError),
    ),
)  # fmt: skip
