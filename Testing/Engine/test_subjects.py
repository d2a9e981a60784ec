"""Subjects: who is one patient, folds that never part a patient, and pairs that are registered and judged."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from phantom import SEMIAXES_MM, head_affine, head_array, rotation
from T1T2TranslationLib.errors import UnsuitableTrainingData, UnsuitableVolume
from T1T2TranslationLib.io import read_volume, write_volume
from T1T2TranslationLib.likeness import LEAST_LIKENESS, likeness
from T1T2TranslationLib.reference import align, register
from T1T2TranslationLib.regions import brain_region
from T1T2TranslationLib.resampling import resample_mask, resample_onto
from T1T2TranslationLib.subjects import Subject, load_case, patient_of, read_datalist, refuse_shared_patients, with_folds
from T1T2TranslationLib.volume import Volume


@pytest.mark.parametrize(
    ("identity", "patient"),
    [
        ("BraTS-GLI-00002-000", "BraTS-GLI-00002"),
        ("BraTS-GLI-00002-001", "BraTS-GLI-00002"),
        ("Brats18_TCIA01_131_1", "Brats18_TCIA01_131"),
        ("BraTS20_Training_001", "BraTS20_Training_001"),
        ("BraTS2021_00006", "BraTS2021_00006"),
        ("IXI002-Guys-0828", "IXI002"),
        ("UPENN-GBM-00001_11", "UPENN-GBM-00001"),
        ("MSHEAD-01-2", "MSHEAD-01"),
        ("sub-01_ses-a", "sub-01"),
        ("MS-07", "MS-07"),
        ("TCGA-06-0125", "TCGA-06-0125"),
    ],
)
def test_the_name_of_a_session_tells_the_patient(identity, patient):
    assert patient_of(identity) == patient


def test_a_patient_who_is_named_is_believed():
    assert Subject("MS-01-2", {}, patient="Q").patient == "Q"


# ---- folds


def sessions(*names: str) -> list[Subject]:
    return [Subject(name, {"t1n": Path(name)}) for name in names]


MANY = sessions(*(f"MS-{patient:02d}-{session}" for patient in range(11) for session in (1, 2)))


def test_folds_are_even_and_part_no_patient():
    folds = {}
    for subject in with_folds(MANY, 3):
        folds.setdefault(subject.fold, set()).add(subject.patient)
    assert sorted(len(patients) for patients in folds.values()) == [3, 4, 4]
    assert len(set.union(*folds.values())) == sum(map(len, folds.values())) == 11


def test_folds_depend_on_names_alone():
    forwards = {subject.id: subject.fold for subject in with_folds(MANY, 3)}
    assert {subject.id: subject.fold for subject in with_folds(MANY[::-1], 3)} == forwards
    one_session_each = with_folds(MANY[::2], 3)
    assert all(forwards[subject.id] == subject.fold for subject in one_session_each)


@pytest.mark.parametrize("count", [0, 1, 12])
def test_folds_that_cannot_be_are_refused(count):
    with pytest.raises(UnsuitableTrainingData, match=f"{count} folds cannot be made of 11 patients"):
        with_folds(MANY, count)


def test_folds_of_a_list_are_kept():
    with pytest.raises(UnsuitableTrainingData, match="1 of 2 subjects, such as 'a', have a fold number already"):
        with_folds([Subject("a", {}, fold=0), Subject("b", {})], 2)


def test_a_patient_of_two_folds_is_refused_and_of_one_is_not():
    refuse_shared_patients([Subject("a-1-1", {}, fold=1), Subject("a-1-2", {}, fold=1), Subject("b", {})])
    with pytest.raises(UnsuitableTrainingData, match="a-1-1 in 1, a-1-2 in no fold"):
        refuse_shared_patients([Subject("a-1-1", {}, fold=1), Subject("a-1-2", {})])


# ---- pairs

LARGE = 1.6 * SEMIAXES_MM  # a head that a registration on 6 mm voxels can hold


def a_noisy_head(shape, spacing_mm, degrees, contrast, moved_mm=(0.0, 0.0, 0.0), turned=0.0) -> Volume:
    """The head on an oblique grid whose affine is wrong by a rigid movement, as of a patient who moved between two scans."""
    affine = head_affine(shape, spacing_mm, degrees)
    array = head_array(shape, affine, contrast, LARGE) + np.random.default_rng(2).uniform(0, 20, shape)
    movement = np.eye(4)
    movement[:3, :3] = rotation(turned, (0.0, 1.0, 2.0))
    movement[:3, 3] = moved_mm
    return Volume(array.astype(np.int16), movement @ affine, f"a {contrast}")


def a_pair(folder: Path, target: Volume, **masks: Volume) -> Subject:
    images = {"t1n": a_noisy_head((67, 79, 25), (1.2, 1.2, 3.4), 9, "T1"), "t2w": target, **masks}
    for name, volume in images.items():
        write_volume(volume, folder / f"{name}.nii.gz")
    return Subject("one", {name: folder / f"{name}.nii.gz" for name in images})


@pytest.mark.slow
def test_a_target_on_a_shifted_and_turned_oblique_grid_is_registered(tmp_path):
    moved = a_noisy_head((71, 83, 28), (1.1, 1.1, 3.0), 13, "T2", moved_mm=(4.0, -3.0, 5.0), turned=6.0)
    case = load_case(a_pair(tmp_path, moved), "t1n", "t2w")
    in_place = a_noisy_head((67, 79, 25), (1.2, 1.2, 3.4), 9, "T2")  # the head seen on the grid of the T1, not moved
    expected = np.clip(in_place.array / np.percentile(in_place.array[case.brain], 99.5), 0, 1)
    assert np.abs(case.truth - expected)[case.brain].mean() < 0.05
    assert np.corrcoef(case.truth[case.brain], expected[case.brain])[0, 1] > 0.9


def test_a_target_out_of_place_is_refused(tmp_path):
    """On the very grid of the input nothing is registered: a header copied from another scan makes such pairs."""
    here = a_noisy_head((67, 79, 25), (1.2, 1.2, 3.4), 9, "T2")
    displaced = here.with_array(np.roll(here.array, (7, -6, 2), (0, 1, 2)))
    with pytest.raises(UnsuitableVolume, match="The t2w of 'one' shows another head than its t1n, or not in the same place"):
        load_case(a_pair(tmp_path, displaced), "t1n", "t2w")


def test_an_empty_brain_mask_is_refused(tmp_path):
    target = a_noisy_head((67, 79, 25), (1.2, 1.2, 3.4), 9, "T2")
    nothing = target.with_array(np.zeros(target.shape, np.uint8))
    with pytest.raises(UnsuitableVolume, match="brain mask of 'one' is empty on its t1n"):
        load_case(a_pair(tmp_path, target, brain=nothing), "t1n", "t2w")


def test_a_tumour_mask_in_the_air_is_said_to_be_of_no_use(tmp_path, caplog):
    target = a_noisy_head((67, 79, 25), (1.2, 1.2, 3.4), 9, "T2")
    tumour = np.zeros(target.shape, np.uint8)
    tumour[:3, :3, :3] = 1
    with caplog.at_level(logging.WARNING):
        case = load_case(a_pair(tmp_path, target, seg=target.with_array(tumour)), "t1n", "t2w")
    assert "tumour" not in case.masks
    assert "one: the tumour mask is not used" in caplog.text


# ---- right and swapped pairs of real patients; with -s the numbers behind docs/method.md are printed


def the_likeness_of(subject: Subject, target: Subject) -> float:
    """Of the subject's T1 to the target's T2, registered where the grids differ or the patients do."""
    t1, t2 = read_volume(subject.images["t1n"]), read_volume(target.images["t2w"])
    mask = read_volume(subject.images["brain"], allow_labels=True) if "brain" in subject.images else None
    if subject is target:
        t2, seen = align(t2, t1)
    else:
        with_float = t2.with_array(t2.array.astype(np.float32))
        t2, seen = resample_onto(with_float, t1, register(t2, t1)), np.ones(t1.shape, bool)
    inside = None if mask is None else t1.with_array(resample_mask(mask, t1).astype(np.uint8))
    found = likeness(t1.array, t2.array, brain_region(t1, inside)[1] & seen, t1.spacing_mm)
    print(f"{subject.id:<16} T1, {target.id:<16} T2: {found:.2f}")
    return found


@pytest.fixture(scope="module")
def patients(shared_data) -> dict[str, Subject]:
    return {one.id: one for one in read_datalist(shared_data / "datalist.json", "t1n", "t2w") if "t1n" in one.images}


ALL_SESSIONS = [
    "TCGA-DU-7294",
    "TCGA-FG-6692",
    "BraTS2021_00006",
    "BraTS2021_00495",
    "BraTS2021_01306",
    "BraTS2021_01657",
    "BraTS2021_01658",
    "BraTS2021_01659",
    "BraTS2021_01660",
    "MS-07",
    "MS-19",
    "MS-26",
    "STROKE-01",
    "MSHEAD-01-1",
    "MSHEAD-01-2",
    "MSHEAD-03-2",
    "MSHEAD-04-1",
]


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", ALL_SESSIONS)
def test_a_right_pair_of_a_real_patient_is_alike(patients, name):
    assert the_likeness_of(patients[name], patients[name]) > 1.1 * LEAST_LIKENESS


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("subject", "other"),
    [
        ("MSHEAD-01-1", "MSHEAD-03-2"),
        ("MSHEAD-03-2", "MSHEAD-04-1"),
        ("MSHEAD-04-1", "MSHEAD-01-1"),
        ("BraTS2021_01306", "MS-07"),
        ("BraTS2021_00006", "BraTS2021_00495"),
        ("MS-26", "STROKE-01"),
    ],
)
def test_a_swapped_real_patient_is_not_alike_even_when_registered(patients, subject, other):
    assert the_likeness_of(patients[subject], patients[other]) < LEAST_LIKENESS


@pytest.mark.data
@pytest.mark.slow
def test_two_sessions_of_one_real_patient_are_alike(patients):
    assert the_likeness_of(patients["MSHEAD-01-1"], patients["MSHEAD-01-2"]) > 1.1 * LEAST_LIKENESS
