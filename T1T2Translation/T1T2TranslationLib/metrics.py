"""Protocol T2P-1: how a synthetic image is scored against the real one of the same patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .regions import bounding_box

# Images are arrays (i, j, k) in the unit of the real contrast: 1 = its 99.5th percentile over the brain. The real image
# is clipped to [0, 1]; the prediction is never rescaled by its own statistics. Filters work in voxels, as the protocol
# was written on 1 mm grids; the ring and the gradient are in millimetres.
PROTOCOL = "T2P-1"
REFERENCE_PERCENTILE = 99.5
SSIM_SIGMA = 1.5  # voxels; Wang 2004
SSIM_TRUNCATE = 3.5  # sigmas: the 11-tap window of Wang 2004
LOG_SIGMA = 1.5  # voxels; Ravishankar and Bresler 2011
LOG_TRUNCATE = 4.0
NMI_BINS = 100
SEED_FRAME_BRAIN_SHARE = 0.17

_FILTER_MARGIN = 7  # voxels: the filters reach 6 from a region's edge, the gradient 1


def percentile_of_brain(image: np.ndarray, brain: np.ndarray) -> float:
    """The real image's value that counts as 1: its 99.5th percentile over the brain, air below 0 taken as 0.

    Raises ValueError where the brain is empty or the image is dark all over it.
    """
    values = image[brain]
    if values.size == 0:
        raise ValueError("the brain region is empty")
    reference = float(np.percentile(np.maximum(values, 0), REFERENCE_PERCENTILE))
    if reference <= 0:
        raise ValueError("the image is zero over the brain")
    return reference


def to_unit(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """A real image (i, j, k) in the protocol's unit: float32 in [0, 1], 1 = p99.5 over `brain` (bool, same shape)."""
    return np.clip(image.astype(np.float32) / percentile_of_brain(image, brain), 0, 1)


# ---- one number each: prediction, truth (i, j, k) in the unit, over a region (bool, same shape)


def mean_absolute_error(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray) -> float:
    """MAE: mean |prediction - truth| over the region."""
    return float(np.abs(prediction[region] - truth[region]).mean(dtype=np.float64))


def mean_squared_error(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray) -> float:
    """MSE: mean (prediction - truth)^2 over the region."""
    return float(np.square(prediction[region] - truth[region]).mean(dtype=np.float64))


