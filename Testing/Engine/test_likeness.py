"""Likeness: edges agree in place for one head in two contrasts, and by chance for two heads or a head out of place."""

from __future__ import annotations

import numpy as np
import pytest
from phantom import a_head_volume
from T1T2TranslationLib.likeness import LEAST_LIKENESS, likeness
from T1T2TranslationLib.metrics import gaussian_blur

OBLIQUE = {"shape": (53, 57, 19), "spacing_mm": (0.9, 0.9, 3.0), "degrees": 17}


def test_two_contrasts_of_one_head_are_alike_on_an_oblique_grid():
    t1, t2 = (a_head_volume(**OBLIQUE, contrast=contrast) for contrast in ("T1", "T2"))
    assert likeness(t1.array, t2.array, t1.array > 0, t1.spacing_mm) > 1.2 * LEAST_LIKENESS


def test_the_unit_of_an_image_does_not_matter():
    t1, t2 = (a_head_volume(contrast=contrast).array.astype(np.float32) for contrast in ("T1", "T2"))
    expected = likeness(t1, t2, t1 > 0, (1, 1, 1))
    assert likeness(t1 / 700, 3 * t2 + 40, t1 > 0, (1, 1, 1)) == pytest.approx(expected, rel=1e-4)
    assert likeness(t1, 5000 - t2, t1 > 0, (1, 1, 1)) == pytest.approx(expected, rel=1e-4)


def folds_of_a_brain(seed: int) -> np.ndarray:
    """(43, 45, 41) a pattern of sulci some 8 mm apart."""
    noise = np.random.default_rng(seed).normal(0, 1, (43, 45, 41)).astype(np.float32)
    return gaussian_blur(noise, 3.0)


@pytest.mark.parametrize("shift", [(6, 0, 0), (0, 0, 5), (4, -4, 2)])
def test_a_head_out_of_place_is_not_alike(shift):
    brain, t1 = np.ones((43, 45, 41), bool), folds_of_a_brain(1)
    assert likeness(t1, np.roll(1 - t1, shift, (0, 1, 2)), brain, (1, 1, 1)) < 0.8 * LEAST_LIKENESS


def test_the_same_folds_are_alike_in_reversed_contrast_and_those_of_another_brain_are_not():
    brain = np.ones((43, 45, 41), bool)
    t1 = folds_of_a_brain(1)
    assert likeness(t1, 1 - 2 * np.tanh(5 * t1), brain, (1, 1, 1)) > 1.5 * LEAST_LIKENESS
    assert likeness(t1, 1 - 2 * np.tanh(5 * folds_of_a_brain(2)), brain, (1, 1, 1)) < 0.8 * LEAST_LIKENESS


def test_noise_and_nothing_are_like_nothing():
    t1 = a_head_volume().array
    noise = np.random.default_rng(1).normal(300, 50, t1.shape)
    assert likeness(t1, noise, t1 > 0, (1, 1, 1)) == pytest.approx(1, abs=0.15)
    assert likeness(t1, np.zeros_like(t1), t1 > 0, (1, 1, 1)) == 0
