"""The page: what stands where, and which event calls which handler."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData

from ..inference import DEFAULT_THRESHOLD
from .engine import DemoEngine
from .examples import Example
from .found import LOWEST_THRESHOLD
from .gallery import ON_LOAD, gallery
from .handlers import Handlers, Shown
from .presets import list_presets
from .tables import HEADERS, vocabulary_chips
from .texts import BELOW, CLASSES_HELP, introduction
from .views import INSTANCES, VIEWS

TITLE = "SCORE: name what to find in an aerial picture"
_MODEL_QUEUE, _DRAWING_QUEUE, _DRAWING_AT_ONCE = "model", "drawing", 4

# On a narrow screen the result lies below what was asked.
_SCROLL_TO_RESULT = """() => {
    const status = document.querySelector('#status');
    if (window.innerWidth < 700) status.scrollIntoView();
}"""


def build_demo(engine: DemoEngine, examples: Sequence[Example]) -> gr.Blocks:
    """Builds the page.

    Args:
        engine: The model that visitors share.
        examples: Pictures to start from.

    Returns:
        The page, not yet launched.
    """
    limits = engine.limits
    deleting = (max(1, limits.kept_seconds // 10), limits.kept_seconds)
    with gr.Blocks(title=TITLE, delete_cache=deleting, analytics_enabled=False) as page:
        gr.HTML(introduction(engine.about, TITLE), elem_id="introduction")
        with gr.Row():
            with gr.Column(scale=4, min_width=300):
                asked = _ask(engine, examples)
            with gr.Column(scale=6, min_width=320):
                parts = _show(engine)
        gr.HTML(BELOW, elem_id="below")
        parts["visit"] = gr.State(None, time_to_live=limits.kept_seconds)
        # First: events of the page take names of endpoints too, although nobody may call them.
        _connect_api(Handlers(engine))
        _connect(Handlers(engine), asked, parts, examples)
    return page


def _ask(engine: DemoEngine, examples: Sequence[Example]) -> dict[str, Any]:
    """The left side: what a visitor gives."""
    about = engine.about
    asked: dict[str, Any] = {}
    asked["upload"] = _upload(
        label="Aerial picture",
        sources=["upload", "clipboard"],
        height=300,
        buttons=["fullscreen"],
        elem_id="upload",
        alt_text="The picture to be segmented",
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
    asked["vocabulary"] = gr.HTML(
        vocabulary_chips(engine.read_vocabulary(start)), elem_id="vocabulary"
    )
    with gr.Row():
        asked["segment"] = gr.Button("Segment", variant="primary", min_width=100, elem_id="segment")
        asked["cancel"] = gr.Button("Cancel", interactive=False, min_width=100, elem_id="cancel")
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        for name, kind in (("alpha", "seen"), ("beta", "unseen")):
            asked[name] = gr.Slider(
                0,
                1,
                value=getattr(about.ensemble, name),
                step=0.05,
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
    asked["examples"] = gr.HTML(
        gallery(examples), js_on_load=ON_LOAD, visible=bool(examples), elem_id="examples"
    )
    return asked


def _upload(**options: Any) -> gr.Image:
    """Makes a field for a picture that the demo opens itself, so that it can say what is wrong.

    Gradio would open it before any handler is asked. (A subclass of its component is no way: with
    each, Gradio writes a `.pyi` file beside the source.)
    """

    def give_path(payload: ImageData | None) -> str | None:
        if payload is None:
            return None
        is_data = payload.url is not None and payload.url.startswith("data:image/")
        # Gradio has checked that the path is that of an upload.
        return payload.url if is_data else payload.path

    field = gr.Image(type="filepath", image_mode=None, **options)
    field.preprocess = give_path  # type: ignore[method-assign]
    return field


def _show(engine: DemoEngine) -> dict[str, Any]:
    """The right side: what a visitor gets."""
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
    parts["legend"] = gr.HTML("", elem_id="legend")
    with gr.Accordion("Classes shown", open=False, elem_id="filter"):
        parts["shown"] = gr.CheckboxGroup([], label="Classes", show_label=False, elem_id="shown")
    parts["table"] = gr.Dataframe(
        headers=HEADERS,
        datatype=["str" if name in ("Class", "Seen") else "number" for name in HEADERS],
        interactive=False,
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
            parts[f"{name}_file"] = gr.DownloadButton(visible="hidden", elem_id=f"{name}-file")
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
    return parts


def _connect(
    handlers: Handlers, asked: dict[str, Any], parts: dict[str, Any], examples: Sequence[Example]
) -> None:
    """Connects the events of the page."""

    def filling(handler: Callable[..., Any]) -> Callable[..., Any]:
        return _filling(handler, {**asked, **parts})

    quietly = {"api_visibility": "private", "show_progress": "hidden"}
    at_once = {**quietly, "queue": False}
    drawing = {
        **quietly,
        "concurrency_id": _DRAWING_QUEUE,
        "concurrency_limit": _DRAWING_AT_ONCE,
    }
    look = [parts[name] for name in ("view", "threshold", "shown")]
    mixing = [asked[name] for name in ("alpha", "beta", "trunk", "max_instances")]
    result = [
        parts[name]
        for name in (
            "status",
            "overlay",
            "compare",
            "legend",
            "table",
            "chosen",
            "explanation",
            "region",
        )
    ]

    asked["names"].change(
        handlers.show_vocabulary,
        asked["names"],
        asked["vocabulary"],
        trigger_mode="always_last",
        **at_once,
    )
    presets = list_presets(handlers.engine.about.training_classes)
    asked["preset"].input(presets.get, asked["preset"], asked["names"], **at_once)

    def run(event: Callable[..., Any], **options: Any) -> Any:
        return event(
            filling(handlers.segment_and_show),
            [asked["upload"], asked["names"], *look[:2], *mixing],
            [parts["visit"], parts["shown"], asked["cancel"], *result],
            api_visibility="private",
            show_progress_on=parts["overlay"],
            concurrency_id=_MODEL_QUEUE,
            concurrency_limit=1,
            **options,
        )

    def take_example(event: gr.EventData) -> tuple[str, str]:
        example = examples[event.index]
        return str(example.picture), example.classes

    taken = asked["examples"].click(
        take_example, None, [asked["upload"], asked["names"]], **at_once
    )
    started = [asked["segment"].click, asked["names"].submit, taken.then]
    running = [run(event, trigger_mode="once") for event in started]
    asked["cancel"].click(
        lambda: ("Cancelled.", gr.update(interactive=False)),
        None,
        [parts["status"], asked["cancel"]],
        cancels=running,
        **at_once,
    )
    for one in running:
        one.success(None, None, None, js=_SCROLL_TO_RESULT, **at_once)
        one.failure(
            lambda: ("That did not work: see the message.", gr.update(interactive=False)),
            None,
            [parts["status"], asked["cancel"]],
            **at_once,
        )

    for name in ("view", "threshold", "shown"):
        parts[name].input(
            filling(handlers.redraw),
            [parts["visit"], *look],
            result,
            trigger_mode="always_last",
            **drawing,
        )
    for component in mixing:
        component.input(
            filling(handlers.mix),
            [parts["visit"], *look, *mixing],
            [parts["visit"], *result],
            trigger_mode="always_last",
            **drawing,
        )

    explained = [parts[name] for name in ("overlay", "explanation", "region")]
    choose = (
        parts["overlay"].select(
            filling(handlers.click), [parts["visit"], *look[1:]], parts["chosen"], **at_once
        ),
        parts["table"].select(filling(handlers.pick), None, parts["chosen"], **at_once),
    )
    for event in (*(one.then for one in choose), parts["chosen"].input):
        event(
            filling(handlers.explain),
            [parts["visit"], parts["chosen"], *look],
            explained,
            trigger_mode="always_last",
            **drawing,
        )

    for name, write, inputs in (
        ("picture", handlers.write_picture, look),
        ("coco", handlers.write_coco, look[1:]),
    ):
        written = parts[f"get_{name}"].click(
            write, [parts["visit"], *inputs], parts[f"{name}_file"], **drawing
        )
        press = f"() => setTimeout(() => document.querySelector('#{name}-file').click(), 100)"
        written.success(None, None, None, js=press, **at_once)


def _connect_api(handlers: Handlers) -> None:
    """Adds the endpoint for scripts; its components are never seen."""
    own = handlers.engine.about
    inputs = [
        _upload(label="image", visible=False),
        gr.Textbox(label="classes", visible=False),
        gr.Number(DEFAULT_THRESHOLD, label="threshold", visible=False),
        gr.Number(None, label="alpha", visible=False),
        gr.Number(None, label="beta", visible=False),
        gr.Number(own.max_detections, label="max_instances", precision=0, visible=False),
    ]
    gr.Button(visible=False).click(
        handlers.segment,
        inputs,
        gr.JSON(visible=False, label="instances"),
        api_name="segment",
        concurrency_id=_MODEL_QUEUE,
        concurrency_limit=1,
    )


def _filling(handler: Callable[..., Any], components: dict[str, Any]) -> Callable[..., Any]:
    """Lets a handler that names its values fill components."""

    def fill(values: Shown) -> dict[Any, Any]:
        return {components[name]: value for name, value in values.items()}

    if inspect.isgeneratorfunction(handler):

        @wraps(handler)
        def filling_steps(*values: Any) -> Iterator[dict[Any, Any]]:
            for shown in handler(*values):
                yield fill(shown)

        return filling_steps

    @wraps(handler)
    def filling_once(*values: Any) -> dict[Any, Any]:
        return fill(handler(*values))

    return filling_once
