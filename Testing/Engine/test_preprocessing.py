"""A volume becomes planes and comes back on its own voxels."""

from __future__ import annotations

import numpy as np
import pytest
from phantom import a_head_volume
from T1T2TranslationLib.head import find_head
from T1T2TranslationLib.preprocessing import Planes, Preprocessing, interpolation_matrix, sampling_matrix
from T1T2TranslationLib.volume import Volume

WHOLE = Preprocessing()


def whole_grid(volume: Volume):
    size = volume.shape
    return WHOLE.grid(volume, (slice(0, size[0]), slice(0, size[1]), slice(0, size[2])))


def test_one_bright_voxel_lands_in_the_plane_where_it_lies():
    array = np.zeros((4, 5, 6), np.int16)
    array[1, 2, 3] = 9
    affine = np.array([[0, -1.0, 0, 0], [0, 0, -1.0, 0], [1.0, 0, 0, 0], [0, 0, 0, 1]])  # i: S, j: L, k: P
    planes = whole_grid(Volume(array, affine)).forward(array)
    assert planes.shape == (4, 6 + 2 * 8, 5 + 2 * 8)  # (S, A, R), continued by 8 voxels where the volume ends
    assert np.argwhere(planes).tolist() == [[1, 8 + 6 - 1 - 3, 8 + 5 - 1 - 2]]


def test_a_plane_is_continued_only_on_the_side_where_the_volume_ends():
    array = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
    grid = WHOLE.grid(Volume(array, np.diag([-1.0, 1, 1, 1])), (slice(0, 3), slice(1, 5), slice(0, 6)))  # i runs to the left
    planes = grid.forward(array)
    assert planes.shape == (6, 4 + 8, 3 + 8)  # anterior, and right, where i begins
    assert (planes[:, :4, 3:] == planes[:, :4, 2:3]).all()
    assert (planes[:, 4:] == planes[:, 3:4]).all()
    back = grid.backward(planes)
    np.testing.assert_array_equal(back[:3, 1:], array[:3, 1:])


@pytest.mark.parametrize("degrees", [0, 30])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_forward_and_backward_give_back_every_voxel_of_the_box_where_nothing_is_resampled(degrees, dtype):
    volume = a_head_volume((53, 57, 19), (0.7, 1.3, 6.0), degrees, dtype)
    head = find_head(volume)
    grid = WHOLE.grid(volume, head.box)
    back = grid.backward(grid.forward(volume.array), dtype)
    np.testing.assert_array_equal(back[head.box], volume.array[head.box])
    outside = np.ones(volume.shape, bool)
    outside[head.box] = False
    assert outside.any()
    assert not back[outside].any()


@pytest.mark.parametrize(
    ("spacing_mm", "error_mm"),
    [((0.5, 0.5, 0.5), 1e-5), ((2.0, 2.0, 2.0), 1e-5), ((0.5, 3.0, 1.0), 1e-5), ((6.0, 1.0, 0.6), 0.06)],
)
def test_forward_and_backward_keep_a_straight_ramp_where_the_grid_is_resampled(spacing_mm, error_mm):
    shape = (13, 17, 15)
    volume = Volume(np.zeros(shape), np.diag([*spacing_mm, 1.0]))
    i, j, k = np.meshgrid(*(np.arange(size) * spacing for size, spacing in zip(shape, spacing_mm, strict=True)), indexing="ij")
    ramp = i + 2 * j + 3 * k  # intensity 1, 2 and 3 per mm
    grid = whole_grid(volume)
    back = grid.backward(grid.forward(ramp))
    middle = (slice(2, -3),) * 3  # at an end the triangle is cut, and what lies beyond the last sample takes its value
    assert np.abs(back - ramp)[middle].max() <= 6 * error_mm
    assert np.abs(back - ramp).max() <= 6 * 0.5


def test_a_fine_grid_is_sampled_with_weights_that_overlap():
    # 5 voxels of 0.5 mm -> 1 mm: triangles of half width 1 mm around 0, 1 and 2 mm.
    expected = np.array([[2, 1, 0, 0, 0], [0, 1, 2, 1, 0], [0, 0, 0, 1, 2]]) / np.array([[3], [4], [3]])
    np.testing.assert_allclose(sampling_matrix(5, 0.5, 1.0), expected, rtol=1e-6)


