"""Where a score is taken: the brain, a tumour, the ring around it, CSF (protocol T2P-1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import SimpleITK as sitk

from .volume import Volume

RING_MM = 10.0

_CLOSING_VOXELS = 2
# A brain with its CSF is below 2 litres; a head is above 2.5 even where a routine scan cuts off the neck.
_LARGEST_BRAIN_LITRES = 2.2
_SMALLEST_BACKGROUND_SHARE = 0.2
_SCALP_AND_SKULL_MM = 13.0
_BRAIN_HEIGHT_MM = 130.0
# Some sets label healthy tissue too; no lesion fills half the brain.
_LARGEST_LESION_SHARE = 0.5
# What fluid is like in each sequence.
_BRIGHT_FLUID, _DARK_FLUID = ("T2",), ("T1", "T1 with contrast agent", "FLAIR")
T1_TO_T2 = ("T1", "T2")


def is_skull_stripped(t1: Volume) -> bool:
    """Whether everything but a brain-sized part of the image has one exact value."""
    foreground = _foreground(t1.array)
    litres = foreground.sum() * t1.spacing_mm.prod() * 1e-6
    return bool(foreground.mean() <= 1 - _SMALLEST_BACKGROUND_SHARE and litres <= _LARGEST_BRAIN_LITRES)


def brain_region(t1: Volume, mask: Volume | None = None) -> tuple[str, np.ndarray]:
    """What stands for the brain, and its honest name.

    A given mask (on the grid of `t1`), or a skull-stripped T1's foreground, closed by 2 voxels and filled, is the
    "brain"; a whole head without a mask gives the "inner head": the head without 13 mm of scalp and skull, 130 mm down
    from its top.
    """
    if mask is not None:
        return "brain", mask.array != 0
    if is_skull_stripped(t1):
        return "brain", _closed_and_filled(_foreground(t1.array))
    return "inner head", _inner_head(t1)


def regions(
    brain: np.ndarray,
    truth_unit: np.ndarray,
    input_array: np.ndarray,
    spacing_mm: Sequence[float] | np.ndarray,
    segmentation: np.ndarray | None = None,
    brain_name: str = "brain",
    sequences: tuple[str, str] = T1_TO_T2,
) -> dict[str, np.ndarray]:
    """Region name -> bool mask (i, j, k): the brain, CSF, and where a segmentation has a tumour, tumour and ring.

    sequences: of the input and of the truth.

    tumour: segmentation > 0 inside the brain, without a label that alone covers half of it.
    ring: brain within 10 mm of the tumour, outside it.
    CSF: outside the tumour, the brightest of the three Otsu classes of the T2 that is also in the darkest of the three
    Otsu classes of the other image, where fluid is dark; of other pairs it is not known. Empty regions are left out.
    """
    found = {brain_name: brain}
    tumour = np.zeros_like(brain) if segmentation is None else _lesion(segmentation, brain)
    if tumour.any():
        found["tumour"] = tumour
        found["ring"] = (_distance_mm(tumour, spacing_mm) <= RING_MM) & brain & ~tumour
    found["CSF"] = _fluid(dict(zip(sequences, (input_array, truth_unit), strict=True)), brain) & brain & ~tumour
    return {name: mask for name, mask in found.items() if mask.any()}


def bounding_box(mask: np.ndarray, margin: int = 0) -> tuple[slice, ...]:
    """The mask's box, `margin` voxels larger on every side where the grid allows."""
    ends = [np.flatnonzero(mask.any(axis=tuple(set(range(3)) - {axis})))[[0, -1]] for axis in range(3)]
    return tuple(slice(max(low - margin, 0), high + 1 + margin) for low, high in ends)


def _foreground(array: np.ndarray) -> np.ndarray:
    """Voxels that differ from the grid border's most frequent value, the background of a skull-stripped image."""
    border = np.concatenate([array.take(end, axis).ravel() for axis in range(3) for end in (0, -1)])
    values, counts = np.unique(border, return_counts=True)
    return array != values[counts.argmax()]


