"""The losses, each its own function over the voxels that count, combined in proportion by the recipe."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from .recipe import LossWeights

# Wang et al. 2004: an 11-voxel Gaussian window, and constants for a data range of 1.
_SSIM_TAPS, _SSIM_SIGMA = 11, 1.5
_SMALLEST_LESION = 30  # voxels whose mean is worth comparing
_C1, _C2 = 0.01**2, 0.03**2


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of `values` over `weight`, both (N, 1, H, W)."""
    return (values * weight).sum() / weight.sum().clamp_min(1.0)


def mae_loss(value: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute error, the study's first loss."""
    return weighted_mean((value - target).abs(), weight)


def mse_loss(value: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean squared error: the study's Euclidean distance, squared and per voxel."""
    return weighted_mean((value - target).square(), weight)


def ssim_loss(value: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """1 - SSIM (Wang et al. 2004) over the voxels whose whole window lies in the patch; images in [0, 1].

    Windows are banded matrix products: on a CPU that is twenty times quicker, backwards too, than MONAI's 11x11 convolution,
    against which a test holds it.
    """
    rows, columns = (_windows(size).to(value.device) for size in value.shape[-2:])
    moments = torch.stack([value, target, value * value, target * target, value * target])
    mean_v, mean_t, square_v, square_t, product = rows @ moments @ columns.T
    variances = square_v - mean_v.square() + square_t - mean_t.square()
    covariance = product - mean_v * mean_t
    luminance = (2 * mean_v * mean_t + _C1) / (mean_v.square() + mean_t.square() + _C1)
    structure = (2 * covariance + _C2) / (variances + _C2)
    rim = _SSIM_TAPS // 2
    return weighted_mean(1 - luminance * structure, weight[..., rim:-rim, rim:-rim])


@functools.lru_cache(maxsize=4)
def _windows(size: int) -> Tensor:
    """(size - 10, size): a Gaussian window around every voxel that has room for it."""
    window = torch.exp(-0.5 * ((torch.arange(_SSIM_TAPS) - _SSIM_TAPS // 2) / _SSIM_SIGMA).square())
    matrix = torch.zeros(size - _SSIM_TAPS + 1, size)
    for row in range(len(matrix)):
        matrix[row, row : row + _SSIM_TAPS] = window / window.sum()
    return matrix


def gradient_loss(value: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute difference of the in-plane finite differences (Mathieu et al. 2016, with exponent 1)."""
    error = value - target
    down = weighted_mean(error.diff(dim=2).abs(), weight[:, :, 1:])
    right = weighted_mean(error.diff(dim=3).abs(), weight[..., 1:])
    return down + right


def lesion_loss(value: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """By how much each lesion's mean is off, over the samples that show one: where the weight is above that of brain.

    The mean absolute error is least at the median, which for a lesion that T1 hardly shows is healthy tissue.
    """
    lesion = (weight > 1.01).float()
    sizes = lesion.sum(dim=(1, 2, 3))
    off = ((value - target) * lesion).sum(dim=(1, 2, 3)).abs() / sizes.clamp_min(1.0)
    shown = sizes >= _SMALLEST_LESION
    return off[shown].sum() / len(value)


def laplace_loss(value: Tensor, log_scale: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Negative log-likelihood of a Laplace distribution of scale exp(log_scale) (Kendall and Gal 2017), for the scale only.

    The residual is detached: where the error is large the scale grows, but the value is not let off.
    """
    residual = (value - target).abs().detach()
    return weighted_mean(residual * torch.exp(-log_scale) + log_scale, weight)


def combined_loss(
    value: Tensor, log_scale: Tensor, target: Tensor, weight: Tensor, weights: LossWeights
) -> tuple[Tensor, dict[str, float]]:
    """The recipe's sum and its terms before weighting; all images (N, 1, H, W) float32, 1 = brain p99.5."""
    terms = {
        "mae": lambda: mae_loss(value, target, weight),
        "mse": lambda: mse_loss(value, target, weight),
        "ssim": lambda: ssim_loss(value, target, weight),
        "gradient": lambda: gradient_loss(value, target, weight),
        "lesion": lambda: lesion_loss(value, target, weight),
        "laplace": lambda: laplace_loss(value, log_scale, target, weight),
    }
    total = value.new_zeros(())
    values = {}
    for name, term in terms.items():
        share = getattr(weights, name)
        if share:
            loss = term()
            total = total + share * loss
            values[name] = float(loss.detach())
    return total, values