def peak_signal_to_noise_ratio(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray) -> float:
    """PSNR in dB with data range 1; infinite for equal images."""
    error = mean_squared_error(prediction, truth, region)
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def structural_similarity_map(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """SSIM at every voxel, float32 (i, j, k): Wang et al. 2004 with a 3D Gaussian of sigma 1.5 voxels, data range 1."""
    c1, c2 = 0.01**2, 0.03**2
    mean_p, mean_t = _ssim_mean(prediction), _ssim_mean(truth)
    # Centred on the middle of the range: float32 keeps the small variances of bright flat tissue.
    p, t = prediction - np.float32(0.5), truth - np.float32(0.5)
    centred_p, centred_t = mean_p - np.float32(0.5), mean_t - np.float32(0.5)
    variances = _ssim_mean(p * p + t * t) - centred_p * centred_p - centred_t * centred_t
    covariance = _ssim_mean(p * t) - centred_p * centred_t
    numerator = (2 * mean_p * mean_t + c1) * (2 * covariance + c2)
    return numerator / ((mean_p * mean_p + mean_t * mean_t + c1) * (variances + c2))


def high_frequency_error_norm(error_edges: np.ndarray, truth_edges: np.ndarray, region: np.ndarray) -> float:
    """HFEN (Ravishankar and Bresler 2011): |LoG(prediction - truth)| / |LoG(truth)| over the region, 2-norms.

    error_edges, truth_edges: `laplacian_of_gaussian` of prediction - truth and of truth.
    """
    return float(_norm(error_edges[region]) / max(_norm(truth_edges[region]), 1e-12))


def laplacian_of_gaussian(image: np.ndarray) -> np.ndarray:
    """Laplacian of an image smoothed by a Gaussian of 1.5 voxels (Marr and Hildreth 1980), float32 (i, j, k)."""
    smooth = [_kernel_matrix(size, LOG_SIGMA, LOG_TRUNCATE, 0) for size in image.shape]
    curve = [_kernel_matrix(size, LOG_SIGMA, LOG_TRUNCATE, 2) for size in image.shape]
    laplacian = np.zeros(image.shape, dtype=np.float32)
    for curved in range(3):
        laplacian += _along_axes(image, [curve[axis] if axis == curved else smooth[axis] for axis in range(3)])
    return laplacian


def gaussian_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """An image smoothed by a 3D Gaussian, sigma in voxels, mirrored at the grid's border, float32 (i, j, k)."""
    return _along_axes(image, [_kernel_matrix(size, sigma, LOG_TRUNCATE, 0) for size in image.shape])


def gradient_magnitude(image: np.ndarray, spacing_mm: Sequence[float] | np.ndarray) -> np.ndarray:
    """Length of the gradient at every voxel, per mm, central differences, float32 (i, j, k)."""
    return np.sqrt(sum(np.square(slope) for slope in np.gradient(image, *(float(value) for value in spacing_mm))))


def sharpness(gradient_prediction: np.ndarray, gradient_truth: np.ndarray, region: np.ndarray) -> float:
    """Mean gradient magnitude over the region, synthetic / real; below 1 the synthetic image is blurred.

    gradient_prediction, gradient_truth: `gradient_magnitude` of the two images.
    """
    real = float(gradient_truth[region].mean(dtype=np.float64))
    return float(gradient_prediction[region].mean(dtype=np.float64)) / max(real, 1e-12)


def normalized_mutual_information(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray) -> float:
    """NMI (Studholme et al. 1999): (H(prediction) + H(truth)) / H(both), 100 bins over [0, 1]; 1 = unrelated, 2 = equal."""
    p, t = (np.minimum((np.clip(image[region], 0, 1) * NMI_BINS).astype(np.int64), NMI_BINS - 1) for image in (prediction, truth))
    joint = np.bincount(p * NMI_BINS + t, minlength=NMI_BINS**2).reshape(NMI_BINS, NMI_BINS) / max(p.size, 1)
    both = _entropy(joint.ravel())
    return 1.0 if both == 0 else (_entropy(joint.sum(0)) + _entropy(joint.sum(1))) / both


def tumour_contrast(prediction: np.ndarray, truth: np.ndarray, tumour: np.ndarray, brain: np.ndarray) -> float:
    """Mean of the lesion minus mean of the brain outside it, synthetic / real; negative where a lesion turned over."""
    elsewhere = brain & ~tumour
    if not elsewhere.any():
        return float("nan")
    synthetic, real = (float(image[tumour].mean() - image[elsewhere].mean()) for image in (prediction, truth))
    return synthetic / real if abs(real) > 1e-6 else float("nan")


def gain_and_offset(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray) -> tuple[float, float]:
    """Least-squares (gain, offset) with gain * prediction + offset closest to the truth over the region.

    T1 does not tell the echo time of the T2 that was never taken: what is left after the fit is the anatomy's error.
    """
    p, t = prediction[region].astype(np.float64), truth[region].astype(np.float64)
    variance = p.var()
    gain = ((p - p.mean()) * (t - t.mean())).mean() / variance if variance > 1e-12 else 0.0
    return float(gain), float(t.mean() - gain * p.mean())


def fitted_to(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray) -> np.ndarray:
    """The prediction with its gain and offset fitted over the region, float32; unchanged outside it."""
    gain, offset = gain_and_offset(prediction, truth, region)
    return np.where(region, gain * prediction + offset, prediction).astype(np.float32)


class SliceErrors(NamedTuple):
    """Errors of a volume's axial slices in the frame of Avula, Conte and Erickson 2020; see `slice_errors`.

    numbers: (n,) index of each slice along the axial axis of the grid. absolute, squared: (n,) mean errors of the slices.
    """

    numbers: np.ndarray
    absolute: np.ndarray
    squared: np.ndarray


def slice_errors(prediction: np.ndarray, truth: np.ndarray, brain: np.ndarray, axial_axis: int = 2) -> SliceErrors:
    """Mean absolute and squared error of every axial slice, cropped to the brain's box, that is more than 17 % brain."""
    box = bounding_box(brain)
    p, t, b = (np.moveaxis(image[box], axial_axis, 0) for image in (prediction, truth, brain))
    kept = b.mean(axis=(1, 2)) > SEED_FRAME_BRAIN_SHARE
    difference = (p[kept] - t[kept]).astype(np.float64)
    numbers = np.flatnonzero(kept) + box[axial_axis].start
    return SliceErrors(numbers, np.abs(difference).mean(axis=(1, 2)), np.square(difference).mean(axis=(1, 2)))


def seed_frame(errors: SliceErrors) -> dict[str, float]:
    """A volume's errors as the study's Table 1 gives them; empty without slices.

    "MAE" and "MSE" are means over the slices, "total MAE" and "total MSE" their sums over the volume, "slices" their number.
    """
    if not errors.numbers.size:
        return {}
    return {
        "MAE": float(errors.absolute.mean()),
        "MSE": float(errors.squared.mean()),
        "total MAE": float(errors.absolute.sum()),
        "total MSE": float(errors.squared.sum()),
        "slices": float(errors.numbers.size),
    }


# ---- all of it


def compute_metrics(
    prediction: np.ndarray,
    truth: np.ndarray,
    region_masks: Mapping[str, np.ndarray],
    spacing_mm: Sequence[float] | np.ndarray,
) -> dict[str, dict[str, float]]:
    """Protocol T2P-1 over every region: region name -> metric name -> value.

    prediction, truth: (i, j, k) in the unit. region_masks: bool, same shape, the brain (or what stands for it) first.
    Every region has MAE, MSE, PSNR, SSIM, HFEN, sharpness and NMI; the first one also gain, offset and fitted MAE;
    "tumour" also contrast.
    Raises ValueError for shapes that differ or a region without voxels.
    """
    _check_shapes(prediction, truth, region_masks)
    brain_name = next(iter(region_masks))
    box = bounding_box(np.logical_or.reduce(list(region_masks.values())), _FILTER_MARGIN)
    p, t = (np.ascontiguousarray(image[box], dtype=np.float32) for image in (prediction, truth))
    masks = {name: mask[box] for name, mask in region_masks.items()}
    similarity = structural_similarity_map(p, t)
    error_edges, truth_edges = laplacian_of_gaussian(p - t), laplacian_of_gaussian(t)
    slopes_p, slopes_t = (gradient_magnitude(image, spacing_mm) for image in (p, t))
    scores: dict[str, dict[str, float]] = {}
    for name, region in masks.items():
        scores[name] = {
            "MAE": mean_absolute_error(p, t, region),
            "MSE": mean_squared_error(p, t, region),
            "PSNR": peak_signal_to_noise_ratio(p, t, region),
            "SSIM": float(similarity[region].mean(dtype=np.float64)),
            "HFEN": high_frequency_error_norm(error_edges, truth_edges, region),
            "sharpness": sharpness(slopes_p, slopes_t, region),
            "NMI": normalized_mutual_information(p, t, region),
        }
    brain = masks[brain_name]
    gain, offset = gain_and_offset(p, t, brain)
    fitted = mean_absolute_error(gain * p + offset, t, brain)
    scores[brain_name] |= {"gain": gain, "offset": offset, "fitted MAE": fitted}
    if "tumour" in masks:
        scores["tumour"]["contrast"] = tumour_contrast(p, t, masks["tumour"], brain)
    return scores


def _check_shapes(prediction: np.ndarray, truth: np.ndarray, region_masks: Mapping[str, np.ndarray]) -> None:
    shapes = {image.shape for image in (prediction, truth, *region_masks.values())}
    if len(shapes) != 1:
        raise ValueError(f"images and regions lie on different grids: {sorted(shapes)}")
    empty = [name for name, mask in region_masks.items() if not mask.any()]
    if empty or not region_masks:
        raise ValueError(f"no voxels in the regions {empty}")


def _ssim_mean(image: np.ndarray) -> np.ndarray:
    return _along_axes(image, [_kernel_matrix(size, SSIM_SIGMA, SSIM_TRUNCATE, 0) for size in image.shape])


def _along_axes(image: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Filters along each axis as products with banded matrices: on a CPU's BLAS several times faster than shifting."""
    rows, columns, slices = image.shape
    out = (matrices[0] @ image.reshape(rows, -1)).reshape(rows, columns, slices)
    out = np.matmul(matrices[1], out)
    return np.matmul(out, matrices[2].T)


@lru_cache(maxsize=64)
def _kernel_matrix(size: int, sigma: float, truncate: float, order: int) -> np.ndarray:
    """(size, size) float32: a sampled Gaussian (order 0) or its second derivative (2), mirrored at the ends."""
    radius = int(truncate * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    taps = np.exp(-0.5 * (offsets / sigma) ** 2)
    taps /= taps.sum()
    if order == 2:
        taps *= offsets**2 / sigma**4 - 1 / sigma**2
    source = (np.arange(size)[:, None] + offsets) % (2 * size)
    source = np.where(source < size, source, 2 * size - 1 - source)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], source), taps)
    return matrix.astype(np.float32)


def _norm(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values, dtype=np.float64).sum()))


def _entropy(probabilities: np.ndarray) -> float:
    present = probabilities[probabilities > 0]
    return float(-(present * np.log(present)).sum())
