"""Which voxels a box holds: counted by hand on a straight grid, asked of every voxel alone on an oblique one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from phantom import rotation
from T1T2TranslationLib.box import inside_box


def test_a_box_along_the_grid_holds_the_voxels_up_to_and_on_its_faces():
    from_index = np.diag([2.0, 1.0, 0.5, 1.0])  # voxels of 2 x 1 x 0.5 mm
    from_index[:3, 3] = (-8, -3, -2)  # the middle of the box is voxel (4, 3, 4)
    wanted = np.zeros((9, 7, 11), np.uint8)
    wanted[3:6, 1:6, 3:6] = 1  # 4 mm: 2 mm to either side; 4.8 mm: 2; 1.4 mm: 0.7, one voxel of 0.5
    np.testing.assert_array_equal(inside_box((9, 7, 11), from_index, (4.0, 4.8, 1.4)), wanted)


@pytest.mark.parametrize("degrees", [0, 33, 180])
def test_a_turned_box_holds_what_it_holds_of_every_voxel_asked_alone(degrees):
    shape, from_index = (17, 19, 23), np.eye(4)
    from_index[:3, :3] = rotation(degrees) * (0.9, 0.9, 3.0)
    from_index[:3, 3] = from_index[:3, :3] @ (-8, -7, -11)
    size = np.array([6.1, 9.1, 31.0])
    found = inside_box(shape, from_index, size)
    for index in itertools.product(*map(range, shape)):
        place = from_index[:3, :3] @ index + from_index[:3, 3]
        assert found[index] == all(abs(place) <= size / 2), index
    assert 0 < found.sum() < found.size
