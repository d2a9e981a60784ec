"""A synthetic volume as a DICOM series: derived, secondary, marked SYNTHETIC, and referring to the scan it was made from."""

from __future__ import annotations

import datetime
import functools
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from . import __version__
from .errors import UnsuitableOutput, UnsuitableVolume
from .translation import DISCLAIMER, MARK, UNIT, Translation
from .volume import Volume

# Of the source, what says whose head it is and where it was scanned; all else belongs to another acquisition.
_PATIENT_AND_STUDY = (
    *("SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge"),
    *("PatientSize", "PatientWeight", "StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription"),
    *("AccessionNumber", "ReferringPhysicianName", "FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition"),
)
_IDENTITY = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID")
_REFERENCES = (*_IDENTITY, "ImagePositionPatient", "SliceThickness")
# What the standard wants to be there, if only empty.
_MAY_BE_EMPTY = (
    *("PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"),
    "PositionReferenceIndicator",
)
# The intensities shown black and white.
_IMAGE_WINDOW, _ERROR_WINDOW = (0, 1.2 * UNIT), (0, 0.4 * UNIT)
# Nobody numbers the series of a scanner so high: a synthetic one stands behind all others of its study.
_FIRST_SERIES_NUMBER = 9001
# Slices whose centres are nearer than this are one and the same place.
_SAME_PLACE_MM = 0.05
_SHORT_STRING, _LONG_STRING = 16, 64
_PARTIAL = " Only a region of interest was translated: elsewhere the image is 0."
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Origin:
    """Whose head it is: what a derived series copies of its source, one header a slice; without any, nobody's."""

    headers: tuple[Dataset, ...] = ()

    @functools.cached_property
    def patient_and_study(self) -> Dataset:
        """What patient and study modules must hold; the same for every series derived from it."""
        return _patient_and_study(self.headers)


def read_origin(files: Sequence[str | Path]) -> Origin:
    """The headers of a source series' files; raises UnsuitableVolume where one cannot be read."""
    headers = [_header(Path(file), (*_PATIENT_AND_STUDY, *_REFERENCES)) for file in files]
    for file, header in zip(files, headers, strict=True):
        if header is None or not all(header.get(keyword) for keyword in _IDENTITY):
            raise UnsuitableVolume(f"The DICOM file '{Path(file).name}' does not say what it is.", "Copy the series again.")
    return Origin(tuple(header for header in headers if header is not None))


def series_of_translation(translation: Translation, origin: Origin) -> list[list[Dataset]]:
    """The synthetic image and its predicted error, and the true error where there was a reference; one series each."""
    target = translation.provenance["target_sequence"]
    doubts = " ".join(check.message for check in translation.checks if check.level != "green")
    made = {**translation.provenance, "input_checks": doubts or "all green."}
    images = [
        (translation.synthetic, target, _IMAGE_WINDOW),
        (translation.predicted_error, f"{target} predicted error", _ERROR_WINDOW),
    ]
    if translation.comparison is not None:
        images.append((translation.comparison.absolute_error, f"{target} true error", _ERROR_WINDOW))
    return [series_of(volume, what, made, origin, number, window) for number, (volume, what, window) in enumerate(images)]


def series_of(
    volume: Volume,
    what: str,
    provenance: Mapping[str, Any],
    origin: Origin,
    number: int = 0,
    window: tuple[float, float] = (0, 1200),
) -> list[Dataset]:
    """The volume as one MR Image a slice along k, with every voxel at its place.

    volume: in `UNIT`, whole numbers within int16. what: "T2", "T2 predicted error", ...; `MARK` is put before it.
    number: counts the series of one translation. window: the intensities shown black and white.
    Readers stack slices along the cross product of rows and columns: a left-handed grid comes back with its slices reversed.
    Raises UnsuitableOutput for values beyond int16.
    """
    if volume.array.size and (volume.array.min() < -32768 or volume.array.max() > 32767):
        raise UnsuitableOutput(f"'{volume.name}' has values that DICOM's 16 bits cannot hold.", "Write NIfTI instead.")
    common = _common(what, provenance, origin, number, window, volume)
    affine = _LPS @ volume.affine
    slices = []
    for k in range(volume.shape[2]):
        one = Dataset()
        one.update(common)
        one.SOPInstanceUID = generate_uid()
        one.file_meta = _file_meta(one.SOPInstanceUID)
        one.InstanceNumber = k + 1
        position = (affine @ [0, 0, k, 1])[:3]
        one.ImagePositionPatient = _decimals(position)
        one.PixelData = np.ascontiguousarray(volume.array[:, :, k].T, dtype="<i2").tobytes()
        _refer(one, origin, position)
        slices.append(one)
    return slices


