"""Files to `Volume` and back: NIfTI, NRRD, MetaImage and DICOM series."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from . import dicom, nifti
from .errors import UnsuitableVolume
from .output import bears_mark, decimal_points, staged_files
from .volume import Volume

READABLE_EXTENSIONS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr")

_FORMATS = ("NrrdImageIO", "MetaImageIO", "GDCMImageIO")
_TEXT_HEADER_BYTES = 1 << 20


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
    with _plain_errors(name), _quiet_itk(), decimal_points():
        if location.is_dir():
            return _volume_of(dicom.read_series(dicom.choose_series(location, label), name), name)
        if location.name.lower().endswith(nifti.EXTENSIONS):
            return nifti.read_nifti(location, name, allow_labels)
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
    return _volume_of(header.Execute(), name)


def _volume_of(image: sitk.Image, name: str) -> Volume:
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise _not_scalar(name, "colours or vectors")
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
    if math.prod(size) > nifti.MOST_VOXELS:
        raise UnsuitableVolume(
            f"'{name}' has {' x '.join(map(str, size))} voxels, more than {nifti.MOST_VOXELS:,} together.",
            "Give the scan of one head.",
        )
    if not allow_labels and _declares_labels(header):
        raise UnsuitableVolume(f"'{name}' is a segmentation (its header says so).", "Give the scan itself.")


def _not_scalar(name: str, found: str) -> UnsuitableVolume:
    return UnsuitableVolume(f"'{name}' holds {found}; one real number per voxel is needed.", "Extract one component first.")


def _declares_labels(header: sitk.ImageFileReader) -> bool:
    """Whether 3D Slicer wrote it as a segmentation."""
    return any(key.startswith(("Segment0_", "Segmentation_")) for key in header.GetMetaDataKeys())


# ---- damaged and hostile files: SimpleITK believes a header's sizes, and reads whatever file it names


def _check_data(header: sitk.ImageFileReader, path: Path, name: str) -> None:
    """Raise UnsuitableVolume unless the file holds as much as its header promises, undamaged, in itself or beside it."""
    data, start, packed = _data_place(path, name)
    voxel_bytes = sitk.Image((1, 1, 1), header.GetPixelID()).GetSizeOfPixelComponent()
    needed = math.prod(header.GetSize()) * voxel_bytes
    found = max(0, data.stat().st_size - start)
    if packed and found * nifti.BEST_COMPRESSION >= needed:
        found = _inflated_bytes(data, start, needed, name)
    if found < needed:
        raise UnsuitableVolume(
            f"'{name}' is incomplete: it holds {found:,} bytes of voxels where its header promises {needed:,}.", "Copy it again."
        )


def _inflated_bytes(data: Path, start: int, needed: int, name: str) -> int:
    found = 0
    for chunk in nifti.inflated(data, start, name):
        found += len(chunk)
        if found > needed + nifti.MOST_TRAILING_BYTES:
            raise UnsuitableVolume(f"'{name}' is damaged (it inflates to far more than its header promises).", "Copy it again.")
    return found


def _data_place(path: Path, name: str) -> tuple[Path, int, bool]:
    """The file that holds the voxels of a NRRD or MetaImage, where in it they begin, and whether they are compressed."""
    with path.open("rb") as file:
        content = file.read(_TEXT_HEADER_BYTES)
    if content.startswith(b"NRRD"):
        header, blank, _ = content.partition(b"\r\n\r\n" if b"\r\n\r\n" in content else b"\n\n")
        named = re.findall(rb"(?im)^data ?file:\s*(.*?)\s*$", header)
        start, packed = len(header) + len(blank), re.search(rb"(?im)^encoding:\s*(gz|gzip)\s*$", header) is not None
    else:
        header, key, rest = content.partition(b"ElementDataFile")
        line = rest.partition(b"\n")[0]
        named = [value] if (value := line.strip(b" =\t\r")) != b"LOCAL" else []
        start, packed = len(header) + len(key) + len(line) + 1, re.search(rb"CompressedData\s*=\s*True", header) is not None
    if not named:
        return path, start, packed
    return _beside(path, named, name), 0, packed


def _beside(path: Path, named: list[bytes], name: str) -> Path:
    """The one file of voxels in the header's own folder; a header must not lead to any other."""
    data = path.parent / os.fsdecode(named[0])
    if len(named) > 1 or data.parent != path.parent or not data.is_file() or data.resolve().parent != path.parent.resolve():
        raise UnsuitableVolume(
            f"'{name}' does not have its voxels in one file beside it: its header names {os.fsdecode(named[0])!r}.",
            "Put them there, or convert the scan to one file.",
        )
    return data


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
    """No ITK warnings on stderr."""
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


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


def find_scans(folder: str | Path, keep: Callable[[str], bool] = lambda name: True) -> list[Scan]:
    """All scans in `folder` and its sub-folders, by name: volumes and DICOM series, but nothing that this program wrote.

    keep: which names (of DICOM: of the folder) are wanted; the others' files are not even opened.
    """
    folder = Path(folder)
    scans = []
    for name, place in with_unique_names(_places(folder)):
        if not keep(name):
            continue
        if place.is_dir():
            scans += _dicom_scans(place, name)
        elif not bears_mark(place):
            scans.append(Scan(str(place), name))
    return sorted(scans, key=lambda scan: (scan.name, scan.source))


def _places(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file with the extension of a volume and every folder with DICOM images, with its name."""
    for place, subfolders, names in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        files = [Path(place, name) for name in sorted(names) if not name.startswith(".")]
        volumes = {file for file in files if scan_name(file) != file.name}
        for file in volumes:
            yield file.with_name(scan_name(file)).relative_to(folder).as_posix(), file
        if any(dicom.is_dicom_file(file) and not bears_mark(file) for file in files if file not in volumes):
            here = Path(place)
            yield here.relative_to(folder).as_posix() if here != folder else scan_name(folder), here


def _dicom_scans(place: Path, name: str) -> list[Scan]:
    with _plain_errors(place.name), _quiet_itk(), decimal_points():
        series = dicom.list_series(place)
    if len(series) == 1:
        return [Scan(str(place), name)]
    return [Scan(f"{place}#{one.label}", f"{name}/series-{one.label}") for one in series]


def with_unique_names(places: Iterable[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """The same, sorted; where two would share a name (a.nii and a.nrrd), the later gets a number."""
    taken: set[str] = set()
    unique = []
    for wanted, place in sorted(places):
        name, number = wanted, 2
        while name in taken:
            name, number = f"{wanted}_{number}", number + 1
        taken.add(name)
        unique.append((name, place))
    return unique
