"""An error map without its finest grain, which says more about the network than about the patient."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from .regions import bounding_box
from .resampling import to_sitk
from .volume import Volume

_MARGIN_MM = 6.0  # what spills over the box of all error
_LEAST_MARGIN_VOXELS = 4  # the recursive filter wants some


def smoothed(error: Volume, sigma_mm: float) -> Volume:
    """The map under a Gaussian, float32 on its own grid; worked only where there is error."""
    array = np.zeros(error.shape, np.float32)
    if error.array.any():
        margin = max(_LEAST_MARGIN_VOXELS, int(np.ceil(_MARGIN_MM / error.spacing_mm.min())))
        box = bounding_box(error.array > 0, margin)
        part = Volume(error.array[box].astype(np.float32), _affine_of(error, box), error.name)
        array[box] = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(to_sitk(part), sigma_mm)).transpose(2, 1, 0)
    return error.with_array(array, error.name)


def _affine_of(volume: Volume, box: tuple[slice, ...]) -> np.ndarray:
    corner = volume.affine @ ([part.start for part in box] + [1])
    return np.column_stack([volume.affine[:, :3], corner])
