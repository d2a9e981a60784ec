"""The same predictions scored as other papers score theirs: how far a number moves when nothing but the scoring changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter

from ..metrics import structural_similarity_map
from ..subjects import Case

PSNR, SSIM = "PSNR", "SSIM"
_WINDOW = 7  # voxels: scikit-image's default, a flat window
_BORDER = _WINDOW // 2  # which scikit-image leaves out of the mean
_IN_PLANE, _EVERYWHERE = (1, 2), (0, 1, 2)
# What scikit-image before 0.21 took for the range of floating point images whose range was not given: -1 to 1.
_RANGE_NOT_GIVEN = 2.0


@dataclass(frozen=True, eq=False)
class Pair:
    """A prediction and its truth, whole axial slices with the air around the head, (S, H, W) float32 >= 0, in the unit.

    has_brain: bool (S,). tumour: bool (S, H, W), or None.
    """

    prediction: np.ndarray
    truth: np.ndarray
    has_brain: np.ndarray
    tumour: np.ndarray | None

    def slices(self) -> tuple[np.ndarray, np.ndarray]:
        """Prediction and truth of the slices with brain."""
        return self.prediction[self.has_brain], self.truth[self.has_brain]


@dataclass(frozen=True)
class Convention:
    """One way of scoring. score: pair -> PSNR and SSIM, or one of them. source: where it is used."""

    name: str
    rule: str
    source: str
    score: Callable[[Pair], Mapping[str, float]]


def pair_of(prediction: np.ndarray, case: Case) -> Pair:
    """A prediction (i, j, k) and the case's truth as stacks of axial slices."""
    axis, tumour = case.axial_axis, case.masks.get("tumour")
    p, t, brain = (np.moveaxis(image, axis, 0) for image in (np.maximum(prediction, 0), case.truth, case.brain))
    return Pair(p, t, np.asarray(brain.any(axis=(1, 2))), None if tumour is None else np.moveaxis(tumour, axis, 0))


def score_by_all(prediction: np.ndarray, case: Case) -> dict[str, Mapping[str, float]]:
    """Convention's name -> PSNR and SSIM of one prediction (i, j, k, in the unit); a tumour's only where there is one."""
    pair = pair_of(prediction, case)
    scores = {convention.name: convention.score(pair) for convention in CONVENTIONS}
    return {name: found for name, found in scores.items() if found}


# ---- the conventions


def whole_grid(pair: Pair) -> dict[str, float]:
    """3D over the whole grid, air included, range 1."""
    p, t = pair.prediction, pair.truth
    return {PSNR: float(_psnr(p, t, 1.0, _EVERYWHERE)), SSIM: _similarity_of_grid(p, t)}


def whole_slices(pair: Pair) -> dict[str, float]:
    """Each whole slice by itself, range 1, mean over slices."""
    return _of_slices(*pair.slices())


def own_maximum(pair: Pair) -> dict[str, float]:
    """Each slice, synthetic and real, divided by its own maximum; range 1."""
    p, t = (_divided(image, image.max(axis=_IN_PLANE, keepdims=True)) for image in pair.slices())
    return _of_slices(p, t)


def own_mean(pair: Pair) -> dict[str, float]:
    """Each slice, synthetic and real, divided by its own mean; the range is the real slice's maximum."""
    p, t = (_divided(image, image.mean(axis=_IN_PLANE, keepdims=True)) for image in pair.slices())
    return _of_slices(p, t, t.max(axis=_IN_PLANE, keepdims=True))


def stretched_slices(pair: Pair) -> dict[str, float]:
    """Each slice, synthetic and real, stretched from its own minimum and maximum to 0 and 1."""
    p, t = (_stretched(image, _IN_PLANE) for image in pair.slices())
    return _of_slices(p, t)


def stretched_volume(pair: Pair) -> dict[str, float]:
    """Each volume stretched from its own minimum and maximum to 0 and 1; PSNR of range 1, SSIM in 3D without a range."""
    p, t = (_stretched(image, _EVERYWHERE) for image in (pair.prediction, pair.truth))
    similarity = mean_similarity(p, t, _RANGE_NOT_GIVEN, _EVERYWHERE)
    return {PSNR: float(_psnr(p, t, 1.0, _EVERYWHERE)), SSIM: float(similarity)}


def range_not_given(pair: Pair) -> dict[str, float]:
    """Each whole slice; PSNR of range 1, SSIM without a range."""
    p, t = pair.slices()
    similarity = mean_similarity(p, t, _RANGE_NOT_GIVEN, _IN_PLANE)
    return {PSNR: float(_psnr(p, t, 1.0, _IN_PLANE).mean()), SSIM: float(similarity.mean())}


def tumour_in_zeros(pair: Pair) -> dict[str, float]:
    """Both volumes scaled by their own percentiles, zero outside the tumour, SSIM averaged over all of the grid."""
    if pair.tumour is None or not pair.tumour.any():
        return {}
    p, t = (np.where(pair.tumour, _scaled_by_percentiles(image), 0).astype(np.float32) for image in (pair.prediction, pair.truth))
    return {SSIM: _similarity_of_grid(p, t)}


