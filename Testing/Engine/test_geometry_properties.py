"""For any orientation, spacing, tilt, odd size and number type the result lies on the input's own voxels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from phantom import array_as_before, head_affine, head_array, stored_otherwise
from T1T2TranslationLib.head import find_head
from T1T2TranslationLib.inference import translate
from T1T2TranslationLib.translation import UNIT
from T1T2TranslationLib.volume import Volume

ORIENTATIONS = st.tuples(st.permutations(range(3)).map(tuple), st.tuples(*[st.booleans()] * 3))
SPACINGS = st.tuples(*[st.floats(0.5, 6.0, width=16)] * 3)
DTYPES = st.sampled_from(["int8", "uint8", "int16", "uint16", "int32", "int64", "float16", "float32", "float64", ">i2", ">f4"])
ODD_SIZES = st.tuples(*[st.integers(8, 14).map(lambda half: 2 * half + 1)] * 3)
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def a_scan(shape, spacing_mm, degrees, dtype="float32") -> Volume:
    """The phantom, grown or shrunk to fill three quarters of the grid."""
    affine = head_affine(shape, spacing_mm, degrees)
    array = head_array(shape, affine, semiaxes_mm=0.75 * np.abs(affine[:3, :3]) @ np.array(shape) / 2)
    return Volume((array * (0.1 if dtype.endswith("int8") else 1)).astype(dtype), affine, "scan")


def two_hills(shape, spacing_mm, degrees) -> Volume:
    """A large and a small hill aside of it, without an edge: what linear interpolation can carry."""
    i, j, k = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    array = 1000 * np.exp(-6 * (i**2 + j**2 + k**2)) + 600 * np.exp(-12 * ((i - 0.5) ** 2 + (j + 0.4) ** 2 + (k - 0.3) ** 2))
    return Volume(array.astype(np.float32), head_affine(shape, spacing_mm, degrees), "hills")


@QUICK
@given(ODD_SIZES, SPACINGS, st.floats(0, 45), DTYPES, ORIENTATIONS)
@example((17, 19, 23), (0.9, 0.9, 3.0), 45.0, "int16", ((2, 0, 1), (True, False, True)))
@example((17, 17, 17), (6.0, 6.0, 6.0), 0.0, "uint8", ((0, 2, 1), (False, False, True)))
def test_the_result_has_the_grid_of_the_input_bit_for_bit(the_model, shape, spacing_mm, degrees, dtype, orientation):
    volume = stored_otherwise(a_scan(shape, spacing_mm, degrees, dtype), *orientation)
    result = translate(volume, the_model, device="cpu", accept_any_input=True)
    for image in (result.synthetic, result.predicted_error):
        assert image.shape == volume.shape
        assert image.affine.tobytes() == volume.affine.tobytes()
        assert image.array.dtype == np.int16


@QUICK
@given(ODD_SIZES, SPACINGS, st.floats(0, 44), ORIENTATIONS)  # at 45 degrees two axes are equally near, and either may win
@example((17, 19, 23), (0.9, 0.9, 3.0), 17.0, ((1, 2, 0), (True, True, True)))
def test_how_the_axes_are_stored_changes_no_voxel(the_model, in_float32, shape, spacing_mm, degrees, orientation):
    volume = a_scan(shape, spacing_mm, degrees)
    result = translate(volume, the_model, device="cpu", accept_any_input=True)
    stored = translate(stored_otherwise(volume, *orientation), the_model, device="cpu", accept_any_input=True)
    for image, other in ((result.synthetic, stored.synthetic), (result.predicted_error, stored.predicted_error)):
        np.testing.assert_array_equal(array_as_before(other.array, *orientation), image.array)


def identity_of(volume: Volume) -> np.ndarray:
    """What an identity should give: white matter 1000, air 0, as int16 is rounded; 0 outside the box."""
    head = find_head(volume)
    result = np.zeros(volume.shape, int)
    scaled = (volume.array[head.box].astype(np.float32) - head.air) * np.float32(1 / (head.level - head.air))
    result[head.box] = np.rint(np.clip(scaled, 0, 4) * np.float32(UNIT))
    return result


@QUICK
@given(ODD_SIZES, st.tuples(*[st.floats(0.75, 1.25, width=16)] * 3), st.floats(0, 20), ORIENTATIONS)
def test_where_nothing_is_resampled_every_voxel_comes_back_to_its_place(
    an_identity_model, in_float32, shape, spacing_mm, degrees, orientation
):
    volume = stored_otherwise(a_scan(shape, spacing_mm, degrees), *orientation)
    result = translate(volume, an_identity_model, device="cpu", accept_any_input=True).synthetic.array
    np.testing.assert_array_equal(result, identity_of(volume))


@QUICK
@given(ODD_SIZES, SPACINGS, st.floats(0, 44), ORIENTATIONS)
@example((17, 17, 17), (0.5, 0.5, 0.5), 0.0, ((0, 1, 2), (False, False, False)))
def test_where_the_grid_is_resampled_the_content_lands_where_it_came_from(
    an_identity_model, in_float32, shape, spacing_mm, degrees, orientation
):
    volume = stored_otherwise(two_hills(shape, spacing_mm, degrees), *orientation)
    result = translate(volume, an_identity_model, device="cpu", accept_any_input=True).synthetic.array
    expected = identity_of(volume)
    assert np.corrcoef(result.ravel(), expected.ravel())[0, 1] > 0.985
    assert np.abs((centre_of(result) - centre_of(expected)) * volume.spacing_mm).max() < 0.25  # mm


def centre_of(image: np.ndarray) -> np.ndarray:
    """(3,) centre of mass in voxels."""
    sums = (image.sum(axis=tuple({0, 1, 2} - {axis})) for axis in range(3))
    return np.array([np.average(np.arange(len(weights)), weights=weights) for weights in sums])


@pytest.mark.parametrize(
    ("order", "flips"),
    list(itertools.product(itertools.permutations(range(3)), itertools.product((False, True), repeat=3))),
)
def test_each_of_the_48_orientations_comes_back_on_a_mixed_grid(an_identity_model, in_float32, order, flips):
    volume = a_scan((17, 19, 23), (0.9, 0.9, 3.0), 12)
    stored = stored_otherwise(volume, order, flips)
    result = translate(stored, an_identity_model, device="cpu", accept_any_input=True).synthetic.array
    np.testing.assert_array_equal(array_as_before(result, order, flips), identity_of(volume))
