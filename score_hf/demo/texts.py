"""What the page says."""

from html import escape

from .engine import About
from .limits import Limits

CLASSES_HELP = (
    "Commas or new lines separate classes, | separates synonyms: ship, storage tank | oil tank"
)
BELOW = (
    "<h2>What this is</h2>"
    "<p>SCORE (<em>Scene Context Matters in Open-Vocabulary Remote Sensing Instance "
    "Segmentation</em>, Huang et al., ICCV 2025) finds the instances of classes that are named at "
    "run time, also of classes that it was not trained on, which are marked <em>unseen</em>. "
    "Uploads and results are deleted after an hour. Scripts use the endpoint "
    "<code>/segment</code>, see <em>Use via API</em>.</p>"
)
_WARNING = (
    '<p class="warning" role="note"><strong>A demonstration:</strong> this model was trained on '
    "drawn scenes only. What it says about photographs means nothing.</p>"
)


def upload_help(limits: Limits) -> str:
    """What stands where a picture goes.

    Args:
        limits: Of the demo.

    Returns:
        Markdown.
    """
    return (
        "# Drop, paste or choose a picture\nPNG, JPEG, WebP, GIF, BMP or TIFF, up to "
        f"{limits.file_megabytes} MB"
    )


def introduction(about: About, title: str) -> str:
    """The top of the page.

    Args:
        about: The model.
        title: Of the page.

    Returns:
        HTML.
    """
    warning = _WARNING if about.is_demonstration else ""
    return (
        f"<h1>{escape(title)}</h1><p>Give a picture and the names of what to look for. "
        f"Model: <code>{escape(about.name)}</code>.</p>{warning}"
    )
