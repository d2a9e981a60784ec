"""Suspicious places: the largest connected regions of high error, where they are and how bad."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from .regions import bounding_box
from .resampling import to_sitk
from .volume import Volume

MOST = 20
# Error is looked at as its mean over about so much: single voxels and edges are no places.
SMOOTHING_MM = 1.5
SMALLEST_ML = 0.05
_MARGIN_VOXELS = 4  # the recursive filter wants some
# Nearer to the middle plane than this, neither side is named.
_MIDLINE_MM = 8.0
_SIDES = ("left", "right")
_THIRDS = (("posterior", "central", "anterior"), ("lower", "middle", "upper"))


@dataclass(frozen=True)
class Place:
    """A connected region of high error. Errors are in the unit of the error map.

    peak_ras_mm: where the error is highest. words: the peak's place in the head's box, by side and by thirds.
    """

    volume_ml: float
    mean: float
    maximum: float
    peak_ras_mm: tuple[float, float, float]
    words: tuple[str, str, str]


def find_places(error: Volume, image: Volume, threshold: float, most: int = MOST) -> list[Place]:
    """The regions whose error, smoothed by 1.5 mm, reaches the threshold; the largest first.

    error: absolute values. image: what shows the head, on the same grid; it says what is left and right of the middle.
    """
    error, box = _cropped(error), _box_of(image)
    smooth = _smoothed(error)
    found = sitk.ConnectedComponent(sitk.GetImageFromArray((smooth >= max(threshold, 1)).astype(np.uint8)), True)
    voxel_ml = float(error.spacing_mm.prod()) / 1000
    labels = sitk.GetArrayFromImage(sitk.RelabelComponent(found, int(np.ceil(SMALLEST_ML / voxel_ml))))
    inside = np.flatnonzero(labels)
    numbers = labels.reshape(-1)[inside]
    return [_place(error, inside[numbers == number], voxel_ml, box) for number in range(1, min(labels.max(), most) + 1)]


def _cropped(error: Volume) -> Volume:
    """The box that holds all error, on its own grid; everything where there is none."""
    if not error.array.any():
        return error
    box = bounding_box(error.array > 0, margin=_MARGIN_VOXELS)
    corner = error.affine @ ([part.start for part in box] + [1])
    return Volume(error.array[box], np.column_stack([error.affine[:, :3], corner]), error.name)


def _smoothed(error: Volume) -> np.ndarray:
    """(k, j, i) float32, as SimpleITK has it."""
    image = to_sitk(error.with_array(error.array.astype(np.float32)))
    return sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(image, SMOOTHING_MM))


def _place(error: Volume, where: np.ndarray, voxel_ml: float, box: np.ndarray) -> Place:
    """where: indices into the flat (k, j, i) array."""
    values = error.array.transpose(2, 1, 0)[np.unravel_index(where, error.shape[::-1])]
    k, j, i = np.unravel_index(where[int(values.argmax())], error.shape[::-1])
    peak = (error.affine @ (i, j, k, 1))[:3]
    return Place(
        volume_ml=len(where) * voxel_ml,
        mean=float(values.mean(dtype=np.float64)),
        maximum=float(values.max()),
        peak_ras_mm=(float(peak[0]), float(peak[1]), float(peak[2])),
        words=_words(peak, box),
    )


def _box_of(image: Volume) -> np.ndarray:
    """(2, 3) RAS mm: the ends of what is brighter than a tenth of the brightest, from every fourth voxel."""
    sparse = image.array[::4, ::4, ::4]
    indices = np.argwhere(sparse >= max(0.1 * np.percentile(sparse, 99.5), 1)) * 4
    if not len(indices):
        indices = np.array([[0, 0, 0], np.array(image.shape) - 1])
    ras = indices @ image.affine[:3, :3].T + image.affine[:3, 3]
    return np.array([ras.min(axis=0), ras.max(axis=0)])


def _words(ras: np.ndarray, box: np.ndarray) -> tuple[str, str, str]:
    from_middle = ras[0] - box[:, 0].mean()
    side = "midline" if abs(from_middle) < _MIDLINE_MM else _SIDES[int(from_middle > 0)]
    share = (ras[1:] - box[0, 1:]) / np.maximum(box[1, 1:] - box[0, 1:], 1e-6)
    third = np.clip(np.floor(3 * share), 0, 2).astype(int)
    return side, _THIRDS[0][third[0]], _THIRDS[1][third[1]]
