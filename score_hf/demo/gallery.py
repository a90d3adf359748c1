"""The examples as a row of small pictures, each a button with its title."""

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO

from PIL import Image, ImageOps

from .examples import Example

# Tells which of the buttons was clicked. (Gradio's own gallery leaves its pictures unnamed.)
ON_LOAD = """
element.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    if (button) trigger('click', {index: Number(button.dataset.index)});
});
"""
_SIDE = 144


def gallery(examples: Sequence[Example]) -> str:
    """Draws the examples.

    Args:
        examples: The examples.

    Returns:
        HTML with the small pictures inside.
    """
    buttons = "".join(
        f'<button type="button" data-index="{index}" title="{escape(one.title)}">'
        f'<img src="{_thumbnail(one)}" alt="{escape(one.title)}"></button>'
        for index, one in enumerate(examples)
    )
    return (
        '<p id="examples-title">Or take an example:</p>'
        f'<div class="gallery" role="group" aria-labelledby="examples-title">{buttons}</div>'
    )


def _thumbnail(example: Example) -> str:
    with Image.open(example.picture) as picture:
        small = ImageOps.fit(picture.convert("RGB"), (_SIDE, _SIDE))
    written = BytesIO()
    small.save(written, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode('ascii')}"
