"""What the inner head shows of the sequence it was scanned with: a few numbers that every reader knows from the pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .head import Head
from .volume import Volume

# Blocks of about this size are compared with their neighbours: smaller than a gyrus, large enough to calm noise.
_BLOCK_MM = 2.0
# Grey and white matter lie within these shares of the inner head's median; fluid, vessels and lesions outside.
_TISSUE_RANGE = (0.6, 1.5)
# With fewer blocks of tissue, or less spread among them (standard deviation / mean), nothing is said about the sequence.
_FEWEST_BLOCKS = 100
_LEAST_SPREAD = 0.06


@dataclass(frozen=True)
class Tissue:
    """The inner head in numbers; intensities have air at 0 and the 80th percentile (a T1's white matter) at 1.

    bright_where_rough: Spearman's rank correlation, over blocks of grey and white matter, of brightness with the largest
        difference to a neighbour. White matter is smooth and grey matter rough, so: below 0 where white matter is the
        brighter of the two (T1), above 0 where it is the darker (FLAIR, PD), higher still where fluid is bright too (T2).
        NaN where there is too little tissue, or no contrast in it.
    spread: standard deviation / mean of grey and white matter.
    low, high, highest: 25th, 95th and 99.9th percentile.
    highest_above: 99.9th percentile of the upper half, where no fat of a skull base is taken for vessels.
    """

    bright_where_rough: float
    spread: float
    low: float
    high: float
    highest: float
    highest_above: float


def look_at_tissue(volume: Volume, head: Head) -> Tissue:
    """Compare blocks of the inner head with their neighbours in the plane of the scan."""
    centre, difference = _blocks(volume, head)
    level = np.percentile(centre, 80)
    centre, difference = centre / level, difference / level
    low, high, highest = (float(value) for value in np.percentile(centre, [25, 95, 99.9]))
    superior_mm = head.inner_at @ volume.affine[2, :3]
    highest_above = float(np.percentile(centre[superior_mm >= np.median(superior_mm)], 99.9))
    smallest, largest = np.array(_TISSUE_RANGE) * np.median(centre)
    is_tissue = (centre > smallest) & (centre < largest)
    tissue = centre[is_tissue]
    spread = float(tissue.std() / tissue.mean()) if tissue.size else 0.0
    has_contrast = tissue.size >= _FEWEST_BLOCKS and spread >= _LEAST_SPREAD
    correlation = _rank_correlation(tissue, difference[is_tissue]) if has_contrast else float("nan")
    return Tissue(correlation, spread, low, high, highest, highest_above)


def _blocks(volume: Volume, head: Head) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the block at each place of the inner head, air at 0, and its largest difference to four neighbours; both (n,)."""
    size = np.maximum(1, np.rint(_BLOCK_MM / volume.spacing_mm)).astype(int)
    in_plane = np.argsort(size * volume.spacing_mm, kind="stable")[:2]
    highest_start = np.array(volume.shape) - size
    centre = _block_means(volume.array, np.minimum(head.inner_at, highest_start), size)
    difference = np.zeros_like(centre)
    for axis in in_plane:
        for sign in (-1, 1):
            neighbours = head.inner_at.copy()
            neighbours[:, axis] += sign * size[axis]
            beside = _block_means(volume.array, np.clip(neighbours, 0, highest_start), size)
            np.maximum(difference, np.abs(beside - centre), out=difference)
    return centre - np.float32(head.air), difference


def _block_means(array: np.ndarray, starts: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(n,) float32: mean of `array` over the blocks of `size` voxels that begin at `starts` (n, 3)."""
    total = np.zeros(len(starts), np.float32)
    for offset in np.ndindex(*size):
        i, j, k = (starts + offset).T
        total += array[i, j, k]
    return total / np.float32(np.prod(size))


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's; ties are broken by order, which matters little among thousands."""
    ranks = np.stack([np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (first, second)])
    return float(np.asarray(np.corrcoef(ranks))[0, 1])
