"""What scanners and patients vary, applied to planes: geometry to input and target alike, contrast to the input."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .recipe import Augmentation


def deform(stack: Tensor, size: int, ranges: Augmentation, generator: torch.Generator) -> Tensor:
    """(1, C, H, W) -> (1, C, size, size): a random rotation, zoom, flip, shift and smooth deformation, the same for all C."""
    height, width = stack.shape[-2:]
    angle = float(_uniform((), ranges.rotation_degrees, generator)) * math.pi / 180
    zoom = math.exp(_uniform((), math.log1p(ranges.zoom), generator))
    flip = -1.0 if torch.rand((), generator=generator) < ranges.flip else 1.0
    cosine, sine = math.cos(angle) / zoom, math.sin(angle) / zoom
    right, down = _uniform((2,), ranges.shift, generator).tolist()
    patch_width, patch_height = size / width, size / height  # the patch, in half widths of the plane
    matrix = torch.tensor(
        [
            [cosine * flip * patch_width, -sine * patch_width, right],
            [sine * flip * patch_height, cosine * patch_height, down],
        ]
    )
    grid = functional.affine_grid(matrix[None], [1, 1, size, size], align_corners=False)
    coarse = torch.randn(1, 2, 6, 6, generator=generator) * (ranges.deformation / 2)
    smooth = functional.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)
    return functional.grid_sample(stack, grid + smooth.permute(0, 2, 3, 1), align_corners=False)


def vary_contrast(planes: Tensor, ranges: Augmentation, generator: torch.Generator) -> Tensor:
    """(N, C, H, W), white matter 1: what another scanner would have made of the same head."""
    count = len(planes)
    gamma = torch.exp(_uniform((count, 1, 1, 1), ranges.gamma, generator))
    gain = 1 + _uniform((count, 1, 1, 1), ranges.gain, generator)
    planes = _bend(planes.clamp_min(0).pow(gamma), ranges, generator) * gain * _bias_field(planes, ranges, generator)
    planes = _thicken(planes, ranges, generator)
    planes = _blur(planes, ranges, generator)
    noise = torch.rand(count, 1, 1, 1, generator=generator) * ranges.noise
    air = planes <= 0
    noisy = planes + noise * torch.randn(planes.shape, generator=generator)
    stripped = torch.rand(count, 1, 1, 1, generator=generator) < 0.7  # most files have exact zeros in the air
    return torch.where(air & stripped, planes, noisy.abs())


def _bend(planes: Tensor, ranges: Augmentation, generator: torch.Generator) -> Tensor:
    """A smooth curve through 0 and 1, so that white matter stays and the tissues below it change their contrast."""
    heights = _uniform((3, len(planes), 1, 1, 1), ranges.bend, generator)
    below_white = planes.clamp_max(1.0)
    for waves, height in enumerate(heights, start=1):
        planes = planes + height / waves * torch.sin(waves * math.pi * below_white)
    return planes.clamp_min(0)


def _bias_field(planes: Tensor, ranges: Augmentation, generator: torch.Generator) -> Tensor:
    """A smooth factor around 1, as of a receive coil; (N, 1, H, W)."""
    strength = torch.rand(len(planes), 1, 1, 1, generator=generator) * ranges.bias_field
    coarse = torch.randn(len(planes), 1, 4, 4, generator=generator) * strength
    return torch.exp(functional.interpolate(coarse, size=planes.shape[-2:], mode="bicubic", align_corners=True))


def _thicken(planes: Tensor, ranges: Augmentation, generator: torch.Generator) -> Tensor:
    """In some samples neighbours are drawn towards the middle plane, as interpolation between thick slices does."""
    chosen = torch.rand(len(planes), 1, 1, 1, generator=generator) < ranges.thick_slices
    pull = torch.rand(len(planes), 1, 1, 1, generator=generator) * chosen
    middle = planes[:, planes.shape[1] // 2, None]
    return planes + pull * (middle - planes)


def _blur(planes: Tensor, ranges: Augmentation, generator: torch.Generator) -> Tensor:
    """A Gaussian of random width along each in-plane axis for half of the samples."""
    count, channels = planes.shape[:2]
    taps = torch.arange(-3.0, 4.0)
    for axis in (2, 3):
        sigma = torch.rand(count, 1, generator=generator) * ranges.blur_sigma
        sigma = sigma * (torch.rand(count, 1, generator=generator) < 0.5) + 0.05
        kernel = torch.exp(-0.5 * (taps / sigma).square())
        kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)  # (N C, 7)
        shape = (-1, 1, 7, 1) if axis == 2 else (-1, 1, 1, 7)
        padding = (3, 0) if axis == 2 else (0, 3)
        merged = planes.reshape(1, count * channels, *planes.shape[2:])
        planes = functional.conv2d(merged, kernel.reshape(shape), padding=padding, groups=count * channels).reshape(planes.shape)
    return planes


def _uniform(shape: tuple[int, ...], limit: float, generator: torch.Generator) -> Tensor:
    """Uniform in [-limit, limit]."""
    return (torch.rand(shape, generator=generator) * 2 - 1) * limit
