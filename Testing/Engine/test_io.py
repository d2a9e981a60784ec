"""Scans come in from real files exactly as they lie in space, and bad files are refused in words."""

from __future__ import annotations

import gzip
import itertools
import os
import resource
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from givens import SHAPE, a_dicom_series, a_volume, an_array, oblique
from pydicom.uid import generate_uid
from T1T2TranslationLib.errors import UnsuitableOutput, UnsuitableVolume
from T1T2TranslationLib.io import find_scans, read_volume, write_volume
from T1T2TranslationLib.output import check_replaceable


def a_nifti(path: Path, array: np.ndarray | None = None, affine: np.ndarray | None = None, **header: object) -> Path:
    """A file written by nibabel, the second implementation that these tests trust."""
    image = nibabel.Nifti1Image(an_array() if array is None else array, oblique() if affine is None else affine)
    for key, value in header.items():
        image.header[key] = value
    nibabel.save(image, path)
    return path


def refusal(path: str | Path, **options: bool) -> str:
    with pytest.raises(UnsuitableVolume) as caught:
        read_volume(path, **options)
    assert caught.value.message.endswith(".")
    assert caught.value.remedy.endswith(".")
    assert "ITK" not in str(caught.value)
    assert ".cxx" not in str(caught.value)
    return caught.value.message


# ---- reading what is right


@pytest.mark.parametrize("extension", ["nii", "nii.gz", "img"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_a_nifti_keeps_type_values_and_place(tmp_path, extension, dtype):
    if extension == "img":
        nibabel.save(nibabel.Nifti1Pair(an_array(dtype), oblique()), tmp_path / "scan.img")
        volume = read_volume(tmp_path / "scan.hdr")
    else:
        volume = read_volume(a_nifti(tmp_path / f"scan.{extension}", an_array(dtype)))
    assert volume.array.dtype == dtype
    assert volume.name == "scan"
    np.testing.assert_array_equal(volume.array, an_array(dtype))
    np.testing.assert_allclose(volume.affine, oblique(), atol=1e-5)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, -1)])
@pytest.mark.parametrize("form", ["sform", "qform"])
def test_every_orientation_lies_where_nibabel_says(tmp_path, order, signs, form):
    image = nibabel.Nifti1Image(an_array(), oblique(order=order, signs=signs))
    image.set_sform(image.affine if form == "sform" else None, int(form == "sform"))
    image.set_qform(image.affine if form == "qform" else None, int(form == "qform"))
    nibabel.save(image, tmp_path / "scan.nii")
    np.testing.assert_allclose(read_volume(tmp_path / "scan.nii").affine, nibabel.load(tmp_path / "scan.nii").affine, atol=1e-4)


def test_rescaled_values_are_the_real_ones(tmp_path):
    path = tmp_path / "scan.nii"
    image = nibabel.Nifti1Image(an_array(), oblique())
    image.header.set_slope_inter(0.5, -3)
    nibabel.save(image, path)
    np.testing.assert_allclose(read_volume(path).array, nibabel.load(path).get_fdata(), atol=1e-3)


def test_axes_slanted_by_rounding_are_read_as_they_are_written(tmp_path):
    affine = oblique()
    affine[0, 1] += 4e-4  # SimpleITK alone refuses this file, or straightens it
    for name in ("scan.nii", "scan.nii.gz"):
        np.testing.assert_allclose(read_volume(a_nifti(tmp_path / name, affine=affine)).affine, affine, atol=1e-6)
    assert "ITK_NIFTI_SFORM_PERMISSIVE" not in os.environ


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.nhdr", "scan.mha", "scan.mhd"])
@pytest.mark.parametrize("compressed", [False, True])
def test_nrrd_and_metaimage_lie_where_they_were_put(tmp_path, name, compressed):
    image = sitk.GetImageFromArray(an_array().T)
    image.SetSpacing((0.9, 0.7, 3.0))
    image.SetDirection((np.diag([-1, -1, 1]) @ oblique((1, 1, 1))[:3, :3]).ravel())
    image.SetOrigin((70.5, -52.25, 11.0))
    sitk.WriteImage(image, tmp_path / name, compressed)
    volume = read_volume(tmp_path / name)
    np.testing.assert_array_equal(volume.array, an_array())
    np.testing.assert_allclose(volume.affine, oblique(), atol=1e-6)


def test_one_time_point_of_a_4d_file_is_a_volume(tmp_path):
    assert read_volume(a_nifti(tmp_path / "scan.nii", an_array()[..., None])).shape == SHAPE
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(an_array().T)]), tmp_path / "scan.nrrd")
    np.testing.assert_array_equal(read_volume(tmp_path / "scan.nrrd").array, an_array())


