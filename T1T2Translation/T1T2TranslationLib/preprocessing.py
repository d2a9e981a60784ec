"""From a volume to the planes that the network reads, and the exact way back.

```
volume (i, j, k), any orientation and spacing
   | axes permuted and flipped to the nearest of right, anterior, superior; never rotated
   | cut to the head's box
   | an in-plane axis far from the model's step is resampled to it; so is a through-plane axis that is finer
   | (value - air) / (white matter - air)
planes (S, A, R) float32  -->  network reads plane n with its neighbours at +-1, +-2 steps of 1 mm
```
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor

from .head import Head, find_head
from .volume import Volume, nearest_axes, toward_ras

Margins = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]  # along S, A, R, before and after

# Scaled intensities up to this are air: exact zeros of a stripped brain, or the faint noise around a head.
_AIR_CEILING = 0.02
# Voxels by which a plane is continued where the head is cut off by the edge of the volume: a network's border is less sure.
_MARGIN = 8


@dataclass(frozen=True)
class Preprocessing:
    """The numbers that tie a network to images; they travel with its weights.

    context_planes: neighbouring planes (odd) that the network reads at once.
    step_mm: voxel size that the network was trained on, along every axis.
    native_range_mm: voxels of this size are near enough to be left as they are (training varies the size as much).
    ceiling: scaled intensities are clipped to [0, ceiling]; white matter is 1.
    """

    context_planes: int = 5
    step_mm: float = 1.0
    native_range_mm: tuple[float, float] = (0.7, 1.3)
    ceiling: float = 4.0

    def __post_init__(self) -> None:
        low, high = self.native_range_mm
        object.__setattr__(self, "native_range_mm", (low, high))
        if self.context_planes < 1 or self.context_planes % 2 == 0:
            raise ValueError(f"context_planes is {self.context_planes}; an odd number is needed")
        if not (0 < low <= self.step_mm <= high < math.inf and 0 < self.ceiling < math.inf):
            raise ValueError(f"voxels of {self.step_mm} mm in {low} to {high} mm, or a ceiling of {self.ceiling}, make no sense")

    def as_arguments(self) -> dict:
        """Keyword arguments of this class, as plain JSON values."""
        return asdict(self) | {"native_range_mm": list(self.native_range_mm)}

    def prepare(self, volume: Volume, mask: np.ndarray | None = None, head: Head | None = None) -> Planes:
        """The planes of `volume`; `mask` (i, j, k) bool blanks everything outside it. Raises UnsuitableVolume."""
        head = head or find_head(volume, mask)
        grid = self.grid(volume, head.box)
        values = grid.forward(volume.array)
        values = np.clip((values - head.air) * np.float32(1.0 / (head.level - head.air)), 0.0, self.ceiling)
        if mask is not None:
            values *= grid.forward(mask) > 0.5
        return Planes(values, grid, self.context_planes, self.step_mm)

    def grid(self, volume: Volume, box: tuple[slice, slice, slice]) -> Grid:
        """The walk between `volume` and planes, over the part `box` of its voxels."""
        order, flipped = nearest_axes(volume.affine)
        spacing = volume.spacing_mm[list(order)]  # (R, A, S)
        low, high = self.native_range_mm
        is_native = (low <= spacing) & (spacing <= high)
        is_native[2] |= spacing[2] > high  # thick slices stay: neighbours are interpolated where they are read
        step = np.where(is_native, spacing, self.step_mm)
        return Grid(volume.shape, order, flipped, box, tuple(spacing), tuple(step), _margins(volume.shape, order, flipped, box))


@dataclass(frozen=True)
class Grid:
    """A reversible walk between a volume's array (i, j, k) and planes (S, A, R).

    order: which of i, j, k runs along R, A, S; flipped: whether it runs backwards.
    box: the part of (i, j, k) that is walked; spacing_mm, step_mm: voxel sizes along R, A, S before and after.
    margins: by how many voxels of the planes their edges are continued along S, A, R, before and after.
    """

    shape: tuple[int, int, int]
    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    box: tuple[slice, slice, slice]
    spacing_mm: tuple[float, float, float]
    step_mm: tuple[float, float, float]
    margins: Margins = ((0, 0), (0, 0), (0, 0))

    def forward(self, array: np.ndarray) -> np.ndarray:
        """(i, j, k), any number type -> (S, A, R) float32, with the margins."""
        planes = np.ascontiguousarray(self._view(array), dtype=np.float32)
        for axis, size in enumerate(planes.shape):
            spacing, step = self.spacing_mm[2 - axis], self.step_mm[2 - axis]
            if spacing != step:
                planes = _along(axis, sampling_matrix(size, spacing, step), planes)
        return np.pad(planes, self.margins, mode="edge") if np.any(self.margins) else planes

    def backward(self, planes: np.ndarray, dtype: type = np.float32) -> np.ndarray:
        """(S, A, R) with the margins -> (i, j, k) of `dtype`, 0 outside the box; integers are rounded."""
        planes = planes[tuple(slice(low, size - high) for (low, high), size in zip(self.margins, planes.shape, strict=True))]
        result: np.ndarray = np.zeros(self.shape, dtype=dtype, order="F")
        view = self._view(result)
        for axis, size in enumerate(view.shape):
            spacing, step = self.spacing_mm[2 - axis], self.step_mm[2 - axis]
            if spacing != step:
                positions = np.arange(size) * (spacing / step)
                planes = _along(axis, interpolation_matrix(positions, planes.shape[axis]), planes)
        view[...] = np.rint(planes) if np.issubdtype(dtype, np.integer) else planes
        return result

    def _view(self, array: np.ndarray) -> np.ndarray:
        """The box of `array` seen as (S, A, R), without copying."""
        return toward_ras(array[self.box], self.order, self.flipped).transpose(2, 1, 0)


def _margins(shape: Sequence[int], order: Sequence[int], flipped: Sequence[bool], box: Sequence[slice]) -> Margins:
    """`Grid.margins`: in the plane, where `box` ends with the volume."""
    margins = []
    for axis, is_flipped in zip(order[:2], flipped[:2], strict=True):  # R, A
        cut = (_MARGIN * (box[axis].start == 0), _MARGIN * (box[axis].stop == shape[axis]))
        margins.append(cut[::-1] if is_flipped else cut)
    return ((0, 0), margins[1], margins[0])


@dataclass(frozen=True, eq=False)
class Planes:
    """What the network reads of one volume.

    values: (S, A, R) float32, white matter 1, air 0.
    """

    values: np.ndarray
    grid: Grid
    context_planes: int
    step_mm: float

    def __len__(self) -> int:
        return len(self.values)

    def outside(self) -> np.ndarray:
        """(S, A, R) bool: air around the head, where nothing is to be shown; holes inside the head are not.

        Found in blocks of 2 x 2 voxels, widened by one block: a stripped brain's dark rim of fluid stays inside.
        """
        tissue = np.pad(self.values > _AIR_CEILING, [(0, 0), *((0, size % 2) for size in self.values.shape[1:])])
        blocks = tissue[:, ::2, ::2] | tissue[:, 1::2, ::2] | tissue[:, ::2, 1::2] | tissue[:, 1::2, 1::2]
        near = _widened(_widened(blocks, axis=1), axis=2)
        head = sitk.GetArrayFromImage(sitk.BinaryFillhole(sitk.GetImageFromArray(near.astype(np.uint8))))
        full = np.repeat(np.repeat(head, 2, axis=1), 2, axis=2)
        return full[:, : self.values.shape[1], : self.values.shape[2]] == 0

    def context(self, first: int, last: int) -> Tensor:
        """Planes `first` to `last` (not included) with their neighbours, (last - first, context_planes, A, R).

        Neighbours lie `step_mm` apart where slices are thicker (interpolated linearly), else one plane apart; the first and
        last plane stand in for what lies beyond them.
        """
        offsets = np.arange(self.context_planes) - self.context_planes // 2
        spacing = self.grid.step_mm[2]
        stride = min(1.0, self.step_mm / spacing) if spacing > self.step_mm * 1.3 else 1.0
        positions = np.clip(np.arange(first, last)[:, None] + offsets * stride, 0, len(self) - 1)
        below = np.floor(positions).astype(np.int64)
        weight = (positions - below).astype(np.float32)[..., None, None]
        planes = self.values[below]
        if weight.any():
            planes = planes * (1 - weight) + self.values[np.minimum(below + 1, len(self) - 1)] * weight
        return torch.from_numpy(planes)


def sampling_matrix(size: int, spacing: float, step: float) -> np.ndarray:
    """(n, size) weights that sample `size` voxels `spacing` apart every `step`, from the first voxel's centre on.

    A triangle as wide as the coarser of the two grids: linear interpolation where it refines, anti-aliased where it coarsens.
    """
    count = int(np.floor((size - 1) * spacing / step + 1e-6)) + 1
    distance = np.arange(count)[:, None] * step - np.arange(size) * spacing
    weights = np.maximum(0.0, 1.0 - np.abs(distance) / max(spacing, step))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def interpolation_matrix(positions: np.ndarray, size: int) -> np.ndarray:
    """(len(positions), size) weights of linear interpolation at `positions` in voxels, clamped to the ends."""
    distance = np.clip(positions, 0, size - 1)[:, None] - np.arange(size)
    return np.maximum(0.0, 1.0 - np.abs(distance)).astype(np.float32)


def _widened(mask: np.ndarray, axis: int) -> np.ndarray:
    """`mask` and its next neighbours along one axis."""
    padded = np.pad(mask, [(1, 1) if other == axis else (0, 0) for other in range(mask.ndim)])
    size = mask.shape[axis]
    before, after = padded.take(range(size), axis), padded.take(range(2, size + 2), axis)
    return mask | before | after


def _along(axis: int, matrix: np.ndarray, array: np.ndarray) -> np.ndarray:
    """`matrix` applied along one axis of `array`."""
    return np.moveaxis(np.tensordot(matrix, array, axes=(1, axis)), 0, axis)