def test_a_coarse_grid_is_sampled_by_linear_interpolation():
    expected = [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1]]
    np.testing.assert_allclose(sampling_matrix(3, 2.0, 1.0), expected, rtol=1e-6)


def test_interpolation_is_linear_between_voxels_and_constant_beyond_the_ends():
    expected = [[1, 0, 0], [0.75, 0.25, 0], [0, 0, 1], [0, 0, 1]]
    np.testing.assert_allclose(interpolation_matrix(np.array([-1.0, 0.25, 2.0, 2.5]), 3), expected, rtol=1e-6)


def planes_of(slices: list[float], spacing_mm: float) -> Planes:
    volume = Volume(np.broadcast_to(np.array(slices, np.float32), (2, 2, len(slices))), np.diag([1.0, 1, spacing_mm, 1]))
    grid = whole_grid(volume)
    return Planes(grid.forward(volume.array), grid, 5, 1.0)


def test_neighbours_of_thin_slices_are_the_next_planes_and_the_ends_stand_in_for_what_is_beyond():
    context = planes_of([0, 10, 20, 30], 1.0).context(0, 4)
    assert context[:, :, 0, 0].tolist() == [[0, 0, 0, 10, 20], [0, 0, 10, 20, 30], [0, 10, 20, 30, 30], [10, 20, 30, 30, 30]]


def test_neighbours_of_thick_slices_lie_one_millimetre_apart():
    context = planes_of([0, 30, 60, 90], 3.0).context(1, 3)
    np.testing.assert_allclose(context[:, :, 0, 0], [[10, 20, 30, 40, 50], [40, 50, 60, 70, 80]], rtol=1e-5)


def test_a_part_of_the_planes_has_the_same_neighbours_as_the_whole(an_oblique_head):
    planes = WHOLE.prepare(an_oblique_head)
    np.testing.assert_array_equal(planes.context(3, 5), planes.context(0, len(planes))[3:5])


def test_white_matter_is_one_and_air_is_zero_and_the_ceiling_holds(a_head):
    array = a_head.array.astype(np.float32) + 40
    array[22, 26, 40] = 1e9
    values = WHOLE.prepare(a_head.with_array(array)).values
    assert values.dtype == np.float32
    assert values.min() == 0
    assert values.max() == WHOLE.ceiling
    assert np.median(values[values > 0.8]) == pytest.approx(1, abs=0.12)


def test_a_mask_blanks_everything_outside_it(a_head):
    mask = np.zeros(a_head.shape, bool)
    mask[10:30, 10:40, 10:33] = True
    planes = WHOLE.prepare(a_head, mask)
    back = planes.grid.backward(planes.values)
    assert back[mask].any()
    assert not back[~mask].any()


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.9, 0.9, 3.0), (2.0, 2.0, 2.0)])
def test_air_is_outside_but_no_voxel_of_the_head_and_no_hole_in_it(spacing_mm):
    shape = tuple(int(75 / spacing) for spacing in spacing_mm)
    volume = a_head_volume(shape, spacing_mm, stripped=True)
    hole = volume.array.copy()
    middle = tuple(slice(size // 2 - 1, size // 2 + 2) for size in shape)
    hole[middle] = 0
    planes = WHOLE.prepare(volume.with_array(hole))
    outside = planes.grid.backward(planes.outside().astype(np.float32)) > 0.5
    assert outside.mean() > 0.05
    assert not outside[volume.array > 100].any()
    assert not outside[middle].any()


@pytest.mark.parametrize(
    "arguments",
    [
        {"context_planes": 4},
        {"context_planes": -1},
        {"step_mm": 0.0},
        {"native_range_mm": (1.3, 0.7)},
        {"native_range_mm": (0.0, 1.3)},
        {"ceiling": 0.0},
        {"ceiling": float("nan")},
    ],
)
def test_numbers_that_make_no_sense_are_refused(arguments):
    with pytest.raises(ValueError, match=r"needed|make no sense"):
        Preprocessing(**arguments)


def test_it_is_rebuilt_from_its_json():
    import json

    other = Preprocessing(context_planes=3, native_range_mm=(0.5, 2.0))
    assert Preprocessing(**json.loads(json.dumps(other.as_arguments()))) == other
