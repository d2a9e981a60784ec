"""What the tests of the doors start from: heads that are no patient's, files of noise, and a model that has learnt nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from T1T2TranslationLib.volume import Volume

# (4, 4) index -> RAS: 3 mm voxels, i to the left, tilted by 37 degrees about it.
OBLIQUE = np.array([[-3.0, 0, 0, 60], [0, 2.4, -1.8, -50], [0, 1.8, 2.4, -70], [0, 0, 0, 1]])


def a_head(shape: tuple[int, int, int] = (37, 39, 43), affine: np.ndarray = OBLIQUE) -> Volume:
    """An ellipsoid of two tissues in air, int16."""
    grid = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    radius = np.sqrt(sum((axis / 0.8) ** 2 for axis in grid))
    array = np.select([radius < 0.5, radius < 0.9], [900, 600], 10) + np.random.default_rng(3).integers(0, 60, shape)
    return Volume(array.astype(np.int16), affine, "head")


def a_t2_head() -> Volume:
    """The same head as a T2: some of its inside much brighter than the rest, a part darker."""
    head = a_head()
    tissues = np.random.default_rng(5).choice([250, 400, 1000], head.shape, p=[0.35, 0.5, 0.15])
    return head.with_array(np.where(head.array > 300, tissues, head.array).astype(np.int16))


def save_untrained_model(folder: Path, widths: tuple[int, ...] = (4, 4, 4, 4)) -> Path:
    """Write a bundle that has learnt nothing; with few channels it is quick."""
    from T1T2TranslationLib.model import save_model
    from T1T2TranslationLib.network import TranslationNetwork
    from T1T2TranslationLib.preprocessing import Preprocessing

    block = {"source_sequence": "T1", "target_sequence": "T2", "licence": "Apache-2.0", "scores": {}}
    metadata = {"name": "Untrained model", "version": "0", "t1t2": block}
    save_model(folder, TranslationNetwork(widths=widths), Preprocessing(), metadata)
    return folder


# ---- files of noise on an oblique grid

SHAPE = (17, 19, 23)


def oblique(spacing: tuple[float, float, float] = (0.9, 0.7, 3.0), order=(0, 1, 2), signs=(1, 1, 1)) -> np.ndarray:
    """(4, 4) index -> RAS, tilted about two axes, its columns permuted and flipped."""
    a, b = 0.3, 0.2
    tilt = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]) @ np.array(
        [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    )
    affine = np.eye(4)
    affine[:3, :3] = tilt[:, order] * np.array(signs) * spacing
    affine[:3, 3] = [-70.5, 52.25, 11.0]
    return affine


def an_array(dtype: type = np.int16) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 200 if np.dtype(dtype).itemsize == 1 else 900, SHAPE).astype(dtype)


def a_volume(dtype: type = np.int16) -> Volume:
    return Volume(an_array(dtype), oblique(), "Kopf")


def a_dicom_series(folder: Path, number: int = 3, description: str = "T1 MPRAGE", *, uid: str = "", prefix: str = "IM") -> Path:
    """One file a slice; index -> LPS is `oblique()` with x and y negated."""
    folder.mkdir(exist_ok=True)
    array, affine, uid, study = an_array(), np.diag([-1, -1, 1, 1]) @ oblique(), uid or generate_uid(), generate_uid()
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    cosines = affine[:3, :3] / spacing
    for k in range(SHAPE[2]):
        slice_ = Dataset()
        slice_.file_meta = FileMetaDataset()
        slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        slice_.file_meta.MediaStorageSOPClassUID = slice_.SOPClassUID = MRImageStorage
        slice_.file_meta.MediaStorageSOPInstanceUID = slice_.SOPInstanceUID = generate_uid()
        slice_.PatientName, slice_.PatientID, slice_.Modality = "Doe^Jane", "4711", "MR"
        slice_.StudyInstanceUID, slice_.SeriesInstanceUID, slice_.FrameOfReferenceUID = study, uid, study
        slice_.SeriesNumber, slice_.SeriesDescription, slice_.InstanceNumber = number, description, k + 1
        slice_.ImagePositionPatient = [f"{x:.9g}" for x in (affine @ [0, 0, k, 1])[:3]]
        slice_.ImageOrientationPatient = [f"{x:.9g}" for x in (*cosines[:, 0], *cosines[:, 1])]
        slice_.PixelSpacing, slice_.SliceThickness = [spacing[1], spacing[0]], spacing[2]
        slice_.Columns, slice_.Rows = SHAPE[:2]
        slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit, slice_.PixelRepresentation = 16, 16, 15, 1
        slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 1, "MONOCHROME2"
        slice_.PixelData = array[:, :, k].T.astype("<i2").tobytes()
        slice_.save_as(folder / f"{prefix}{SHAPE[2] - k:04d}", enforce_file_format=True)
    return folder
