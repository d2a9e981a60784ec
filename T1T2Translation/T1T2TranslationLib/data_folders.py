"""Which data set a folder is, told by its files' names (BraTS 2018-2023, IXI, BIDS), and the subjects in it."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .subjects import Subject, name_and_sequence

_BIDS_SUFFIXES = {"T1w": "t1n", "T2w": "t2w", "FLAIR": "t2f"}
_BIDS_CONTRAST_AGENT = "ce"
_MASKS = {"seg", "brain"}
_PATHOLOGY_COLUMNS = ("pathology", "diagnosis", "group")


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    kind: what it was taken for. subjects: complete or not, by name. left_out: subject -> why it is none.
    doubled: subjects with several files for one sequence, of which the first by name is taken.
    """

    kind: str
    subjects: list[Subject]
    left_out: Mapping[str, str] = field(default_factory=dict)
    doubled: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What was found, in words: how many subjects and patients, and images of which sequences."""
        patients = many(len({subject.patient for subject in self.subjects}), "patient")
        counts = Counter(name for subject in self.subjects for name in subject.images)
        images = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        return [f"{self.kind}: {many(len(self.subjects), 'subject')} of {patients} ({images})", *by_reason(self.left_out)]


def by_reason(left_out: Mapping[str, str]) -> list[str]:
    """A line for each reason, with everybody who is left out for it."""
    names: dict[str, list[str]] = defaultdict(list)
    for identity, reason in left_out.items():
        names[reason].append(identity)
    return [f"Left out: {', '.join(listed)} ({reason})" for reason, listed in names.items()]


def many(count: int, thing: str) -> str:
    """1 subject, 2 subjects."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def find_subjects(folder: Path) -> Found | None:
    """The subjects of a folder, None where nothing in it is named as a data set names its files."""
    if any(_bids_files(folder)):
        return _read_bids(folder)
    files = [_NamedFile.of(path, folder) for path in nifti_files(folder)]
    subjects, doubled = _subjects_by_name([file for file in files if file])
    if not subjects:
        return None
    is_ixi = sum(len({path.parent for path in subject.images.values()}) > 1 for subject in subjects) > len(subjects) / 2
    kind = "IXI-like folder" if is_ixi else "BraTS-like folder"
    left_out = _strangers(subjects) if is_ixi else _without_images(folder, subjects) | _strangers(subjects)
    return Found(kind, subjects, left_out, doubled)


def nifti_files(folder: Path) -> Iterator[Path]:
    """Every .nii and .nii.gz below `folder`, by name, through links to folders too, but nothing hidden."""
    seen: set[str] = set()
    for place, subfolders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        subfolders[:] = [] if real in seen else sorted(name for name in subfolders if not name.startswith("."))
        if real not in seen:
            yield from (Path(place, name) for name in sorted(names) if _is_nifti(name))
        seen.add(real)


def _is_nifti(name: str) -> bool:
    return name.lower().endswith((".nii", ".nii.gz")) and not name.startswith(".")


# ---- by the last word of the name


@dataclass(frozen=True)
class _NamedFile:
    """place: the folders between the data set and the file, "/" between them; name: the subject's in the file's name."""

    path: Path
    place: str
    name: str
    sequence: str

    @classmethod
    def of(cls, path: Path, root: Path) -> _NamedFile | None:
        """Told by the file's name (p1/p1_t1.nii, p1/t1.nii), or by its folder's (IXI-T1/p1.nii); None by neither."""
        place = path.parent.relative_to(root)
        name, sequence = name_and_sequence(path.name)
        above = place
        if not sequence:
            _, sequence = name_and_sequence(place.name)
            above = place.parent
        elif name:
            above = Path()
        folders = "_".join(above.parts)
        whole = "_".join(part for part in (folders, name) if part)
        return cls(path, place.as_posix(), whole or root.name, sequence) if sequence else None


def _subjects_by_name(files: Iterable[_NamedFile]) -> tuple[list[Subject], tuple[str, ...]]:
    """Subjects, and those with several files for one sequence.

    Files of one name belong together even in different folders (IXI-T1, IXI-T2), unless two folders have the same sequence
    of it (p1/scan_t1.nii, p2/scan_t1.nii): then each folder is a subject of its own.
    """
    by_name: dict[str, list[_NamedFile]] = defaultdict(list)
    for file in files:
        by_name[file.name].append(file)
    subjects, doubled = [], []
    for name, namesakes in sorted(by_name.items()):
        for identity, own in _apart(name, namesakes):
            images: dict[str, Path] = {}
            for file in own:
                images.setdefault(file.sequence, file.path)
            subjects.append(Subject(identity, images))
            if len(images) < len(own):
                doubled.append(identity)
    return _with_lone_masks(subjects), tuple(doubled)


def _with_lone_masks(subjects: Sequence[Subject]) -> list[Subject]:
    """A mask that is called otherwise than the one subject in its folder is that subject's (BraTS 2020's patient 355)."""
    lone = [subject for subject in subjects if subject.images.keys() <= _MASKS]
    others = [subject for subject in subjects if subject not in lone]
    homes: dict[Path, list[Subject]] = defaultdict(list)
    for subject in others:
        for place in {path.parent for path in subject.images.values()}:
            homes[place].append(subject)
    kept = []
    for mask in lone:
        owners = homes[next(iter(mask.images.values())).parent]
        if len(owners) == 1 and not mask.images.keys() & owners[0].images.keys():
            others[others.index(owners[0])] = replace(owners[0], images={**owners[0].images, **mask.images})
        else:
            kept.append(mask)
    return sorted([*others, *kept], key=lambda subject: subject.id)


