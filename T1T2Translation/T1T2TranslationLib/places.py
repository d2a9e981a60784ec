"""Suspicious places: the regions of the brain around the highest error, where they are and how bad."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from .regions import bounding_box, brain_region
from .smoothing import smoothed
from .volume import Volume

MOST = 20
# Error is looked at as its mean over about so much: rims, sulci and single voxels are no places.
SMOOTHING_MM = 3.0
# A place reaches from its highest error down to this share of it, and no further than the valley to the next one.
REACH = 0.75
# Of two maxima with a valley between them less deep than this share of the threshold, the lower is part of the higher.
_VALLEY = 0.1
SMALLEST_ML = 0.2
# So smooth a map loses nothing on a grid about as coarse as this.
_STEP_MM = 2.0
# Nearer to the middle plane than this, neither side is named.
_MIDLINE_MM = 8.0
_SIDES = ("left", "right")
_THIRDS = (("posterior", "central", "anterior"), ("lower", "middle", "upper"))


@dataclass(frozen=True)
class Place:
    """A connected region around a maximum of the smoothed error. Errors are in the unit of the error map, smoothed.

    peak_ras_mm: where the error is highest. words: the peak's place in the brain's box, by side and by thirds.
    """

    volume_ml: float
    mean: float
    maximum: float
    peak_ras_mm: tuple[float, float, float]
    words: tuple[str, str, str]


def find_places(error: Volume, scan: Volume, threshold: float, most: int = MOST) -> list[Place]:
    """The regions around the maxima of the error, smoothed by 3 mm, that reach the threshold; the most error in all first.

    error: absolute values. scan: what was translated, on the same grid; only its brain is searched.
    Large regions are parted along the valleys between their maxima (watershed, Meyer 1994), each place taken down to
    three quarters of its maximum.
    """
    scan, error = _coarse(scan), _coarse(error)
    brain = brain_region(scan)[1]
    inside = np.where(brain, error.array, 0)
    if not inside.any():
        return []
    smooth = smoothed(error.with_array(inside), SMOOTHING_MM)
    box, voxel_ml = _box_of(brain, scan), float(smooth.spacing_mm.prod()) / 1000
    regions = _regions(smooth.with_array(np.where(brain, smooth.array, 0)), max(threshold, 1))
    places = [_place(smooth, where, voxel_ml, box) for where in regions if len(where) * voxel_ml >= SMALLEST_ML]
    return sorted(places, key=lambda place: place.volume_ml * place.mean, reverse=True)[:most]


def _coarse(volume: Volume) -> Volume:
    """The means of blocks of voxels about 2 mm long; what is left at the grid's end is dropped."""
    steps = np.maximum(np.round(_STEP_MM / volume.spacing_mm), 1).astype(int)
    counts = np.array(volume.shape) // steps
    whole = volume.array[tuple(slice(int(end)) for end in counts * steps)]
    blocks = whole.reshape([size for pair in zip(counts, steps, strict=True) for size in pair])
    affine = np.array(volume.affine)
    affine[:3, 3] += affine[:3, :3] @ ((steps - 1) / 2)
    affine[:3, :3] *= steps
    return Volume(blocks.mean(axis=(1, 3, 5), dtype=np.float32), affine, volume.name)


def _regions(error: Volume, threshold: float) -> list[np.ndarray]:
    """(n, 3) voxels (i, j, k) of each region: what of a maximum's basin is above both the threshold and its reach."""
    box = bounding_box(error.array > 0)
    values = error.array[box]
    upside_down = sitk.GetImageFromArray(-values)  # of basins only the neighbours count, not the millimetres
    basins = sitk.MorphologicalWatershed(upside_down, _VALLEY * threshold, markWatershedLine=False, fullyConnected=True)
    basin = sitk.GetArrayFromImage(basins)
    highest = np.zeros(int(basin.max()) + 1, values.dtype)
    np.maximum.at(highest, basin, values)
    inside = np.argwhere((values >= threshold) & (values >= REACH * highest[basin]))
    number = basin[tuple(inside.T)]
    order = np.argsort(number, kind="stable")
    ends = np.flatnonzero(np.diff(number[order])) + 1
    corner = [part.start for part in box]
    return [part + corner for part in np.split(inside[order], ends) if len(part)]


def _place(error: Volume, where: np.ndarray, voxel_ml: float, box: np.ndarray) -> Place:
    values = error.array[tuple(where.T)]
    right, anterior, superior = (float(value) for value in _ras(error, where[int(values.argmax())]))
    return Place(
        volume_ml=len(where) * voxel_ml,
        mean=float(values.mean(dtype=np.float64)),
        maximum=float(values.max()),
        peak_ras_mm=(right, anterior, superior),
        words=_words((right, anterior, superior), box),
    )


def _box_of(brain: np.ndarray, volume: Volume) -> np.ndarray:
    """(2, 3) RAS mm: the ends of the brain."""
    ras = _ras(volume, np.argwhere(brain))
    return np.array([ras.min(axis=0), ras.max(axis=0)])


def _ras(volume: Volume, indices: np.ndarray) -> np.ndarray:
    """Voxels (..., 3) -> mm."""
    return indices @ volume.affine[:3, :3].T + volume.affine[:3, 3]


def _words(ras: tuple[float, float, float], box: np.ndarray) -> tuple[str, str, str]:
    from_middle = ras[0] - box[:, 0].mean()
    side = "midline" if abs(from_middle) < _MIDLINE_MM else _SIDES[int(from_middle > 0)]
    share = (np.array(ras[1:]) - box[0, 1:]) / np.maximum(box[1, 1:] - box[0, 1:], 1e-6)
    third = np.clip(np.floor(3 * share), 0, 2).astype(int)
    return side, _THIRDS[0][third[0]], _THIRDS[1][third[1]]
