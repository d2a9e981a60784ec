"""Subjects of a data list, split by patient, and each as a case to learn from or be judged by: all images on one grid."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from .errors import UnsuitableTrainingData, UnsuitableVolume
from .io import read_volume
from .likeness import LEAST_LIKENESS, likeness
from .metrics import to_unit
from .reference import align
from .regions import brain_region, is_skull_stripped, regions
from .resampling import resample_mask, resample_onto
from .volume import Volume, nearest_axes

log = logging.getLogger(__name__)

# The last word of a file's name, as BraTS 2018-2021 (_t1ce), 2023 (-t1c) and IXI (-T1) have it -> the name of BraTS 2023.
SEQUENCES_OF = {
    "t1": "t1n", "t1n": "t1n", "t1w": "t1n",
    "t1c": "t1c", "t1ce": "t1c", "t1gd": "t1c",
    "t2": "t2w", "t2w": "t2w",
    "flair": "t2f", "t2f": "t2f",
    "seg": "seg", "segm": "seg",
    "brain": "brain", "brainmask": "brain",
}  # fmt: skip
# Names of BraTS 2023 -> what people, and the models' cards, call the sequences.
SEQUENCES = {"t1n": "T1", "t1c": "T1 with contrast agent", "t2w": "T2", "t2f": "FLAIR"}
_NAME_OF = SEQUENCES_OF | {spoken.lower(): name for name, spoken in SEQUENCES.items()}
_LAST_WORD = re.compile(rf"(?:(.*)[-_. ])?({'|'.join(SEQUENCES_OF)})", re.IGNORECASE)

_GROUPS_OF_MONAI = ("training", "validation", "testing", "test")
_TOLD = ("pathology", "patient", "source", "licence", "cite")
_LABEL_MAPS = "labels"  # a list of maps to paint scans from: no subjects

_SESSION_NAMES = (
    re.compile(r"(BraTS-[A-Za-z]+-\d{5})-\d{3}\b"),
    re.compile(r"^(IXI\d+)-"),
    re.compile(r"^(sub-[^_]+)_ses-"),
    re.compile(r"^(.*\d)[-_]\d{1,2}$"),
)


def listed_name(sequence: str) -> str:
    """The name of BraTS 2023, as data lists have it, of a sequence as a file or a model's card calls it; others stay."""
    return _NAME_OF.get(sequence.lower(), sequence)


@dataclass(frozen=True)
class Subject:
    """One session of one patient.

    images: sequence name as in BraTS 2023 (t1n, t2w, ...), "seg" or "brain" -> file.
    group: the list that the entry stands in ("paired", "head", "testing", ...).
    source, licence, cite: where its images come from, as the data list states it.
    patient: whom several sessions may share; told by the id where it is not given.
    """

    id: str
    images: Mapping[str, Path]
    fold: int | None = None
    group: str = ""
    pathology: str = ""
    patient: str = ""
    source: str = ""
    licence: str = ""
    cite: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "patient", self.patient or patient_of(self.id))

    def lacks(self, source: str, target: str) -> list[str]:
        """Those of the two sequences that it has not."""
        return [name for name in (source, target) if name not in self.images]


@dataclass(frozen=True, eq=False)
class Case:
    """One subject ready to learn from or to be judged, all on the grid of `volume`.

    volume: the input. truth: (i, j, k) float32, the real image in the unit of T2P-1.
    masks: region name -> bool (i, j, k), the brain (or what stands for it) first.
    seen: bool (i, j, k), inside the real image's field of view.
    skull_stripped: whether everything outside the brain is empty.
    """

    subject: Subject
    volume: Volume
    truth: np.ndarray
    masks: Mapping[str, np.ndarray]
    seen: np.ndarray
    skull_stripped: bool

    @property
    def brain(self) -> np.ndarray:
        """Where the score is taken, bool (i, j, k)."""
        return next(iter(self.masks.values()))

    @property
    def axial_axis(self) -> int:
        """The array axis nearest to the patient's head-foot direction."""
        return nearest_axes(self.volume.affine)[0][2]


def name_and_sequence(path: str) -> tuple[str, str]:
    """What a file is called: ("BraTS20_Training_001", "t1c") of BraTS20_Training_001_t1ce.nii.gz; "" for what is not said."""
    stem = re.sub(r"\.nii(\.gz)?$", "", path.replace("\\", "/").rpartition("/")[2], flags=re.IGNORECASE)
    found = _LAST_WORD.fullmatch(stem)
    return (found[1] or "", SEQUENCES_OF[found[2].lower()]) if found else (stem, "")


