"""The page, and which of its events calls which handler."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

import gradio as gr

from ..inference import DEFAULT_THRESHOLD
from .engine import DemoEngine
from .examples import Example
from .fields import picture_field, unread
from .handlers import Handlers, Shown
from .layout import lay_out_question, lay_out_result
from .presets import list_presets
from .scene_section import add_scene_section, can_take_scenes
from .texts import BELOW, introduction
from .waiting import CANCELLED, tell_waiting, told_failure

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
                asked = lay_out_question(engine, examples)
            with gr.Column(scale=6, min_width=320):
                parts = lay_out_result()
        if can_take_scenes():
            add_scene_section(engine, asked["names"], _MODEL_QUEUE)
        gr.HTML(BELOW, elem_id="below")
        parts["visit"] = gr.State(None, time_to_live=limits.kept_seconds)
        # First: events of the page take names of endpoints too, although nobody may call them.
        _connect_api(Handlers(engine))
        _connect(Handlers(engine), asked, parts, examples)
    return page


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
            [parts[name] for name in ("visit", "shown", "details")] + [asked["cancel"], *result],
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
    for event in started:
        tell_waiting(event, parts["status"], asked["cancel"])
    running = [run(event, trigger_mode="once") for event in started]
    asked["cancel"].click(
        lambda: (CANCELLED, gr.update(interactive=False)),
        None,
        [parts["status"], asked["cancel"]],
        cancels=running,
        **at_once,
    )
    for one in running:
        one.success(None, None, None, js=_SCROLL_TO_RESULT, **at_once)
        one.failure(
            lambda told: (told_failure(told), gr.update(interactive=False)),
            parts["status"],
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
        picture_field(label="image", visible=False),
        unread(gr.Textbox(label="classes", visible=False)),
        unread(gr.Number(DEFAULT_THRESHOLD, label="threshold", visible=False)),
        unread(gr.Number(None, label="alpha", visible=False)),
        unread(gr.Number(None, label="beta", visible=False)),
        unread(gr.Number(own.max_detections, label="max_instances", precision=0, visible=False)),
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
