"""A scalar image in space, checked once, at birth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .errors import UnsuitableVolume

# Largest cosine between two axes of a grid that still counts as rectangular; scanners' headers are good to 1e-4.
_SHEAR_TOLERANCE = 1e-3
# Largest distance between two grids' corners that still count as the same grid.
_SAME_GRID_TOLERANCE_MM = 1e-3


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3D scalar image on a rectangular grid.

    array: (i, j, k), any real number type, finite also as float32, in which everything is computed.
    affine: (4, 4), voxel index (i, j, k, 1) -> RAS+ millimetres, no shear.
    name: what to call it in messages.

    Raises UnsuitableVolume for anything else.
    """

    array: np.ndarray
    affine: np.ndarray
    name: str = field(default="volume")

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        affine = np.array(self.affine, dtype=np.float64)
        object.__setattr__(self, "array", _checked_array(array, self.name))
        object.__setattr__(self, "affine", _checked_affine(affine, self.name))
        affine.flags.writeable = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (i, j, k)."""
        i, j, k = self.array.shape
        return i, j, k

    @property
    def spacing_mm(self) -> np.ndarray:
        """(3,) distance between voxel centres along i, j, k."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    def with_array(self, array: np.ndarray, name: str | None = None) -> Volume:
        """Another image on the same grid."""
        if array.shape != self.shape:
            raise ValueError(f"array {array.shape} does not lie on the grid {self.shape}")
        return Volume(array, self.affine, self.name if name is None else name)

    def has_grid_of(self, other: Volume) -> bool:
        """Whether voxel (i, j, k) lies at the same place in both."""
        if self.shape != other.shape:
            return False
        corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
        corners[:, :3] *= np.array(self.shape) - 1
        difference = corners @ (self.affine - other.affine).T
        return bool(np.abs(difference).max() < _SAME_GRID_TOLERANCE_MM)


def nearest_axes(affine: np.ndarray) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Which index axis runs nearest to R, A and S, and whether it runs backwards, for an index -> RAS `affine`."""
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    order = [0, 0, 0]
    remaining = np.abs(cosines)
    for _ in range(3):
        world, index = np.unravel_index(np.argmax(remaining), remaining.shape)
        order[world] = int(index)
        remaining[world, :] = remaining[:, index] = -1.0
    right, anterior, superior = (bool(cosines[world, index] < 0) for world, index in enumerate(order))
    return (order[0], order[1], order[2]), (right, anterior, superior)


def toward_ras(array: np.ndarray, order: tuple[int, int, int], flipped: tuple[bool, bool, bool]) -> np.ndarray:
    """(i, j, k) seen as (R, A, S), without copying; `order` and `flipped` as `nearest_axes` gives them."""
    return array.transpose(order)[tuple(slice(None, None, -1 if flip else 1) for flip in flipped)]


def _checked_array(array: np.ndarray, name: str) -> np.ndarray:
    if array.ndim != 3:
        shape = " x ".join(map(str, array.shape))
        raise UnsuitableVolume(
            f"'{name}' has {array.ndim} dimensions ({shape}); one 3D scalar image is needed.",
            "Extract one time point or one component first.",
        )
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)):
        raise UnsuitableVolume(
            f"'{name}' holds values of type {array.dtype}; real numbers are needed.",
            "Convert it to an integer or floating-point image.",
        )
    if array.size == 0:
        raise UnsuitableVolume(f"'{name}' holds no voxels.", "Choose a volume that was loaded completely.")
    if np.issubdtype(array.dtype, np.floating):
        with np.errstate(over="ignore"):
            count = int(array.size - np.count_nonzero(np.isfinite(array.astype(np.float32, copy=False))))
        if count:
            raise UnsuitableVolume(
                f"'{name}' has {count} voxels that are not finite numbers (NaN, infinite or beyond 3e38).",
                "Replace them, for example by 0, and try again.",
            )
    return array


def _checked_affine(affine: np.ndarray, name: str) -> np.ndarray:
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.allclose(affine[3], (0, 0, 0, 1)):
        raise UnsuitableVolume(
            f"'{name}' has no valid position in space (its index-to-RAS matrix is not affine: 4 x 4 finite numbers).",
            "Load it again from its original files.",
        )
    axes = affine[:3, :3]
    spacing = np.linalg.norm(axes, axis=0)
    if spacing.min() < 1e-6 or abs(np.linalg.det(axes / np.maximum(spacing, 1e-12))) < 1e-3:
        raise UnsuitableVolume(
            f"'{name}' has a geometry that cannot be inverted (spacing {_triple(spacing)} mm).",
            "Load it again from its original files.",
        )
    cosines = np.abs((axes / spacing).T @ (axes / spacing) - np.eye(3))
    if cosines.max() > _SHEAR_TOLERANCE:
        raise UnsuitableVolume(
            f"'{name}' has slanted axes (a sheared or gantry-tilted grid, cosine {cosines.max():.3f}); "
            "a rectangular grid is needed.",
            "Resample it to a rectangular grid first.",
        )
    return affine


def _triple(values: np.ndarray) -> str:
    return " x ".join(f"{value:.3g}" for value in values)