def patient_of(identity: str) -> str:
    """The patient in the name of a session.

    BraTS-GLI-00002-001 -> BraTS-GLI-00002; IXI002-Guys-0828 -> IXI002; else a last number of one or two digits behind
    another number counts sessions: MS-01-2 -> MS-01, but BraTS20_Training_001, MS-07 and TCGA-06-0125 stay. In doubt two
    people become one, which costs a little choice of folds; the other way round a test set would know its patients.
    """
    for pattern in _SESSION_NAMES:
        found = pattern.search(identity)
        if found:
            return found[1]
    return identity


# ---- folds: by patient, never by session or slice


def with_folds(subjects: Sequence[Subject], count: int) -> list[Subject]:
    """The subjects with fold numbers 0 to `count` - 1, the patients dealt evenly in an order that only their names decide.

    Raises UnsuitableTrainingData for fewer patients than folds, or if there are fold numbers already.
    """
    numbered = [subject.id for subject in subjects if subject.fold is not None]
    if numbered:
        raise UnsuitableTrainingData(
            f"{len(numbered)} of {len(subjects)} subjects, such as '{numbered[0]}', have a fold number already.",
            "Leave --folds out, or remove the numbers from the data list.",
        )
    patients = sorted({subject.patient for subject in subjects}, key=lambda name: hashlib.sha256(name.encode()).digest())
    if not 2 <= count <= len(patients):
        raise UnsuitableTrainingData(
            f"{count} folds cannot be made of {len(patients)} patients; 2 to as many as there are patients can.",
            'Choose another number of folds. Sessions of one person share a patient; a data list can name it as "patient".',
        )
    fold_of = {patient: index % count for index, patient in enumerate(patients)}
    return [replace(subject, fold=fold_of[subject.patient]) for subject in subjects]


def refuse_shared_patients(subjects: Sequence[Subject]) -> None:
    """Raise UnsuitableTrainingData where one patient's sessions are in several folds: a test would know its patients."""
    folds: dict[str, dict[int | None, str]] = {}
    for subject in subjects:
        folds.setdefault(subject.patient, {})[subject.fold] = subject.id
    for patient, sessions in folds.items():
        if len(sessions) > 1:
            said = ", ".join(f"{identity} in {'no fold' if fold is None else fold}" for fold, identity in sessions.items())
            raise UnsuitableTrainingData(
                f"Sessions of the patient '{patient}' are in different folds: {said}.",
                'Give them one fold, or, if they are different people, different values of "patient" in the data list.',
            )


# ---- data lists


def read_datalist(path: Path, source: str, target: str) -> list[Subject]:
    """Every subject of a JSON object of lists, complete or not; see `listed_subjects`.

    Raises UnsuitableTrainingData if the file is no such list or nobody in it has both sequences.
    """
    subjects = listed_subjects(path, source, target)
    if all(subject.lacks(source, target) for subject in subjects):
        raise UnsuitableTrainingData(
            f"No subject in '{path.name}' has both {source} and {target}.", "Name the sequences with --source and --target."
        )
    return subjects


def listed_subjects(path: Path, source: str, target: str) -> list[Subject]:
    """Every subject of a JSON object of lists, with images or without; image paths are relative to the file.

    An entry has its files under "images", or beside its other keys, by any name in `SEQUENCES_OF`; a plain MONAI list's
    "image" and "label" are `source` and `target`, and an entry that is a file's name is a `source` alone, as in "test" of
    the Medical Segmentation Decathlon. Any other entry is a subject without images, so that whoever counts can name it.
    Raises UnsuitableTrainingData if the file is no such list.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        subjects = [
            _subject(entry, f"entry {number} of '{group}'", group, path.parent, source, target)
            for group, listed in table.items()
            if _lists_subjects(group, listed)
            for number, entry in enumerate(listed, 1)
        ]
        return _with_names([subject for subject in subjects if subject.images or subject.group != _LABEL_MAPS], path.parent)
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise UnsuitableTrainingData(
            f"The data list '{path.name}' cannot be read ({error}).", "Give a JSON object of lists."
        ) from error


def _lists_subjects(group: str, listed: object) -> bool:
    """A list of nothing but words or numbers, such as "keywords", is about the data, unless MONAI has subjects under its name."""
    if not isinstance(listed, list):
        return False
    return group in _GROUPS_OF_MONAI or any(isinstance(entry, dict) or _is_image(entry) for entry in listed)


def _is_image(entry: object) -> bool:
    return isinstance(entry, str) and entry.lower().endswith((".nii", ".nii.gz"))


def _subject(entry: object, place: str, group: str, folder: Path, source: str, target: str) -> Subject:
    """place: what a subject is called that has neither an id nor an image to be called after."""
    known: dict[str, Any] = entry if isinstance(entry, dict) else {"image": entry} if _is_image(entry) else {}
    files = _listed_files(known, source, target)
    images = {name: folder / file for name, file in files.items() if name in {*SEQUENCES_OF.values(), source, target}}
    told = {key: str(known.get(key) or "") for key in _TOLD}
    return Subject(str(known.get("id") or ("" if images else place)), images, _fold(known.get("fold")), group, **told)


def _fold(number: object) -> int | None:
    """A fold's number, also where it is written as a word; raises ValueError for anything else."""
    if number is None or (isinstance(number, int) and not isinstance(number, bool)):
        return number
    if isinstance(number, str) and number.isdecimal():
        return int(number)
    raise ValueError(f"a fold is {number!r}, not a number")


