"""What stands on the page."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ..inference import DEFAULT_THRESHOLD
from .engine import DemoEngine
from .examples import Example
from .fields import picture_field
from .found import LOWEST_THRESHOLD
from .gallery import ON_LOAD, gallery
from .presets import list_presets
from .tables import HEADERS, WIDTHS, vocabulary_chips
from .texts import CLASSES_HELP, upload_help
from .views import INSTANCES, VIEWS


def lay_out_question(engine: DemoEngine, examples: Sequence[Example]) -> dict[str, Any]:
    """Lays out the left side: what a visitor gives.

    Args:
        engine: Tells of the model.
        examples: Pictures to start from.

    Returns:
        The components by name.
    """
    about = engine.about
    asked: dict[str, Any] = {}
    asked["upload"] = picture_field(
        label="Aerial picture",
        sources=["upload", "clipboard"],
        height=220,
        placeholder=upload_help(engine.limits),
        buttons=["fullscreen"],
        elem_id="upload",
        alt_text="The picture to be segmented",
    )
    asked["examples"] = gr.HTML(
        gallery(examples), js_on_load=ON_LOAD, visible=bool(examples), elem_id="examples"
    )
    presets = list_presets(about.training_classes)
    fixed = about.stored_classes is not None
    start = next(iter(presets.values())) if not examples else examples[0].classes
    asked["preset"] = gr.Dropdown(
        list(presets),
        value=None,
        label="Start from a vocabulary",
        visible=not fixed,
        elem_id="preset",
    )
    asked["names"] = gr.Textbox(
        "" if fixed else start,
        label="Classes to look for",
        info=CLASSES_HELP,
        lines=3,
        max_lines=8,
        visible=not fixed,
        elem_id="names",
    )
    with gr.Row():
        asked["segment"] = gr.Button("Segment", variant="primary", min_width=100, elem_id="segment")
        asked["cancel"] = gr.Button("Cancel", interactive=False, min_width=100, elem_id="cancel")
    asked["vocabulary"] = gr.HTML(
        vocabulary_chips(engine.read_vocabulary(start)), elem_id="vocabulary"
    )
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        for name, kind in (("alpha", "seen"), ("beta", "unseen")):
            asked[name] = gr.Slider(
                0,
                1,
                value=getattr(about.ensemble, name),
                step=0.01,
                label=f"{name.title()}: weight of the out-of-vocabulary score for {kind} classes",
                elem_id=name,
            )
        asked["trunk"] = gr.Radio(
            [(f"{name} CLIP", name) for name in about.trunks],
            value=about.ensemble.trunk,
            label="Out-of-vocabulary scores from",
            visible=len(about.trunks) > 1,
            elem_id="trunk",
        )
        asked["max_instances"] = gr.Slider(
            1,
            about.max_detections,
            value=about.max_detections,
            step=1,
            label="Most instances",
            elem_id="max-instances",
        )
    return asked


def lay_out_result() -> dict[str, Any]:
    """Lays out the right side: what a visitor gets.

    Returns:
        The components by name.
    """
    parts: dict[str, Any] = {}
    with gr.Row():
        parts["view"] = gr.Radio(
            VIEWS, value=INSTANCES, label="View", scale=3, min_width=330, elem_id="view"
        )
        parts["threshold"] = gr.Slider(
            LOWEST_THRESHOLD,
            0.95,
            value=DEFAULT_THRESHOLD,
            step=0.01,
            label="Lowest score",
            scale=2,
            min_width=220,
            elem_id="threshold",
        )
    parts["status"] = gr.HTML(
        "Nothing segmented yet.",
        html_template='<p role="status" aria-live="polite">${value}</p>',
        elem_id="status",
    )
    with gr.Tabs():
        with gr.Tab("Overlay"):
            parts["overlay"] = gr.Image(
                label="Result; click an object to have it explained",
                type="filepath",
                interactive=False,
                buttons=["fullscreen"],
                elem_id="overlay",
                alt_text="The picture with what was found in the colours of the legend",
            )
        with gr.Tab("Compare"):
            parts["compare"] = gr.ImageSlider(
                label="Picture and result", type="filepath", interactive=False, elem_id="compare"
            )
    with gr.Column(visible=False) as parts["details"]:
        _lay_out_details(parts)
    # Outside: what shows the details would show them too.
    for name in ("picture", "coco"):
        parts[f"{name}_file"] = gr.DownloadButton(visible="hidden", elem_id=f"{name}-file")
    return parts


def _lay_out_details(parts: dict[str, Any]) -> None:
    """Lays out what there is to say of a result, unseen until there is one."""
    parts["legend"] = gr.HTML("", elem_id="legend")
    with gr.Accordion("Classes shown", open=False, elem_id="filter"):
        parts["shown"] = gr.CheckboxGroup([], label="Classes", show_label=False, elem_id="shown")
    parts["table"] = gr.Dataframe(
        headers=HEADERS,
        datatype=["str" if name in ("Class", "Seen") else "number" for name in HEADERS],
        interactive=False,
        column_widths=[f"{width}px" for width in WIDTHS],
        wrap=True,
        max_height=300,
        buttons=["copy"],
        label="Instances; choose a row to highlight its object",
        elem_id="table",
    )
    with gr.Row():
        for name, label in (("picture", "overlay (PNG)"), ("coco", "instances (COCO json)")):
            parts[f"get_{name}"] = gr.Button(
                f"Download {label}", size="md", min_width=150, elem_id=f"get-{name}"
            )
    parts["chosen"] = gr.Dropdown([], label="Explain an object", elem_id="chosen", interactive=True)
    parts["explanation"] = gr.HTML("", elem_id="explanation")
    parts["region"] = gr.Image(
        label="The region around it",
        type="filepath",
        interactive=False,
        visible=False,
        height=360,
        buttons=["fullscreen"],
        elem_id="region",
    )
