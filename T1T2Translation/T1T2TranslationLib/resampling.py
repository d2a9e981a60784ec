"""One volume onto the grid of another, through SimpleITK."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from .volume import Volume

# ITK's world is left-posterior-superior, ours right-anterior-superior.
_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def to_sitk(volume: Volume) -> sitk.Image:
    """The volume as a SimpleITK image, its affine as origin, spacing and direction in LPS."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.transpose(2, 1, 0)))
    affine = _LPS_FROM_RAS @ volume.affine
    spacing = volume.spacing_mm
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    return image


def resample_onto(
    volume: Volume, grid: Volume, transform: sitk.Transform | None = None, interpolator: int = sitk.sitkLinear
) -> Volume:
    """`volume` seen on the grid of `grid`, 0 outside; `transform` takes points (LPS mm) of `grid` to points of `volume`."""
    resampled = sitk.Resample(
        to_sitk(volume), _empty_like(grid), transform or sitk.Transform(), interpolator, 0.0, sitk.sitkUnknown
    )
    return grid.with_array(sitk.GetArrayFromImage(resampled).transpose(2, 1, 0), volume.name)


def resample_mask(mask: Volume, grid: Volume) -> np.ndarray:
    """Where `mask` is not 0, on the grid of `grid` by nearest neighbour: (i, j, k) bool."""
    inside = mask.with_array((mask.array != 0).astype(np.uint8))
    if not mask.has_grid_of(grid):
        inside = resample_onto(inside, grid, interpolator=sitk.sitkNearestNeighbor)
    return inside.array.astype(bool)


def _empty_like(grid: Volume) -> sitk.Image:
    """A grid without voxels to copy: the geometry of `grid` on one byte a voxel."""
    return to_sitk(grid.with_array(np.zeros(grid.shape, dtype=np.uint8)))