def _lesion(segmentation: np.ndarray, brain: np.ndarray) -> np.ndarray:
    labels, counts = np.unique(segmentation[brain], return_counts=True)
    lesion = [label for label, count in zip(labels, counts, strict=True) if count <= _LARGEST_LESION_SHARE * brain.sum()]
    return np.isin(segmentation, lesion) & (segmentation > 0) & brain


def _closed_and_filled(mask: np.ndarray) -> np.ndarray:
    """Closed by a ball of 2 voxels, holes filled; worked in the mask's box, with room so that its border stays."""
    result = np.zeros_like(mask)
    if mask.any():
        box = bounding_box(mask)
        room = _CLOSING_VOXELS + 1
        closed = sitk.BinaryMorphologicalClosing(_image(np.pad(mask[box], room)), [_CLOSING_VOXELS] * 3, sitk.sitkBall)
        result[box] = _mask(sitk.BinaryFillhole(closed))[room:-room, room:-room, room:-room]
    return result


def _inner_head(t1: Volume) -> np.ndarray:
    smooth = sitk.SmoothingRecursiveGaussian(_image(t1.array.astype(np.float32), t1.spacing_mm), 2.0)
    head = sitk.BinaryMorphologicalClosing(sitk.OtsuThreshold(smooth, 0, 1), [_CLOSING_VOXELS] * 3, sitk.sitkBall)
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(sitk.BinaryFillhole(head)))
    head_mask = _mask(parts == 1)
    # Slices at the grid's end cut through the head: outside the grid is not outside the head.
    depth_mm = _distance_mm(~head_mask, t1.spacing_mm) if not head_mask.all() else np.full(t1.shape, np.inf)
    indices = np.argwhere(head_mask)
    height_mm = indices @ t1.affine[2, :3]
    below_top = indices[height_mm >= height_mm.max() - _BRAIN_HEIGHT_MM]
    upper = np.zeros_like(head_mask)
    upper[tuple(below_top.T)] = True
    return upper & (depth_mm >= _SCALP_AND_SKULL_MM)


def _distance_mm(mask: np.ndarray, spacing_mm: Sequence[float] | np.ndarray) -> np.ndarray:
    """Distance of every voxel to the nearest voxel of the mask, in mm, 0 inside."""
    distance = sitk.SignedMaurerDistanceMap(
        _image(mask, spacing_mm), insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )
    return np.maximum(_array(distance), 0)


def _otsu_thresholds(image: np.ndarray, brain: np.ndarray) -> tuple[float, float]:
    values = image[brain].astype(np.float32)
    if values.min() == values.max():
        return float(values[0]), float(values[0])
    clipped = np.clip(values, *np.percentile(values, [0.5, 99.5]))
    otsu = sitk.OtsuMultipleThresholdsImageFilter()
    otsu.SetNumberOfThresholds(2)
    otsu.Execute(sitk.GetImageFromArray(clipped[None]))
    low, high = otsu.GetThresholds()
    return low, high


def _fluid(images: Mapping[str, np.ndarray], brain: np.ndarray) -> np.ndarray:
    """Bright where fluid is bright and dark where it is dark; nowhere without one image of each kind. images: by sequence."""
    bright = [image for sequence, image in images.items() if sequence in _BRIGHT_FLUID]
    dark = [image for sequence, image in images.items() if sequence in _DARK_FLUID]
    if not (bright and dark):
        return np.zeros_like(brain)
    return _brightest_class(bright[0], brain) & _darkest_class(dark[0], brain)


def _brightest_class(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    return image > _otsu_thresholds(image, brain)[1]


def _darkest_class(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    return image <= _otsu_thresholds(image, brain)[0]


def _image(array: np.ndarray, spacing_mm: Sequence[float] | np.ndarray = (1.0, 1.0, 1.0)) -> sitk.Image:
    """Array (i, j, k) -> SimpleITK image with the same index order."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T.astype(np.uint8) if array.dtype == bool else array.T))
    image.SetSpacing([float(value) for value in spacing_mm])
    return image


def _array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image).T


def _mask(image: sitk.Image) -> np.ndarray:
    return _array(image) > 0
