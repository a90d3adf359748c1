"""Errors as sentences for the visitor."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

import gradio as gr
import torch

_LOGGER = logging.getLogger(__name__)


@contextmanager
def plain_errors(html: bool = True) -> Iterator[None]:
    """Turns errors into sentences for the visitor; what is our fault is logged.

    Args:
        html: Whether the sentence is shown as HTML, so that what the visitor typed is escaped.

    Raises:
        Error: If there was an error.
    """
    try:
        yield
    except ValueError as error:
        message = escape(str(error), quote=False) if html else str(error)
        raise gr.Error(message, print_exception=False) from error
    except (MemoryError, torch.cuda.OutOfMemoryError) as error:
        raise gr.Error(
            "There is not enough memory for this picture with so many classes: take fewer or a "
            "smaller picture.",
            print_exception=False,
        ) from error
    except gr.Error:
        raise
    except Exception as error:
        _LOGGER.exception("A visitor's request failed")
        raise gr.Error(
            "Something went wrong here, and not because of you. It is in the log; try again.",
            print_exception=False,
        ) from error
