"""Pairs painted from label maps with random contrast (Billot et al. 2023, "SynthSeg"; Iglesias et al. 2021, "SynthSR").

Intensities are drawn per tissue around what T1 and T2 of routine scanners show: T1 with white matter 1, T2 with brain p99.5 1.
Labels are FreeSurfer's; 500 and above lie outside the brain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..errors import UnsuitableTrainingData
from ..preprocessing import Preprocessing
from ..volume import Volume

FIRST_EXTRACEREBRAL_LABEL = 500
_LARGEST_LABEL = 600
# Tissue -> labels, range of T1 (white matter 1), range of T2 (brain p99.5 1; white and grey relative to white matter's draw).
_WHITE = (2, 7, 16, 28, 41, 46, 60, 77, 85)
_CORTEX = (3, 8, 17, 18, 42, 47, 53, 54)
_DEEP_GREY = (10, 11, 12, 13, 26, 49, 50, 51, 52, 58, 136, 137, 163, 164)
_FLUID = (4, 5, 14, 15, 24, 43, 44, 72)
_STRIPPED_SHARE = 0.6  # of the samples: most files for research are


@dataclass(frozen=True, eq=False)
class LabelPlanes:
    """A label map as planes (S, A, R) int16, and the probability of drawing each plane."""

    labels: np.ndarray
    chances: np.ndarray


def label_planes(volume: Volume, preprocessing: Preprocessing) -> LabelPlanes:
    """The label map on the grid that the network would read an image of the same head on.

    Raises UnsuitableTrainingData for other labels than FreeSurfer's, no brain, or voxels that would have to be resampled.
    """
    i, j, k = volume.shape
    grid = preprocessing.grid(volume, (slice(0, i), slice(0, j), slice(0, k)))
    labels = np.rint(grid.forward(volume.array)).astype(np.int16)
    areas = ((labels > 0) & (labels < FIRST_EXTRACEREBRAL_LABEL)).sum(axis=(1, 2))
    if labels.min() < 0 or labels.max() > _LARGEST_LABEL or not areas.any() or grid.spacing_mm != grid.step_mm:
        low, high = preprocessing.native_range_mm
        raise UnsuitableTrainingData(
            f"The label map '{volume.name}' cannot be painted: its labels run from {labels.min()} to {labels.max()}, "
            f"{int(areas.sum())} voxels are brain, and voxels are {' x '.join(f'{size:g}' for size in volume.spacing_mm)} mm.",
            f"FreeSurfer's codes from 0 to {_LARGEST_LABEL} are needed, some below {FIRST_EXTRACEREBRAL_LABEL}, "
            f"and voxels of {low:g} to {high:g} mm.",
        )
    return LabelPlanes(labels, areas / areas.sum())


def paint(labels: np.ndarray, background_weight: float, random: np.random.Generator) -> Tensor:
    """Labels of neighbouring planes (C, H, W) -> (C + 2, H, W): T1 planes, T2 of the middle one, its weight."""
    if random.random() < _STRIPPED_SHARE:
        labels = np.where(labels < FIRST_EXTRACEREBRAL_LABEL, labels, 0)
    t1, t2 = _contrast(random)
    middle = labels[len(labels) // 2]
    flat = np.concatenate([t1[labels], t2[middle][None]]).astype(np.float32)
    images = _soften(torch.from_numpy(flat), random)
    brain = (middle > 0) & (middle < FIRST_EXTRACEREBRAL_LABEL)
    weight = np.where(brain, 1.0, background_weight).astype(np.float32)
    return torch.cat([images, torch.from_numpy(weight)[None]])


def _contrast(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Intensity of every label in T1 and in T2, each (601,)."""
    t1, t2 = np.zeros(_LARGEST_LABEL + 1), np.zeros(_LARGEST_LABEL + 1)
    outside = np.arange(FIRST_EXTRACEREBRAL_LABEL, _LARGEST_LABEL + 1)
    t1[outside], t2[outside] = random.uniform(0.0, 1.5, outside.size), random.uniform(0.0, 0.7, outside.size)
    vessels = np.arange(1, FIRST_EXTRACEREBRAL_LABEL)
    t1[vessels], t2[vessels] = random.uniform(0.4, 1.2), random.uniform(0.0, 0.4)
    white = random.uniform(0.2, 0.32)
    for tissue, (low, high), (darkest, brightest) in (
        (_WHITE, (0.95, 1.05), (white, white)),
        (_CORTEX, (0.6, 0.85), (1.2 * white, 1.5 * white)),
        (_DEEP_GREY, (0.75, 0.95), (0.95 * white, 1.3 * white)),
        (_FLUID, (0.1, 0.4), (0.7, 1.0)),
    ):
        base_t1, base_t2 = random.uniform(low, high), random.uniform(darkest, brightest)
        t1[list(tissue)] = base_t1 * random.uniform(0.96, 1.04, len(tissue))
        t2[list(tissue)] = base_t2 * random.uniform(0.94, 1.06, len(tissue))
    return t1, t2


def _soften(images: Tensor, random: np.random.Generator) -> Tensor:
    """Texture within tissues and partial volume between them; (C, H, W)."""
    generator = torch.Generator().manual_seed(int(random.integers(2**31)))
    coarse = torch.randn(1, len(images), 24, 24, generator=generator) * random.uniform(0.01, 0.06)
    texture = functional.interpolate(coarse, size=images.shape[-2:], mode="bicubic")[0]
    images = images * torch.exp(texture)
    kernel = torch.tensor([0.25, 0.5, 0.25]) if random.random() < 0.5 else torch.tensor([0.1, 0.8, 0.1])
    images = functional.conv2d(images[:, None], kernel.reshape(1, 1, 3, 1), padding=(1, 0))
    return functional.conv2d(images, kernel.reshape(1, 1, 1, 3), padding=(0, 1))[:, 0]
