"""A real image of the same patient: aligned by hand-made motions, refused where it is nobody's, subtracted voxel by voxel."""

import numpy as np
import pytest
import SimpleITK as sitk
from phantom import SEMIAXES_MM, head_affine, head_array, rotation
from T1T2TranslationLib.errors import Cancelled, UnsuitableVolume
from T1T2TranslationLib.io import read_volume
from T1T2TranslationLib.reference import compare, register
from T1T2TranslationLib.volume import Volume

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0])


def moved(volume: Volume, degrees: float, shift_mm) -> tuple[Volume, np.ndarray]:
    """The volume as if the patient had moved, and the motion (4, 4), RAS mm."""
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = rotation(degrees), shift_mm
    return Volume(volume.array, motion @ volume.affine, volume.name), motion


def worst_distance_mm(transform: sitk.Transform, motion: np.ndarray, radius_mm: float = 20.0) -> float:
    """Largest distance between where the transform and the motion take points of a head of this radius."""
    distances = []
    for point in radius_mm * np.vstack([np.eye(3), -np.eye(3)]):
        expected = motion[:3, :3] @ point + motion[:3, 3]
        found = LPS_FROM_RAS @ transform.TransformPoint((LPS_FROM_RAS @ point).tolist())
        distances.append(np.linalg.norm(found - expected))
    return max(distances)


def big_head(contrast="T1", stripped=False) -> Volume:
    """A head of 2.6 litres on 4 mm voxels."""
    affine = head_affine((47, 55, 47), (4.0, 4.0, 4.0))
    array = head_array((47, 55, 47), affine, contrast, semiaxes_mm=4 * SEMIAXES_MM, stripped=stripped)
    return Volume(array.astype(np.int16), affine, f"a big {contrast} head")


def uneven_head(shape, spacing_mm, degrees, contrast) -> Volume:
    """A head whose three axes differ, so that every rotation shows."""
    affine = head_affine(shape, spacing_mm, degrees)
    array = head_array(shape, affine, contrast, semiaxes_mm=np.array([17.0, 25.0, 20.0]))
    return Volume(array.astype(np.float32), affine, f"an uneven {contrast} head")


@pytest.fixture
def a_synthetic_head(a_t2_head):
    """As translated: the T2, twice as bright as the unit says, on the grid of `a_head`."""
    return a_t2_head.with_array((2 * a_t2_head.array).astype(np.int16), "synthetic")


def test_on_the_same_grid_nothing_is_registered_and_errors_are_differences(a_head, a_t2_head):
    brain = a_head.with_array((a_head.array > 0).astype(np.uint8))
    comparison = compare(a_t2_head, a_t2_head, a_head, brain)
    assert not comparison.registered
    inside = a_head.array > 0
    reference = comparison.reference.array
    assert np.percentile(reference[inside], 99.5) == pytest.approx(1000, abs=2)
    difference = a_t2_head.array.astype(int) - reference
    np.testing.assert_array_equal(comparison.signed_error.array[inside], difference[inside])
    np.testing.assert_array_equal(comparison.absolute_error.array, np.abs(comparison.signed_error.array))
    assert not comparison.absolute_error.array[~inside].any()
    assert comparison.absolute_error.array.dtype == np.int16
    assert comparison.metrics["brain"]["MAE"] == pytest.approx(np.abs(difference[inside]).mean() / 1000, abs=2e-3)


def test_another_head_on_the_same_grid_is_compared_with_a_doubt(a_head, a_t2_head):
    assert compare(a_t2_head, a_t2_head, a_head).warnings == ()
    turned = a_t2_head.with_array(np.ascontiguousarray(a_t2_head.array[:, ::-1, ::-1]), "somebody else")
    shifted = turned.with_array(np.roll(turned.array, (5, 6), (0, 1)), "somebody else")
    (warning,) = compare(a_t2_head, shifted, a_head).warnings
    assert "'somebody else' seems to show another head" in warning


def test_the_reference_keeps_its_own_scale_not_the_synthetic_ones(a_head, a_t2_head, a_synthetic_head):
    plain = compare(a_t2_head, a_t2_head, a_head).metrics["brain"]
    brighter = compare(a_synthetic_head, a_t2_head, a_head).metrics["brain"]
    assert brighter["MAE"] > 4 * plain["MAE"]
    assert brighter["fitted MAE"] == pytest.approx(plain["fitted MAE"], abs=1e-3)


