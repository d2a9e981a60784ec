"""Lesions for brains that have none: painted, or transplanted from another patient; a few tumours then teach many shapes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor
from torch.nn import functional

from ..preprocessing import Planes
from ..volume import Volume

_LESION_SIZE = (0.08, 0.35)  # radius of a painted lesion in half widths of the patch
_BRIGHTER_THAN_BRAIN = 3.0  # standard deviations (1.4826 x the median absolute deviation) above the brain's median
_RIM_VOXELS = 5  # of a stripped brain, whose edge is bright in FLAIR without being ill
_SMALLEST_VOXELS = 1000
_OEDEMA_SIZE = (0.15, 0.6)  # radius, likewise
_GREY, _WHITE = 0.75, 0.95  # T1 of what oedema spares and of what it fills, white matter = 1
_SMALLEST_AREA = 60  # voxels of a lesion in a plane that is worth transplanting


@dataclass(frozen=True, eq=False)
class Donor:
    """A subject with a lesion.

    planes, target: as in `Pair`. lesion: (S, A, R) float16, 1 = lesion. chosen: the planes where it is large.
    """

    planes: Planes
    target: np.ndarray
    lesion: np.ndarray
    chosen: np.ndarray

    def sample(self, random: np.random.Generator) -> Tensor:
        """One of the chosen planes, (C + 2, H, W): the planes the network reads, their target, the lesion."""
        index = int(random.choice(self.chosen))
        rows = [torch.from_numpy(image[index, None].astype(np.float32)) for image in (self.target, self.lesion)]
        return torch.cat([self.planes.context(index, index + 1)[0], *rows])


def donor(planes: Planes, target: np.ndarray, lesion: np.ndarray) -> Donor | None:
    """A donor, if its lesion is large enough anywhere."""
    areas = (lesion > 0.5).sum(axis=(1, 2))
    chosen = np.flatnonzero(areas > max(_SMALLEST_AREA, 0.2 * areas.max()))
    return Donor(planes, target, lesion, chosen) if chosen.size else None


def bright_lesions(flair: Volume, brain: np.ndarray) -> np.ndarray:
    """Where FLAIR is far brighter than the brain's median in pieces of at least 1000 voxels, bool (i, j, k).

    flair: skull-stripped, on the grid of `brain`, bool (i, j, k). For weighting and transplanting only, not a segmentation.
    """
    smooth = sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(flair.array.astype(np.float32)), 1.0)
    image = sitk.GetArrayFromImage(smooth)
    inner = sitk.GetArrayFromImage(sitk.BinaryErode(sitk.GetImageFromArray(brain.astype(np.uint8)), [_RIM_VOXELS] * 3))
    median = np.median(image[brain])
    deviation = 1.4826 * np.median(np.abs(image[brain] - median))
    bright = (image > median + _BRIGHTER_THAN_BRAIN * deviation) & (inner > 0)
    pieces = sitk.ConnectedComponent(sitk.GetImageFromArray(bright.astype(np.uint8)))
    return sitk.GetArrayFromImage(sitk.RelabelComponent(pieces, _SMALLEST_VOXELS)) > 0


def transplant(stack: Tensor, lesion: Tensor, tumour_weight: float, random: np.random.Generator, faintest: float = 1.0) -> Tensor:
    """Blend another patient's lesion, turned, resized and mirrored, into one sample (after Zhang et al. 2023, "CarveMix").

    stack: (C + 2, H, W), last the weight. lesion: (C + 2, H', W') as `Donor.sample` gives it. Returns a new stack.
    faintest: how much of the lesion's input is seen at least, beside its target.
    """
    brain = stack[-1] >= 1
    places = torch.nonzero(brain)
    if len(places) == 0:
        return stack
    place = places[int(random.integers(len(places)))]
    moved = _moved(lesion, place, (stack.shape[-2], stack.shape[-1]), random)
    soft = functional.avg_pool2d(moved[-1:][None], 5, stride=1, padding=2)[0, 0]
    tissue = moved[len(stack[:-2]) // 2] > 0.05  # nothing of the air around the donor
    share = soft * brain * tissue * float(random.uniform(0.6, 1.0))
    planes = torch.lerp(stack[:-2], moved[:-2], share * float(random.uniform(faintest, 1.0)))
    target = torch.lerp(stack[-2], moved[-2], share)
    weight = torch.where(share > 0.5, tumour_weight, stack[-1])
    return torch.cat([planes, target[None], weight[None]])


def _moved(lesion: Tensor, place: Tensor, size: tuple[int, int], random: np.random.Generator) -> Tensor:
    """The donor's images (C, H', W') with the lesion's centre at `place` (row, column) of a plane of `size`, (C, *size)."""
    centre = torch.nonzero(lesion[-1] > 0.5).float().mean(0)
    angle, zoom = random.uniform(0, 2 * math.pi), math.exp(random.uniform(-0.4, 0.3))
    mirrored = -1.0 if random.random() < 0.5 else 1.0
    rows, columns = torch.meshgrid(torch.arange(size[0]) - place[0], torch.arange(size[1]) - place[1], indexing="ij")
    cosine, sine = math.cos(angle) / zoom, math.sin(angle) / zoom
    down = cosine * rows - sine * columns + centre[0]
    right = mirrored * (sine * rows + cosine * columns) + centre[1]
    height, width = lesion.shape[-2:]
    grid = torch.stack([(2 * right + 1) / width - 1, (2 * down + 1) / height - 1], dim=-1)  # voxels -> [-1, 1]
    return functional.grid_sample(lesion[None], grid[None].float(), align_corners=False)[0]


def paint_lesion(stack: Tensor, tumour_weight: float, random: np.random.Generator) -> Tensor:
    """Paint a smooth lesion over T1 planes and T2 of one sample; (C + 2, H, W), last the weight; returns a new stack.

    Between white matter and fluid a lesion's T1 falls as its T2 rises, with its own slope; a core may differ from its rim.
    """
    height, width = stack.shape[-2:]
    brain = (stack[-1] >= 1) & (stack[len(stack[:-2]) // 2] > 0.5)
    places = torch.nonzero(brain)
    if len(places) == 0:
        return stack
    centre = places[int(random.integers(len(places)))]
    blob = _blob(height, width, centre, random)
    inside = blob * (stack[-1] >= 1)
    for share in (inside, inside.square() * (random.random() < 0.5)):
        fluid = random.uniform(0.2, 1.0)
        t1 = 1 - fluid * random.uniform(0.4, 0.75)
        t2 = 0.28 + fluid * random.uniform(0.4, 0.7)
        opacity = random.uniform(0.5, 1.0) * share
        stack = torch.cat([stack[:-2] + opacity * (t1 - stack[:-2]), (stack[-2] + opacity * (t2 - stack[-2]))[None], stack[-1:]])
    weight = torch.where(inside > 0.5, tumour_weight, stack[-1])
    return torch.cat([stack[:-1], weight[None]])


def paint_oedema(stack: Tensor, tumour_weight: float, random: np.random.Generator) -> Tensor:
    """Paint vasogenic oedema over T1 planes and T2 of one sample; (C + 2, H, W), last the weight; returns a new stack.

    It spreads in white matter and spares the cortex: white matter becomes as dark as grey matter in T1, so that the border
    between them fades, and brighter than it in T2.
    """
    planes, target, weight = stack[:-2], stack[-2], stack[-1]
    white = ((planes - _GREY) / (_WHITE - _GREY)).clamp(0, 1) * (weight >= 1)
    middle = len(planes) // 2
    places = torch.nonzero(white[middle] > 0.5)
    if len(places) == 0:
        return stack
    centre = places[int(random.integers(len(places)))]
    blob = _blob(target.shape[0], target.shape[1], centre, random, _OEDEMA_SIZE)
    soaked = float(random.uniform(0.4, 1.0))
    planes = planes - blob * white * soaked * float(random.uniform(0.1, 0.35))
    share = blob * white[middle]
    brighter = (float(random.uniform(0.4, 0.7)) - target).clamp_min(0)
    weight = torch.where(share > 0.5, tumour_weight, weight)
    return torch.cat([planes, (target + share * soaked * brighter)[None], weight[None]])


def _blob(
    height: int, width: int, centre: Tensor, random: np.random.Generator, sizes: tuple[float, float] = _LESION_SIZE
) -> Tensor:
    """A soft, irregular disc around `centre`, (H, W) in [0, 1]."""
    radius = random.uniform(*sizes) * min(height, width) / 2
    rows = torch.arange(height)[:, None] - centre[0]
    columns = torch.arange(width)[None] - centre[1]
    coarse = torch.from_numpy(random.normal(0, 0.35, (1, 1, 8, 8)).astype(np.float32))
    ragged = functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)[0, 0]
    distance = torch.sqrt(rows.square() + columns.square()) / radius + ragged
    return torch.sigmoid((1 - distance) * random.uniform(4, 14))
