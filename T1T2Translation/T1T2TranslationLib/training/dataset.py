"""Subjects in memory, and the samples that training draws from them: the very planes that `translate` would feed."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..checks import check_reference
from ..errors import T1T2Error, UnsuitableTrainingData
from ..head import find_head
from ..io import read_volume
from ..preprocessing import Planes, Preprocessing
from ..subjects import SEQUENCES, Case, Subject, load_case
from ..volume import Volume
from .augmentation import deform, vary_contrast
from .lesions import bright_lesions, donor, paint_lesion, paint_oedema, transplant
from .recipe import Recipe
from .synthesis import LabelPlanes, label_planes, paint

log = logging.getLogger(__name__)

_LESION_PLANES = 2.0  # how much more often a plane with a lesion is drawn
_LESION_AREA = 40  # voxels that make it one


@dataclass(frozen=True, eq=False)
class Pair:
    """One subject in memory.

    planes: what the network reads.
    target, weight: (S, A, R) float16 on the planes' grid: the real contrast, 1 = brain p99.5, and how much a voxel counts.
    chances: (S,) probability of drawing each plane.
    is_whole_head: whether more than a stripped brain is shown.
    lesion: (S, A, R) float16, 1 = lesion, where it is known.
    companion: what the network would read of another sequence on the same grid.
    """

    id: str
    planes: Planes
    target: np.ndarray
    weight: np.ndarray
    chances: np.ndarray
    is_whole_head: bool = False
    lesion: np.ndarray | None = None
    companion: Planes | None = None

    @property
    def median(self) -> float:
        """Of the target over the brain."""
        return float(np.median(self.target[self.weight >= 1]))


def read_label_maps(path: Path, preprocessing: Preprocessing) -> list[LabelPlanes]:
    """The label maps that a data list names under "labels", for painting; none is fine."""
    entries = json.loads(path.read_text(encoding="utf-8")).get("labels", [])
    if not isinstance(entries, list):
        raise _no_label_maps(path)
    return [
        label_planes(read_volume(path.parent / _label_map(entry, path), allow_labels=True), preprocessing) for entry in entries
    ]


def _label_map(entry: object, datalist: Path) -> str:
    file = entry.get("path") or entry.get("image") if isinstance(entry, dict) else entry
    if not isinstance(file, str):
        raise _no_label_maps(datalist)
    return file


def _no_label_maps(datalist: Path) -> UnsuitableTrainingData:
    return UnsuitableTrainingData(
        f"\"labels\" of '{datalist.name}' is no list of label maps.", 'Give files, or entries such as {"path": "head.nii.gz"}.'
    )


def load_pairs(subjects: Sequence[Subject], recipe: Recipe, preprocessing: Preprocessing) -> list[Pair]:
    """Every subject that has both sequences, prepared; those that cannot be used are logged with the reason.

    A whole head with a brain mask gives two pairs, as it is and stripped. Raises UnsuitableTrainingData if none is left.
    """
    pairs = []
    for subject in subjects:
        missing = subject.lacks(recipe.source, recipe.target)
        if missing:
            log.warning("%s left out: it has no %s.", subject.id, " and no ".join(missing))
            continue
        try:
            pairs += _pairs_of(subject, recipe, preprocessing)
        except T1T2Error as error:
            log.warning("%s left out: %s", subject.id, error)
    if not pairs:
        raise UnsuitableTrainingData("No subject of the data list can be trained on.", "See the reasons above.")
    return _with_matched_medians(pairs, recipe.median_factor) if recipe.match_medians else pairs


def _with_matched_medians(pairs: Sequence[Pair], factor: float) -> list[Pair]:
    """Every target to the power that brings its median over the brain to the median of its kind; 0 and 1 stay.

    How bright tissue is beside fluid depends on the echo time of the scan, S ~ exp(-TE / T2): another echo time is another
    power. The input does not tell it; a network that meets a few patients learns each one's by heart, and guesses.
    Whole heads, as a radiologist loads them, are one kind, stripped brains the other: that the input does tell.
    factor: of the median of the stripped brains.
    """
    standards = {}
    for is_whole, name in ((False, "stripped brains"), (True, "whole heads")):
        medians = [pair.median for pair in pairs if pair.is_whole_head == is_whole]
        if medians:
            standards[is_whole] = float(np.median(medians)) * (1 if is_whole else factor)
            log.info("The target's median over the brain becomes %.2f in %d %s.", standards[is_whole], len(medians), name)
    return [_with_median(pair, standards[pair.is_whole_head]) for pair in pairs]


def _with_median(pair: Pair, median: float) -> Pair:
    if not 0 < pair.median < 1:
        return pair
    power = math.log(median) / math.log(pair.median)
    return replace(pair, target=(pair.target.astype(np.float32) ** power).astype(np.float16))


def _pairs_of(subject: Subject, recipe: Recipe, preprocessing: Preprocessing) -> list[Pair]:
    case = load_case(subject, recipe.source, recipe.target)
    real = case.volume.with_array(case.truth, name=f"{recipe.target} of {subject.id}")
    for doubt in check_reference(real, case.volume, SEQUENCES.get(recipe.target, recipe.target)):
        log.warning("%s It is learnt from all the same; are the two images swapped?", doubt)
    weight = np.where(case.brain, 1.0, recipe.background_weight) * case.seen
    lesion = _lesion(case)
    if lesion is not None:
        weight[lesion] = recipe.tumour_weight
    planes = preprocessing.prepare(case.volume)
    own = _pair(subject.id, planes, case.truth, weight, case.brain, lesion)
    pairs = [replace(own, is_whole_head=not case.skull_stripped, companion=_companion(case, recipe, planes))]
    if "brain" in subject.images:
        planes = preprocessing.prepare(case.volume, case.brain)
        pairs.append(_pair(f"{subject.id} stripped", planes, case.truth * case.brain, weight, case.brain, lesion))
    return pairs


def _lesion(case: Case) -> np.ndarray | None:
    """The tumour mask, or what is bright in the FLAIR of a stripped brain; bool (i, j, k)."""
    if "tumour" in case.masks:
        return case.masks["tumour"]
    flair = _beside(case, "t2f") if case.skull_stripped else None
    found = None if flair is None else bright_lesions(flair, case.brain)
    return found if found is not None and found.any() else None


def _companion(case: Case, recipe: Recipe, planes: Planes) -> Planes | None:
    """What the network would read of the recipe's companion, where the subject has one on the input's grid."""
    other = _beside(case, recipe.companion)
    if other is None:
        return None
    try:
        head = find_head(other)
    except T1T2Error as error:
        log.warning("The %s of %s is not used: %s", recipe.companion, case.subject.id, error)
        return None
    values = planes.grid.forward(other.array)
    scaled = np.clip((values - head.air) / (head.level - head.air), 0, float(planes.values.max()))
    return replace(planes, values=scaled.astype(np.float32))


def _beside(case: Case, sequence: str) -> Volume | None:
    """Another sequence of the subject, if it has it on the input's grid."""
    path = case.subject.images.get(sequence)
    volume = None if path is None else read_volume(path)
    return volume if volume is not None and volume.has_grid_of(case.volume) else None