def test_a_dicom_folder_a_file_of_it_and_its_number_are_the_same_volume(tmp_path):
    folder = a_dicom_series(tmp_path / "dicom")
    for path in (folder, folder / "IM0004", f"{folder}#3"):
        volume = read_volume(path)
        np.testing.assert_array_equal(volume.array, an_array())
        np.testing.assert_allclose(volume.affine, oblique(), atol=1e-4)
        assert volume.array.dtype == np.int16


def test_one_of_several_dicom_series_is_chosen_by_number(tmp_path):
    folder = a_dicom_series(tmp_path / "dicom")
    a_dicom_series(folder, 12, "T2 TSE", prefix="B")
    assert read_volume(f"{folder}#12").name == "dicom#12"


def test_a_mask_may_be_a_segmentation(tmp_path):
    path = a_nifti(tmp_path / "mask.nii", (an_array() > 400).astype(np.uint8), intent_code=1002)
    assert read_volume(path, allow_labels=True).array.max() == 1


# ---- refusing what is wrong


def test_a_missing_file_is_refused(tmp_path):
    assert "no file or folder" in refusal(tmp_path / "absent.nii")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("not an image")
    assert "not a NIfTI, NRRD, MetaImage or DICOM" in refusal(tmp_path / "notes.txt")
    sitk.WriteImage(sitk.Image(9, 9, sitk.sitkUInt8), tmp_path / "photo.png")
    assert "not a NIfTI" in refusal(tmp_path / "photo.png")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.dcm"])
def test_an_empty_or_random_file_is_refused(tmp_path, name):
    for content in (b"", np.random.default_rng(1).bytes(3000)):
        (tmp_path / name).write_bytes(content)
        assert "damaged" in refusal(tmp_path / name)


def test_an_unreadable_file_is_refused(tmp_path, monkeypatch):
    path = a_nifti(tmp_path / "scan.nii")

    def denied(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    assert "Permission denied" in refusal(path)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "scan.nrrd", "scan.mha", "packed.nrrd", "packed.mha"])
def test_a_truncated_file_is_refused(tmp_path, name, capfd):
    path = tmp_path / name
    sitk.WriteImage(sitk.GetImageFromArray(an_array().T), path, name.startswith("packed"))
    path.write_bytes(path.read_bytes()[:-2500])
    assert "incomplete" in refusal(path) or "cannot be read" in refusal(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["packed.nii.gz", "packed.nrrd", "packed.mha"])
def test_flipped_bits_in_compressed_data_are_noticed(tmp_path, name, capfd):
    path = tmp_path / name
    sitk.WriteImage(sitk.GetImageFromArray(an_array().T), path, True)
    content = bytearray(path.read_bytes())
    content[-3000] ^= 0x10
    path.write_bytes(content)
    assert "damaged" in refusal(path)
    assert capfd.readouterr() == ("", "")


def test_a_wrong_checksum_alone_is_noticed(tmp_path):
    path = a_nifti(tmp_path / "scan.nii.gz", np.zeros((64, 64, 64), np.float32))
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF
    path.write_bytes(content)
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "scan.nrrd"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8"])
def test_voxels_that_are_no_numbers_are_counted(tmp_path, name, dtype):
    array = an_array(np.float32)
    array[0, 0, 0], array[5, 6, 7], array[-1, -1, -1] = np.nan, np.inf, -np.inf
    if name == "scan.nrrd":
        sitk.WriteImage(sitk.GetImageFromArray(array.T), tmp_path / name)
    else:
        header = nibabel.Nifti1Header(endianness=dtype[0])
        header.set_data_dtype(dtype)
        nibabel.save(nibabel.Nifti1Image(array, oblique(), header), tmp_path / name)
    assert "has 3 voxels that are not finite" in refusal(tmp_path / name)


def test_gzip_in_several_members_is_one_file(tmp_path):
    plain = a_nifti(tmp_path / "scan.nii").read_bytes()
    for padding in (b"", bytes(100)):
        (tmp_path / "split.nii.gz").write_bytes(gzip.compress(plain[:5000]) + gzip.compress(plain[5000:]) + padding)
        np.testing.assert_array_equal(read_volume(tmp_path / "split.nii.gz").array, an_array())


def test_a_header_that_promises_more_than_the_file_holds_is_refused_before_memory_is_taken(tmp_path):
    path = a_nifti(tmp_path / "scan.nii")
    content = bytearray(path.read_bytes())
    struct.pack_into("<4h", content, 40, 3, 1100, 1100, 1100)
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "incomplete" in refusal(path)
    assert "promises 2,662,000,000" in refusal(path)
    struct.pack_into("<4h", content, 40, 3, 30000, 30000, 30000)
    path.write_bytes(content)
    assert "1,500,000,000" in refusal(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((9, 9, 9, 2), np.int16), "4 dimensions (9 x 9 x 9 x 2)"),
        (np.zeros((9, 9), np.int16), "2 dimensions (9 x 9)"),
        (np.zeros((9, 9, 9), np.complex64), "complex numbers"),
        (np.zeros((9, 9, 9), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "colours or vectors"),
    ],
)
def test_what_is_no_scalar_3d_image_is_refused(tmp_path, array, words):
    assert words in refusal(a_nifti(tmp_path / "scan.nii", array))


