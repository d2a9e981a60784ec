"""The trust lens: a synthetic image that gives way, tinted, to the scan it was made from where its error is high."""

from __future__ import annotations

import numpy as np

from .translation import UNIT

# The error that the lens goes by is smoothed by so much, and the scan comes in over so much of it above the threshold: the
# seam between two images with opposite contrast is no line, which could be taken for a rim of blood.
SMOOTHING_MM = 1.5
RAMP = 0.1 * UNIT
# Black and white of the scan, R, G, B: its fluid is dark where that of the synthetic image is bright, and must not be black.
_TINT = np.array(((25, 50, 105), (205, 250, 255)), np.float32)


class Lens:
    """Paints two images of one shape, in any order of axes, as one picture in colours: grey, and blue where the scan shows.

    synthetic: in `UNIT`. error: smoothed, in `UNIT`. source: the scan, in any unit.
    source_window, synthetic_window: black and white of each image.
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
        self._grey = _levels(synthetic, synthetic_window)
        self._scan = _levels(source, source_window)
        self._error = np.ravel(error)
        self._painted: np.ndarray | None = None  # where the scan shows; None before the first picture

    def write(self, picture: np.ndarray, threshold: float, strength: float) -> None:
        """Fill `picture`, (..., 3) uint8, C-contiguous, always the same one.

        threshold: the error, in `UNIT`, from which on the scan begins to show. strength: its share, 0..1, `RAMP` above that.
        """
        pixels = picture.reshape(-1, 3)
        if self._painted is None:
            pixels[:] = self._grey[:, None]
        else:
            pixels[self._painted] = self._grey[self._painted, None]
        self._painted = np.flatnonzero(self._error > threshold)
        share = np.minimum((self._error[self._painted] - np.float32(threshold)) / np.float32(RAMP), 1)
        share *= share * (3 - 2 * share) * np.float32(strength)  # smooth at both ends
        grey = self._grey[self._painted].astype(np.float32)[:, None]
        black, white = _TINT
        tinted = black + (white - black) / 255 * self._scan[self._painted, None]
        pixels[self._painted] = np.rint(grey + share[:, None] * (tinted - grey))


def _levels(image: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """(n,) uint8 from black to white."""
    low, high = window
    return np.rint(255 * np.clip((np.ravel(image).astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)).astype(np.uint8)
