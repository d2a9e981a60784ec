"""The curves of a comparison, against values by hand."""

from __future__ import annotations

import numpy as np
import pytest
from T1T2TranslationLib.curves import density_levels, error_by_slice, error_distribution, joint_histogram
from T1T2TranslationLib.volume import Volume

# The second array axis runs from head to feet, 2 mm a step; the others lie in the slice.
AFFINE = np.array([[1.0, 0, 0, 0], [0, 0, 1.5, 0], [0, -2.0, 0, 50], [0, 0, 0, 1]])


@pytest.fixture
def error() -> Volume:
    array = np.zeros((4, 3, 5), np.int16)
    array[:, 1] = 100
    array[0:2, 2] = [[10, 20, 30, 40, 50], [60, 70, 80, 90, 100]]
    return Volume(array, AFFINE)


def test_error_is_taken_slice_by_slice_from_head_to_feet_where_something_is_shown(error):
    found = error_by_slice(error, error.array > 0)
    assert found.index.tolist() == [1, 2]
    assert found.position_mm.tolist() == [48, 46]
    assert found.mean.tolist() == [100, 55]
    assert found.highest[1] == pytest.approx(np.percentile(np.arange(10, 101, 10), 95))


def test_each_slice_knows_the_middle_of_what_it_shows(error):
    found = error_by_slice(error, error.array > 0)
    np.testing.assert_allclose(found.centre_ras_mm, [[1.5, 3.0, 48], [0.5, 3.0, 46]])


def test_nothing_shown_is_no_slice(error):
    found = error_by_slice(error, np.zeros_like(error.array, dtype=bool))
    assert len(found.index) == len(found.mean) == len(found.centre_ras_mm) == 0


def test_the_joint_histogram_counts_pairs_in_bins_of_thirty():
    real, synthetic = np.array([5, 10, 700]), np.array([20, 25, 100])
    x, y, share = joint_histogram(real, synthetic, np.array([True, True, True]))
    assert x.tolist() == [15, 705]
    assert y.tolist() == [15, 105]
    np.testing.assert_allclose(share, [200 / 3, 100 / 3])


def test_the_distribution_counts_the_extremes_at_its_ends():
    centres, share = error_distribution(np.array([-5000, 5, 5, 900, 12345]), np.array([True, True, True, True, False]))
    assert dict(zip(centres[share > 0].tolist(), share[share > 0].tolist(), strict=True)) == {-590: 25, 10: 50, 590: 25}


def test_the_densest_bins_hold_the_first_half_of_the_voxels():
    assert density_levels(np.array([5.0, 40, 25, 20, 10]), (100, 95, 80, 50)).tolist() == [0, 3, 3, 2, 1]