def write_series(series: Sequence[Sequence[Dataset]], folder: str | Path) -> list[Path]:
    """Write series into `folder`, one sub-folder each, all or none; returns the files of all. Raises UnsuitableOutput.

    The folder must not exist, unless it holds nothing but an earlier export.
    """
    folder = Path(folder)
    check_folder(folder)
    staged = folder.with_name(f".t1t2-{uuid.uuid4().hex[:8]}.part")
    try:
        for slices in series:
            place = staged / _folder_name(slices[0].SeriesDescription)
            place.mkdir(parents=True)
            for one in slices:
                one.save_as(place / f"IM{one.InstanceNumber:04d}.dcm", enforce_file_format=True)
        if folder.is_dir():
            shutil.rmtree(folder)
        os.replace(staged, folder)
    except OSError as error:
        raise UnsuitableOutput(
            f"The DICOM folder '{folder}' cannot be written ({error.strerror or error}).",
            "Choose a folder that can be written, with free space.",
        ) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return sorted(folder.rglob("*.dcm"))


def check_folder(folder: str | Path) -> None:
    """Raise UnsuitableOutput where a DICOM folder would replace what is not an earlier export."""
    folder = Path(folder)
    if folder.is_file():
        raise UnsuitableOutput(f"'{folder}' is a file; the DICOM series need a folder.", "Give another name.")
    files = [path for path in folder.rglob("*") if not path.is_dir()] if folder.is_dir() else []
    if any(not is_marked(path) for path in files):
        raise UnsuitableOutput(f"The folder '{folder}' holds other files; they would be lost.", "Give a new folder.")


def is_marked(file: Path) -> bool:
    """Whether a file is a DICOM image that this program derived."""
    header = _header(file, ("ImageType", "SeriesDescription"))
    if header is None:
        return False
    return MARK in header.get("ImageType", []) and str(header.get("SeriesDescription", "")).startswith(MARK)


def _header(file: Path, keywords: Sequence[str]) -> Dataset | None:
    """These elements of a DICOM file; None where it is none."""
    try:
        return pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(keywords))
    except (OSError, InvalidDicomError, ValueError, AttributeError):
        return None


# ---- what all slices share


def _common(
    what: str, provenance: Mapping[str, Any], origin: Origin, number: int, window: tuple[float, float], volume: Volume
) -> Dataset:
    common = Dataset()
    common.update(origin.patient_and_study)
    _describe(common, what, provenance)
    common.SeriesInstanceUID = generate_uid()
    common.SeriesNumber = _FIRST_SERIES_NUMBER + number
    _place(common, volume, origin)
    _pixels(common, volume, window)
    return common


def _describe(common: Dataset, what: str, provenance: Mapping[str, Any]) -> None:
    """What it is and how it came about: the modules SOP Common, General Series, Equipment, General Image, MR Image."""
    now = datetime.datetime.now()
    model = f"{provenance['model']} {provenance.get('model_version', '')}".strip()
    common.SOPClassUID = MRImageStorage
    common.Modality = "MR"
    common.ImageType = ["DERIVED", "SECONDARY", "OTHER", MARK]
    common.SeriesDescription = f"{MARK} {what}"[:_LONG_STRING]
    common.ProtocolName = f"{MARK} {model}"[:_LONG_STRING]
    common.ImageComments = (
        f"{DISCLAIMER} Intensities: {UNIT} = 99.5th percentile of the contrast over the brain. "
        f"Checks of the input: {provenance.get('input_checks', 'none.')}{_PARTIAL if provenance.get('region_given') else ''}"
    )
    common.DerivationDescription = (
        f"{MARK} {what}, made by the neural network {model} (weights SHA-256 {provenance['weights_sha256']}) "
        f"with {provenance['software']} on {provenance['device']}. {DISCLAIMER}"
    )
    # Of the standard's codes for derivations none says "synthesised", so the one for the kind of algorithm.
    common.DerivationCodeSequence = [_code("123110", "DCM", "Artificial Intelligence")]
    common.BurnedInAnnotation = "NO"
    common.LossyImageCompression = "00"
    common.ContentQualification = "RESEARCH"
    common.Manufacturer = "T1T2Translation contributors"
    common.ManufacturerModelName = f"T1T2Translation {model}"[:_LONG_STRING]
    common.SoftwareVersions = [__version__, f"torch {provenance['torch']}"[:_LONG_STRING]]
    # The standard asks for these of every MR image; a computed one has no echo and no sequence of its own.
    common.ScanningSequence, common.SequenceVariant, common.ScanOptions, common.MRAcquisitionType = "RM", "NONE", "", ""
    common.EchoTime = common.EchoTrainLength = common.RepetitionTime = None
    for kind in ("Series", "Content", "InstanceCreation"):
        setattr(common, f"{kind}Date", now.strftime("%Y%m%d"))
        setattr(common, f"{kind}Time", now.strftime("%H%M%S"))


