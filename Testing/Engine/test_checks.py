"""The input checks: what is translated, what is marked, what is refused, and on real scans."""

from __future__ import annotations

import json

import numpy as np
import pytest
from phantom import a_head_volume, head_affine, head_array
from T1T2TranslationLib.checks import check_input, refuse_if_red
from T1T2TranslationLib.errors import UnsuitableVolume
from T1T2TranslationLib.head import find_head
from T1T2TranslationLib.translation import Check
from T1T2TranslationLib.volume import Volume


def levels(volume: Volume, source: str = "T1") -> dict[str, str]:
    return {check.name: check.level for check in check_input(volume, find_head(volume), source)}


def test_a_t1_of_a_whole_adult_head_is_green_in_everything():
    shape, spacing = (45, 53, 43), (4.0, 4.0, 4.0)
    affine = head_affine(shape, spacing, degrees=12)
    volume = Volume(head_array(shape, affine, semiaxes_mm=np.array([75.0, 95.0, 80.0])).astype(np.int16), affine)
    assert set(levels(volume).values()) == {"green"}
    assert list(levels(volume)) == ["slices", "voxel size", "coverage", "tilt", "modality", "kind", "contrast"]


def test_a_small_head_is_marked_because_a_part_may_be_missing(a_head):
    assert levels(a_head)["coverage"] == "amber"


@pytest.mark.parametrize(("slices", "level"), [(15, "red"), (16, "green")])
def test_at_least_sixteen_slices_are_needed_along_every_axis(slices, level):
    assert levels(a_head_volume((45, slices, 43), (1.0, 3.0, 1.0)))["slices"] == level


@pytest.mark.parametrize(("spacing_mm", "level"), [(0.35, "amber"), (0.5, "green"), (6.0, "green"), (7.0, "amber")])
def test_voxels_of_unusual_size_are_marked(spacing_mm, level):
    assert levels(a_head_volume((45, 53, 17), (1.0, 1.0, spacing_mm)))["voxel size"] == level


@pytest.mark.parametrize(("degrees", "level"), [(0, "green"), (25, "green"), (40, "amber")])
def test_a_strongly_tilted_grid_is_marked(degrees, level):
    assert levels(a_head_volume(degrees=degrees))["tilt"] == level


def test_a_ct_is_refused(a_head):
    hounsfield = np.where(a_head.array > 0, a_head.array // 10, -1000)
    assert levels(a_head.with_array(hounsfield))["modality"] == "red"


def test_an_image_with_a_negative_mean_as_after_normalisation_is_no_ct(a_head):
    normalised = (a_head.array - a_head.array.mean()) / a_head.array.std()
    assert levels(a_head.with_array(normalised))["modality"] == "green"


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_label_map_is_refused_in_any_type(a_head, dtype):
    assert levels(a_head.with_array((a_head.array // 100).astype(dtype)))["kind"] == "red"


def test_a_scan_scaled_to_fractions_is_no_label_map(a_head):
    assert levels(a_head.with_array(a_head.array / np.float32(1000)))["kind"] == "green"


def test_a_t2_is_refused_where_a_t1_is_needed_and_only_there(a_t2_head):
    assert levels(a_t2_head)["contrast"] == "red"
    assert "contrast" not in levels(a_t2_head, source="T2")


@pytest.mark.parametrize("factor", [0.001, 1.0, 50.0])
def test_contrast_does_not_depend_on_the_scale(a_head, a_t2_head, factor):
    assert levels(a_head.with_array(a_head.array * factor))["contrast"] == "green"
    assert levels(a_t2_head.with_array(a_t2_head.array * factor))["contrast"] == "red"


def test_a_few_very_bright_vessels_are_marked_as_contrast_agent(a_head):
    enhanced = a_head.array.copy()
    enhanced[18:27, 24:30, 20:23] = 2500
    assert levels(a_head.with_array(enhanced))["contrast"] == "amber"


def test_a_refusal_names_every_reason_once_and_a_way_out():
    checks = (Check("a", "red", "It is upside down."), Check("b", "amber", "It is old."), Check("c", "red", "It is a cat."))
    with pytest.raises(UnsuitableVolume) as refused:
        refuse_if_red(checks, "scan")
    assert refused.value.message == "'scan' was refused: It is upside down. It is a cat."
    assert refused.value.remedy
    refuse_if_red(checks[1:2], "scan")


@pytest.mark.data
def test_every_real_t1_is_accepted_and_every_real_t2_is_refused(shared_data):
    from T1T2TranslationLib.io import read_volume

    table = json.loads((shared_data / "datalist.json").read_text())
    found: dict[str, list[str]] = {"t1n": [], "t1c": [], "t2f": [], "t2w": []}
    for subject in table["paired"] + table["head"]:
        for sequence in found.keys() & subject["images"].keys():
            volume = read_volume(shared_data / subject["images"][sequence])
            found[sequence].append(levels(volume)["contrast"])
    assert set(found["t1n"]) == {"green"}
    assert set(found["t2w"]) == {"red"}
    assert "red" not in found["t1c"]
    assert len(found["t1n"]) == len(found["t2w"]) >= 17
