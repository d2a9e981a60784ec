"""The trust lens: a synthetic image that gives way to the scan it was made from where its error is high."""

from __future__ import annotations

import numpy as np

from .translation import UNIT

# Error above the threshold over which the scan comes in fully: no edge is drawn that is in neither image.
RAMP = 0.05 * UNIT


class Lens:
    """Mixes two images of one shape, in any order of axes; only voxels with an error at all are touched.

    synthetic, error: int16, in `UNIT`. source: the scan, in any unit.
    source_window, synthetic_window: black and white of each image; the scan is shown in the synthetic image's window.
    Raises ValueError where the shapes differ.
    """

    def __init__(
        self,
        synthetic: np.ndarray,
        error: np.ndarray,
        source: np.ndarray,
        source_window: tuple[float, float],
        synthetic_window: tuple[float, float],
    ):
        if not synthetic.shape == error.shape == source.shape:
            raise ValueError(f"The shapes {synthetic.shape}, {error.shape} and {source.shape} differ.")
        self._where = np.flatnonzero(error > 0)
        self._error, self._synthetic, values = (
            image.reshape(-1)[self._where].astype(np.float32) for image in (error, synthetic, source)
        )
        (black, white), (low, high) = source_window, synthetic_window
        shown = low + np.clip((values - black) / max(white - black, 1e-6), 0, 1) * (high - low)
        self._step = shown.astype(np.float32) - self._synthetic  # what a strength of 1 adds

    def write(self, image: np.ndarray, threshold: float, strength: float) -> None:
        """Fill `image`, a C-contiguous copy of the synthetic image or of an earlier mixture.

        threshold: the error, in `UNIT`, from which on the scan begins to show. strength: its share, 0..1, `RAMP` above that.
        """
        share = (self._error - np.float32(threshold)) * np.float32(strength / RAMP)
        np.clip(share, 0, np.float32(strength), out=share)
        share *= self._step
        share += self._synthetic
        image.reshape(-1)[self._where] = np.rint(share, out=share).astype(np.int16)
