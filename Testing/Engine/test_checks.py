"""The input checks: what is translated, what is marked, what is refused, and on real scans."""

from __future__ import annotations

import json

import numpy as np
import pytest
from phantom import a_head_volume, head_affine, stored_otherwise
from T1T2TranslationLib.checks import check_input, light_of, refuse_if_red
from T1T2TranslationLib.errors import UnsuitableVolume
from T1T2TranslationLib.head import find_head
from T1T2TranslationLib.translation import Check
from T1T2TranslationLib.volume import Volume


def levels(volume: Volume, source: str = "T1") -> dict[str, str]:
    return {check.name: check.level for check in check_input(volume, find_head(volume), source)}


# What a folded head gives: fluid, the folded rim of grey and the smooth core of white matter.
SEQUENCES = {"T1": (300, 650, 1000), "PD": (950, 1000, 850), "FLAIR": (150, 1000, 800), "T2": (1800, 850, 650)}


def a_folded_head(contrast: str, noise: float = 15.0, scalp: float = 900, spacing_mm: float = 2.0) -> Volume:
    """An adult's head: scalp, dark skull, then a rim that is grey matter folded with white, a smooth white core, ventricles."""
    shape = tuple(int(220 / spacing_mm) for _ in range(3))
    affine = head_affine(shape, (spacing_mm,) * 3, degrees=12)
    index = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"), axis=-1)
    place_mm = index @ affine[:3, :3].T + affine[:3, 3]
    radius = np.linalg.norm(place_mm / (75.0, 95.0, 80.0), axis=-1)
    fluid, grey, white = SEQUENCES[contrast]
    waves = np.sin(place_mm / 5.0).prod(axis=-1)
    folds = np.select([waves > 0.6, waves > 0.1], [0.7 * grey + 0.3 * fluid, grey], white)
    ventricle = np.linalg.norm(place_mm / (12.0, 25.0, 15.0), axis=-1) < 1
    array = np.select(
        [ventricle, radius < 0.42, radius < 0.85, radius < 0.92, radius < 1.0], [fluid, white, folds, 320, scalp], 0
    )
    array = np.abs(array + np.random.default_rng(3).normal(0, noise, shape))
    return Volume(array.astype(np.int16), affine, f"a {contrast}")


@pytest.fixture(scope="module")
def a_folded_t1() -> Volume:
    return a_folded_head("T1")


def test_a_t1_of_a_whole_adult_head_is_green_in_everything(a_folded_t1):
    assert set(levels(a_folded_t1).values()) == {"green"}
    names = ["slices", "voxel size", "coverage", "tilt", "modality", "kind", "skull", "sequence", "contrast agent", "scanner"]
    assert list(levels(a_folded_t1)) == names


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


@pytest.mark.parametrize("contrast", ["PD", "FLAIR", "T2"])
def test_what_is_no_t1_is_refused_where_a_t1_is_needed(contrast):
    volume = a_folded_head(contrast)
    check = next(check for check in check_input(volume, find_head(volume), "T1") if check.name == "sequence")
    assert check.level == "red"
    assert "A T1 is needed" in check.message


@pytest.mark.parametrize("wanted", ["T2", "FLAIR"])
def test_a_t1_is_refused_where_another_sequence_is_needed(a_folded_t1, wanted):
    assert levels(a_folded_t1, wanted)["sequence"] == "red"
    assert "contrast agent" not in levels(a_folded_t1, wanted)


def test_a_negative_of_a_t1_is_refused(a_folded_t1):
    tissue = a_folded_t1.array > 200
    negative = np.where(tissue, 1200 - a_folded_t1.array, 0).clip(0).astype(np.int16)
    assert levels(a_folded_t1.with_array(negative))["sequence"] == "red"


@pytest.mark.parametrize("factor", [0.001, 1.0, 50.0])
def test_the_sequence_does_not_depend_on_the_scale_of_intensities(a_folded_t1, factor):
    assert levels(a_folded_t1.with_array(a_folded_t1.array * factor))["sequence"] == "green"


