"""The head is found, its brightness read, however the image is stored and scaled."""

from __future__ import annotations

import numpy as np
import pytest
from phantom import SEMIAXES_MM, a_head_volume, array_as_before, stored_otherwise
from T1T2TranslationLib.errors import UnsuitableVolume
from T1T2TranslationLib.head import find_head
from T1T2TranslationLib.volume import Volume


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.9, 0.9, 3.0), (1.9, 0.7, 1.3)])
def test_the_box_holds_the_head_and_little_more(spacing_mm):
    shape = tuple(int(70 / spacing) for spacing in spacing_mm)
    volume = a_head_volume(shape, spacing_mm)
    head = find_head(volume)
    tissue = np.argwhere(volume.array > 0)
    for part, low, high, spacing in zip(head.box, tissue.min(0), tissue.max(0), spacing_mm, strict=True):
        assert part.start <= low
        assert high < part.stop
        assert (low - part.start) * spacing <= 8
        assert (part.stop - high) * spacing <= 9
    assert np.all(head.size_mm >= 2 * SEMIAXES_MM)


def test_the_level_is_that_of_white_matter_and_air_is_air(a_head):
    head = find_head(a_head)
    assert head.level == pytest.approx(1000, rel=0.03)
    assert head.air == 0


def test_a_stripped_brain_has_the_level_of_the_whole_head(a_head):
    assert find_head(a_head_volume(stripped=True)).level == pytest.approx(find_head(a_head).level, rel=0.03)


@pytest.mark.parametrize("factor", [1e-6, 0.1, 7.3, 1e6])
def test_level_and_air_follow_the_scale_of_the_intensities(a_head, factor):
    scaled = a_head.with_array(a_head.array * factor + 5 * factor)
    assert find_head(scaled).level == pytest.approx((find_head(a_head).level + 5) * factor, rel=1e-3)
    assert find_head(scaled).air == pytest.approx(5 * factor)


@pytest.mark.parametrize(("order", "flips"), [((2, 0, 1), (True, False, True)), ((0, 1, 2), (True, True, False))])
def test_how_a_file_stores_its_axes_changes_nothing(an_oblique_head, order, flips):
    stored = stored_otherwise(an_oblique_head, order, flips)
    head, other = find_head(an_oblique_head), find_head(stored)
    np.testing.assert_array_equal(head.inner, other.inner)
    inside = np.zeros(stored.shape, bool)
    inside[other.box] = True
    boxed = np.argwhere(array_as_before(inside, order, flips))
    assert [(part.start, part.stop - 1) for part in head.box] == list(zip(boxed.min(0), boxed.max(0), strict=True))


def test_a_mask_replaces_the_search_and_a_small_one_is_not_lost(a_head):
    mask = np.zeros(a_head.shape, bool)
    mask[21, 26, 27] = True
    head = find_head(a_head, mask)
    assert all(part.start <= place < part.stop for part, place in zip(head.box, (21, 26, 27), strict=True))
    assert max(part.stop - part.start for part in head.box) <= 16


@pytest.mark.parametrize("value", [0, 1, -1000])
def test_a_constant_volume_is_refused_as_empty(value):
    with pytest.raises(UnsuitableVolume, match=f"'flat' is empty.*\\({value}\\)"):
        find_head(Volume(np.full((20, 20, 20), value, np.int16), np.eye(4), "flat"))


def test_a_single_voxel_is_refused():
    with pytest.raises(UnsuitableVolume, match="is empty"):
        find_head(Volume(np.ones((1, 1, 1)), np.eye(4), "dot"))


def test_an_empty_mask_and_a_mask_of_air_are_refused(a_head):
    mask = np.zeros(a_head.shape, bool)
    with pytest.raises(UnsuitableVolume, match="mask of 'a T1 head' is empty"):
        find_head(a_head, mask)
    mask[:4, :4, :4] = True
    with pytest.raises(UnsuitableVolume, match="mask of 'a T1 head' lies beside the head"):
        find_head(a_head, mask)


def test_a_head_of_impossible_size_is_refused_before_it_fills_the_memory(a_head):
    metres_for_millimetres = Volume(a_head.array, np.diag([40.0, 40, 40, 1]), "scout")
    with pytest.raises(UnsuitableVolume, match=r"1680 mm long; at most 1000 mm.*voxel size"):
        find_head(metres_for_millimetres)


def test_noise_and_two_valued_images_give_a_head_or_a_refusal_but_no_crash():
    random = np.random.default_rng(1)
    for _ in range(40):
        shape = random.integers(1, 14, 3)
        array = (random.random(shape) < random.random()) * random.integers(1, 100)
        try:
            head = find_head(Volume(array, np.eye(4)))
        except UnsuitableVolume:
            continue
        assert head.level > head.air
        assert head.inner.size > 0
