"""The survey of a data set before work begins: who can be used, and who is left out and why."""

from __future__ import annotations

import gzip
import itertools
import json
import logging
import math
import os
import struct
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from .data_folders import Found, by_reason, find_subjects, many
from .errors import UnsuitableOutput, UnsuitableTrainingData, UnsuitableVolume
from .io import read_volume, write_text_atomically
from .subjects import Subject, read_datalist, refuse_shared_patients, with_folds

log = logging.getLogger(__name__)

DATALIST = "datalist.json"

_MASKS = ("seg", "brain")
_HEADER_BYTES = 348  # of NIfTI-1
_MOST_EXAMPLES = 3


@dataclass(frozen=True)
class Survey:
    """What a data set holds.

    kind: what it was taken for. used: subjects with both sequences, whose files look whole. left_out: subject -> reason.
    """

    kind: str
    used: tuple[Subject, ...]
    left_out: Mapping[str, str]

    def lines(self) -> list[str]:
        """The summary: how many are used, and everybody who is not, by reason."""
        everybody = many(len(self.used) + len(self.left_out), "subject")
        patients = many(len({subject.patient for subject in self.used}), "patient")
        return [f"{self.kind}: {everybody}: {len(self.used)} used, of {patients}", *by_reason(self.left_out)]


def read_subjects(path: str | Path, source: str, target: str) -> list[Subject]:
    """The subjects of a data set that have both sequences in files that look whole; everybody else is logged with the reason.

    path: a MONAI data list (JSON), a folder that holds one as datalist.json, or a folder as BraTS 2018-2023, IXI or BIDS
    name their files. Raises UnsuitableTrainingData where it is none of these, nobody in it can be used, or one patient's
    sessions are in several folds.
    """
    survey = take_survey(path, source, target)
    for line in survey.lines():
        log.info("%s", line)
    if not survey.used:
        reasons = "; ".join(f"{identity}: {reason}" for identity, reason in list(survey.left_out.items())[:_MOST_EXAMPLES])
        raise UnsuitableTrainingData(
            f"Nobody in '{path}' can be used ({reasons}).",
            f"Images of {source} and {target} are needed; a recipe's source and target, or --source and --target, name others.",
        )
    return list(survey.used)


def take_survey(path: str | Path, source: str, target: str) -> Survey:
    """Look at the names and headers of a data set, in seconds even for thousands. Raises as `read_subjects`, but for nobody."""
    path = Path(path)
    if path.is_dir() and not (path / DATALIST).exists():
        found = recognised(path)
    else:
        datalist = path / DATALIST if path.is_dir() else path
        found = Found(f"Data list '{datalist.name}'", read_datalist(datalist, source, target))
    used: dict[str, Subject] = {}
    left_out = dict(found.left_out)
    for subject in found.subjects:
        is_again = subject.id in used or subject.id in left_out
        fault = "listed twice" if is_again else fault_of(subject, source, target)
        if fault:
            left_out[_another(subject.id, {*used, *left_out}) if is_again else subject.id] = fault
        else:
            used[subject.id] = subject
    refuse_shared_patients(list(used.values()))
    return Survey(found.kind, tuple(used.values()), left_out)


def _another(identity: str, taken: Collection[str]) -> str:
    """A name for whoever has that of somebody before: p1 (entry 2), which is neither used nor confused with the first."""
    number = next(number for number in itertools.count(2) if f"{identity} (entry {number})" not in taken)
    return f"{identity} (entry {number})"


def recognised(folder: Path) -> Found:
    """The subjects of a folder by its files' names. Raises UnsuitableTrainingData where no name is understood."""
    found = find_subjects(folder)
    if found is None:
        raise UnsuitableTrainingData(
            f"'{folder}' is neither a data list nor a folder of BraTS, IXI or BIDS: no file in it is named like "
            "p1_t1.nii.gz, p1-t2w.nii.gz, IXI-T1/p1-T1.nii.gz or sub-1/anat/sub-1_T1w.nii.gz.",
            "Rename the files, or write a data list; README shows one.",
        )
    if found.doubled:
        names = ", ".join(found.doubled[:_MOST_EXAMPLES])
        log.warning("%d subjects, such as %s, have several files for one sequence; one is taken.", len(found.doubled), names)
    return Found(f"{found.kind} '{folder.resolve().name}'", found.subjects, found.left_out)


def write_datalist(folder: Path, path: Path, folds: int | None = None) -> Found:
    """Write what a folder was recognised as into a MONAI data list, to be checked and edited; returns the same.

    folds: how many to deal the patients into. Raises UnsuitableTrainingData, and UnsuitableOutput for a file that exists.
    """
    if path.exists():
        raise UnsuitableOutput(f"'{path}' exists, and may have been edited.", "Give another name, or remove it first.")
    found = recognised(folder)
    subjects = with_folds(found.subjects, folds) if folds else found.subjects
    table = {"name": found.kind, "training": [_entry(subject, path.absolute().parent) for subject in subjects]}
    write_text_atomically(json.dumps(table, indent=1, ensure_ascii=False) + "\n", path)
    return found


def _entry(subject: Subject, folder: Path) -> dict[str, object]:
    images = {name: Path(os.path.relpath(file.absolute(), folder)).as_posix() for name, file in sorted(subject.images.items())}
    entry = {"id": subject.id, "patient": subject.patient, "fold": subject.fold, "pathology": subject.pathology}
    return {name: value for name, value in entry.items() if value not in (None, "")} | {"images": images}


# ---- one subject's files


def fault_of(subject: Subject, source: str, target: str) -> str:
    """Why a subject cannot be used, "" if nothing speaks against it: headers and sizes are looked at, odd files are read."""
    missing = subject.lacks(source, target)
    if missing:
        return " and ".join(f"no {name}" for name in missing)
    for name in (source, target, *(mask for mask in _MASKS if mask in subject.images)):
        fault = _fault_of_file(subject.images[name], name in _MASKS)
        if fault:
            return f"{name}: {fault}"
    if os.path.samefile(subject.images[source], subject.images[target]):
        return f"{source} and {target} are one file"
    return ""


def _fault_of_file(path: Path, is_mask: bool) -> str:
    if _is_whole_nifti(path):
        return ""
    try:
        read_volume(path, allow_labels=is_mask)
    except UnsuitableVolume as error:
        return error.message.rstrip(".")
    return ""


def _is_whole_nifti(path: Path) -> bool:
    """Whether a single-file NIfTI-1 is as long as its header says; of a .gz its last bytes tell the length without unpacking.

    False is only a suspicion, for the reader to judge: a file may be of another format, or packed in several parts.
    """
    try:
        with path.open("rb") as file:
            is_packed = file.read(2) == b"\x1f\x8b"
            file.seek(-4, os.SEEK_END)
            length = struct.unpack("<I", file.read(4))[0] if is_packed else file.tell()
        with gzip.open(path) if is_packed else path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except (OSError, EOFError, zlib.error):
        return False
    if len(header) < _HEADER_BYTES or header[344:348] != b"n+1\0":
        return False
    order = "<" if header[:4] == struct.pack("<i", _HEADER_BYTES) else ">"
    sizes = struct.unpack_from(f"{order}8h", header, 40)
    bits = struct.unpack_from(f"{order}h", header, 72)[0]
    start = struct.unpack_from(f"{order}f", header, 108)[0]
    is_volume = sizes[0] == 3 or (sizes[0] == 4 and sizes[4] == 1)
    return is_volume and min(sizes[1:4]) > 0 and length == (start + math.prod(sizes[1:4]) * bits / 8) % 2**32
