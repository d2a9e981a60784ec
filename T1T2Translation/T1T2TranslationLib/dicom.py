"""DICOM series: which ones lie in a folder, and whether one is a complete stack of parallel slices."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .errors import UnsuitableVolume

_SERIES_UID, _SERIES_NUMBER, _SERIES_DESCRIPTION = "0020|000e", "0020|0011", "0008|103e"
# Neighbouring slices may lie this share of their distance off; scanners round positions to about 1e-3 mm.
_SPACING_TOLERANCE = 0.02
# Slices may drift sideways by this share of the stack's height before the grid no longer counts as rectangular.
_TILT_TOLERANCE = 2e-3
_MOST_LISTED = 20


@dataclass(frozen=True)
class Series:
    """Files of one series in the order in which they are stacked.

    label: its series number, with a letter where several series share it.
    description: what the scanner calls the sequence; nothing about the patient.
    """

    label: str
    description: str
    files: tuple[Path, ...]


def is_dicom_file(path: Path) -> bool:
    """Whether a file starts as DICOM Part 10 says; an index (DICOMDIR) is not an image."""
    if path.name.upper() == "DICOMDIR":
        return False
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def has_dicom_files(folder: Path) -> bool:
    """Whether DICOM images lie directly in `folder`."""
    return any(is_dicom_file(path) for path in sorted(folder.iterdir()) if path.is_file())


def list_series(folder: Path) -> list[Series]:
    """The series whose files lie directly in `folder`, by number."""
    found = []
    for uid in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder)):
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)
        if files:
            header = _read_header(Path(files[0]))
            number = _tag(header, _SERIES_NUMBER) or "0"
            found.append(Series(number, _tag(header, _SERIES_DESCRIPTION), tuple(map(Path, files))))
    found.sort(key=lambda series: (_as_number(series.label), series.label, series.files))
    labels = _labels([series.label for series in found])
    return [replace(series, label=label) for series, label in zip(found, labels, strict=True)]


def choose_series(folder: Path, label: str = "") -> Series:
    """The series with this label, or the only one; raises UnsuitableVolume listing what is there."""
    series = list_series(folder)
    if not series:
        raise UnsuitableVolume(f"The folder '{folder.name}' holds no DICOM image that can be read.", "Choose another one.")
    chosen = [one for one in series if label in ("", one.label)]
    if len(chosen) == 1:
        return chosen[0]
    listed = "; ".join(f"{one.label}: {one.description or 'unnamed'} ({len(one.files)} files)" for one in series[:_MOST_LISTED])
    if len(series) > _MOST_LISTED:
        listed += f"; and {len(series) - _MOST_LISTED} more"
    what = f"has no series {label}" if label else f"holds {len(series)} DICOM series"
    raise UnsuitableVolume(
        f"The folder '{folder.name}' {what}: {listed}.", f"Choose one with its number, as in '{folder.name}#{series[0].label}'."
    )


def series_of(file: Path) -> Series:
    """The series that a file belongs to; a file that holds a whole volume is a series of its own."""
    header = _read_header(file)
    description = _tag(header, _SERIES_DESCRIPTION)
    if header.GetDimension() >= 3 and header.GetSize()[2] > 1:
        return Series(_tag(header, _SERIES_NUMBER), description, (file,))
    uid = _tag(header, _SERIES_UID)
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(file.parent), uid) if uid else ()
    return Series(_tag(header, _SERIES_NUMBER), description, tuple(map(Path, files)) or (file,))


def read_series(series: Series, name: str) -> sitk.Image:
    """The image; raises UnsuitableVolume where its files are not one stack of parallel, evenly spaced slices.

    SimpleITK's RuntimeError is left to the caller.
    """
    if len(series.files) == 1:
        return sitk.ReadImage(str(series.files[0]))
    _check_stack([_read_header(file) for file in series.files], name)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(file) for file in series.files])
    return reader.Execute()


def _check_stack(headers: list[sitk.ImageFileReader], name: str) -> None:
    directions = np.array([header.GetDirection() for header in headers])
    sizes = {header.GetSize()[:2] for header in headers}
    if len(sizes) > 1 or np.abs(directions - directions[0]).max() > 1e-3:
        raise UnsuitableVolume(
            f"The DICOM series '{name}' mixes slices of different sizes or directions, as a localiser does.",
            "Choose a 3D or multi-slice acquisition.",
        )
    origins = np.array([header.GetOrigin() for header in headers])
    normal = directions[0].reshape(3, 3)[:, 2]
    gaps = np.diff(origins @ normal)
    usual = float(np.median(np.abs(gaps)))
    if np.diff(np.sort(origins @ normal)).min() < max(1e-3, _SPACING_TOLERANCE * usual):
        raise UnsuitableVolume(
            f"The DICOM series '{name}' has several images at the same place (echoes, time points or repetitions).",
            "Export the one that is wanted as a series of its own.",
        )
    uneven = np.flatnonzero(np.abs(np.abs(gaps) - usual) > max(1e-2, _SPACING_TOLERANCE * usual))
    if uneven.size:
        gap = abs(gaps[uneven[0]])
        raise UnsuitableVolume(
            f"The DICOM series '{name}' has a gap of {gap:.2f} mm after slice {uneven[0] + 1} where the others are "
            f"{usual:.2f} mm apart; slices are missing.",
            "Load the complete series.",
        )
    sideways = origins[-1] - origins[0] - gaps.sum() * normal
    if np.linalg.norm(sideways) > _TILT_TOLERANCE * abs(gaps.sum()):
        raise UnsuitableVolume(
            f"The DICOM series '{name}' has slices that are shifted against each other (a tilted gantry).",
            "Resample it to a rectangular grid first.",
        )


def _read_header(file: Path) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    reader.ReadImageInformation()
    return reader


def _tag(header: sitk.ImageFileReader, tag: str) -> str:
    return header.GetMetaData(tag).strip() if header.HasMetaDataKey(tag) else ""


def _as_number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _labels(numbers: list[str]) -> list[str]:
    """Numbers, with "b", "c", ... behind those that came before."""
    seen: Counter[str] = Counter()
    labels = []
    for number in numbers:
        labels.append(number + ("" if not seen[number] else chr(ord("a") + min(seen[number], 25))))
        seen[number] += 1
    return labels
