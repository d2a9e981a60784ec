"""Suspicious places: connected regions of high error, largest first, with size, height and place."""

from __future__ import annotations

import numpy as np
import pytest
from T1T2TranslationLib.places import MOST, SMALLEST_ML, find_places
from T1T2TranslationLib.volume import Volume

# 0.9 x 0.9 x 3 mm, oblique, left-handed: rows are R, A, S.
TURN = np.radians(20)
AFFINE = np.array(
    [
        [-0.9, 0, 0, 30.0],
        [0, 0.9 * np.cos(TURN), -3 * np.sin(TURN), -20.0],
        [0, 0.9 * np.sin(TURN), 3 * np.cos(TURN), 10.0],
        [0, 0, 0, 1],
    ]
)
SHAPE = (67, 59, 33)
VOXEL_ML = 0.9 * 0.9 * 3 / 1000


def an_error(*blocks: tuple[slice, slice, slice], value: int = 300) -> Volume:
    array = np.zeros(SHAPE, np.int16)
    for block in blocks:
        array[block] = value
    return Volume(array, AFFINE, "Error")


HEAD = Volume(np.full(SHAPE, 500, np.int16), AFFINE, "Head")
LARGE = (slice(5, 20), slice(5, 25), slice(5, 13))
SMALL = (slice(50, 60), slice(40, 52), slice(22, 28))


def test_regions_come_by_size_with_their_errors_and_the_place_of_the_highest():
    error = an_error(LARGE, SMALL)
    error.array[7, 9, 6] = 900
    first, second = find_places(error, HEAD, 150)
    assert first.volume_ml == pytest.approx(15 * 20 * 8 * VOXEL_ML, rel=0.1)
    assert second.volume_ml == pytest.approx(10 * 12 * 6 * VOXEL_ML, rel=0.15)
    assert (first.maximum, second.maximum) == (900, 300)
    assert 290 < first.mean < 310
    np.testing.assert_allclose(first.peak_ras_mm, (AFFINE @ (7, 9, 6, 1))[:3], atol=1e-9)


def test_sides_and_thirds_are_the_patients():
    right_low, left_high = find_places(an_error(LARGE, SMALL), HEAD, 150)
    assert right_low.words[0] == "right"  # small i lies at large R: the first axis runs to the left
    assert right_low.words[2] == "lower"
    assert left_high.words[0] == "left"
    assert left_high.words[2] == "upper"
    middle = (slice(29, 38), slice(25, 35), slice(13, 19))
    assert find_places(an_error(middle), HEAD, 150)[0].words == ("midline", "central", "middle")


def test_single_voxels_are_no_places():
    assert find_places(an_error((slice(30, 31),) * 3, value=3000), HEAD, 150) == []
    assert SMALLEST_ML > VOXEL_ML


def test_an_error_below_the_threshold_is_no_place():
    assert find_places(an_error(LARGE, value=140), HEAD, 150) == []
    assert find_places(an_error(), HEAD, 150) == []


def test_a_threshold_of_zero_does_not_take_the_air():
    assert find_places(an_error(), HEAD, 0) == []


def test_the_list_is_no_longer_than_asked_for():
    blocks = [(slice(i, i + 6), slice(j, j + 6), slice(k, k + 4)) for i in (4, 22, 40) for j in (4, 22, 40) for k in (4, 14, 24)]
    assert len(blocks) > MOST
    assert len(find_places(an_error(*blocks), HEAD, 100)) == MOST
    assert len(find_places(an_error(*blocks), HEAD, 100, most=3)) == 3


def test_the_corner_of_the_grid_is_as_good_as_its_middle():
    corner = find_places(an_error((slice(0, 15), slice(0, 15), slice(0, 8))), HEAD, 150)
    assert len(corner) == 1
    np.testing.assert_allclose(corner[0].peak_ras_mm, AFFINE[:3, 3], atol=1e-9)