def _place(common: Dataset, volume: Volume, origin: Origin) -> None:
    cosines = (_LPS @ volume.affine)[:3, :3] / volume.spacing_mm
    along_i, along_j, along_k = (float(size) for size in volume.spacing_mm)
    common.ImageOrientationPatient = _decimals((*cosines[:, 0], *cosines[:, 1]))
    common.PixelSpacing = _decimals((along_j, along_i))  # between rows, then between columns
    common.SpacingBetweenSlices = _decimals((along_k,))[0]
    thickness = origin.headers[0].get("SliceThickness") if origin.headers else None
    common.SliceThickness = thickness or common.SpacingBetweenSlices


def _pixels(common: Dataset, volume: Volume, window: tuple[float, float]) -> None:
    common.Columns, common.Rows = volume.shape[:2]
    common.SamplesPerPixel, common.PhotometricInterpretation = 1, "MONOCHROME2"
    common.BitsAllocated, common.BitsStored, common.HighBit, common.PixelRepresentation = 16, 16, 15, 1
    common.WindowCenter, common.WindowWidth = sum(window) / 2, window[1] - window[0]


def _patient_and_study(headers: Sequence[Dataset]) -> Dataset:
    """Of the source where there is one, else of nobody."""
    found = Dataset()
    if headers:
        found.update({element.tag: element for element in headers[0] if element.keyword in _PATIENT_AND_STUDY})
    else:
        found.SpecificCharacterSet = "ISO_IR 192"
        found.StudyDescription = f"{MARK} images"
    for keyword in _MAY_BE_EMPTY:
        if keyword not in found:
            setattr(found, keyword, "")
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        if not found.get(keyword):
            setattr(found, keyword, generate_uid())
    if not found.get("PatientID"):  # a database keeps nothing without
        found.PatientID = f"ANON{uuid.uuid4().hex[:8].upper()}"[:_SHORT_STRING]
    if not found.get("PatientName"):
        found.PatientName = "ANONYMOUS"
    return found


# ---- what each slice says of its source


def _refer(one: Dataset, origin: Origin, position: np.ndarray) -> None:
    """Refer to the source's slice at the same place, or to all of them where the source was stacked otherwise."""
    if not origin.headers:
        return
    sources = [header for header in origin.headers if _lies_at(header, position)] or list(origin.headers)
    one.SourceImageSequence = [_reference(header, with_purpose=True) for header in sources]
    series = Dataset()
    series.SeriesInstanceUID = origin.headers[0].SeriesInstanceUID
    series.ReferencedInstanceSequence = [_reference(header) for header in sources]
    one.ReferencedSeriesSequence = [series]


def _lies_at(header: Dataset, position: np.ndarray) -> bool:
    place = header.get("ImagePositionPatient")
    return place is not None and bool(np.abs(np.array(place, dtype=float) - position).max() < _SAME_PLACE_MM)


def _reference(header: Dataset, with_purpose: bool = False) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    if with_purpose:
        reference.PurposeOfReferenceCodeSequence = [_code("121322", "DCM", "Source image for image processing operation")]
    return reference


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _file_meta(instance: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta


def _decimals(values: Sequence[float] | np.ndarray) -> list[str]:
    """As DICOM writes decimals: at most 16 letters."""
    return [format_number_as_ds(float(value)) for value in values]


def _folder_name(description: str) -> str:
    return "_".join(description.split())
