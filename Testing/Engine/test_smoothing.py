"""A smoothed error map is a Gaussian's, in millimetres, on the map's own grid."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from T1T2TranslationLib.smoothing import smoothed
from T1T2TranslationLib.volume import Volume

SPACING_MM = (0.9, 1.2, 3.0)
AFFINE = np.diag([-SPACING_MM[0], SPACING_MM[1], SPACING_MM[2], 1.0])


def test_it_is_a_gaussian_in_millimetres_up_to_the_grids_end():
    array = np.zeros((37, 39, 23), np.int16)
    array[10:20, 12:25, 8:14] = 300
    array[0:6, 0:6, 0:4] = 500
    found = smoothed(Volume(array, AFFINE, "Error"), sigma_mm=3.0)
    wanted = scipy.ndimage.gaussian_filter(array.astype(float), 3.0 / np.array(SPACING_MM), mode="nearest")
    assert found.array.dtype == np.float32
    np.testing.assert_allclose(found.array, wanted, atol=8)
    np.testing.assert_array_equal(found.affine, AFFINE)


def test_a_checkerboard_of_the_networks_last_step_is_gone():
    array = np.full((32, 32, 32), 100, np.int16)
    array[::2, ::2] = 140
    inner = smoothed(Volume(array, np.eye(4)), sigma_mm=1.5).array[8:-8, 8:-8, 8:-8]
    assert np.ptp(inner) < 2
    assert abs(inner.mean() - 110) < 1


def test_no_error_stays_none():
    assert not smoothed(Volume(np.zeros((17, 19, 23), np.int16), AFFINE), 3.0).array.any()
