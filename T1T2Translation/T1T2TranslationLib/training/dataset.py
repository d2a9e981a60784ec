"""Subjects in memory, and the samples that training draws from them: the very planes that `translate` would feed."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import T1T2Error, UnsuitableTrainingData
from ..io import read_volume
from ..preprocessing import Planes, Preprocessing
from ..subjects import Subject, load_case
from .augmentation import deform, vary_contrast
from .recipe import Recipe
from .synthesis import LabelPlanes, add_lesion, label_planes, paint

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Pair:
    """One subject in memory.

    planes: what the network reads.
    target, weight: (S, A, R) float16 on the planes' grid: the real contrast, 1 = brain p99.5, and how much a voxel counts.
    chances: (S,) probability of drawing each plane.
    """

    id: str
    planes: Planes
    target: np.ndarray
    weight: np.ndarray
    chances: np.ndarray


def read_label_maps(path: Path, preprocessing: Preprocessing) -> list[LabelPlanes]:
    """The label maps that a data list names under "labels", for painting; none is fine."""
    entries = json.loads(path.read_text(encoding="utf-8")).get("labels", [])
    return [label_planes(read_volume(path.parent / entry["path"], allow_labels=True), preprocessing) for entry in entries]


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
    return pairs


def _pairs_of(subject: Subject, recipe: Recipe, preprocessing: Preprocessing) -> list[Pair]:
    case = load_case(subject, recipe.source, recipe.target)
    weight = np.where(case.brain, 1.0, recipe.background_weight) * case.seen
    if "tumour" in case.masks:
        weight[case.masks["tumour"]] = recipe.tumour_weight
    pairs = [_pair(subject.id, preprocessing.prepare(case.volume), case.truth, weight, case.brain)]
    if "brain" in subject.images:
        planes = preprocessing.prepare(case.volume, case.brain)
        pairs.append(_pair(f"{subject.id} stripped", planes, case.truth * case.brain, weight, case.brain))
    return pairs


def _pair(name: str, planes: Planes, target: np.ndarray, weight: np.ndarray, brain: np.ndarray) -> Pair:
    areas = (planes.grid.forward(brain) > 0.5).sum(axis=(1, 2))
    chances = np.sqrt(areas) * (areas > 0.02 * areas.max())
    return Pair(
        name,
        planes,
        planes.grid.forward(target).astype(np.float16),
        planes.grid.forward(weight).astype(np.float16),
        chances / chances.sum(),
    )


class Sampler:
    """Draws batches: each sample from a random subject, subjects alike, or painted from a random label map."""

    def __init__(self, pairs: Sequence[Pair], recipe: Recipe, seed: int, label_maps: Sequence[LabelPlanes] = ()):
        self.pairs = pairs
        self.label_maps = label_maps
        self.recipe = recipe
        self.painted_share = recipe.painted_share
        self.random = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Planes (N, context, size, size), target and weight (N, 1, size, size), all float32."""
        context = self.pairs[0].planes.context_planes
        samples = torch.cat([self._sample() for _ in range(self.recipe.batch_size)])
        planes, target, weight = samples.split([context, 1, 1], dim=1)
        return vary_contrast(planes, self.recipe.augmentation, self.generator), target, weight

    def _sample(self) -> Tensor:
        ranges = self.recipe.augmentation
        stack = self._painted() if self.label_maps and self.random.random() < self.painted_share else self._real()
        if self.random.random() < ranges.lesions:
            stack = add_lesion(stack, self.random)
        return deform(stack[None], self.recipe.patch, ranges, self.generator)

    def _real(self) -> Tensor:
        pair = self.pairs[int(self.random.integers(len(self.pairs)))]
        index = int(self.random.choice(len(pair.planes), p=pair.chances))
        rows = [pair.planes.context(index, index + 1)[0]]
        rows += [torch.from_numpy(image[index, None].astype(np.float32)) for image in (pair.target, pair.weight)]
        return torch.cat(rows)

    def _painted(self) -> Tensor:
        chosen = self.label_maps[int(self.random.integers(len(self.label_maps)))]
        index = int(self.random.choice(len(chosen.labels), p=chosen.chances))
        half = self.pairs[0].planes.context_planes // 2
        neighbours = np.clip(np.arange(index - half, index + half + 1), 0, len(chosen.labels) - 1)
        return paint(chosen.labels[neighbours], self.recipe.background_weight, self.random)

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on with the same draws."""
        return {"random": self.random.bit_generator.state, "generator": self.generator.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        self.random.bit_generator.state = state["random"]
        self.generator.set_state(state["generator"])
