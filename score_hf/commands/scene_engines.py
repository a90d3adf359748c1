"""Who computes the tiles of scenes, as `score-hf segment` is told or finds itself started."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..scenes import SceneSegmenter
    from ..scenes.engines import Engine, Rank
    from ..scenes.vocabulary import SceneClass

ENGINES = ("local", "ray")
# The number of a process among those of its machine.
_LOCAL_NUMBERS = ("LOCAL_RANK", "SLURM_LOCALID")


@dataclass(frozen=True)
class EngineChoice:
    """Who computes the tiles.

    Args:
        name: One of `ENGINES`.
        device: That of this process; None: a GPU if there is one.
        devices: All devices that share the tiles; empty: only this process.
        workers: How many processes Ray runs; None: as many as fit.
        rank: The share of this process, where a launcher started several.
    """

    name: str
    device: str | None = None
    devices: tuple[str, ...] = ()
    workers: int | None = None
    rank: "Rank | None" = None

    @classmethod
    def read(
        cls,
        name: str,
        devices: str | None,
        workers: int | None,
        device: str | None,
        environment: Mapping[str, str] = os.environ,
    ) -> "EngineChoice":
        """Reads options and what a launcher has set.

        Args:
            name: As given by `--engine`.
            devices: As given by `--devices`.
            workers: As given by `--workers`.
            device: As given by `--device`.
            environment: The variables.

        Returns:
            The choice.

        Raises:
            ValueError: If options are not known or do not go together.
        """
        from ..scenes.engines import Rank

        if name not in ENGINES:
            raise ValueError(f"`--engine` must be {' or '.join(ENGINES)}, got {name!r}.")
        if name == "ray":
            if devices is not None:
                raise ValueError("Give `--devices` or `--engine ray`, got both.")
            return cls(name, device, workers=workers)
        if workers is not None:
            raise ValueError("`--workers` is for `--engine ray`, got it without.")
        rank = Rank.of_environment(environment)
        if devices is None:
            return cls(name, device or _local_device(rank, environment), rank=rank)
        if device is not None or rank is not None:
            other = "`--device`" if device is not None else "a launcher of several processes"
            raise ValueError(f"Give `--devices` or {other}, got both.")
        named = _read_devices(devices)
        return cls(name, named[0], named)

    @property
    def is_helper(self) -> bool:
        """Whether another process writes the maps."""
        return self.rank is not None and self.rank.is_helper

    def check(self, fresh: bool, overwrite: bool) -> None:
        """Checks that what is there may be thrown away.

        Args:
            fresh: Whether what a stopped run left is to go.
            overwrite: Whether maps that are there are to go.

        Raises:
            ValueError: If one of several processes could throw away what another has done.
        """
        if self.rank is not None and (fresh or overwrite):
            raise ValueError(
                f"`{'--fresh' if fresh else '--overwrite'}` cannot be given to "
                f"{self.rank.processes} processes, of which one could throw away what another has "
                "done; delete the old files before they start."
            )

    def make(
        self,
        model: str,
        names: Sequence[str] | None,
        dtype: str,
        classes: Sequence["SceneClass"],
    ) -> "Engine | None":
        """Makes the engine.

        Args:
            model: Folder, bundled name or hub id.
            names: Of the classes, as `Segmenter` takes them; None: those that the model stores.
            dtype: Of the model.
            classes: With their settings.

        Returns:
            The engine; None where this process is alone.

        Raises:
            ImportError: If Ray is missing.
            OSError: If the cluster cannot be reached.
        """
        maker = partial(make_segmenter, model, names, dtype, tuple(classes))
        if self.name == "ray":
            from ..scenes.ray_engine import RayEngine

            return RayEngine(maker, self.workers)
        if len(self.devices) > 1:
            from ..scenes.engines import Processes

            return Processes(maker, self.devices)
        return self.rank


def make_segmenter(
    model: str,
    names: Sequence[str] | None,
    dtype: str,
    classes: Sequence["SceneClass"],
    device: str | None,
) -> "SceneSegmenter":
    """Makes, in another process, the same segmenter as in the first.

    Args:
        model: Folder, bundled name or hub id.
        names: Of the classes, as `Segmenter` takes them; None: those that the model stores.
        dtype: Of the model.
        classes: With their settings.
        device: Where; None: as `Segmenter` chooses.

    Returns:
        The segmenter.
    """
    from ..inference import Segmenter
    from ..scenes import SceneSegmenter
    from ..scenes.score_predictor import ScorePredictor
    from .terminal import quiet_transformers

    quiet_transformers()
    predictor = ScorePredictor(Segmenter(model, names, device=device, dtype=dtype))
    return SceneSegmenter(predictor, classes)


def _local_device(rank: "Rank | None", environment: Mapping[str, str]) -> str | None:
    """The GPU of a process that has others beside it on its machine."""
    import torch

    numbers = [environment[name] for name in _LOCAL_NUMBERS if name in environment]
    count = torch.cuda.device_count()
    if rank is None or not numbers or not count:
        return None
    return f"cuda:{int(numbers[0]) % count}"


def _read_devices(text: str) -> tuple[str, ...]:
    import torch

    names = [name.strip() for name in text.split(",")]
    devices = [f"cuda:{name}" if name.isdigit() else name for name in names]
    there = torch.cuda.device_count()
    for device in devices:
        try:
            parsed = torch.device(device)
        except RuntimeError as error:
            raise ValueError(
                f"`--devices` must be numbers or names such as cuda:0, got {text!r}."
            ) from error
        if parsed.type == "cuda" and (parsed.index or 0) >= there:
            raise ValueError(f"`--devices` names {device}, but this machine has {there} GPUs.")
    return tuple(devices)