def _listed_files(entry: dict[str, Any], source: str, target: str) -> dict[str, str]:
    """Name -> file of an entry; of two keys for one sequence, such as t1 and t1n, that which is spelled like the name."""
    listed = entry.get("images", entry)
    if not isinstance(listed, dict):
        return {}
    names = {listed_name(name): name for name in (source, target)} | {"image": source, "label": target}
    files: dict[str, str] = {}
    for key, value in listed.items():
        name = names.get(listed_name(key), listed_name(key))
        if isinstance(value, str) and (key == name or name not in files):
            files[name] = value
    if isinstance(listed.get("image"), list):  # as MONAI's BraTS lists have it: all sequences, and "label" is the tumour
        values = [value for value in [*listed["image"], files.get(target, "")] if isinstance(value, str)]
        files = {name: value for value in values for _, name in [name_and_sequence(value)]}
    return files


def _with_names(subjects: Sequence[Subject], folder: Path) -> list[Subject]:
    """Whoever has no id is called after the first file, and its folders too where several files are named alike."""
    alike = Counter(file.name for subject in subjects for file in list(subject.images.values())[:1])
    return [subject if subject.id else replace(subject, id=_name_by_file(subject, alike, folder)) for subject in subjects]


def _name_by_file(subject: Subject, alike: Mapping[str, int], folder: Path) -> str:
    file = next(iter(subject.images.values()))
    path = file.name if alike[file.name] == 1 else Path(os.path.relpath(file, folder)).as_posix()
    return re.sub(r"^(\.\./)+|\.[^./]+(\.gz)?$", "", path)


def load_case(subject: Subject, source: str, target: str) -> Case:
    """Read a subject; a target on another grid is registered to the input.

    Raises UnsuitableVolume for an image or mask that cannot be used, and for a target that is not of the same head in the
    same place: another patient's, or one whose registration failed. A tumour mask without effect is logged.
    """
    volume = read_volume(subject.images[source])
    target_image, seen = align(read_volume(subject.images[target]), volume)
    mask = None
    if "brain" in subject.images:
        inside = resample_mask(read_volume(subject.images["brain"], allow_labels=True), volume)
        if not inside.any():
            raise UnsuitableVolume(f"The brain mask of '{subject.id}' is empty on its {source}.", "Look at the mask.")
        mask = volume.with_array(inside.astype(np.uint8))
    name, brain = brain_region(volume, mask)
    brain = brain & seen
    segmentation = _segmentation(subject.images["seg"], volume) if "seg" in subject.images else None
    try:
        truth = to_unit(target_image.array, brain)
    except ValueError as error:
        raise UnsuitableVolume(f"The {target} of '{subject.id}' shows no brain: {error}.", "Leave the subject out.") from error
    alike = likeness(volume.array, target_image.array, brain, volume.spacing_mm)
    if alike < LEAST_LIKENESS:
        raise UnsuitableVolume(
            f"The {target} of '{subject.id}' shows another head than its {source}, or not in the same place: their edges agree "
            f"{alike:.2f} times as well as by chance; {LEAST_LIKENESS} are needed.",
            "Look at the two images together, and leave the subject out or align them.",
        )
    shown = SEQUENCES.get(source, source), SEQUENCES.get(target, target)
    masks = regions(brain, truth, volume.array, volume.spacing_mm, segmentation, brain_name=name, sequences=shown)
    if segmentation is not None and segmentation.any() and "tumour" not in masks:
        log.warning("%s: the tumour mask is not used: it lies outside the brain, or each label fills half of it.", subject.id)
    return Case(subject, volume, truth, masks, seen, is_skull_stripped(volume))


def _segmentation(path: Path, grid: Volume) -> np.ndarray:
    """The labels on the grid of `grid`, by nearest neighbour."""
    labels = read_volume(path, allow_labels=True)
    if not labels.has_grid_of(grid):
        labels = resample_onto(labels, grid, interpolator=sitk.sitkNearestNeighbor)
    return labels.array