@pytest.mark.parametrize(("order", "flips"), [((2, 0, 1), (True, False, True)), ((1, 0, 2), (False, True, False))])
def test_how_a_file_stores_the_axes_changes_no_light(a_folded_t1, order, flips):
    assert levels(stored_otherwise(a_folded_t1, order, flips)) == levels(a_folded_t1)


def test_a_head_without_contrast_between_its_tissues_is_marked(a_folded_t1):
    blurred = np.where(a_folded_t1.array > 400, 800, a_folded_t1.array)
    found = levels(a_folded_t1.with_array(blurred + np.random.default_rng(4).integers(0, 60, blurred.shape)))
    assert found["sequence"] == found["scanner"] == "amber"


def test_a_t2_with_too_little_tissue_is_known_by_its_fluid(a_t2_head):
    assert levels(a_t2_head)["sequence"] == "red"


def test_a_few_very_bright_vessels_are_marked_as_contrast_agent(a_folded_t1):
    enhanced = a_folded_t1.array.copy()
    middle = np.array(enhanced.shape) // 2
    enhanced[middle[0] : middle[0] + 3, :, middle[2] + 12 : middle[2] + 15] *= 2
    assert levels(a_folded_t1.with_array(enhanced))["contrast agent"] == "amber"


def test_the_skull_is_noticed_and_its_absence_too(a_folded_t1):
    def said(volume):
        return next(check.message for check in check_input(volume, find_head(volume)) if check.name == "skull")

    assert said(a_folded_t1) == "A whole head."
    brain = find_head(a_folded_t1).inner_at  # deep inside, a box around which everything was set to 0
    box = tuple(slice(low, high) for low, high in zip(brain.min(axis=0), brain.max(axis=0), strict=True))
    stripped = np.zeros_like(a_folded_t1.array)
    stripped[box] = a_folded_t1.array[box]
    assert said(a_folded_t1.with_array(stripped)) == "Skull-stripped."


def test_the_light_is_the_worst_of_all_checks():
    green, amber, red = (Check(level, level, "") for level in ("green", "amber", "red"))
    assert light_of((green, red, amber)) == "red"
    assert light_of((green, amber)) == "amber"
    assert light_of((green,)) == "green"


def test_a_refusal_names_every_reason_once_and_a_way_out():
    checks = (Check("a", "red", "It is upside down."), Check("b", "amber", "It is old."), Check("c", "red", "It is a cat."))
    with pytest.raises(UnsuitableVolume) as refused:
        refuse_if_red(checks, "scan")
    assert refused.value.message == "'scan' was refused: It is upside down. It is a cat."
    assert refused.value.remedy
    refuse_if_red(checks[1:2], "scan")
    with pytest.raises(UnsuitableVolume, match="by what the mask 'liver' covers of it: It is upside down") as refused:
        refuse_if_red(checks, "scan", "liver")
    assert "another mask" in refused.value.remedy


@pytest.mark.data
def test_real_scans_are_accepted_and_refused_for_what_they_are(shared_data):
    from T1T2TranslationLib.io import read_volume

    table = json.loads((shared_data / "datalist.json").read_text())
    found: dict[str, list[dict[str, str]]] = {"t1n": [], "t1c": [], "t2f": [], "t2w": []}
    for subject in table["paired"] + table["head"]:
        for sequence in found.keys() & subject["images"].keys():
            found[sequence].append(levels(read_volume(shared_data / subject["images"][sequence])))
    assert {light["sequence"] for light in found["t1n"] + found["t1c"]} == {"green"}
    assert {light["sequence"] for light in found["t2f"] + found["t2w"]} == {"red"}
    assert {light["contrast agent"] for light in found["t1c"]} == {"amber"}
    assert [light["contrast agent"] for light in found["t1n"]].count("amber") <= 2
    assert len(found["t1n"]) == len(found["t2w"]) >= 17
