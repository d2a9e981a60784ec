"""What lies beside a scan is not taken for it, and a header leads nowhere else."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from givens import a_volume, an_array, oblique
from T1T2TranslationLib.errors import UnsuitableVolume
from T1T2TranslationLib.io import read_volume, write_volume

pytestmark = pytest.mark.faults("hostile files")


def save(path: Path, array: np.ndarray) -> Path:
    nibabel.save(nibabel.Nifti1Image(array, oblique()), path)
    return path


def test_a_packed_nifti_keeps_its_voxels_beside_an_unpacked_one_of_its_name(tmp_path):
    """ITK reads the header of scan.nii.gz and the voxels of scan.nii."""
    save(tmp_path / "scan.nii", an_array())
    other = an_array()[::-1].copy()
    save(tmp_path / "scan.nii.gz", other)
    np.testing.assert_array_equal(read_volume(tmp_path / "scan.nii.gz").array, other)
    np.testing.assert_array_equal(read_volume(tmp_path / "scan.nii").array, an_array())


@pytest.mark.parametrize("row", [280, 296, 312])
@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")])
def test_a_position_that_is_not_finite_is_refused_at_once(tmp_path, row, value):
    """ITK does not come back from an infinite row of the matrix."""
    path = save(tmp_path / "scan.nii", an_array())
    content = bytearray(path.read_bytes())
    struct.pack_into("<f", content, row + 12, value)
    path.write_bytes(content)
    with pytest.raises(UnsuitableVolume, match="position in space is not finite"):
        read_volume(path)


def test_a_nifti_without_a_position_is_refused_because_left_and_right_are_unknown(tmp_path):
    nibabel.save(nibabel.Nifti1Image(an_array(), None), tmp_path / "scan.nii")
    with pytest.raises(UnsuitableVolume, match="left and right"):
        read_volume(tmp_path / "scan.nii")


def test_two_voxel_sizes_in_one_header_are_a_contradiction(tmp_path):
    path = save(tmp_path / "scan.nii", an_array())
    content = bytearray(path.read_bytes())
    struct.pack_into("<f", content, 80, 1.0)  # pixdim[1]; the matrix says 0.9
    path.write_bytes(content)
    with pytest.raises(UnsuitableVolume, match="two voxel sizes"):
        read_volume(path)


@pytest.mark.parametrize(("qform_code", "sform_code"), [(1, 2), (2, 1), (1, 1), (2, 2), (0, 3), (4, 0), (1, 4)])
def test_of_two_positions_the_one_that_itk_takes_is_taken(tmp_path, qform_code, sform_code):
    image = nibabel.Nifti1Image(an_array(), None)
    shifted = oblique()
    shifted[:3, 3] += 20
    image.set_qform(oblique(), qform_code)
    image.set_sform(shifted, sform_code)
    nibabel.save(image, tmp_path / "scan.nii")
    theirs = sitk.ReadImage(str(tmp_path / "scan.nii")).GetOrigin() * np.array([-1, -1, 1])
    np.testing.assert_allclose(read_volume(tmp_path / "scan.nii").affine[:3, 3], theirs, atol=1e-4)


@pytest.mark.parametrize(
    "place", ["/etc/passwd", "../secret.raw", "deeper/secret.raw", "LIST", "scan%03d.raw 1 3 1", "absent.raw", "."]
)
@pytest.mark.parametrize("name", ["scan.nhdr", "scan.nrrd", "scan.mhd", "scan.mha"])
def test_a_header_that_names_a_file_elsewhere_is_refused(tmp_path, name, place):
    folder = tmp_path / "scans"
    (folder / "deeper").mkdir(parents=True)
    image = sitk.GetImageFromArray(an_array().T)
    sitk.WriteImage(image, folder / name)
    for secret in (tmp_path / "secret.raw", folder / "deeper" / "secret.raw"):
        secret.write_bytes(an_array().tobytes())
    content = (folder / name).read_bytes()
    if name.startswith("scan.n"):
        lines = content.partition(b"\n\n")[0].split(b"\n")
        head = [line.replace(b"gzip", b"raw") for line in lines if line and not line.startswith(b"data file")]
        content = b"\n".join([*head, b"data file: " + place.encode()]) + b"\n\n"
    else:
        content = content.partition(b"ElementDataFile")[0] + b"ElementDataFile = " + place.encode() + b"\n"
    (folder / name).write_bytes(content)
    with pytest.raises(UnsuitableVolume, match=r"does not have its voxels in one file beside it|cannot be read|damaged"):
        read_volume(folder / name)


def test_a_link_to_voxels_elsewhere_is_refused(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(an_array().T), folder / "scan.mhd")
    (folder / "scan.raw").rename(tmp_path / "secret.raw")
    (folder / "scan.raw").symlink_to(tmp_path / "secret.raw")
    with pytest.raises(UnsuitableVolume, match="one file beside it"):
        read_volume(folder / "scan.mhd")


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.nrrd", "scan.mha"])
def test_a_bomb_is_refused_before_it_has_gone_off(tmp_path, name):
    """A small image, and behind it in the same packed stream a gigabyte of zeros."""
    import zlib

    write_volume(a_volume(), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    packer = zlib.compressobj(1, wbits=31 if name != "scan.mha" else 15)
    if name == "scan.nii.gz":
        head, plain = b"", gzip.decompress(content)
    elif name == "scan.nrrd":
        head, blank, packed = content.partition(b"\n\n")
        head, plain = head + blank, gzip.decompress(packed)
    else:
        head, key, rest = content.partition(b"ElementDataFile = LOCAL\n")
        head, plain = head + key, zlib.decompress(rest)
    bomb = head + packer.compress(plain) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(1024)) + packer.flush()
    (tmp_path / name).write_bytes(bomb)
    assert len(bomb) < 6 << 20
    with pytest.raises(UnsuitableVolume, match="inflates to far more"):
        read_volume(tmp_path / name)
