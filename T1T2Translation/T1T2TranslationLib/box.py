"""`inside_box`: which voxels of a grid lie in a box, however the box is turned against the grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Of the box's size: a voxel on a face is inside, whatever the last digits of the matrices say.
_TOLERANCE = 1e-9


def inside_box(shape: tuple[int, int, int], box_from_index: np.ndarray, size: Sequence[float]) -> np.ndarray:
    """(i, j, k) uint8: 1 where a voxel's centre lies in the box or on its faces.

    box_from_index: (4, 4), voxel index (i, j, k, 1) -> coordinates along the box's own axes, from its middle.
    size: the box's lengths along these axes, in the same unit.
    """
    half = np.asarray(size, dtype=np.float64) * (0.5 + _TOLERANCE)
    inside = np.empty(shape, dtype=np.uint8)
    j, k = np.ogrid[: shape[1], : shape[2]]
    for i in range(shape[0]):  # plane by plane: the coordinates of a large grid would fill the memory
        along = ((i * row[0] + row[3]) + j * row[1] + k * row[2] for row in box_from_index[:3])
        inside[i] = np.logical_and.reduce([np.abs(place) <= length for place, length in zip(along, half, strict=True)])
    return inside
