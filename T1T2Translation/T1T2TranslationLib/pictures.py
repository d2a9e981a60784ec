"""Slices of a volume as pictures for a page: radiological convention, true proportions, PNG inside a data URI."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from .colors import SIZE
from .volume import Volume, nearest_axes

# Part of the foreground's largest cross-section that a slice must have to belong to the head.
_LEAST_SECTION = 0.02
# Part of the way from black to white above which a voxel belongs to the head.
_LEAST_BRIGHTNESS = 0.15
_MARGIN_MM = 6.0


@dataclass(frozen=True)
class Plane:
    """How a slice is looked at. normal: the axis (0 R, 1 A, 2 S) it is cut across; left, right, top, bottom: letters."""

    name: str
    normal: int
    left: str
    right: str
    top: str
    bottom: str


AXIAL = Plane("axial", 2, "R", "L", "A", "P")
CORONAL = Plane("coronal", 1, "R", "L", "S", "I")
SAGITTAL = Plane("sagittal", 0, "A", "P", "S", "I")
PLANES = (AXIAL, CORONAL, SAGITTAL)


@dataclass(frozen=True, eq=False)
class View:
    """Where the head lies in a volume whose axes are put in the order nearest to R, A, S.

    order, flipped: as `nearest_axes` gives them. spacing_mm, box, centre: along R, A, S, in voxels.
    head: (R, A, S) bool, what stands out from the background.
    """

    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    spacing_mm: np.ndarray
    box: tuple[slice, ...]
    centre: tuple[int, ...]
    head: np.ndarray

    def oriented(self, array: np.ndarray) -> np.ndarray:
        """(i, j, k) -> a view with axes nearest to R, A, S."""
        return _oriented(array, self.order, self.flipped)

    def cut(self, array: np.ndarray, plane: Plane, index: int) -> np.ndarray:
        """(i, j, k) -> the slice as it is looked at: (rows from the top, columns from the left), cut to the head."""
        window = list(self.box)
        window[plane.normal] = slice(index, index + 1)
        section = self.oriented(array)[tuple(window)].squeeze(plane.normal)  # (R, A), (R, S) or (A, S)
        return section[::-1, ::-1].T  # R, or A, at the left; A, or S, at the top

    def size_mm(self, plane: Plane) -> tuple[float, float]:
        """(width, height) of a slice."""
        sizes = [(part.stop - part.start) * step for part, step in zip(self.box, self.spacing_mm, strict=True)]
        width, height = (size for axis, size in enumerate(sizes) if axis != plane.normal)
        return float(width), float(height)


def view_of_head(volume: Volume) -> View:
    """The view that shows what stands out from the background of `volume`; all of it where nothing does."""
    order, flipped = nearest_axes(volume.affine)
    low, high = window_of(volume.array)
    head = _oriented(volume.array, order, flipped) > low + _LEAST_BRIGHTNESS * (high - low)
    if not head.any():
        head = np.ones_like(head)
    spacing_mm = volume.spacing_mm[list(order)]
    box, centre = [], []
    for axis, spacing in enumerate(spacing_mm):
        section = head.sum(axis=tuple(other for other in range(3) if other != axis))
        inside = np.flatnonzero(section >= _LEAST_SECTION * section.max())
        margin = int(np.ceil(_MARGIN_MM / spacing))
        box.append(slice(max(0, int(inside[0]) - margin), min(len(section), int(inside[-1]) + 1 + margin)))
        centre.append(round(float(np.average(np.arange(len(section)), weights=section))))
    return View(order, flipped, spacing_mm, tuple(box), tuple(centre), head)


def worst_axial(view: View, error: np.ndarray) -> int:
    """The axial slice with the largest sum of predicted error over the head."""
    sums = np.where(view.head, view.oriented(error), 0)[view.box].sum(axis=(0, 1), dtype=np.float64)
    return view.box[2].start + int(np.argmax(sums))


def _oriented(array: np.ndarray, order: tuple[int, int, int], flipped: tuple[bool, bool, bool]) -> np.ndarray:
    return array.transpose(order)[tuple(slice(None, None, -1 if flip else 1) for flip in flipped)]


def window_of(array: np.ndarray) -> tuple[float, float]:
    """Black and white for an image in an arbitrary unit: its 1st and 99.5th percentile, never equal."""
    sparse = array[tuple(slice(None, None, max(1, size // 64)) for size in array.shape)]
    low, high = (float(value) for value in np.percentile(sparse, [1, 99.5]))
    return low, high if high > low else low + 1.0


def png_of(section: np.ndarray, window: tuple[float, float], table: np.ndarray) -> str:
    """A slice as a data URI, a pixel a voxel; table: (256, 3) uint8, spread over the window, see colors.py."""
    low, high = window
    shares = np.clip((section.astype(np.float32) - low) / (high - low), 0, 1)
    pixels = table[np.rint(shares * (SIZE - 1)).astype(np.uint8)]
    return "data:image/png;base64," + base64.b64encode(_as_png(pixels)).decode("ascii")


def _as_png(pixels: np.ndarray) -> bytes:
    """(rows, columns, 3) uint8 in the PNG format (ISO 15948): 3D Slicer brings no matplotlib that would write it."""
    rows, columns, _ = pixels.shape
    lines = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(pixels))
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    packed = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def legend_of(table: np.ndarray) -> str:
    """The colours from low to high, as a data URI one pixel high."""
    return png_of(np.linspace(0, 1, SIZE)[None], (0, 1), table)
