"""A synthetic volume leaves as DICOM: read back with pydicom and with SimpleITK, it lies where it lay and says what it is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pydicom
import pytest
from givens import SHAPE, a_dicom_series, oblique
from pydicom.sr.codedict import codes
from pydicom.uid import MRImageStorage
from T1T2TranslationLib import samples
from T1T2TranslationLib.dicom_export import Origin, check_folder, is_marked, read_origin, series_of_translation, write_series
from T1T2TranslationLib.errors import UnsuitableOutput, UnsuitableVolume
from T1T2TranslationLib.file_translation import source_files
from T1T2TranslationLib.io import find_scans, read_volume
from T1T2TranslationLib.volume import Volume

# Spacing and order of axes; the last is left-handed.
GRIDS = {
    "oblique": oblique((0.9, 0.7, 1.1)),
    "thick slices": oblique((0.6, 0.6, 6.5)),
    "sagittal": oblique((0.9, 0.7, 3.0), order=(1, 2, 0)),
    "flipped": oblique((0.9, 0.7, 3.0), signs=(-1, 1, -1)),
}


def a_translation(affine: np.ndarray, with_reference: bool = False):
    array = np.random.default_rng(2).integers(0, 1500, SHAPE).astype(np.int16)
    return samples.phantom_translation(Volume(array, affine, "scan"), with_reference=with_reference)


def exported(translation, folder, origin=None):
    files = write_series(series_of_translation(translation, origin or Origin()), folder)
    return [pydicom.dcmread(file) for file in files if "error" not in file.parent.name]


@pytest.mark.parametrize("grid", GRIDS)
def test_every_voxel_comes_back_with_its_value_at_its_place(grid, tmp_path):
    translation = a_translation(GRIDS[grid])
    exported(translation, tmp_path / "out")
    back = read_volume(tmp_path / "out" / "SYNTHETIC_T2")
    assert back.shape == SHAPE
    np.testing.assert_allclose(back.affine, GRIDS[grid], atol=1e-6)
    np.testing.assert_array_equal(back.array, translation.synthetic.array)


def test_a_left_handed_grid_comes_back_with_its_slices_reversed_and_in_place(tmp_path):
    affine = oblique((0.9, 0.7, 3.0), signs=(1, 1, -1))
    translation = a_translation(affine)
    exported(translation, tmp_path / "out")
    back = read_volume(tmp_path / "out" / "SYNTHETIC_T2")
    np.testing.assert_allclose(back.affine[:3, 3], (affine @ [0, 0, SHAPE[2] - 1, 1])[:3], atol=1e-6)
    np.testing.assert_array_equal(back.array, translation.synthetic.array[:, :, ::-1])


def test_it_says_that_it_is_derived_synthetic_and_for_research(tmp_path):
    translation = a_translation(GRIDS["oblique"])
    slices = exported(translation, tmp_path / "out")
    assert len(slices) == SHAPE[2]
    for one in slices:
        assert list(one.ImageType) == ["DERIVED", "SECONDARY", "OTHER", "SYNTHETIC"]
        assert one.SeriesDescription == "SYNTHETIC T2"
        assert one.Modality == "MR"
        assert one.SOPClassUID == one.file_meta.MediaStorageSOPClassUID == MRImageStorage
        assert one.SOPInstanceUID == one.file_meta.MediaStorageSOPInstanceUID
        assert one.BurnedInAnnotation == "NO"
        (code,) = one.DerivationCodeSequence
        assert (code.CodeValue, code.CodingSchemeDesignator) == ("123110", "DCM")  # of the standard's dictionary
        assert code.CodeMeaning == codes.DCM.ArtificialIntelligence.meaning
        assert translation.provenance["weights_sha256"] in one.DerivationDescription
        assert "not for diagnosis" in one.DerivationDescription
        assert one.PatientID
        assert "SourceImageSequence" not in one


def test_the_comments_say_what_the_checks_found_and_that_only_a_region_was_translated():
    whole = samples.phantom_translation(samples.phantom(spacing_mm=(9.0, 9.0, 9.0)))
    part = dataclasses.replace(whole, provenance=whole.provenance | {"region_given": True})
    comments = [series_of_translation(made, Origin())[0][0].ImageComments for made in (whole, part)]
    for text in comments:
        assert "Checks of the input: Brighter than <usual>." in text
    assert ["region of interest" in text for text in comments] == [False, True]
    fine = dataclasses.replace(whole, checks=whole.checks[:1])
    assert "Checks of the input: all green." in series_of_translation(fine, Origin())[0][0].ImageComments


def test_all_identifiers_are_new_and_no_two_alike(tmp_path):
    first, second = (exported(a_translation(GRIDS["oblique"]), tmp_path / name) for name in ("a", "b"))
    assert len({one.SOPInstanceUID for one in first + second}) == 2 * SHAPE[2]
    assert len({one.SeriesInstanceUID for one in first}) == 1
    assert first[0].SeriesInstanceUID != second[0].SeriesInstanceUID
    assert first[0].StudyInstanceUID != second[0].StudyInstanceUID


def test_image_and_error_maps_are_series_of_one_study(tmp_path):
    files = write_series(series_of_translation(a_translation(GRIDS["oblique"], with_reference=True), Origin()), tmp_path / "out")
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    assert {one.SeriesDescription for one in headers} == {
        "SYNTHETIC T2",
        "SYNTHETIC T2 predicted error",
        "SYNTHETIC T2 true error",
    }
    assert len({one.SeriesInstanceUID for one in headers}) == len({one.SeriesNumber for one in headers}) == 3
    assert len({one.StudyInstanceUID for one in headers}) == len({one.FrameOfReferenceUID for one in headers}) == 1


def test_from_a_dicom_scan_it_keeps_patient_and_study_and_names_its_source(tmp_path):
    source = a_dicom_series(tmp_path / "scan")
    files = source_files(source)
    headers = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, files)}
    scan = read_volume(source)
    slices = exported(samples.phantom_translation(scan), tmp_path / "out", read_origin(files))
    for one in slices:
        (reference,) = one.SourceImageSequence  # the slice at the same place, and no other
        original = headers[reference.ReferencedSOPInstanceUID]
        np.testing.assert_allclose(original.ImagePositionPatient, one.ImagePositionPatient, atol=1e-4)
        assert one.PatientName == "Doe^Jane"
        assert (one.PatientID, one.StudyInstanceUID) == (original.PatientID, original.StudyInstanceUID)
        assert one.FrameOfReferenceUID == original.FrameOfReferenceUID
        assert one.SeriesInstanceUID != original.SeriesInstanceUID
        assert one.ReferencedSeriesSequence[0].SeriesInstanceUID == original.SeriesInstanceUID
        assert one.SpacingBetweenSlices == pytest.approx(3.0)
    np.testing.assert_allclose(read_volume(tmp_path / "out" / "SYNTHETIC_T2").affine, scan.affine, atol=1e-5)


def test_names_in_other_alphabets_stay_as_they_are(tmp_path):
    files = source_files(a_dicom_series(tmp_path / "scan"))
    for file in files:
        header = pydicom.dcmread(file)
        header.SpecificCharacterSet, header.PatientName = "ISO_IR 192", "Müller^Zoë"
        header.save_as(file)
    slices = exported(samples.phantom_translation(read_volume(tmp_path / "scan")), tmp_path / "out", read_origin(files))
    assert slices[0].PatientName == "Müller^Zoë"


def test_it_is_no_scan_to_translate_again(tmp_path):
    exported(a_translation(GRIDS["oblique"]), tmp_path / "out")
    assert find_scans(tmp_path) == []
    assert all(is_marked(file) for file in tmp_path.rglob("*.dcm"))


def test_a_folder_with_other_files_is_left_alone_and_an_earlier_export_replaced(tmp_path):
    exported(a_translation(GRIDS["oblique"]), tmp_path / "out")
    exported(a_translation(GRIDS["thick slices"]), tmp_path / "out")
    assert read_volume(tmp_path / "out" / "SYNTHETIC_T2").spacing_mm[2] == pytest.approx(6.5)
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(UnsuitableOutput, match="other files"):
        check_folder(tmp_path / "out")
    with pytest.raises(UnsuitableOutput):
        exported(a_translation(GRIDS["oblique"]), tmp_path / "out")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"
    assert not list(tmp_path.glob(".t1t2-*"))


def test_a_source_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "IM0001").write_bytes(b"\0" * 128 + b"DICM" + b"nonsense")
    for name in ("IM0001", "gone"):
        with pytest.raises(UnsuitableVolume, match=name):
            read_origin([tmp_path / name])
