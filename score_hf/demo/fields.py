"""Fields whose content the demo reads itself, so that it can say what is wrong with it.

Gradio's own errors reach no script, and of a picture it would tell before any handler is asked.
(Subclasses of its components are no way: with each, Gradio writes a `.pyi` file beside the source.)
"""

from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.utils import get_upload_folder

from .errors import plain_errors

_Field = TypeVar("_Field", bound=gr.components.Component)


def picture_field(**options: Any) -> gr.Image:
    """Makes a field for a picture.

    Args:
        **options: Of Gradio's `Image`.

    Returns:
        The field; handlers get what `read_upload` gives.
    """

    def read(sent: Any) -> str | None:
        with plain_errors():
            return read_upload(sent)

    field: Any = gr.Image(type="filepath", image_mode=None, **options)
    described = field.api_info()
    field.data_model, field.api_info, field.preprocess = None, lambda: described, read
    return field


def unread(field: _Field) -> _Field:
    """Lets handlers see what was sent, whatever it is.

    Args:
        field: A field.

    Returns:
        The same field.
    """
    field.preprocess = lambda payload: payload  # type: ignore[method-assign]
    return field


def read_upload(sent: Any) -> str | None:
    """Reads where a picture is from what a page or a script sent.

    Args:
        sent: A dictionary with a `path` among the uploads, or a `data:image/...` address as `url`;
            None if there is no picture.

    Returns:
        The path or the address; None if there is no picture.

    Raises:
        ValueError: If it is something else, or the path is not that of an upload.
    """
    if sent is None:
        return None
    if not isinstance(sent, dict):
        raise ValueError(
            f"`image` must be a file that was sent, but got {type(sent).__name__}: in Python, give "
            "gradio_client.handle_file(path)."
        )
    path, url = sent.get("path"), sent.get("url")
    if isinstance(url, str) and url.startswith("data:image/"):
        return url
    if path is None:
        return None
    # Gradio checks paths only where their sender says that they are files.
    uploads = Path(get_upload_folder()).resolve()
    if not isinstance(path, str) or not Path(path).resolve().is_relative_to(uploads):
        raise ValueError("`image` must be a file that was sent, but got a path of another place.")
    return path
