"""Likeness: whether two images show the same head in the same place, told by their edges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from .regions import bounding_box

# Measured on T1 and T2 (docs/method.md): edges of one head agree 1.8 to 2.8 times as well in place as beside it, those of
# two heads registered to each other 1.0 to 1.3 times. In doubt a pair is kept: it costs a lab more to lose patients.
LEAST_LIKENESS = 1.4

_SMOOTHING_MM = 1.0  # noise has edges too
_SHIFT_MM = 8.0
_RIM_MM = 5.0  # the outlines of two stripped brains fit after a registration, the folds within do not


def likeness(first: np.ndarray, second: np.ndarray, region: np.ndarray, spacing_mm: Sequence[float] | np.ndarray) -> float:
    """How much better the edges of two images agree in place than 8 mm beside it; about 1 for two different heads.

    first, second: (i, j, k) on one grid, of any contrast and unit. region: bool, where edges are compared, but for its rim.
    Edges agree where gradients are parallel or opposed: the normalised gradient fields of Haber and Modersitzki (2006).
    The mean agreement over 8 mm shifts along all six directions says what chance gives with these very images.
    """
    spacing = [float(value) for value in spacing_mm]
    steps = [max(1, round(_SHIFT_MM / value)) for value in spacing]
    box = bounding_box(region, max(steps))
    inside = _without_rim(region[box], spacing)
    here, there = (_directions(_smooth(image[box], spacing), inside, spacing) for image in (first, second))
    beside = [
        _agreement(here, np.roll(there, way * step, axis + 1), inside) for axis, step in enumerate(steps) for way in (-1, 1)
    ]
    return _agreement(here, there, inside) / max(float(np.mean(beside)), 1e-12)


def _without_rim(region: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """The region 5 mm inside its border; all of it where nothing would be left."""
    radius = [max(1, round(_RIM_MM / value)) for value in spacing_mm[::-1]]
    flat = sitk.GetImageFromArray(region.astype(np.uint8))
    inner = sitk.GetArrayFromImage(sitk.BinaryErode(flat, radius, sitk.sitkBall)) > 0
    return inner if inner.any() else region


def _smooth(image: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    flat = sitk.GetImageFromArray(np.ascontiguousarray(image, dtype=np.float32))  # axes k, j, i of ITK are our i, j, k
    flat.SetSpacing(spacing_mm[::-1])
    return sitk.GetArrayFromImage(sitk.DiscreteGaussian(flat, [_SMOOTHING_MM**2] * 3))


def _directions(image: np.ndarray, region: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """(3, i, j, k) float32: gradients shortened to at most 1; those below the region's mean length, mostly noise, to less."""
    gradient = np.array(np.gradient(image, *spacing_mm))
    squares = np.square(gradient).sum(axis=0)
    usual = float(np.sqrt(squares[region]).mean()) ** 2
    return gradient / np.sqrt(squares + max(usual, 1e-12), dtype=np.float32)


def _agreement(first: np.ndarray, second: np.ndarray, region: np.ndarray) -> float:
    """Mean squared scalar product over the region."""
    return float(np.square((first * second).sum(axis=0)[region]).mean(dtype=np.float64))
