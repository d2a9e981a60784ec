"""Where the head is in a volume, and how bright its inside: read off a coarse copy, so that it costs milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import SimpleITK as sitk

from .errors import UnsuitableVolume
from .volume import Volume, nearest_axes, toward_ras

# Voxels of the coarse copy are about this large: small enough for a brain, large enough to be quick.
_COARSE_MM = 4.0
# The inner head lies at least this deep below the surface: under scalp and skull, or under the rim of a stripped brain.
_INNER_DEPTH_MM = 18.0
# Below the surface of a whole head come scalp, skull and brain.
_RIM_LAYERS_MM = (0.0, 6.0, 12.0, 24.0)
# Tissue is what exceeds this part of the way from air to the median of everything bright.
_TISSUE_FRACTION = 0.2
# White matter of a T1 is brighter than this share of the inner head.
_LEVEL_PERCENTILE = 80.0
# No head with neck and shoulders is longer; more is a wrong voxel size, and would fill any memory at the network's 1 mm.
_LARGEST_MM = 1000.0

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Head:
    """What is known of a head before anything is computed from it.

    air, level: intensity of the background and of the bright tissue (white matter in a T1) of the inner head.
    box: slices along (i, j, k) that hold all tissue, in voxels of the volume.
    size_mm: (3,) lengths of the box along i, j, k.
    inner: (n,) intensities of the coarse copy's inner head, between air and tissue alike.
    inner_at: (n, 3) where those lie, in voxels (i, j, k) of the volume.
    tissue_fraction: share of the volume's voxels that are tissue.
    rim: median intensities of what lies 0 to 6, 6 to 12 and 12 to 24 mm below the surface: scalp, skull and brain of a whole
        head, three times brain of a stripped one; NaN where there is nothing so deep.
    blank: share of the volume's faces that have one and the same value: 1 where the surroundings of a brain were set to 0.
    """

    air: float
    level: float
    box: Box
    size_mm: np.ndarray
    inner: np.ndarray
    inner_at: np.ndarray
    tissue_fraction: float
    rim: tuple[float, float, float]
    blank: float


def find_head(volume: Volume, mask: np.ndarray | None = None) -> Head:
    """Find the head in `volume`; `mask` (i, j, k), true inside the brain, narrows the search.

    Everything is read along R, A and S: how a file happens to store the axes changes nothing.
    Raises UnsuitableVolume if nothing stands out from the background, the mask is empty or the head impossibly large.
    """
    order, flipped = nearest_axes(volume.affine)
    spacing_mm = volume.spacing_mm[list(order)]
    stride = tuple(int(max(1, _COARSE_MM // spacing)) for spacing in spacing_mm)
    steps = tuple(slice(None, None, step) for step in stride)
    coarse = np.ascontiguousarray(toward_ras(volume.array, order, flipped)[steps], dtype=np.float32)  # (R, A, S)
    faces = np.concatenate([coarse.take(index, axis).ravel() for axis in range(3) for index in (0, -1)])
    air = _air(coarse, faces)
    tissue = inside = _tissue(coarse, air, volume.name)
    if mask is not None:
        inside = _reduce_any(toward_ras(mask, order, flipped), stride)
        if not inside.any():
            raise UnsuitableVolume(f"The mask of '{volume.name}' is empty on its grid.", "Choose a mask that covers the brain.")
        if not (tissue & inside).any():
            raise UnsuitableVolume(
                f"The mask of '{volume.name}' lies beside the head: they do not overlap.", "Choose the mask of this scan."
            )
        tissue = tissue & inside  # a wide mask holds air, which is not the inner head
    depth_mm = _depth_mm(tissue, spacing_mm * stride)
    is_inner = _inner(tissue, depth_mm)
    inner = coarse[is_inner]
    level = float(np.percentile(inner, _LEVEL_PERCENTILE))
    if not level > air:
        raise UnsuitableVolume(
            f"'{volume.name}' shows no head: its inside is no brighter than its background ({level:.4g}, {air:.4g}).",
            "Choose a T1-weighted scan of a head.",
        )
    box = _stored(_box(inside, stride, [volume.shape[axis] for axis in order]), volume.shape, order, flipped)
    size_mm = np.array([part.stop - part.start for part in box]) * volume.spacing_mm
    if size_mm.max() > _LARGEST_MM:
        raise UnsuitableVolume(
            f"The head in '{volume.name}' is {size_mm.max():.0f} mm long; at most {_LARGEST_MM:.0f} mm can be true.",
            "Correct its voxel size first.",
        )
    inner_at = _stored_places(np.argwhere(is_inner) * stride, volume.shape, order, flipped)
    return Head(air, level, box, size_mm, inner, inner_at, float(tissue.mean()), _rim(coarse, tissue, depth_mm), _blank(faces))


def _air(coarse: np.ndarray, faces: np.ndarray) -> float:
    """The background: the median of the volume's faces, but nothing brighter than its 10th percentile."""
    return float(min(np.median(faces), np.percentile(coarse, 10)))


