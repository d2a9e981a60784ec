"""The trust lens gives way to the scan where the error is high, in another tint and without an edge, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from T1T2TranslationLib.lens import RAMP, Lens

SYNTHETIC = np.array([[[0, 200, 400, 1000]]], np.int16)
ERROR = np.array([[[0, 100, 150, 400]]], np.float32)
SCAN = np.array([[[7, 30, 10, 110]]], np.float32)  # in a window from 10 to 110: shares 0, 0.2, 0, 1


@pytest.fixture
def lens() -> Lens:
    return Lens(SYNTHETIC, ERROR, SCAN, source_window=(10, 110), synthetic_window=(0, 1000))


@pytest.fixture
def picture() -> np.ndarray:
    return np.zeros((1, 1, 4, 3), np.uint8)


def test_the_scan_comes_in_over_a_ramp_above_the_threshold_and_is_blue(lens, picture):
    lens.write(picture, threshold=100, strength=1.0)
    assert RAMP == 100
    # No error, and an error at the threshold: the synthetic image, grey. Half the ramp: half of 102 and of the tint's black.
    # Above it: the tint's white.
    assert picture[0, 0].tolist() == [[0, 0, 0], [51, 51, 51], [64, 76, 104], [205, 250, 255]]


def test_the_ramp_begins_and_ends_without_a_kink():
    error = np.linspace(0, 300, 61, dtype=np.float32).reshape(1, 1, -1)
    white = np.full(error.shape, 1000, np.int16)
    picture = np.zeros((*error.shape, 3), np.uint8)
    Lens(white, error, white, (2000, 3000), (0, 1000)).write(picture, threshold=100, strength=1.0)
    red = picture[0, 0, :, 0].astype(int)
    assert red[error.ravel() <= 100].min() == 255
    assert red[error.ravel() >= 200].max() == 25  # the scan's black
    steps = -np.diff(red)
    assert steps.max() < 2 * steps[19:41].mean()
    assert steps[20] < steps.max() / 4
    assert steps[39] < steps.max() / 4


def test_the_strength_is_the_scans_share(lens, picture):
    lens.write(picture, threshold=50, strength=0.5)
    assert picture[0, 0, 3].tolist() == [230, 252, 255]  # half of 255 and of the tint's white


def test_later_settings_leave_no_trace_of_earlier_ones(lens, picture):
    lens.write(picture, threshold=0, strength=1.0)
    lens.write(picture, threshold=390, strength=0.0)
    assert picture[0, 0, :, 0].tolist() == picture[0, 0, :, 2].tolist() == [0, 51, 102, 255]


def test_images_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="differ"):
        Lens(SYNTHETIC, ERROR[..., :3], SCAN, (0, 1), (0, 1))
