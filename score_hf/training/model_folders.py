"""The models of a run, as folders that `from_pretrained` loads."""

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path

from accelerate import Accelerator
from torch import nn

from ..conversion.model_card import MeasuredResult, ModelCardFacts, inherit_sources
from ..conversion.model_folder import store_classes, write_model_folder
from ..processing.processing_score import ScoreProcessor
from .checkpoints import point_to, write_through
from .sharding import whole_model

LAST, BEST = "last", "best"


class ModelFolders:
    """The folders `models/step-00001200` and so on, to which the links `last` and `best` point.

    A link is turned from one moment to the next when the folder is whole; folders that no link
    points to are deleted.

    Args:
        output: Folder of the run.
        classes: The training vocabulary, one item a class.
        dataset: Name of the training set, for the card.
        sources: The models that it started from, whose sources and licences go on in the card.
    """

    def __init__(
        self, output: Path, classes: list[str], dataset: str, sources: Sequence[str] = ()
    ) -> None:
        self.output = output
        self.classes = classes
        self.facts = inherit_sources(ModelCardFacts(f"SCORE trained on {dataset}"), *sources)

    def write(
        self,
        accelerator: Accelerator,
        model: nn.Module,
        processor: ScoreProcessor,
        step: int,
        results: list[MeasuredResult],
        is_best: bool,
    ) -> None:
        """Writes the model; every process calls it.

        Args:
            accelerator: What has prepared it.
            model: The prepared model.
            processor: Its processor.
            step: Optimiser steps that were made.
            results: What was measured with it.
            is_best: Whether `best` is to point to it, beside `last`.
        """
        whole = whole_model(accelerator, model)
        if accelerator.is_main_process and whole is not None:
            if not whole.config.frozen_trunks:
                # The text tower has learned since the vocabulary was encoded.
                store_classes(whole, processor, self.classes)
            folder = self.output / "models" / f"step-{step:08d}"
            notes = [f"State after {step} optimiser steps."]
            facts = dataclasses.replace(self.facts, notes=notes, results=results)
            write_model_folder(folder, whole, processor, facts, overwrite=True)
            write_through(folder)
            point_to(self.output / LAST, folder)
            if is_best:
                point_to(self.output / BEST, folder)
            kept = {(self.output / name).resolve() for name in (LAST, BEST)}
            for older in folder.parent.iterdir():
                if older.resolve() not in kept:
                    shutil.rmtree(older)
        accelerator.wait_for_everyone()
