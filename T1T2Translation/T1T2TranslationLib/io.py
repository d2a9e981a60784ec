"""Files to `Volume` and back: NIfTI, NRRD, MetaImage and DICOM series."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from . import dicom
from .errors import UnsuitableVolume
from .output import bears_mark, staged_files
from .volume import Volume

READABLE_EXTENSIONS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr")

_FORMATS = ("NiftiImageIO", "NrrdImageIO", "MetaImageIO", "GDCMImageIO")
_MOST_VOXELS = 1_500_000_000
_TEXT_HEADER_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16  # inflates to at most 66 MB at once
_GZIP_MAGIC = b"\x1f\x8b"
_NIFTI_FLOATS = {"16": "f4", "64": "f8"}
_NIFTI_INTENT_LABEL = "1002"


@dataclass(frozen=True)
class Scan:
    """One input of a folder.

    source: what `read_volume` takes. name: unique in the folder, relative, with "/", without the extension.
    """

    source: str
    name: str


# ---- reading


def read_volume(path: str | Path, *, allow_labels: bool = False) -> Volume:
    """The scalar 3D image in a file, a DICOM folder (`folder#number` for one of several series) or a DICOM file's series.

    array: (i, j, k) in the type of the file (rescaled ones become floating point); affine: exact, RAS mm.
    allow_labels: also take what the header declares to be a segmentation, for masks.
    Raises UnsuitableVolume.
    """
    location, label = located(path)
    name = scan_name(location) + (f"#{label}" if label else "")
    with _plain_errors(name), _quiet_itk():
        if location.is_dir():
            return _volume_of(dicom.read_series(dicom.choose_series(location, label), name), name)
        if _format_of(location) == "GDCMImageIO":
            return _volume_of(dicom.read_series(dicom.series_of(location), name), name)
        return _read_file(location, name, allow_labels)


def scan_name(path: Path) -> str:
    """A file's name without the extension of its format; a folder's name."""
    for extension in READABLE_EXTENSIONS:
        if path.name.lower().endswith(extension) and path.name.lower() != extension:
            return path.name[: -len(extension)]
    return path.name or path.resolve().name


def located(path: str | Path) -> tuple[Path, str]:
    """The file or folder, and the label behind '#' of a DICOM series in it."""
    path = Path(path)
    if path.exists():
        return path, ""
    folder, mark, label = str(path).rpartition("#")
    if mark and label and Path(folder).is_dir():
        return Path(folder), label
    raise UnsuitableVolume(f"There is no file or folder '{path}'.", "Check the name.")


def _format_of(path: Path) -> str:
    with path.open("rb") as file:  # says why where it may not be read
        file.read(1)
    found = sitk.ImageFileReader.GetImageIOFromFileName(str(path))
    if found not in _FORMATS:
        raise UnsuitableVolume(
            f"'{path.name}' is not a NIfTI, NRRD, MetaImage or DICOM file, or it is damaged.",
            "Give a scan in one of these formats.",
        )
    return found


def _read_file(path: Path, name: str, allow_labels: bool) -> Volume:
    header = sitk.ImageFileReader()
    header.SetFileName(str(path))
    header.ReadImageInformation()
    _check_kind(header, name, allow_labels)
    _check_data(header, path, name)
    if header.GetDimension() == 4:  # a single time point: checked above
        header.SetExtractSize([*header.GetSize()[:3], 0])
    image = header.Execute()
    is_corrected = header.HasMetaDataKey("ITK_sform_corrected") and header.GetMetaData("ITK_sform_corrected") == "YES"
    return _volume_of(image, name, _nifti_sform(path) if is_corrected else None)


def _volume_of(image: sitk.Image, name: str, affine: np.ndarray | None = None) -> Volume:
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise _not_scalar(name, "colours or vectors")
    if affine is None:
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
        affine[:3, 3] = image.GetOrigin()
        affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine  # LPS -> RAS
    return Volume(sitk.GetArrayFromImage(image).T, affine, name)  # (k, j, i) -> (i, j, k)


def _check_kind(header: sitk.ImageFileReader, name: str, allow_labels: bool) -> None:
    size = header.GetSize()
    if header.GetDimension() != 3 and not (header.GetDimension() == 4 and size[3] == 1):
        raise UnsuitableVolume(
            f"'{name}' has {header.GetDimension()} dimensions ({' x '.join(map(str, size))}); one 3D image is needed.",
            "Extract one time point first." if header.GetDimension() > 3 else "Give the whole stack of slices.",
        )
    if "complex" in sitk.GetPixelIDValueAsString(header.GetPixelID()):
        raise _not_scalar(name, "complex numbers")
    if header.GetNumberOfComponents() > 1:
        raise _not_scalar(name, "colours or vectors")
    if math.prod(size) > _MOST_VOXELS:
        raise UnsuitableVolume(
            f"'{name}' has {' x '.join(map(str, size))} voxels, more than {_MOST_VOXELS:,} together.",
            "Give the scan of one head.",
        )
    if not allow_labels and _declares_labels(header):
        raise UnsuitableVolume(f"'{name}' is a segmentation (its header says so).", "Give the scan itself.")


def _not_scalar(name: str, found: str) -> UnsuitableVolume:
    return UnsuitableVolume(f"'{name}' holds {found}; one real number per voxel is needed.", "Extract one component first.")


def _declares_labels(header: sitk.ImageFileReader) -> bool:
    keys = header.GetMetaDataKeys()
    is_slicer_segmentation = any(key.startswith(("Segment0_", "Segmentation_")) for key in keys)
    return is_slicer_segmentation or ("intent_code" in keys and header.GetMetaData("intent_code") == _NIFTI_INTENT_LABEL)


# ---- damaged files: SimpleITK reads a truncated NIfTI, or a MetaImage that does not inflate, without a word


def _check_data(header: sitk.ImageFileReader, path: Path, name: str) -> None:
    """Raise UnsuitableVolume unless the file holds as much as its header promises, undamaged and finite."""
    if path.suffix.lower() in (".nhdr", ".mhd"):
        return  # the voxels lie in other files, whose readers compare sizes
    if "nifti_type" in header.GetMetaDataKeys():
        found, voxel_bytes = _check_nifti(header, path, name)
    else:
        start, packed = _data_start(path)
        found = sum(map(len, _chunks(path, start, packed, name)))
        voxel_bytes = sitk.Image((1, 1, 1), header.GetPixelID()).GetSizeOfPixelComponent()
    needed = math.prod(header.GetSize()) * voxel_bytes
    if found < needed:
        raise UnsuitableVolume(
            f"'{name}' is incomplete: it holds {found:,} bytes of voxels where its header promises {needed:,}.", "Copy it again."
        )


def _check_nifti(header: sitk.ImageFileReader, path: Path, name: str) -> tuple[int, int]:
    """Bytes of voxels in the file, and of each; raises UnsuitableVolume for NaN, which SimpleITK turns into 0."""
    if header.GetMetaData("nifti_type") == "0":
        raise UnsuitableVolume(
            f"'{name}' is in the Analyze format, which does not say where left and right are.",
            "Convert it to NIfTI from its original files.",
        )
    letter = _NIFTI_FLOATS.get(header.GetMetaData("datatype"))
    dtype = np.dtype(_nifti_byte_order(_nifti_header(path)) + letter) if letter else None
    path = path.with_suffix(".img") if path.suffix.lower() == ".hdr" else path
    found, bad, rest = -int(float(header.GetMetaData("vox_offset"))), 0, b""
    for chunk in _chunks(path, 0, path.suffix.lower() == ".gz", name):
        skipped = min(max(0, -found), len(chunk))
        found += len(chunk)
        if dtype:
            chunk = rest + chunk[skipped:]
            whole = len(chunk) // dtype.itemsize
            bad += whole - int(np.isfinite(np.frombuffer(chunk, dtype, whole)).sum())
            rest = chunk[whole * dtype.itemsize :]
    if bad:
        raise UnsuitableVolume(
            f"'{name}' has {bad} voxels that are not finite numbers (NaN or infinite).", "Replace them, for example by 0."
        )
    return found, int(header.GetMetaData("bitpix")) // 8


def _data_start(path: Path) -> tuple[int, bool]:
    """Where the voxels of a NRRD or MetaImage begin in its file, and whether they are compressed."""
    with path.open("rb") as file:
        start = file.read(_TEXT_HEADER_BYTES)
    if start.startswith(b"NRRD"):
        header, blank, _ = start.partition(b"\r\n\r\n" if b"\r\n\r\n" in start else b"\n\n")
        return len(header) + len(blank), b"encoding: gz" in header
    header, key, rest = start.partition(b"ElementDataFile")
    return len(header) + len(key) + len(rest.partition(b"\n")[0]) + 1, b"CompressedData = True" in header


def _chunks(path: Path, start: int, packed: bool, name: str) -> Iterator[bytes]:
    """The bytes of a file from `start` on, decompressed (gzip members or a zlib stream), checksums verified."""
    with path.open("rb") as file:
        file.seek(start)
        if not packed:
            yield from iter(lambda: file.read(_CHUNK_BYTES), b"")
            return
        inflater = zlib.decompressobj(wbits=47)  # 47: gzip or zlib, whichever it is
        chunk = file.read(_CHUNK_BYTES)
        try:
            while chunk:
                if inflater.eof and not chunk.startswith(_GZIP_MAGIC):
                    return  # padding
                if inflater.eof:
                    inflater = zlib.decompressobj(wbits=47)
                yield inflater.decompress(chunk)
                chunk = inflater.unused_data or file.read(_CHUNK_BYTES)
        except zlib.error as error:
            raise UnsuitableVolume(f"'{name}' is damaged (its compressed data do not add up).", "Copy it again.") from error
    if not inflater.eof:
        raise UnsuitableVolume(f"'{name}' is incomplete: its compressed data stop early.", "Copy it again.")


def _nifti_header(path: Path) -> bytes:
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        return file.read(348)


def _nifti_byte_order(header: bytes) -> str:
    return "<" if header[:4] == struct.pack("<i", 348) else ">"


def _nifti_sform(path: Path) -> np.ndarray:
    """(4, 4) index -> RAS of a NIfTI-1 header as written, where SimpleITK has straightened slanted axes."""
    header = _nifti_header(path)
    rows = struct.unpack_from(f"{_nifti_byte_order(header)}12f", header, 280)
    return np.vstack([np.reshape(rows, (3, 4)), [0, 0, 0, 1]])


@contextmanager
def _plain_errors(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnsuitableVolume(f"'{name}' cannot be read ({error.strerror or error}).", "Check the file.") from error
    except MemoryError as error:
        raise UnsuitableVolume(f"'{name}' does not fit into memory.", "Use a machine with more memory.") from error
    except RuntimeError as error:  # SimpleITK's only kind of error
        reason = str(error).strip().splitlines()[-1].split("ERROR: ")[-1]
        raise UnsuitableVolume(f"'{name}' cannot be read ({reason}).", "Copy it again, or convert it once more.") from error


@contextmanager
def _quiet_itk() -> Iterator[None]:
    """No ITK warnings on stderr; slanted NIfTI axes are read, and judged by `Volume`."""
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    permissive = os.environ.get("ITK_NIFTI_SFORM_PERMISSIVE")
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    os.environ["ITK_NIFTI_SFORM_PERMISSIVE"] = "ON"
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)
        if permissive is None:
            del os.environ["ITK_NIFTI_SFORM_PERMISSIVE"]
        else:
            os.environ["ITK_NIFTI_SFORM_PERMISSIVE"] = permissive


# ---- writing


def write_volume(
    volume: Volume, path: str | Path, metadata: Mapping[str, str] | None = None, *, forbidden: Iterable[str | Path] = ()
) -> None:
    """Write one volume, complete or not at all; see `output.Staging` for the arguments. Raises UnsuitableOutput."""
    with staged_files(forbidden) as staging:
        staging.add_volume(volume, path, metadata)


def write_text_atomically(text: str, path: str | Path, *, forbidden: Iterable[str | Path] = ()) -> None:
    """Write one UTF-8 text file, complete or not at all. Raises UnsuitableOutput."""
    with staged_files(forbidden) as staging:
        staging.add_text(text, path)


# ---- folders of scans


def find_scans(folder: str | Path) -> list[Scan]:
    """All scans in `folder` and its sub-folders, by name: volumes and DICOM series, but nothing that this program wrote."""
    folder = Path(folder)
    scans = []
    for place, subfolders, names in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        files = [Path(place, name) for name in sorted(names) if not name.startswith(".")]
        volumes = [file for file in files if scan_name(file) != file.name and not bears_mark(file)]
        scans += [Scan(str(file), file.with_name(scan_name(file)).relative_to(folder).as_posix()) for file in volumes]
        if any(dicom.is_dicom_file(file) for file in files):
            scans += _dicom_scans(Path(place), folder)
    return _with_unique_names(scans)


def _dicom_scans(place: Path, folder: Path) -> list[Scan]:
    with _plain_errors(place.name), _quiet_itk():
        series = dicom.list_series(place)
    name = place.relative_to(folder).as_posix() if place != folder else scan_name(place)
    if len(series) == 1:
        return [Scan(str(place), name)]
    return [Scan(f"{place}#{one.label}", f"{name}/series-{one.label}") for one in series]


def _with_unique_names(scans: list[Scan]) -> list[Scan]:
    """The same scans; where two would share a name (a.nii and a.nrrd), the later gets a number."""
    taken: set[str] = set()
    unique = []
    for scan in sorted(scans, key=lambda scan: (scan.name, scan.source)):
        name, number = scan.name, 2
        while name in taken:
            name, number = f"{scan.name}_{number}", number + 1
        taken.add(name)
        unique.append(Scan(scan.source, name))
    return unique
