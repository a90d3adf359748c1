"""How a scene is segmented."""

from dataclasses import dataclass, field

from ..inference import DEFAULT_THRESHOLD
from ..processing.predictions import check_count, check_fraction
from .features import VectorOptions
from .raster import ReadingOptions
from .raster_files import RASTER_KINDS

DEFAULT_FLOOR = 0.05


@dataclass(frozen=True)
class SceneOptions:
    """How a scene is segmented.

    Args:
        threshold: Lowest score of an instance.
        floor: Lowest score of what is kept of tiles while they are merged, and for merging again
            with another threshold; at most `threshold`.
        tile_size: Side of a tile in pixels that the model sees; None: what the predictor likes.
        overlap: How many pixels tiles share at least: what the model sees around what it decides;
            None: 160, or a quarter of a small tile.
        batch_size: How many tiles are computed together.
        reading: How the scene is read.
        vectors: What becomes of outlines.
        rasters: Which rasters are written beside the map, of "class", "instance" and "score".
        stac: Whether a STAC item that describes the map is written beside it.
    """

    threshold: float = DEFAULT_THRESHOLD
    floor: float = DEFAULT_FLOOR
    tile_size: int | None = None
    overlap: int | None = None
    batch_size: int = 1
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    vectors: VectorOptions = field(default_factory=VectorOptions)
    rasters: tuple[str, ...] = ()
    stac: bool = False

    def __post_init__(self) -> None:
        check_fraction(self.threshold, "threshold")
        check_fraction(self.floor, "floor")
        check_count(self.batch_size, "batch_size")
        unknown = [kind for kind in self.rasters if kind not in RASTER_KINDS]
        if unknown:
            raise ValueError(
                f"`rasters` must be of {', '.join(RASTER_KINDS)}, but got {unknown[0]!r}."
            )
