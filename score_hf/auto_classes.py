"""Tells Transformers' auto classes of SCORE, at the moment somebody imports them.

Registering at once would make `import score_hf` load torch and all of Transformers' model code. So
a hook on the import system registers SCORE's classes right after the modules with the auto classes
have run. The model class itself is imported even later, when it is first asked for: model code of
Transformers imports the auto classes too, and would be half loaded at that moment.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_FOLDER = "transformers.models.auto."
_MODEL_MAPPINGS = (
    "MODEL_MAPPING",
    "MODEL_FOR_INSTANCE_SEGMENTATION_MAPPING",
    "MODEL_FOR_IMAGE_SEGMENTATION_MAPPING",
    "MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING",
)


def _ours(name: str) -> Any:
    return getattr(importlib.import_module(__package__), name)


class _ModelToCome:
    """Stands for the model class in Transformers' mappings until one of its attributes is read."""

    def __init__(self, name: str, loaded: Callable[[type], None]) -> None:
        self.__name__ = name
        self._loaded = loaded

    def __getattr__(self, attribute: str) -> Any:
        model_class = _ours(self.__name__)
        self._loaded(model_class)
        return getattr(model_class, attribute)


def _register_config(module: ModuleType) -> None:
    module.CONFIG_MAPPING.register("score", _ours("ScoreConfig"), exist_ok=True)


def _register_model(module: ModuleType) -> None:
    def register(model_class: Any) -> None:
        for mapping in _MODEL_MAPPINGS:
            getattr(module, mapping).register(_ours("ScoreConfig"), model_class, exist_ok=True)

    register(_ModelToCome("ScoreForInstanceSegmentation", register))


def _register_image_processor(module: ModuleType) -> None:
    module.IMAGE_PROCESSOR_MAPPING.register(
        _ours("ScoreConfig"), {"torchvision": _ours("ScoreImageProcessor")}, exist_ok=True
    )


def _register_processor(module: ModuleType) -> None:
    module.PROCESSOR_MAPPING.register(_ours("ScoreConfig"), _ours("ScoreProcessor"), exist_ok=True)


_REGISTRATIONS: dict[str, Callable[[ModuleType], None]] = {
    _FOLDER + "configuration_auto": _register_config,
    _FOLDER + "modeling_auto": _register_model,
    _FOLDER + "image_processing_auto": _register_image_processor,
    _FOLDER + "processing_auto": _register_processor,
}


class _AutoClassFinder(MetaPathFinder):
    """Finds the modules with the auto classes as usual and lets SCORE register when they ran."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        register = _REGISTRATIONS.get(fullname)
        spec = PathFinder.find_spec(fullname, path, target) if register else None
        if register is None or spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            register(module)

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def register_when_imported() -> None:
    """Registers SCORE with each module of auto classes: now if it is loaded, else as it loads."""
    if any(isinstance(finder, _AutoClassFinder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _AutoClassFinder())
    for name, register in _REGISTRATIONS.items():
        if name in sys.modules:
            register(sys.modules[name])
