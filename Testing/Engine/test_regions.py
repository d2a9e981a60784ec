"""Where scores are taken: the brain of stripped images and whole heads, tumour, ring and CSF."""

import numpy as np
import pytest
from phantom import SEMIAXES_MM, head_affine, head_array
from T1T2TranslationLib.regions import brain_region, is_skull_stripped, regions
from T1T2TranslationLib.volume import Volume

SHAPE = (17, 19, 23)


def stripped_volume(background=0):
    """A block of brain with a dark hole inside and a narrow cleft, on a constant background."""
    array = np.full(SHAPE, background, dtype=np.int16)
    array[4:13, 4:15, 4:19] = 500
    array[8, 9, 10] = background  # a hole
    array[8, 4:7, 8:12] = background  # a cleft one voxel wide
    return Volume(array, np.eye(4), "stripped")


@pytest.mark.parametrize("background", [0, -1000, 7])
def test_the_brain_is_the_foreground_closed_and_filled(background):
    _name, brain = brain_region(stripped_volume(background))
    assert brain[8, 9, 10]
    assert brain[8, 6, 10]
    assert not brain[2, 9, 10]
    assert brain.sum() == pytest.approx(9 * 11 * 15, rel=0.03)


def test_a_brain_at_the_grids_border_is_not_worn_away():
    array = np.zeros(SHAPE, dtype=np.int16)
    array[:, :, :9] = 300
    assert brain_region(Volume(array, np.eye(4)))[1][:, :, :9].all()


def test_a_given_mask_is_taken_as_it_is():
    volume = stripped_volume()
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[5:8, 5:8, 5:8] = 3
    name, brain = brain_region(volume, volume.with_array(mask))
    assert name == "brain"
    np.testing.assert_array_equal(brain, mask > 0)


@pytest.mark.parametrize("stripped", [True, False])
def test_a_head_is_told_from_a_brain(stripped):
    shape = (47, 55, 47)
    affine = head_affine(shape, (4.0, 4.0, 4.0))
    array = head_array(shape, affine, semiaxes_mm=4 * SEMIAXES_MM, stripped=stripped)
    head = Volume(array.astype(np.int16), affine)
    assert is_skull_stripped(head) == stripped
    name, region = brain_region(head)
    assert name == ("brain" if stripped else "inner head")
    place = (np.argwhere(region) @ affine[:3, :3].T + affine[:3, 3]) / (4 * SEMIAXES_MM)
    assert np.linalg.norm(place, axis=1).max() < 0.92  # the scalp begins at 0.90, a voxel is 0.05
    assert place[:, 2].max() > 0.6


def test_the_ring_reaches_ten_millimetres_whatever_the_spacing():
    brain = np.ones((31, 9, 15), dtype=bool)
    labels = np.zeros(brain.shape, dtype=np.uint8)
    labels[15, 4, 7] = 4
    noise = np.random.default_rng(0).random(brain.shape)
    found = regions(brain, noise, noise, (1.0, 1.0, 4.0), labels)
    along = found["ring"][:, 4, 7]
    assert np.flatnonzero(along).tolist() == [*range(5, 15), *range(16, 26)]
    assert np.flatnonzero(found["ring"][15, 4]).tolist() == [5, 6, 8, 9]  # 4 and 8 mm away


def test_a_label_over_half_the_brain_is_no_tumour():
    brain = np.ones(SHAPE, dtype=bool)
    labels = np.full(SHAPE, 4, dtype=np.uint8)
    labels[5:8, 5:8, 5:8] = 2
    noise = np.random.default_rng(0).random(SHAPE)
    assert regions(brain, noise, noise, (1, 1, 1), labels)["tumour"].sum() == 27


def test_csf_is_bright_in_t2_and_dark_in_t1_and_no_tumour():
    kind = np.random.default_rng(1).integers(0, 4, SHAPE)  # grey, white, CSF, oedema
    t1, t2 = np.array([0.6, 1.0, 0.1, 0.6])[kind], np.array([0.45, 0.25, 0.95, 0.9])[kind]
    brain = np.ones(SHAPE, dtype=bool)
    lesion = np.zeros(SHAPE, dtype=np.uint8)
    lesion[4:8] = 1
    found = regions(brain, t2, t1, (1, 1, 1), lesion)
    np.testing.assert_array_equal(found["CSF"], (kind == 2) & (lesion == 0))


@pytest.mark.parametrize("other", ["T1", "FLAIR"])
def test_csf_is_found_in_either_direction_and_not_without_a_t2(other):
    kind = np.random.default_rng(1).integers(0, 3, SHAPE)  # grey, white, CSF
    dark, bright = np.array([0.6, 1.0, 0.1])[kind], np.array([0.45, 0.25, 0.95])[kind]
    brain = np.ones(SHAPE, dtype=bool)
    for sequences, images in (((other, "T2"), (dark, bright)), (("T2", other), (bright, dark))):
        found = regions(brain, images[1], images[0], (1, 1, 1), sequences=sequences)
        np.testing.assert_array_equal(found["CSF"], kind == 2)
    assert "CSF" not in regions(brain, dark, dark, (1, 1, 1), sequences=("T1", "FLAIR"))


def test_regions_without_voxels_are_left_out():
    brain = np.ones(SHAPE, dtype=bool)
    flat = np.full(SHAPE, 0.3)
    assert list(regions(brain, flat, flat, (1, 1, 1), np.zeros(SHAPE), brain_name="inner head")) == ["inner head"]
