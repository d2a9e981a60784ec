"""Subjects of a data list, and each as a case to learn from or be judged by: input, truth and regions on one grid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from .errors import UnsuitableTrainingData, UnsuitableVolume
from .io import read_volume
from .metrics import to_unit
from .reference import align
from .regions import brain_region, is_skull_stripped, regions
from .resampling import resample_mask, resample_onto
from .volume import Volume, nearest_axes


@dataclass(frozen=True)
class Subject:
    """One entry of a data list.

    images: sequence name as in BraTS 2023 (t1n, t2w, ...), "seg" or "brain" -> file.
    group: the list that the entry stands in ("paired", "head", "testing", ...).
    """

    id: str
    images: Mapping[str, Path]
    fold: int | None = None
    group: str = ""
    pathology: str = ""

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


def read_datalist(path: Path, source: str, target: str) -> list[Subject]:
    """Every subject of a JSON object of lists, complete or not; image paths are relative to the file.

    An entry has its files under "images", or beside its other keys; a plain MONAI list's "image" and "label" are
    `source` and `target`. Raises UnsuitableTrainingData if the file is no such list or nobody in it has both sequences.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        entries = [(group, entry) for group, listed in table.items() if isinstance(listed, list) for entry in listed]
        subjects = [_subject(entry, group, path.parent, source, target) for group, entry in entries if isinstance(entry, dict)]
        subjects = [subject for subject in subjects if subject.images]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UnsuitableTrainingData(
            f"The data list '{path.name}' cannot be read ({error}).", "Give a JSON object of lists."
        ) from error
    if all(subject.lacks(source, target) for subject in subjects):
        raise UnsuitableTrainingData(
            f"No subject in '{path.name}' has both {source} and {target}.", "Name the sequences with --source and --target."
        )
    return subjects


def _subject(entry: dict[str, Any], group: str, folder: Path, source: str, target: str) -> Subject:
    names = {"image": source, "label": target}
    listed = entry.get("images", entry)
    files = {names.get(key, key): value for key, value in listed.items() if isinstance(value, str)}
    known = {source, target, "seg", "brain"}
    images = {key: folder / value for key, value in files.items() if key in known}
    identity = entry.get("id") or (images[source].name.split(".")[0] if source in images else "unnamed")
    return Subject(str(identity), images, entry.get("fold"), group, str(entry.get("pathology", "")))


def load_case(subject: Subject, source: str, target: str) -> Case:
    """Read a subject; a target on another grid is registered to the input. Raises UnsuitableVolume."""
    volume = read_volume(subject.images[source])
    target_image, seen = align(read_volume(subject.images[target]), volume)
    mask = None
    if "brain" in subject.images:
        inside = resample_mask(read_volume(subject.images["brain"], allow_labels=True), volume)
        mask = volume.with_array(inside.astype(np.uint8))
    name, brain = brain_region(volume, mask)
    brain = brain & seen
    segmentation = _segmentation(subject.images["seg"], volume) if "seg" in subject.images else None
    try:
        truth = to_unit(target_image.array, brain)
    except ValueError as error:
        raise UnsuitableVolume(f"The {target} of '{subject.id}' shows no brain: {error}.", "Leave the subject out.") from error
    masks = regions(brain, truth, volume.array, volume.spacing_mm, segmentation, brain_name=name)
    return Case(subject, volume, truth, masks, seen, is_skull_stripped(volume))


def _segmentation(path: Path, grid: Volume) -> np.ndarray:
    """The labels on the grid of `grid`, by nearest neighbour."""
    labels = read_volume(path, allow_labels=True)
    if not labels.has_grid_of(grid):
        labels = resample_onto(labels, grid, interpolator=sitk.sitkNearestNeighbor)
    return labels.array
