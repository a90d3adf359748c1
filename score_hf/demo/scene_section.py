"""The part of the page for whole scenes."""

from collections.abc import Iterator
from html import escape
from importlib.util import find_spec
from typing import Any

import gradio as gr

from ..inference import DEFAULT_THRESHOLD
from .engine import DemoEngine
from .errors import plain_errors
from .whole_scenes import segment_scene

_NEEDED = ("rasterio", "shapely", "pyogrio", "pyarrow", "pyproj", "geopandas", "folium")


def can_take_scenes() -> bool:
    """Whether the packages for whole scenes are here."""
    return all(map(find_spec, _NEEDED))


def add_scene_section(engine: DemoEngine, names: gr.Textbox, queue: str) -> None:
    """Adds a field for a GeoTIFF or large picture, progress, a map and downloads to the page.

    Args:
        engine: The model.
        names: Where the visitor writes class names.
        queue: Of the model, in which visitors take turns.
    """
    limits = engine.limits
    with gr.Accordion("A whole scene: GeoTIFF or large picture", open=False, elem_id="scene"):
        gr.Markdown(
            "The classes are those above. The scene goes through overlapping tiles, up to "
            f"{limits.scene_tiles} of them, and objects come out whole, as polygons on the map."
        )
        with gr.Row():
            upload = gr.File(
                label="Scene",
                file_types=[".tif", ".tiff", ".png", ".jpg", ".jpeg"],
                elem_id="scene-upload",
            )
            with gr.Column():
                threshold = gr.Slider(
                    0.05, 0.95, DEFAULT_THRESHOLD, step=0.05, label="Lowest score"
                )
                start = gr.Button("Segment the scene", variant="primary", elem_id="scene-start")
                cancel = gr.Button("Cancel", interactive=False, elem_id="scene-cancel")
        status = gr.HTML(elem_id="scene-status")
        drawn = gr.HTML(elem_id="scene-map")
        files = gr.File(
            label="GeoPackage and GeoJSON", file_count="multiple", elem_id="scene-files"
        )

    def run(path: str | None, text: str, lowest: float) -> Iterator[dict[Any, Any]]:
        places = {"status": status, "map": drawn, "files": files}
        yield {cancel: gr.update(interactive=True), drawn: "", files: None}
        with plain_errors():
            for shown in segment_scene(engine, path, text, lowest):
                shown["status"] = escape(shown["status"])
                yield {places[name]: value for name, value in shown.items()}
        yield {cancel: gr.update(interactive=False)}

    running = start.click(
        run,
        [upload, names, threshold],
        [status, drawn, files, cancel],
        api_visibility="private",
        show_progress_on=drawn,
        concurrency_id=queue,
        concurrency_limit=1,
        trigger_mode="once",
    )
    quietly: dict[str, Any] = {
        "api_visibility": "private",
        "show_progress": "hidden",
        "queue": False,
    }
    cancel.click(
        lambda: ("Cancelled.", gr.update(interactive=False)),
        None,
        [status, cancel],
        cancels=[running],
        **quietly,
    )
    running.failure(lambda: gr.update(interactive=False), None, cancel, **quietly)
