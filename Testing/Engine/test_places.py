"""Suspicious places: regions around the highest error of the brain, most error first, with size, height and place."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
from T1T2TranslationLib.places import MOST, REACH, SMALLEST_ML, SMOOTHING_MM, find_places
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
SPACING_MM = (0.9, 0.9, 3.0)
SHAPE = (81, 73, 37)


def a_volume(*blocks: tuple[slice, slice, slice], value: int = 300) -> Volume:
    array = np.zeros(SHAPE, np.int16)
    for block in blocks:
        array[block] = value
    return Volume(array, AFFINE, "Error")


SCAN = a_volume((slice(4, 77), slice(4, 69), slice(2, 35)), value=500)  # a stripped brain
LARGE = (slice(12, 27), slice(12, 32), slice(7, 15))
SMALL = (slice(57, 67), slice(47, 59), slice(24, 30))


def ras(i: float, j: float, k: float) -> np.ndarray:
    return (AFFINE @ (i, j, k, 1))[:3]


def test_the_most_error_comes_first_with_its_size_height_and_place():
    error = a_volume(LARGE, SMALL)
    first, second = find_places(error, SCAN, 150)
    smooth = scipy.ndimage.gaussian_filter(error.array.astype(float), SMOOTHING_MM / np.array(SPACING_MM))
    for place, block in ((first, LARGE), (second, SMALL)):
        part = smooth[block]
        reached = part[part >= REACH * part.max()]
        assert place.volume_ml == pytest.approx(len(reached) * np.prod(SPACING_MM) / 1000, rel=0.2)
        assert place.mean == pytest.approx(reached.mean(), rel=0.05)
        assert place.maximum == pytest.approx(part.max(), rel=0.03)
    np.testing.assert_allclose(first.peak_ras_mm, ras(19, 21.5, 10.5), atol=4)
    np.testing.assert_allclose(second.peak_ras_mm, ras(61.5, 52.5, 26.5), atol=2)


def test_two_hills_of_one_region_are_two_places():
    near, far = (slice(12, 27), slice(12, 27), slice(8, 14)), (slice(47, 62), slice(12, 27), slice(8, 14))
    bridged = a_volume(near, far).array + a_volume((slice(12, 62), slice(12, 27), slice(8, 14)), value=150).array
    places = find_places(a_volume().with_array(bridged), SCAN, 100)
    assert len(places) == 2
    np.testing.assert_allclose(sorted(place.peak_ras_mm[0] for place in places), [30 - 0.9 * 54, 30 - 0.9 * 19], atol=4)


def test_small_ripples_of_a_hill_are_not():
    rippled = a_volume(LARGE).array
    rippled[::2, ::2] = rippled[::2, ::2] * 1.3  # as a network that works in steps of two voxels leaves them
    assert len(find_places(a_volume().with_array(rippled), SCAN, 150)) == 1


def test_sides_and_thirds_are_the_patients():
    right_low, left_high = find_places(a_volume(LARGE, SMALL), SCAN, 150)
    assert right_low.words[0] == "right"  # small i lies at large R: the first axis runs to the left
    assert right_low.words[2] == "lower"
    assert left_high.words[0] == "left"
    assert left_high.words[2] == "upper"
    middle = (slice(34, 48), slice(30, 43), slice(16, 21))
    assert find_places(a_volume(middle), SCAN, 150)[0].words == ("midline", "central", "middle")


def test_single_voxels_and_thin_rims_are_no_places():
    assert find_places(a_volume((slice(30, 31),) * 3, value=3000), SCAN, 150) == []
    assert find_places(a_volume((slice(10, 70), slice(30, 32), slice(5, 30))), SCAN, 150) == []
    assert np.prod(SPACING_MM) / 1000 < SMALLEST_ML


def test_error_outside_the_brain_is_no_place():
    scalp = (slice(0, 4), slice(5, 68), slice(5, 32))
    assert find_places(a_volume(scalp, value=900), SCAN, 150) == []
    assert find_places(a_volume(LARGE), a_volume(), 150) == []  # no brain at all


def test_an_error_below_the_threshold_is_no_place():
    assert find_places(a_volume(LARGE, value=140), SCAN, 150) == []
    assert find_places(a_volume(), SCAN, 150) == []
    assert find_places(a_volume(), SCAN, 0) == []


def test_the_list_is_no_longer_than_asked_for():
    blocks = [(slice(i, i + 8), slice(j, j + 8), slice(k, k + 4)) for i in (8, 32, 56) for j in (8, 32, 56) for k in (4, 14, 24)]
    assert len(blocks) > MOST
    assert len(find_places(a_volume(*blocks), SCAN, 80)) == MOST
    assert len(find_places(a_volume(*blocks), SCAN, 80, most=3)) == 3
