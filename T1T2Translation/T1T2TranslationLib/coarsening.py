"""`coarse`: every few planes of a volume, for a quick look: the same path translates them while the whole is still to come."""

from __future__ import annotations

import numpy as np

from .volume import Volume, nearest_axes

# Smaller volumes are done before a preview would be seen.
_LEAST_VOXELS = 1_500_000
_STEP = 4
_LARGEST_STEP_MM = 5.0
_LEAST_PLANES = 24


def coarse(volume: Volume) -> Volume | None:
    """Every second to fourth plane along the axis nearest to feet-head, as a volume of its own; None where it gains nothing."""
    axis = nearest_axes(volume.affine)[0][2]
    planes, spacing_mm = volume.shape[axis], volume.spacing_mm[axis]
    step = min(_STEP, planes // _LEAST_PLANES, int(_LARGEST_STEP_MM / spacing_mm))
    if step < 2 or volume.array.size < _LEAST_VOXELS:
        return None
    affine = np.array(volume.affine)
    affine[:3, axis] *= step
    kept = tuple(slice(None, None, step if index == axis else 1) for index in range(3))
    return Volume(volume.array[kept], affine, volume.name)