def _blank(faces: np.ndarray) -> float:
    """The share of the faces that have their median's value exactly."""
    return float((faces == np.median(faces)).mean())


def _tissue(coarse: np.ndarray, air: float, name: str) -> np.ndarray:
    """The largest connected bright thing, without holes; (i, j, k) bool."""
    top = np.percentile(coarse, 99.5)
    if not top > air:
        raise UnsuitableVolume(
            f"'{name}' is empty: nearly all its voxels have the same value ({air:.4g}).",
            "Choose a T1-weighted scan of a head.",
        )
    clipped = np.clip(coarse, air, top)
    bright = clipped > _otsu_threshold(clipped)
    threshold = air + _TISSUE_FRACTION * (np.median(coarse[bright]) - air)
    image = sitk.GetImageFromArray((coarse > threshold).astype(np.uint8))
    components = sitk.RelabelComponent(sitk.ConnectedComponent(image), sortByObjectSize=True)
    closed = sitk.BinaryMorphologicalClosing(sitk.Equal(components, 1), [1, 1, 1])
    return sitk.GetArrayFromImage(sitk.BinaryFillhole(closed)).astype(bool)


def _otsu_threshold(values: np.ndarray) -> float:
    """Otsu 1979: the threshold that separates two classes best."""
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.Execute(sitk.GetImageFromArray(values))
    return otsu.GetThreshold()


def _reduce_any(mask: np.ndarray, stride: tuple[int, ...]) -> np.ndarray:
    """True where any voxel of a block of `stride` voxels is."""
    starts = (np.arange(0, size, step) for size, step in zip(mask.shape, stride, strict=True))
    for axis, start in enumerate(starts):
        mask = np.logical_or.reduceat(mask, start, axis=axis)
    return mask


def _depth_mm(tissue: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """How deep below the surface of `tissue` every voxel lies; faces of the volume are no surface, so it may be infinite."""
    if tissue.all():
        return np.full(tissue.shape, np.inf, np.float32)
    image = sitk.GetImageFromArray(tissue.astype(np.uint8))
    image.SetSpacing([float(s) for s in spacing_mm[::-1]])
    return sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(image, insideIsPositive=True, squaredDistance=False, useImageSpacing=True)
    )


def _inner(tissue: np.ndarray, depth_mm: np.ndarray) -> np.ndarray:
    """Tissue deeper than `_INNER_DEPTH_MM`, or its deepest quarter where a head is small."""
    return tissue & (depth_mm >= min(_INNER_DEPTH_MM, np.percentile(depth_mm[tissue], 75)))


def _rim(coarse: np.ndarray, tissue: np.ndarray, depth_mm: np.ndarray) -> tuple[float, float, float]:
    """Median intensity of three layers below the surface of `tissue`."""
    layers = (coarse[tissue & (depth_mm >= near) & (depth_mm < far)] for near, far in pairwise(_RIM_LAYERS_MM))
    scalp, skull, brain = (float(np.median(layer)) if layer.size else float("nan") for layer in layers)
    return scalp, skull, brain


def _box(tissue: np.ndarray, stride: Sequence[int], shape: Sequence[int]) -> list[slice]:
    """Bounding box of `tissue` along R, A and S in voxels of the full volume, at least one coarse voxel wider.

    Tissue may begin anywhere between two coarse voxels; the air around keeps what a network does at borders out of sight.
    """
    box = []
    for axis, (step, size) in enumerate(zip(stride, shape, strict=True)):
        others = tuple(other for other in range(3) if other != axis)
        occupied = np.flatnonzero(tissue.any(axis=others))
        box.append(slice(max(0, int(occupied[0] - 2) * step), min(size, int(occupied[-1] + 2) * step)))
    return box


def _stored(box: list[slice], shape: tuple[int, int, int], order: Sequence[int], flipped: Sequence[bool]) -> Box:
    """A box along R, A and S as slices along i, j and k."""
    stored = list(box)
    for part, index, flip in zip(box, order, flipped, strict=True):
        stored[index] = slice(shape[index] - part.stop, shape[index] - part.start) if flip else part
    i, j, k = stored
    return i, j, k


def _stored_places(places: np.ndarray, shape: tuple[int, int, int], order: Sequence[int], flipped: Sequence[bool]) -> np.ndarray:
    """(n, 3) voxels along R, A and S as voxels along i, j and k."""
    stored = np.empty_like(places)
    for world, (index, flip) in enumerate(zip(order, flipped, strict=True)):
        stored[:, index] = shape[index] - 1 - places[:, world] if flip else places[:, world]
    return stored
