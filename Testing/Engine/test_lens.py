"""The trust lens gives way to the scan where the error is high, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from T1T2TranslationLib.lens import RAMP, Lens

SYNTHETIC = np.array([[[100, 200, 300, 400]]], np.int16)
ERROR = np.array([[[0, 100, 125, 400]]], np.int16)
SCAN = np.array([[[7, 30, 50, 90]]], np.float32)  # in a window from 10 to 110: shares 0, 0.2, 0.4, 0.8


@pytest.fixture
def lens() -> Lens:
    return Lens(SYNTHETIC, ERROR, SCAN, source_window=(10, 110), synthetic_window=(0, 1000))


def test_the_scan_comes_in_over_a_ramp_above_the_threshold(lens):
    image = SYNTHETIC.copy()
    lens.write(image, threshold=100, strength=1.0)
    assert RAMP == 50
    # No error: untouched. At the threshold: nothing yet. Half the ramp: half of 300 and 400. Above it: the scan's 800.
    assert image.ravel().tolist() == [100, 200, 350, 800]


def test_the_strength_is_the_scans_share(lens):
    image = SYNTHETIC.copy()
    lens.write(image, threshold=50, strength=0.25)
    assert image.ravel().tolist() == [100, 200, 325, 500]


def test_later_settings_leave_no_trace_of_earlier_ones(lens):
    image = SYNTHETIC.copy()
    lens.write(image, threshold=0, strength=1.0)
    lens.write(image, threshold=390, strength=0.0)
    np.testing.assert_array_equal(image, SYNTHETIC)


def test_images_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="differ"):
        Lens(SYNTHETIC, ERROR[..., :3], SCAN, (0, 1), (0, 1))