def _pair(
    name: str, planes: Planes, target: np.ndarray, weight: np.ndarray, brain: np.ndarray, lesion: np.ndarray | None
) -> Pair:
    areas = (planes.grid.forward(brain) > 0.5).sum(axis=(1, 2))
    chances = np.sqrt(areas) * (areas > 0.02 * areas.max())
    if lesion is not None:
        lesion = planes.grid.forward(lesion).astype(np.float16)
        chances *= np.where((lesion > 0.5).sum(axis=(1, 2)) > _LESION_AREA, _LESION_PLANES, 1.0)
    return Pair(
        name,
        planes,
        planes.grid.forward(target).astype(np.float16),
        planes.grid.forward(weight).astype(np.float16),
        chances / chances.sum(),
        lesion=lesion,
    )


class Sampler:
    """Draws batches: each sample from a random subject, subjects alike, or painted from a random label map."""

    def __init__(self, pairs: Sequence[Pair], recipe: Recipe, seed: int, label_maps: Sequence[LabelPlanes] = ()):
        self.pairs = pairs
        self.label_maps = label_maps
        self.recipe = recipe
        self.painted_share = recipe.painted_share
        found = [donor(pair.planes, pair.target, pair.lesion) for pair in pairs if pair.lesion is not None]
        self.donors = [each for each in found if each is not None]
        self.random = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.drawn: list[str] = []  # where the samples of the last batch come from, in words

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Planes (N, context, size, size), target and weight (N, 1, size, size), all float32."""
        self.drawn = []
        context = self.pairs[0].planes.context_planes
        samples = torch.cat([self._sample() for _ in range(self.recipe.batch_size)])
        planes, target, weight = samples.split([context, 1, 1], dim=1)
        return vary_contrast(planes, self.recipe.augmentation, self.generator), target, weight

    def _sample(self) -> Tensor:
        ranges = self.recipe.augmentation
        stack = self._painted() if self.label_maps and self.random.random() < self.painted_share else self._real()
        if self.random.random() < ranges.painted_oedema:
            stack = paint_oedema(stack, self.recipe.tumour_weight, self.random)
        if self.random.random() < ranges.painted_lesions:
            stack = paint_lesion(stack, self.recipe.tumour_weight, self.random)
        elif self.donors and self.random.random() < ranges.transplants:
            giver = self.donors[int(self.random.integers(len(self.donors)))]
            lesion, weight = giver.sample(self.random), self.recipe.tumour_weight
            stack = transplant(stack, lesion, weight, self.random, ranges.faintest_transplant)
        return deform(stack[None], self.recipe.patch, ranges, self.generator)

    def _real(self) -> Tensor:
        pair = self.pairs[int(self.random.integers(len(self.pairs)))]
        index = int(self.random.choice(len(pair.planes), p=pair.chances))
        self.drawn.append(f"plane {index} of {pair.id}")
        planes = pair.planes.context(index, index + 1)
        if pair.companion is not None and self.random.random() < self.recipe.companion_share:
            planes = torch.lerp(planes, pair.companion.context(index, index + 1), float(self.random.random()))
        rows = [planes[0]]
        rows += [torch.from_numpy(image[index, None].astype(np.float32)) for image in (pair.target, pair.weight)]
        return torch.cat(rows)

    def _painted(self) -> Tensor:
        chosen = self.label_maps[int(self.random.integers(len(self.label_maps)))]
        index = int(self.random.choice(len(chosen.labels), p=chosen.chances))
        self.drawn.append(f"painted plane {index}")
        half = self.pairs[0].planes.context_planes // 2
        neighbours = np.clip(np.arange(index - half, index + half + 1), 0, len(chosen.labels) - 1)
        return paint(chosen.labels[neighbours], self.recipe.background_weight, self.random)