CONVENTIONS = (
    Convention("whole grid, 3D", "all voxels, air included, range 1", "usual for BraTS volumes", whole_grid),
    Convention("whole slices, 2D", "each whole slice, range 1, mean over slices", "usual for 2D networks", whole_slices),
    Convention("own maximum", "each slice divided by its own maximum", "SynDiff (2023), ResViT (2022): code", own_maximum),
    Convention(
        "own mean", "each slice divided by its own mean, range: the real slice's maximum", "SelfRDB (2024): code", own_mean
    ),
    Convention("stretched slices", "each slice stretched to 0 to 1", "I2I-Mamba (2024): code", stretched_slices),
    Convention(
        "stretched volume",
        "each volume stretched to 0 to 1, 3D SSIM without range",
        "PTNet3D (2022): code",
        stretched_volume,
    ),
    Convention("range not given", "each whole slice, SSIM without range", "MT-Net (2023): code", range_not_given),
    Convention(
        "tumour in zeros", "all but the tumour set to 0, SSIM averaged over the grid", "BraSyn challenge (2023)", tumour_in_zeros
    ),
)


# ---- what they are made of


def mean_similarity(p: np.ndarray, t: np.ndarray, data_range: float | np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """SSIM (Wang et al. 2004) as scikit-image's `structural_similarity` computes it by default, its mean over `axes`.

    p, t: (S, H, W). A flat window of 7 voxels along `axes`, sample covariance; 3 voxels at the grid's border are left out.
    Only where an image is not zero is anything computed: air equals air.
    """
    box = _box_of_content(p, t, axes)
    similarity = _similarity_map(p[box], t[box], data_range, axes)
    inner = [slice(None)] * 3
    for axis in axes:
        start, stop = max(box[axis].start, _BORDER), min(box[axis].stop, p.shape[axis] - _BORDER)
        inner[axis] = slice(start - box[axis].start, stop - box[axis].start)
    voxels = np.prod([p.shape[axis] - 2 * _BORDER for axis in axes])
    return 1 - (1 - similarity[tuple(inner)]).sum(axis=axes, dtype=np.float64) / voxels


def _similarity_of_grid(p: np.ndarray, t: np.ndarray) -> float:
    """The protocol's SSIM map (3D Gaussian, range 1) averaged over the whole grid, where air equals air."""
    box = _box_of_content(p, t, _EVERYWHERE)
    similarity = structural_similarity_map(*(np.ascontiguousarray(image[box], dtype=np.float32) for image in (p, t)))
    return float(1 - (1 - similarity).sum(dtype=np.float64) / p.size)


def _similarity_map(p: np.ndarray, t: np.ndarray, data_range: float | np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    window = [_WINDOW if axis in axes else 1 for axis in range(3)]
    count = _WINDOW ** len(axes)
    mean_p, mean_t = uniform_filter(p, window), uniform_filter(t, window)
    unbiased = count / (count - 1)
    variance_p, variance_t, covariance = (
        unbiased * (uniform_filter(product, window) - means)
        for product, means in ((p * p, mean_p**2), (t * t, mean_t**2), (p * t, mean_p * mean_t))
    )
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    numerator = (2 * mean_p * mean_t + c1) * (2 * covariance + c2)
    return numerator / ((mean_p**2 + mean_t**2 + c1) * (variance_p + variance_t + c2))


def _box_of_content(p: np.ndarray, t: np.ndarray, axes: tuple[int, ...]) -> tuple[slice, ...]:
    """Where either image is not zero, a window wider, along `axes`; all of the other axes."""
    content = (p != 0) | (t != 0)
    box = [slice(0, size) for size in p.shape]
    for axis in axes:
        present = np.flatnonzero(content.any(axis=tuple(other for other in range(3) if other != axis)))
        if present.size:
            box[axis] = slice(max(present[0] - _WINDOW, 0), min(present[-1] + 1 + _WINDOW, p.shape[axis]))
    return tuple(box)


def _of_slices(p: np.ndarray, t: np.ndarray, data_range: float | np.ndarray = 1.0) -> dict[str, float]:
    similarity = mean_similarity(p, t, data_range, _IN_PLANE)
    return {PSNR: float(_psnr(p, t, data_range, _IN_PLANE).mean()), SSIM: float(similarity.mean())}


def _psnr(p: np.ndarray, t: np.ndarray, data_range: float | np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    squared = np.square(p - t).mean(axis=axes, dtype=np.float64)
    return 10 * np.log10(np.reshape(np.square(data_range), np.shape(data_range)[:1]) / np.maximum(squared, 1e-12))


def _divided(image: np.ndarray, divisor: np.ndarray) -> np.ndarray:
    """An empty slice stays empty."""
    return image / np.where(divisor > 0, divisor, 1)


def _stretched(image: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    low, high = image.min(axis=axes, keepdims=True), image.max(axis=axes, keepdims=True)
    return _divided(image - low, high - low)


def _scaled_by_percentiles(image: np.ndarray) -> np.ndarray:
    """From the 0.5th to the 99.5th percentile of the whole grid."""
    low, high = np.percentile(image, [0.5, 99.5])
    return np.clip((image - low) / max(high - low, 1e-6), 0, 1)
