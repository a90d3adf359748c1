"""`score-hf evaluate`: a model and a prepared dataset in, figures out."""

from functools import wraps
from typing import Any

from ..training import evaluate as training
from .terminal import option_names, plain_messages, quiet_transformers


@wraps(training.evaluate)
def evaluate(**options: Any) -> None:
    """Runs the evaluation, with errors as sentences."""
    quiet_transformers()
    with plain_messages(names=option_names(training.evaluate)):
        training.evaluate(**options)
