"""The part of the page for whole scenes."""

from collections.abc import Iterator
from html import escape
from importlib.util import find_spec
from typing import Any

import gradio as gr

from ..inference import DEFAULT_THRESHOLD
from .engine import DemoEngine
from .errors import plain_errors
from .handlers import save_picture
from .waiting import CANCELLED, tell_waiting, told_failure
from .whole_scenes import LOAD_WHEN_OPENED, segment_scene

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
            f"{limits.scene_tiles} of them, and objects come out whole, as polygons for a map."
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
        status = gr.HTML(
            "",
            html_template='<p role="status" aria-live="polite">${value}</p>',
            elem_id="scene-status",
        )
        picture = gr.Image(
            label="What was found",
            type="filepath",
            interactive=False,
            visible=False,
            buttons=["fullscreen"],
            elem_id="scene-picture",
        )
        legend = gr.HTML(elem_id="scene-legend")
        drawn = gr.HTML(js_on_load=LOAD_WHEN_OPENED, elem_id="scene-map")
        files = gr.File(
            label="For a GIS",
            file_count="multiple",
            interactive=False,
            visible=False,
            elem_id="scene-files",
        )

    places: dict[str, Any] = {
        "status": status,
        "picture": picture,
        "legend": legend,
        "map": drawn,
        "files": files,
    }

    def run(path: str | None, text: str, lowest: float) -> Iterator[dict[Any, Any]]:
        yield {
            cancel: gr.update(interactive=True),
            picture: gr.update(value=None, visible=False),
            legend: "",
            drawn: "",
            files: gr.update(value=None, visible=False),
        }
        with plain_errors():
            for shown in segment_scene(engine, path, text, lowest):
                yield {places[name]: value for name, value in _as_updates(shown).items()}
        yield {cancel: gr.update(interactive=False)}

    tell_waiting(start.click, status, cancel)
    running = start.click(
        run,
        [upload, names, threshold],
        [*places.values(), cancel],
        api_visibility="private",
        show_progress_on=status,
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
        lambda: (CANCELLED, gr.update(interactive=False)),
        None,
        [status, cancel],
        cancels=[running],
        **quietly,
    )
    running.failure(
        lambda told: (told_failure(told), gr.update(interactive=False)),
        status,
        [status, cancel],
        **quietly,
    )


def _as_updates(shown: dict[str, Any]) -> dict[str, Any]:
    sentence = escape(shown["status"])
    updates = {**shown, "status": sentence}
    if "picture" in shown:
        path = save_picture(shown["picture"], "scene")
        alternative = f"The scene with what was found in it. {shown['status']}"
        updates["picture"] = gr.update(value=path, alt_text=alternative, visible=True)
        updates["files"] = gr.update(value=shown["files"], visible=True)
    return updates
