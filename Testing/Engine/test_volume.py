"""A volume is a finite scalar image on a rectangular grid, or it is refused at birth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from phantom import head_affine, stored_otherwise
from T1T2TranslationLib.errors import UnsuitableVolume
from T1T2TranslationLib.volume import Volume, nearest_axes, toward_ras

ORIENTATIONS = [
    (order, flips) for order in itertools.permutations(range(3)) for flips in itertools.product((False, True), repeat=3)
]


def numbered(shape=(2, 3, 4)) -> Volume:
    return Volume(np.arange(np.prod(shape)).reshape(shape), np.diag([1.0, 2.0, 3.0, 1.0]), "numbered")


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "int64", "float16", "float32", "float64", ">i2"])
def test_every_real_number_type_is_a_volume(dtype):
    assert Volume(np.ones((2, 3, 4), dtype), np.eye(4)).array.dtype == np.dtype(dtype)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((4, 4)), "2 dimensions (4 x 4)"),
        (np.zeros((4, 4, 4, 2)), "4 dimensions (4 x 4 x 4 x 2)"),
        (np.zeros((4, 4, 4), bool), "type bool"),
        (np.zeros((4, 4, 4), complex), "type complex128"),
        (np.zeros((4, 0, 4)), "no voxels"),
        (np.full((2, 2, 2), np.nan), "8 voxels that are not finite"),
        (np.array([[[1.0, np.inf, -np.inf]]]), "2 voxels that are not finite"),
        (np.array([[[1.0, 1e39]]]), "1 voxels that are not finite"),
    ],
)
def test_an_array_that_is_no_scalar_image_is_refused_with_what_was_found(array, found):
    with pytest.raises(UnsuitableVolume, match="'scout' ") as refused:
        Volume(array, np.eye(4), "scout")
    assert found in refused.value.message
    assert refused.value.remedy


def test_the_largest_values_of_float64_that_float32_knows_are_accepted():
    assert Volume(np.full((2, 2, 2), 3e38), np.eye(4)).array.max() == 3e38


SHEARED = np.eye(4)
SHEARED[0, 1] = 0.2
PROJECTIVE = np.eye(4)
PROJECTIVE[3, 0] = 0.5


@pytest.mark.parametrize(
    ("affine", "found"),
    [
        (np.eye(3), "not affine"),
        (np.full((4, 4), np.nan), "not affine"),
        (PROJECTIVE, "not affine"),
        (np.diag([1.0, 1.0, 0.0, 1.0]), "cannot be inverted"),
        (np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "cannot be inverted"),
        (SHEARED, "slanted axes"),
    ],
)
def test_an_affine_that_is_no_rectangular_grid_is_refused_with_what_was_found(affine, found):
    with pytest.raises(UnsuitableVolume, match=found) as refused:
        Volume(np.zeros((2, 2, 2)), affine, "scout")
    assert refused.value.remedy


def test_headers_rounded_to_four_digits_are_accepted():
    affine = np.round(head_affine((17, 19, 23), (0.9, 0.9, 3.0), 33), 4)
    assert Volume(np.zeros((17, 19, 23)), affine).spacing_mm == pytest.approx([0.9, 0.9, 3.0], abs=2e-4)


def test_the_affine_is_a_copy_that_cannot_be_changed():
    affine = np.eye(4)
    volume = Volume(np.zeros((2, 2, 2)), affine)
    affine[0, 3] = 7
    assert volume.affine[0, 3] == 0
    with pytest.raises(ValueError, match="read-only"):
        volume.affine[0, 3] = 7


def test_another_array_must_lie_on_the_same_grid():
    with pytest.raises(ValueError, match="does not lie on the grid"):
        numbered().with_array(np.zeros((2, 3, 5)))
    assert numbered().with_array(np.zeros((2, 3, 4))).name == "numbered"


@pytest.mark.parametrize(
    ("moved_mm", "turned_degrees", "is_same"), [(0, 0, True), (5e-4, 0, True), (2e-3, 0, False), (0, 0.1, False)]
)
def test_two_grids_are_the_same_where_all_corners_are(moved_mm, turned_degrees, is_same):
    volume = Volume(np.zeros((17, 19, 23)), head_affine((17, 19, 23)))
    affine = head_affine((17, 19, 23), degrees=turned_degrees)
    affine[1, 3] += moved_mm
    assert volume.has_grid_of(Volume(np.ones((17, 19, 23)), affine)) is is_same
    assert not volume.has_grid_of(Volume(np.zeros((17, 19, 22)), volume.affine))


def test_the_nearest_axes_of_a_sagittal_acquisition_are_read_off_its_columns():
    affine = np.array([[0, 0, 3.0, 0], [-1.0, 0, 0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1]])  # i: P, j: I, k: R
    assert nearest_axes(affine) == ((2, 0, 1), (False, True, True))


@pytest.mark.parametrize(("order", "flips"), ORIENTATIONS)
def test_each_of_the_48_ways_of_storing_an_image_looks_the_same_toward_ras(order, flips):
    stored = stored_otherwise(numbered(), order, flips)
    np.testing.assert_array_equal(toward_ras(stored.array, *nearest_axes(stored.affine)), numbered().array)
