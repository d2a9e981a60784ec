"""Subjects of a data list, and the samples that training draws from them: the very planes that `translate` would feed."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor

from ..errors import T1T2Error, UnsuitableTrainingData
from ..io import read_volume
from ..metrics import to_unit
from ..preprocessing import Planes, Preprocessing
from ..reference import register
from ..regions import brain_mask, regions
from ..resampling import resample_onto
from ..volume import Volume
from .augmentation import deform, vary_contrast
from .recipe import Recipe
from .synthesis import LabelPlanes, add_lesion, label_planes, paint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Subject:
    """One entry of a data list: image name (t1n, t2w, seg, brain, ...) -> file, and the fold it belongs to."""

    id: str
    images: dict[str, Path]
    fold: int | None = None


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


def read_datalist(path: Path) -> list[Subject]:
    """Subjects of a JSON list: every list of the top-level object is read; image paths are relative to the file."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        lists = [entries for entries in table.values() if isinstance(entries, list)]
        return [_subject(entry, path.parent) for entries in lists for entry in entries if "images" in entry]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnsuitableTrainingData(f"The data list '{path.name}' cannot be read ({error}).") from error


def _subject(entry: dict[str, Any], folder: Path) -> Subject:
    images = {name: folder / relative for name, relative in entry["images"].items()}
    return Subject(str(entry["id"]), images, entry.get("fold"))


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
        missing = [name for name in (recipe.source, recipe.target) if name not in subject.images]
        if missing:
            log.warning("%s left out: it has no %s.", subject.id, " and no ".join(missing))
            continue
        try:
            pairs += _pairs_of(subject, recipe, preprocessing)
        except (T1T2Error, ValueError) as error:  # ValueError: the target is dark all over the brain
            log.warning("%s left out: %s", subject.id, error)
    if not pairs:
        raise UnsuitableTrainingData("No subject of the data list can be trained on.", "See the reasons above.")
    return pairs


def _pairs_of(subject: Subject, recipe: Recipe, preprocessing: Preprocessing) -> list[Pair]:
    volume = read_volume(subject.images[recipe.source])
    target = _aligned(read_volume(subject.images[recipe.target]), volume)
    mask = _labels(subject.images["brain"], volume) if "brain" in subject.images else None
    brain = brain_mask(volume, mask)
    unit = to_unit(target.array, brain)
    weight = np.where(brain, 1.0, recipe.background_weight)
    if "seg" in subject.images:
        segmentation = _labels(subject.images["seg"], volume).array
        found = regions(brain, unit, volume.array, volume.spacing_mm, segmentation)
        weight[found.get("tumour", np.zeros_like(brain))] = recipe.tumour_weight
    pairs = [_pair(subject.id, preprocessing.prepare(volume), unit, weight, brain)]
    if mask is not None:
        pairs.append(_pair(f"{subject.id} stripped", preprocessing.prepare(volume, brain), unit * brain, weight, brain))
    return pairs


def _aligned(image: Volume, grid: Volume) -> Volume:
    """`image` on the grid of `grid`: as it is, or registered rigidly and resampled. Raises UnsuitableTrainingData if empty."""
    if image.array.min() == image.array.max():
        raise UnsuitableTrainingData(f"'{image.name}' has the same value everywhere.", "Remove it from the data list.")
    if image.has_grid_of(grid):
        return image
    image = image.with_array(image.array.astype(np.float32))
    return resample_onto(image, grid, register(image, grid))


def _labels(path: Path, grid: Volume) -> Volume:
    """A label map on the grid of `grid`, by nearest neighbour where its own differs."""
    labels = read_volume(path, allow_labels=True)
    return labels if labels.has_grid_of(grid) else resample_onto(labels, grid, interpolator=sitk.sitkNearestNeighbor)


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
