"""Pixel values to the 8 bits that a model sees: one stretch for the whole scene."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .extras import import_rasterio

# The share of the darkest and of the brightest pixels that the automatic stretch gives up.
DEFAULT_PERCENTILES = (2.0, 98.0)
_SAMPLED_SIDE = 1024
_SAMPLED_BLOCKS, _BLOCK_SIDE = 16, 64


@dataclass(frozen=True)
class Radiometry:
    """How the values of a scene become colours.

    Args:
        low: For each band the value that becomes 0; None for values that are colours already.
        high: For each band the value that becomes 255.
        fill: The colour that stands where there is no data: the scene's mean.
    """

    low: tuple[float, ...] | None
    high: tuple[float, ...] | None
    fill: tuple[int, int, int]

    def apply(self, values: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
        """Turns values into colours.

        Args:
            values: `(3, height, width)` of any type.
            valid: `(height, width)` bool; None if all pixels hold data.

        Returns:
            `(height, width, 3)` uint8.
        """
        if self.low is None or self.high is None:
            colours = values.astype(np.uint8, copy=False)
        else:
            low = np.array(self.low, dtype=np.float64)[:, None, None]
            high = np.array(self.high, dtype=np.float64)[:, None, None]
            with np.errstate(invalid="ignore"):
                scaled = (values.astype(np.float64) - low) * (255 / (high - low))
                colours = np.nan_to_num(np.clip(np.rint(scaled), 0, 255)).astype(np.uint8)
        image = np.ascontiguousarray(colours.transpose(1, 2, 0))
        if valid is not None:
            image[~valid] = self.fill
        return image

    def as_dictionary(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def parse_stretch(text: str) -> tuple[float, float] | str | None:
    """Reads how values are to be stretched.

    Args:
        text: "auto", "none", percentiles such as "2%,98%", or values such as "0,3000".

    Returns:
        "auto"; None for none; else the text itself if percentiles, or two values.

    Raises:
        ValueError: If it is nothing of the kind.
    """
    if text == "auto":
        return "auto"
    if text == "none":
        return None
    parts = [part.strip() for part in text.split(",")]
    are_percent = all(part.endswith("%") for part in parts)
    try:
        low, high = (float(part.removesuffix("%")) for part in parts)
    except ValueError:
        low, high = 1.0, 0.0
    if not low < high or (are_percent and not 0 <= low < high <= 100):
        raise ValueError(
            "`stretch` must be auto, none, two percentiles such as '2%,98%' or two values such as "
            f"'0,3000', the lower first, but got {text!r}."
        )
    return text if are_percent else (low, high)


def measure(
    dataset: Any, bands: tuple[int, ...], nodata: float | None, stretch: str, has_gaps: bool
) -> Radiometry:
    """Fixes the stretch of a scene from a sample of all of it.

    Args:
        dataset: Opened by rasterio.
        bands: Numbers of the three bands, from 1.
        nodata: Value without meaning, beside what the file itself says.
        stretch: See `parse_stretch`.
        has_gaps: Whether some pixels may hold no data.

    Returns:
        The stretch.

    Raises:
        ValueError: If no pixel of the sample holds data, or the stretch is not valid.
    """
    wanted = parse_stretch(stretch)
    is_8_bits = all(dataset.dtypes[band - 1] == "uint8" for band in bands)
    needs_percentiles = isinstance(wanted, str) and not (wanted == "auto" and is_8_bits)
    fill = (0, 0, 0)
    if not needs_percentiles and not has_gaps:
        return _radiometry(wanted, is_8_bits, None, fill)
    sample = _sample(dataset, bands, nodata)
    if not sample.size:
        raise ValueError(
            f"{dataset.name!r} has no pixel that holds data: all are nodata or transparent."
        )
    radiometry = _radiometry(wanted, is_8_bits, sample, fill)
    mean = radiometry.apply(sample[:, :, None], None).reshape(-1, 3).mean(axis=0)
    red, green, blue = (round(value) for value in mean)
    return Radiometry(radiometry.low, radiometry.high, (red, green, blue))


def _radiometry(
    wanted: tuple[float, float] | str | None,
    is_8_bits: bool,
    sample: np.ndarray | None,
    fill: tuple[int, int, int],
) -> Radiometry:
    if isinstance(wanted, tuple):
        return Radiometry((wanted[0],) * 3, (wanted[1],) * 3, fill)
    if wanted is None and not is_8_bits:
        raise ValueError("`stretch` can be none only for scenes of 8 bits; leave it at auto.")
    if wanted is None or (wanted == "auto" and is_8_bits):
        return Radiometry(None, None, fill)
    assert sample is not None
    percentiles = DEFAULT_PERCENTILES
    if wanted != "auto":
        low, high = (float(part.strip().removesuffix("%")) for part in wanted.split(","))
        percentiles = (low, high)
    lows, highs = np.percentile(sample.astype(np.float64), percentiles, axis=1)
    # A band of one value has nothing to stretch.
    highs = np.where(highs > lows, highs, lows + 1)
    return Radiometry(tuple(lows.tolist()), tuple(highs.tolist()), fill)


def valid_pixels(
    dataset: Any, values: np.ndarray, nodata: float | None, has_mask: bool, **reading: Any
) -> np.ndarray | None:
    """Tells which pixels hold data.

    Args:
        dataset: Opened by rasterio.
        values: `(3, height, width)`, what was read.
        nodata: Value without meaning, beside what the file itself says.
        has_mask: Whether the file has nodata, alpha or a mask.
        **reading: What was given to `read`.

    Returns:
        `(height, width)` bool; None if all do.
    """
    valid: np.ndarray | None = None
    if has_mask:
        valid = dataset.dataset_mask(**reading) > 0
    if nodata is not None and not np.isnan(nodata):
        given = (values != nodata).any(axis=0)
        valid = given if valid is None else valid & given
    if np.issubdtype(values.dtype, np.floating):
        finite = np.isfinite(values).all(axis=0)
        valid = finite if valid is None else valid & finite
    return valid


def _sample(dataset: Any, bands: tuple[int, ...], nodata: float | None) -> np.ndarray:
    """Values `(bands, pixels)` from all over the scene, of pixels that hold data."""
    rasterio = import_rasterio()
    height, width = dataset.height, dataset.width
    factor = max(height, width) / _SAMPLED_SIDE
    shape = (max(1, int(height / max(factor, 1))), max(1, int(width / max(factor, 1))))
    if height * width <= 4096 * 4096 or dataset.overviews(bands[0]):
        readings: list[dict[str, Any]] = [{"out_shape": shape}]
    else:
        # Without overviews a thumbnail of a large file would cost reading all of it.
        rows = np.linspace(0, height - _BLOCK_SIDE, _SAMPLED_BLOCKS).astype(int).tolist()
        columns = np.linspace(0, width - _BLOCK_SIDE, _SAMPLED_BLOCKS).astype(int).tolist()
        readings = [
            {"window": rasterio.windows.Window(column, row, _BLOCK_SIDE, _BLOCK_SIDE)}
            for row in rows
            for column in columns
        ]
    samples = []
    for reading in readings:
        values = np.stack([dataset.read(band, **reading) for band in bands])
        valid = valid_pixels(dataset, values, nodata, has_mask=True, **reading)
        samples.append(values.reshape(len(bands), -1) if valid is None else values[:, valid])
    return np.concatenate(samples, axis=1)
