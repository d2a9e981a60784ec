"""The colours of the error maps are those of their names, and clear where there is no error to see."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from T1T2TranslationLib.colors import color_table, overlay_table


@pytest.mark.parametrize("name", ["Inferno", "Viridis", "Berlin"])
def test_a_table_is_matplotlibs_to_a_few_levels(name):
    wanted = matplotlib.colormaps[name.lower()](np.linspace(0, 1, 256), bytes=True)[:, :3]
    assert np.abs(color_table(name).astype(int) - wanted).max() <= 10


def test_grey_runs_from_black_to_white():
    np.testing.assert_array_equal(color_table("Grey"), np.arange(256)[:, None].repeat(3, axis=1))


def test_an_error_map_is_clear_and_black_below_the_threshold_and_in_its_own_colours_above():
    table = overlay_table("Viridis", (0, 400), threshold=200)
    errors = np.linspace(0, 400, 256)
    assert (table[errors < 200] == 0).all()
    assert (table[errors >= 200, 3] == 255).all()
    np.testing.assert_array_equal(table[errors >= 200, :3], color_table("Viridis")[errors >= 200])


def test_a_signed_map_is_clear_around_its_middle_and_strong_at_both_ends():
    table = overlay_table("Berlin", (-400, 400), threshold=100)
    errors = np.linspace(-400, 400, 256)
    assert (table[np.abs(errors) < 100, 3] == 0).all()
    assert (table[np.abs(errors) >= 100, 3] == 255).all()
    assert table[0, 2] > table[0, 0]  # too dark: blue
    assert table[255, 0] > table[255, 2]  # too bright: red


def test_without_a_threshold_only_no_error_is_clear():
    assert np.flatnonzero(overlay_table("Viridis", (0, 400), threshold=0)[:, 3] == 0).tolist() == [0, 1]
    assert np.flatnonzero(overlay_table("Berlin", (-400, 400), threshold=0)[:, 3] == 0).tolist() == [127, 128]