def test_a_vector_image_is_refused(tmp_path):
    sitk.WriteImage(sitk.Image((9, 9, 9), sitk.sitkVectorFloat32, 3), tmp_path / "field.nrrd")
    assert "colours or vectors" in refusal(tmp_path / "field.nrrd")


def test_a_segmentation_is_refused(tmp_path):
    assert "segmentation" in refusal(a_nifti(tmp_path / "seg.nii", intent_code=1002))
    image = sitk.GetImageFromArray(an_array(np.uint8).T)
    image.SetMetaData("Segment0_ID", "Segment_1")
    sitk.WriteImage(image, tmp_path / "a.seg.nrrd")
    assert "segmentation" in refusal(tmp_path / "a.seg.nrrd")


def test_slanted_axes_are_refused(tmp_path):
    affine = oblique()
    affine[0, 1] += 0.3
    assert "slanted axes" in refusal(a_nifti(tmp_path / "scan.nii", affine=affine))


def test_analyze_is_refused_because_it_has_no_left_and_right(tmp_path):
    nibabel.analyze.AnalyzeImage(an_array(), None).to_filename(tmp_path / "old.img")
    assert "left and right" in refusal(tmp_path / "old.img")


def test_a_folder_without_images_is_refused(tmp_path):
    assert "no DICOM image" in refusal(tmp_path)


def test_several_dicom_series_are_listed_by_number_without_patient_data(tmp_path):
    folder = a_dicom_series(tmp_path / "dicom")
    a_dicom_series(folder, 12, "T2 TSE", prefix="B")
    a_dicom_series(folder, 12, "T2 TSE late", prefix="C")
    message = refusal(folder)
    assert "3: T1 MPRAGE (23 files); 12: T2 TSE (23 files); 12b: T2 TSE late (23 files)" in message
    assert "Doe" not in message
    assert "4711" not in message
    assert "no series 5" in refusal(f"{folder}#5")


def test_a_dicom_series_with_a_missing_slice_is_refused(tmp_path):
    folder = a_dicom_series(tmp_path / "dicom")
    (folder / "IM0007").unlink()
    assert "gap of 6.00 mm" in refusal(folder)


def test_a_dicom_series_with_two_images_at_each_place_is_refused(tmp_path):
    uid = generate_uid()
    folder = a_dicom_series(tmp_path / "dicom", uid=uid)
    a_dicom_series(folder, uid=uid, prefix="B")
    assert "several images at the same place" in refusal(folder)


def test_a_truncated_dicom_file_is_refused(tmp_path):
    folder = a_dicom_series(tmp_path / "dicom")
    for path in sorted(folder.iterdir())[3:5]:
        path.write_bytes(path.read_bytes()[:-300])
    refusal(folder)


# ---- folders of scans


def test_all_scans_of_a_folder_are_found_under_unique_names(tmp_path):
    (tmp_path / "sub-2" / "anat").mkdir(parents=True)
    for name in ("b.nii", "b.nrrd", "sub-2/anat/T1w.nii.gz", ".hidden.nii"):
        write_volume(a_volume(), tmp_path / name)
    a_dicom_series(tmp_path / "sub-3")
    a_dicom_series(tmp_path / "sub-4")
    a_dicom_series(tmp_path / "sub-4", 5, "T2", prefix="B")
    (tmp_path / "README.txt").write_text("x")
    scans = find_scans(tmp_path)
    assert [scan.name for scan in scans] == ["b", "b_2", "sub-2/anat/T1w", "sub-3", "sub-4/series-3", "sub-4/series-5"]
    assert all(read_volume(scan.source).shape == SHAPE for scan in scans)


@pytest.mark.parametrize("extension", ["nii", "nii.gz", "nrrd", "mha"])
def test_what_this_program_wrote_is_no_input_and_may_be_replaced(tmp_path, extension):
    write_volume(a_volume(), tmp_path / f"scan.{extension}")
    write_volume(a_volume(), tmp_path / f"result.{extension}", {"description": "SYNTHETIC T2"})
    assert [scan.name for scan in find_scans(tmp_path)] == ["scan"]
    check_replaceable(tmp_path / f"result.{extension}")
    check_replaceable(tmp_path / f"new.{extension}")
    with pytest.raises(UnsuitableOutput, match="would be lost"):
        check_replaceable(tmp_path / f"scan.{extension}")
