"""What a reader sees in the slice views: the synthetic image, the error over it where there is error, and a legend.

The pictures are kept where T1T2_PICTURES names a folder.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from Host import slice_view
from T1T2TranslationLib import samples
from T1T2TranslationLib.translation import Translation

CENTRE = slice(90, 110), slice(90, 110)
CORNER = slice(0, 15), slice(0, 15)


@pytest.fixture
def pictures(tmp_path) -> Path:
    return Path(os.environ.get("T1T2_PICTURES") or tmp_path)


@pytest.fixture
def parameters(logic, head):
    """The outputs of a translation whose error is 200 in a ball in the middle and 0 elsewhere."""
    volume = logic.volumes(head)["volume"]
    made = samples.phantom_translation(volume)
    centre = (np.array(volume.shape) - 1) / 2
    radius = np.linalg.norm(np.moveaxis(np.indices(volume.shape), 0, -1) - centre, axis=-1)
    error = made.predicted_error.with_array(np.where(radius < 9, 200, 0).astype(np.int16))
    logic.showTranslation(Translation(made.synthetic, error, (), (), made.provenance), head)
    return logic.getParameterNode()


def picture(parameters, path: Path | None, opacity: float) -> np.ndarray:
    """(200, 200, 3) uint8 of the axial plane."""
    synthetic, error = parameters.syntheticVolume, parameters.predictedErrorVolume
    return slice_view.render_slice_view(path, "Axial", synthetic, error, opacity, size=(200, 200)).astype(int)


def colourfulness(pixels: np.ndarray) -> float:
    return float((pixels.max(axis=-1) - pixels.min(axis=-1)).mean())


def test_error_is_coloured_and_the_rest_is_the_image(parameters, pictures):
    without, over = picture(parameters, None, 0.0), picture(parameters, pictures / "overlay.png", 0.6)
    assert colourfulness(without) == 0
    assert colourfulness(over[CENTRE]) > 60
    np.testing.assert_array_equal(over[CORNER], without[CORNER])  # no error: nothing lies over the image
    np.testing.assert_array_equal(over[100, 40], without[100, 40])


def test_half_of_the_window_has_the_middle_colour_of_inferno(parameters):
    red, green, blue = picture(parameters, None, 1.0)[CENTRE].reshape(-1, 3).mean(axis=0)
    assert abs(red - 188) < 12
    assert abs(green - 55) < 12
    assert abs(blue - 84) < 12


def test_the_legend_appears_with_the_chosen_map(logic, parameters, pictures):
    without = picture(parameters, None, 0.6)
    logic.showResults()
    with_legend = picture(parameters, pictures / "legend.png", 0.6)
    assert (with_legend != without)[:, 140:].any()
    assert not (with_legend != without)[60:, :60].any()
