"""A coarse volume lies where the whole one lies, and is only made where it is worth it."""

from __future__ import annotations

import numpy as np
import pytest
from T1T2TranslationLib.coarsening import coarse
from T1T2TranslationLib.volume import Volume


def a_volume(shape, spacing, axes=(0, 1, 2)) -> Volume:
    """Spacing along the array axes, which run along the world's axes `axes`."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for index, world in enumerate(axes):
        affine[world, index] = spacing[index]
    return Volume(np.arange(np.prod(shape)).reshape(shape) % 997, affine, "T1")


@pytest.mark.parametrize(("axes", "along"), [((0, 1, 2), 2), ((2, 0, 1), 0), ((1, 2, 0), 1)])
def test_every_fourth_plane_across_feet_to_head_is_kept_at_its_place(axes, along):
    volume = a_volume((120, 130, 110), (1, 1, 1), axes)
    small = coarse(volume)
    assert small.shape[along] == -(-volume.shape[along] // 4)
    last = [size - 1 for size in small.shape]
    same = [index * (4 if axis == along else 1) for axis, index in enumerate(last)]
    assert small.array[tuple(last)] == volume.array[tuple(same)]
    np.testing.assert_allclose(small.affine @ (*last, 1), volume.affine @ (*same, 1))


def test_planes_stay_within_five_millimetres():
    assert coarse(a_volume((200, 200, 90), (1, 1, 2.0))).spacing_mm[2] == 4


@pytest.mark.parametrize(
    ("shape", "spacing"), [((60, 60, 60), (1, 1, 1)), ((240, 240, 40), (1, 1, 1)), ((240, 240, 80), (1, 1, 3))]
)
def test_small_short_and_thick_volumes_get_no_preview(shape, spacing):
    assert coarse(a_volume(shape, spacing)) is None