def _without_images(root: Path, subjects: Iterable[Subject]) -> dict[str, str]:
    """Folders named like those of subjects beside them (p1, p2), but with nothing that a name tells to be an image of theirs."""
    images = [path.relative_to(root) for subject in subjects for path in subject.images.values()]
    holding = {root / parent for path in images for parent in path.parents[:-1]}
    shapes = {_shape(place.name) for place in holding} - {""}
    beside = {path for place in holding for path in place.parent.iterdir() if path.is_dir() and _shape(path.name) in shapes}
    return dict.fromkeys(sorted(path.name for path in beside - holding), "no file in its folder is named as a sequence")


def _strangers(subjects: Sequence[Subject]) -> dict[str, str]:
    """Images that lie among those of several subjects, but are named after none of them: id -> reason."""
    owners: dict[Path, set[str]] = defaultdict(set)
    for subject in subjects:
        for path in subject.images.values():
            owners[path.parent].add(name_and_sequence(path.name)[0])
    unknown = {
        path.name: "its name tells no known sequence"
        for place, names in owners.items()
        if len(names) > 1
        for path in sorted(place.iterdir())
        if _is_nifti(path.name) and not path.name.startswith(tuple(names - {""})) and not name_and_sequence(path.name)[1]
    }
    return unknown


def _shape(name: str) -> str:
    """What numbered names of one kind have in common: x-x-x of TCGA-DU-7294 and TCGA-06-0125; "" of a name without a number."""
    return re.sub(r"[^\W_]+", "x", name) if re.search(r"\d", name) else ""


def _apart(name: str, files: list[_NamedFile]) -> list[tuple[str, list[_NamedFile]]]:
    by_place: dict[str, list[_NamedFile]] = defaultdict(list)
    for file in files:
        by_place[file.place].append(file)
    sequences = [file.sequence for own in by_place.values() for file in {one.sequence: one for one in own}.values()]
    if len(sequences) == len(set(sequences)):
        return [(name, files)]
    return [(f"{place.replace('/', '_')}_{name}", own) for place, own in by_place.items()]


# ---- BIDS


def _bids_files(folder: Path) -> Iterator[Path]:
    """The images of `sub-*/anat` and `sub-*/ses-*/anat`; derivatives are elsewhere."""
    for pattern in ("sub-*/anat", "sub-*/ses-*/anat"):
        for anatomy in sorted(folder.glob(pattern)):
            yield from (path for path in sorted(anatomy.iterdir()) if _is_nifti(path.name)) if anatomy.is_dir() else ()


def _bids_sessions(folder: Path) -> Iterator[str]:
    """Every sub-*, or its ses-* where it has some, with images or without: sub-01, sub-02_ses-a."""
    for person in sorted(path for path in folder.glob("sub-*") if path.is_dir()):
        sessions = sorted(path for path in person.glob("ses-*") if path.is_dir())
        yield from (f"{person.name}_{session.name}" for session in sessions) if sessions else (person.name,)


def _read_bids(folder: Path) -> Found:
    """A subject for each session, a patient for each sub-*; of several runs that with the plainest name.

    Who has no image is left out by name here, and so moves nobody to another fold.
    """
    listed = _participants(folder / "participants.tsv")
    images: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in _bids_files(folder):
        identity = "_".join(path.parent.relative_to(folder).parts[:-1])  # sub-01 or sub-01_ses-2
        sequence = _bids_sequence(path.name.partition(".")[0])
        if sequence:
            images[identity][sequence].append(path)
    people = {identity: identity.partition("_ses-")[0] for identity in sorted({*images, *_bids_sessions(folder)})}
    left_out = dict.fromkeys(sorted(people.keys() - images.keys()), f"no {', '.join(_BIDS_SUFFIXES)} in anat")
    left_out |= {identity: "not in participants.tsv" for identity, person in people.items() if listed and person not in listed}
    left_out |= dict.fromkeys(sorted(listed.keys() - set(people.values())), "in participants.tsv, but without images")
    subjects = [
        Subject(identity, _plainest(images[identity]), pathology=listed.get(person, ""), patient=person)
        for identity, person in people.items()
        if identity not in left_out
    ]
    doubled = [subject.id for subject in subjects if any(len(files) > 1 for files in images[subject.id].values())]
    return Found("BIDS folder", subjects, left_out, tuple(doubled))


def _bids_sequence(stem: str) -> str | None:
    *entities, suffix = stem.split("_")
    sequence = _BIDS_SUFFIXES.get(suffix)
    is_enhanced = any(entity.startswith(f"{_BIDS_CONTRAST_AGENT}-") for entity in entities)
    return {"t1n": "t1c"}.get(sequence or "") if is_enhanced else sequence


def _plainest(images: Mapping[str, list[Path]]) -> dict[str, Path]:
    """Of each sequence the file with the fewest entities in its name: sub-1_T1w before sub-1_acq-fast_T1w."""
    return {sequence: min(files, key=lambda path: (path.name.count("_"), path.name)) for sequence, files in images.items()}


def _participants(path: Path) -> dict[str, str]:
    """Participant -> pathology, "" where no column tells it; empty without the table."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    told = [(row.get("participant_id") or "", row) for row in rows]
    return {
        name if name.startswith("sub-") else f"sub-{name}": next((row[key] for key in _PATHOLOGY_COLUMNS if row.get(key)), "")
        for name, row in told
        if name
    }
