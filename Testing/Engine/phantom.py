"""A head of numbers: scalp, skull, fluid, grey and white matter, ventricles and a lesion on one side, in any place and grid."""

from __future__ import annotations

import numpy as np
from T1T2TranslationLib.volume import Volume

# Radius (1 = the head's surface) up to which each tissue reaches, from inside out, with what it gives in T1 and in T2.
SHELLS = ((0.58, 1000, 300), (0.76, 700, 450), (0.82, 250, 1000), (0.90, 60, 20), (1.00, 1100, 350))
VENTRICLE = (200, 1000)
LESION = (550, 800)
SEMIAXES_MM = np.array([20.0, 24.0, 20.0])  # right, anterior, superior: a small head costs little


def rotation(degrees: float, axis: tuple[float, float, float] = (1.0, 2.0, 3.0)) -> np.ndarray:
    """(3, 3) rotation about `axis`, by Rodrigues' formula."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def head_affine(shape, spacing_mm=(1.0, 1.0, 1.0), degrees=0.0) -> np.ndarray:
    """(4, 4) index -> RAS of a grid whose middle lies at the phantom's middle, tilted by `degrees`."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(degrees) * np.array(spacing_mm)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def head_array(shape, affine, contrast="T1", semiaxes_mm=SEMIAXES_MM, noise=20.0, stripped=False) -> np.ndarray:
    """(i, j, k) float64: what a scanner on the grid `affine` sees of the head at the origin."""
    column = {"T1": 0, "T2": 1}[contrast]
    index = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"), axis=-1)
    place = (index @ affine[:3, :3].T + affine[:3, 3]) / semiaxes_mm
    radius = np.linalg.norm(place, axis=-1)
    shells = [shell for shell in SHELLS if not stripped or shell[0] <= 0.82]
    array = np.select([radius < shell[0] for shell in shells], [shell[1 + column] for shell in shells], 0).astype(float)
    for side in (-1, 1):
        array[np.linalg.norm((place - (side * 0.16, -0.05, 0.05)) / (0.13, 0.32, 0.24), axis=-1) < 1] = VENTRICLE[column]
    array[np.linalg.norm(place - (0.35, 0.2, 0.1), axis=-1) < 0.14] = LESION[column]
    array += np.random.default_rng(7).normal(0, noise, shape) * (array > 0)
    return np.maximum(array, 0)


def a_head_volume(
    shape=(45, 53, 43), spacing_mm=(1.0, 1.0, 1.0), degrees=0.0, dtype=np.int16, contrast="T1", stripped=False
) -> Volume:
    """The head as a volume; the default is 1 mm, straight, int16, with air around it."""
    affine = head_affine(shape, spacing_mm, degrees)
    return Volume(head_array(shape, affine, contrast, stripped=stripped).astype(dtype), affine, f"a {contrast} head")


def stored_otherwise(volume: Volume, order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Volume:
    """The same image with its axes permuted, then flipped, its affine following: a file as another scanner writes it."""
    array = volume.array.transpose(order)
    affine = volume.affine[:, [*order, 3]].copy()
    for axis, flip in enumerate(flips):
        if flip:
            array = np.flip(array, axis)
            affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
            affine[:3, axis] *= -1
    return Volume(array, affine, volume.name)


def array_as_before(array: np.ndarray, order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> np.ndarray:
    """Undo `stored_otherwise` on an array."""
    array = np.flip(array, [axis for axis, flip in enumerate(flips) if flip])
    return array.transpose(np.argsort(order))