@pytest.mark.parametrize(("degrees", "shift_mm"), [(0, (0, 0, 0)), (9, (3, -2, 4)), (-6, (60, 10, -80))])
def test_a_patient_who_moved_is_brought_back_within_a_millimetre(degrees, shift_mm):
    t1 = uneven_head((45, 57, 43), (1.0, 1.0, 1.0), 0, "T1")
    reference, motion = moved(uneven_head((53, 57, 23), (0.9, 0.9, 2.5), 11, "T2"), degrees, shift_mm)
    assert worst_distance_mm(register(reference, t1), motion) < 1.0


def test_the_same_images_give_the_same_transform(a_head, a_t2_head):
    reference, _ = moved(a_t2_head, 5, (2, 1, -3))
    first, second = register(reference, a_head), register(reference, a_head)
    assert first.GetParameters() == second.GetParameters()


def test_a_registered_reference_lies_on_the_inputs_grid(a_head, a_t2_head):
    reference, _ = moved(a_t2_head, 5, (2, 1, -3))
    comparison = compare(a_t2_head, reference, a_head)
    assert comparison.registered
    assert comparison.reference.has_grid_of(a_head)
    unregistered = compare(a_t2_head, a_t2_head.with_array(reference.array), a_head)
    assert comparison.metrics["brain"]["MAE"] == pytest.approx(unregistered.metrics["brain"]["MAE"], abs=0.03)


def test_noise_is_refused_with_the_information_measured(a_head, a_t2_head):
    noise = np.random.default_rng(0).integers(0, 1000, (53, 57, 43)).astype(np.int16)
    reference = Volume(noise, head_affine(noise.shape), "noise")
    with pytest.raises(UnsuitableVolume, match=r"'noise' could not be aligned .* 0\.0\d\d nats"):
        compare(a_t2_head, reference, a_head)


def test_a_reference_that_shows_a_slab_of_the_brain_is_refused(a_head, a_t2_head):
    slab = Volume(a_t2_head.array[:, :, 18:26], a_t2_head.affine @ _shift(0, 0, 18), "slab")
    with pytest.raises(UnsuitableVolume, match=r"covers \d+ ?% of the brain|could not be aligned"):
        compare(a_t2_head, slab, a_head)


def test_outside_the_references_view_there_is_no_error(a_head, a_t2_head):
    upper = Volume(a_t2_head.array[:, :, 12:], a_t2_head.affine @ _shift(0, 0, 12), "upper")
    comparison = compare(a_t2_head, upper, a_head)
    assert not comparison.absolute_error.array[:, :, :10].any()
    assert comparison.absolute_error.array[:, :, 14:].any()


def test_an_empty_reference_is_refused(a_head, a_t2_head):
    with pytest.raises(UnsuitableVolume, match="shows no brain"):
        compare(a_t2_head, a_t2_head.with_array(np.zeros_like(a_t2_head.array)), a_head)


def test_a_whole_head_without_a_mask_is_scored_over_its_inner_head():
    metrics = compare(big_head("T2"), big_head("T2"), big_head()).metrics
    assert next(iter(metrics)) == "inner head"
    assert "brain" not in metrics


def test_a_stripped_reference_tells_where_the_brain_is():
    assert "brain" in compare(big_head("T2"), big_head("T2", stripped=True), big_head()).metrics


def test_cancelling_stops_the_registration(a_head, a_t2_head):
    reference, _ = moved(a_t2_head, 5, (2, 1, -3))
    heard = []

    def progress(fraction, message):
        heard.append(fraction)
        if fraction > 0.1:
            raise Cancelled

    with pytest.raises(Cancelled):
        compare(a_t2_head, reference, a_head, progress=progress)
    assert len(heard) > 1
    assert heard == sorted(heard)


def _shift(*voxels):
    step = np.eye(4)
    step[:3, 3] = voxels
    return step


@pytest.mark.data
@pytest.mark.slow
def test_a_routine_scan_comes_back_from_a_known_motion(shared_data):
    folder = shared_data / "head" / "MSHEAD-04-1"
    t1, t2 = (read_volume(folder / f"MSHEAD-04-1-{name}.nii.gz") for name in ("t1n", "t2w"))
    still = register(t2, t1)
    reference, motion = moved(t2, 6, (8, -5, 4))
    found = register(reference, t1)
    for point in 60 * np.vstack([np.eye(3), -np.eye(3)]):
        before = LPS_FROM_RAS @ still.TransformPoint((LPS_FROM_RAS @ point).tolist())
        expected = motion[:3, :3] @ before + motion[:3, 3]
        assert np.linalg.norm(LPS_FROM_RAS @ found.TransformPoint((LPS_FROM_RAS @ point).tolist()) - expected) < 1.0
