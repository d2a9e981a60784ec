"""What the charts of a comparison draw: error slice by slice, the joint histogram, the distribution of the error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .translation import UNIT
from .volume import Volume, nearest_axes

_JOINT_BINS = 40
_ERROR_BINS = 60
_LARGEST_ERROR = 0.6 * UNIT


@dataclass(frozen=True, eq=False)
class SliceErrors:
    """Error along the feet-to-head axis, one entry a slice that shows anything.

    index: (n,) of the slice along its array axis. position_mm: (n,) S of its centre. mean, highest: (n,) absolute error over
    what the slice shows; highest is its 95th percentile. centre_ras_mm: (n, 3) where what it shows is centred.
    """

    index: np.ndarray
    position_mm: np.ndarray
    mean: np.ndarray
    highest: np.ndarray
    centre_ras_mm: np.ndarray


def error_by_slice(error: Volume, shown: np.ndarray) -> SliceErrors:
    """error: absolute. shown: (i, j, k) bool, where it counts. Slices where nothing counts are left out."""
    axis = nearest_axes(error.affine)[0][2]
    planes, masks = np.moveaxis(error.array, axis, 0), np.moveaxis(shown, axis, 0)
    index = np.flatnonzero(masks.any(axis=(1, 2)))
    values = [planes[number][masks[number]] for number in index]
    centres = np.array([_centre(error, axis, int(number), masks[number]) for number in index]).reshape(-1, 3)
    return SliceErrors(
        index=index,
        position_mm=centres[:, 2],
        mean=np.array([value.mean(dtype=np.float64) for value in values]),
        highest=np.array([np.percentile(value, 95) for value in values]),
        centre_ras_mm=centres,
    )


def _centre(error: Volume, axis: int, number: int, mask: np.ndarray) -> np.ndarray:
    """RAS mm of the middle of a slice's mask."""
    inside = np.insert(np.argwhere(mask).mean(axis=0), axis, number)
    return (error.affine @ np.append(inside, 1))[:3]


def joint_histogram(real: np.ndarray, synthetic: np.ndarray, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Real value, synthetic value (bin centres, in `UNIT`) and share of the voxels (percent) of every bin that is not empty."""
    counts, edges, _ = np.histogram2d(real[shown], synthetic[shown], bins=_JOINT_BINS, range=[[0, 1.2 * UNIT]] * 2)
    centres = (edges[:-1] + edges[1:]) / 2
    where = np.nonzero(counts)
    return centres[where[0]], centres[where[1]], 100 * counts[where] / max(counts.sum(), 1)


def density_levels(share: np.ndarray, percents: Sequence[float]) -> np.ndarray:
    """The last of falling `percents` whose densest bins a bin belongs to, as an index: 0 for the sparsest.

    share: percent of the voxels in each bin. The densest bins of p percent are the fewest that hold so many voxels.
    """
    order = np.argsort(-share, kind="stable")
    before = np.empty_like(share)
    before[order] = np.cumsum(share[order]) - share[order]  # what denser bins hold
    return np.sum([before < percent for percent in percents[1:]], axis=0)


def error_distribution(signed_error: np.ndarray, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bin centres (in `UNIT`, synthetic minus real) and the share of the voxels in each (percent); beyond 600 at the ends."""
    values = np.clip(signed_error[shown], -_LARGEST_ERROR, _LARGEST_ERROR)
    counts, edges = np.histogram(values, bins=_ERROR_BINS, range=(-_LARGEST_ERROR, _LARGEST_ERROR))
    return (edges[:-1] + edges[1:]) / 2, 100 * counts / max(counts.sum(), 1)
