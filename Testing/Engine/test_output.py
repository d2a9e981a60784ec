"""Files go out whole or not at all, on the same grid, and nothing of somebody else's is lost."""

from __future__ import annotations

import os
import resource
import shutil

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from givens import a_volume, an_array, oblique
from T1T2TranslationLib.errors import UnsuitableOutput
from T1T2TranslationLib.io import read_volume, write_text_atomically, write_volume
from T1T2TranslationLib.output import check_output, staged_files
from T1T2TranslationLib.volume import Volume


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz", "out.nrrd", "out.mha"])
@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32, np.float64])
def test_what_is_written_is_read_back_the_same(tmp_path, name, dtype):
    write_volume(a_volume(dtype), tmp_path / "new" / name)
    volume = read_volume(tmp_path / "new" / name)
    assert volume.array.dtype == dtype
    np.testing.assert_array_equal(volume.array, an_array(dtype))
    np.testing.assert_allclose(volume.affine, oblique(), rtol=1e-6, atol=1e-5)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz"])
def test_another_implementation_reads_the_same_grid(tmp_path, name):
    affine = oblique()
    affine[0, 1] += 4e-4
    write_volume(Volume(an_array(), affine), tmp_path / name)
    image = nibabel.load(tmp_path / name)
    np.testing.assert_allclose(image.affine, affine, atol=1e-5)
    np.testing.assert_allclose(image.get_qform(), affine, atol=1e-1)
    np.testing.assert_array_equal(np.asarray(image.dataobj), an_array())
    assert image.header.get_xyzt_units()[0] == "mm"


def test_the_mark_is_in_every_format(tmp_path):
    mark = {"description": "SYNTHETIC T2\nfor research", "T1T2_MODEL": "t1_to_t2"}
    for name in ("out.nii.gz", "out.nrrd", "out.mha"):
        write_volume(a_volume(), tmp_path / name, mark)
    assert nibabel.load(tmp_path / "out.nii.gz").header["descrip"].item() == b"SYNTHETIC T2 for research"
    for name in ("out.nrrd", "out.mha"):
        image = sitk.ReadImage(tmp_path / name)
        assert image.GetMetaData("description") == "SYNTHETIC T2 for research"
        assert image.GetMetaData("T1T2_MODEL") == "t1_to_t2"


def test_the_same_volume_gives_the_same_bytes(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(a_volume(), tmp_path / name)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


@pytest.mark.parametrize("name", ["out.mhd", "out.png", "out", ".nii", "out.gz"])
def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path, name):
    with pytest.raises(UnsuitableOutput, match=r"\.nii\.gz, \.nii, \.nrrd, \.mha"):
        write_volume(a_volume(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_input_is_never_overwritten_under_any_of_its_names(tmp_path):
    path = tmp_path / "scan.nii"
    write_volume(a_volume(), path)
    (tmp_path / "link.nii").symlink_to(path)
    (tmp_path / "hard.nii").hardlink_to(path)
    before = path.read_bytes()
    for name in ("scan.nii", "link.nii", "hard.nii", "../" + tmp_path.name + "/scan.nii"):
        with pytest.raises(UnsuitableOutput, match="is an input"):
            write_volume(a_volume(), tmp_path / name, forbidden=[path])
    assert path.read_bytes() == before


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "out.nii").mkdir()
    with pytest.raises(UnsuitableOutput, match="is a folder"):
        write_volume(a_volume(), tmp_path / "out.nii")


def test_nothing_is_written_below_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnsuitableOutput, match="Nothing can be written"):
        check_output(tmp_path / "file" / "out.nii")


def test_a_folder_one_may_not_write_to_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # these tests may run as root, who may write anywhere
    with pytest.raises(UnsuitableOutput, match="Nothing can be written in"):
        check_output(tmp_path / "out.nii")


def test_a_full_disk_is_noticed_before_writing(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 5000))
    with pytest.raises(UnsuitableOutput, match="is full"):
        write_volume(a_volume(), tmp_path / "out.nii")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz", "out.nrrd", "out.mha"])
def test_a_disk_that_fills_up_while_writing_leaves_nothing_and_the_old_file_as_it_was(tmp_path, name):
    (tmp_path / name).write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, limits[1]))  # no file may grow beyond: the kernel refuses the rest
    try:
        with pytest.raises(UnsuitableOutput, match="cannot be written"):
            write_volume(a_volume(), tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"old"


def test_of_several_files_none_appears_when_one_fails(tmp_path):
    with pytest.raises(UnsuitableOutput), staged_files() as staging:  # noqa: PT012 - the block is what is tested
        staging.add_volume(a_volume(), tmp_path / "good.nii")
        staging.add_text("{}", tmp_path / "good.json")
        staging.add_volume(a_volume(), tmp_path / "bad.png")
    assert list(tmp_path.iterdir()) == []


def test_text_is_written_whole(tmp_path):
    write_text_atomically("größe", tmp_path / "a" / "page.html")
    assert (tmp_path / "a" / "page.html").read_text("utf-8") == "größe"
