"""What bad input gets: one sentence that says what, found and wanted, and one that says what to do."""

from __future__ import annotations

import json

import numpy as np
import pytest
from phantom import a_head_volume, head_affine
from T1T2TranslationLib.errors import T1T2Error, UnsuitableModel, UnsuitableVolume
from T1T2TranslationLib.inference import translate
from T1T2TranslationLib.volume import Volume

SHAPE = (45, 53, 43)
AFFINE = head_affine(SHAPE)
SHEARED = AFFINE @ np.array([[1, 0, 0.3, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


def head(**given) -> np.ndarray:
    return a_head_volume(**given).array


def with_value(value: float) -> np.ndarray:
    array = head(dtype=np.float32)
    array[20, 20, 20] = value
    return array


BAD_VOLUMES = {
    "empty": (np.zeros(SHAPE, np.int16), AFFINE, "is empty"),
    "constant": (np.full(SHAPE, 7.5), AFFINE, "same value (7.5)"),
    "not a number": (with_value(np.nan), AFFINE, "1 voxels that are not finite"),
    "infinite": (with_value(-np.inf), AFFINE, "1 voxels that are not finite"),
    "beyond float32": (with_value(1).astype(np.float64) * 1e300, AFFINE, "not finite"),
    "four dimensions": (np.stack([head()] * 2, axis=-1), AFFINE, "4 dimensions (45 x 53 x 43 x 2)"),
    "colours": (np.zeros((*SHAPE, 3), np.uint8), AFFINE, "4 dimensions"),
    "complex": (head().astype(np.complex64), AFFINE, "type complex64"),
    "label map": (head() // 100, AFFINE, "different whole numbers"),
    "three slices": (head()[:, :, 20:23], AFFINE, "3 slices; at least 16"),
    "singular": (head(), np.diag([1.0, 1.0, 0.0, 1.0]), "cannot be inverted"),
    "sheared": (head(), SHEARED, "slanted axes"),
    "CT": (np.where(head() > 0, head() // 10, -1000), AFFINE, "as in a CT"),
    "T2": (head(contrast="T2"), AFFINE, "looks like a T2"),
    "huge voxels": (head(), np.diag([40.0, 40.0, 40.0, 1.0]), "1680 mm long"),
}


def is_one_sentence_and_a_remedy(error: T1T2Error) -> bool:
    return bool(error.remedy) and "\n" not in str(error) and error.message.endswith(".") and error.remedy.endswith(".")


@pytest.mark.parametrize("case", BAD_VOLUMES)
def test_a_bad_volume_is_refused_by_its_name(case, the_model):
    array, affine, found = BAD_VOLUMES[case]
    with pytest.raises(UnsuitableVolume) as refused:
        translate(Volume(array, affine, "scan 7"), the_model)
    assert "'scan 7'" in refused.value.message
    assert found in refused.value.message
    assert is_one_sentence_and_a_remedy(refused.value)


def test_a_bad_volume_does_not_even_choose_a_device(the_model):
    with pytest.raises(UnsuitableVolume):
        translate(a_head_volume(contrast="T2"), the_model, device="no device")


@pytest.mark.parametrize("case", ["CT", "T2", "label map"])
def test_what_the_checks_refuse_is_translated_where_it_was_asked_for(case, the_model):
    array, affine, _ = BAD_VOLUMES[case]
    result = translate(Volume(array, affine, "scan 7"), the_model, device="cpu", accept_any_input=True)
    assert "red" in {check.level for check in result.checks}
    assert result.synthetic.shape == array.shape


def masked(shift_mm: float, value: int) -> Volume:
    affine = AFFINE.copy()
    affine[0, 3] += shift_mm
    return Volume(np.full(SHAPE, value, np.uint8), affine, "brain mask")


@pytest.mark.parametrize("mask", [masked(0, 0), masked(500, 1)], ids=["empty", "elsewhere"])
def test_a_mask_that_covers_nothing_is_refused(a_head, the_model, mask):
    with pytest.raises(UnsuitableVolume, match="mask of 'a T1 head' is empty on its grid") as refused:
        translate(a_head, the_model, mask=mask)
    assert is_one_sentence_and_a_remedy(refused.value)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int64, np.uint8])
def test_a_mask_may_be_of_any_type_and_on_any_grid(a_head, the_model, dtype):
    mask = Volume(masked(3, 1).array.astype(dtype), masked(3, 1).affine)
    assert translate(a_head, the_model, mask=mask, device="cpu").synthetic.array.any()


@pytest.mark.parametrize("model", ["no such model", "", "."])
def test_a_missing_model_is_refused(a_head, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnsuitableModel) as refused:
        translate(a_head, model)
    assert is_one_sentence_and_a_remedy(refused.value)


@pytest.mark.data
def test_a_real_t2_given_as_t1_is_refused_and_its_t1_is_not(shared_data, the_model):
    from T1T2TranslationLib.io import read_volume

    images = json.loads((shared_data / "datalist.json").read_text())["head"][0]["images"]
    with pytest.raises(UnsuitableVolume, match="looks like a T2"):
        translate(read_volume(shared_data / images["t2w"]), the_model)
    assert translate(read_volume(shared_data / images["t1n"]), the_model, device="cpu").synthetic.array.any()


@pytest.mark.data
def test_a_real_label_map_given_as_t1_is_refused(shared_data, the_model):
    from T1T2TranslationLib.io import read_volume

    with pytest.raises(UnsuitableVolume, match="as a label map does"):
        translate(read_volume(next((shared_data / "labels").glob("*.nii.gz"))), the_model)


# ---- images beside the input


def test_a_greyscale_image_is_refused_as_a_mask(a_head, the_model):
    with pytest.raises(UnsuitableVolume, match=r"mask 'T2' is a greyscale image: it holds \d+ different values"):
        translate(a_head, the_model, mask=a_head.with_array(a_head.array, "T2"), device="cpu")


def test_a_mask_beside_the_head_is_blamed_and_not_the_scan(a_head, the_model):
    beside = np.zeros(a_head.shape, np.uint8)
    beside[:3, :3, :3] = 1
    with pytest.raises(UnsuitableVolume, match="lies beside the head: they do not overlap"):
        translate(a_head, the_model, mask=a_head.with_array(beside), device="cpu")


def test_the_input_itself_is_refused_as_a_reference(a_head, the_model):
    with pytest.raises(UnsuitableVolume, match="reference 'again' is the input itself"):
        translate(a_head, the_model, reference=a_head.with_array(a_head.array.copy(), "again"), device="cpu")


def test_a_label_map_is_refused_as_a_reference(a_head, the_model):
    labels = a_head.with_array((a_head.array > np.median(a_head.array)).astype(np.uint8), "labels")
    with pytest.raises(UnsuitableVolume, match="reference 'labels' holds only a few different whole numbers"):
        translate(a_head, the_model, reference=labels, device="cpu")


def test_a_reference_that_looks_like_a_t1_is_compared_with_a_warning(a_head, a_t2_head, the_model):
    other_t1 = a_head.with_array(a_head.array + np.int16(1), "second T1")
    (warning,) = translate(a_head, the_model, reference=other_t1, device="cpu").warnings
    assert "'second T1' does not look like a T2" in warning
    assert translate(a_head, the_model, reference=a_t2_head, device="cpu").warnings == ()
