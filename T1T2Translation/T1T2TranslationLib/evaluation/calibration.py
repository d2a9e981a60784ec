"""How far to trust the predicted error: coverage, width, detection of large errors, sparsification, conformal factor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LARGE_ERROR = 0.2
COVERAGE = 0.9
# Of a Laplace distribution with the predicted error as its mean absolute deviation, 90 % lies within this many of it.
LAPLACE_FACTOR = float(np.log(1 / (1 - COVERAGE)))
FACTORS = np.geomspace(0.1, 100, 301)  # tried as interval half width / predicted error
KEPT_SHARES = np.linspace(1.0, 0.1, 10)
_SMALLEST_ERROR = 1e-3  # one step of the predicted error's integers


def calibration(error: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """How one region's predicted error fits its real one; error, predicted: (n,) >= 0, in the unit of the image.

    coverage: share of voxels within +- ln(10) predicted errors, 0.9 if the model's Laplace distribution holds.
    width: mean of the whole interval. ratio: mean predicted / mean real error. AUROC: of the predicted error as a
    detector of real errors above 0.2. AUSE: area between the sparsification curves, by the predicted error and by the
    real one (Ilg et al. 2018), as a share of the mean error; 0 is perfect.
    """
    curve, oracle = sparsification(error, predicted), sparsification(error, error)
    return {
        "coverage": float((error <= LAPLACE_FACTOR * np.maximum(predicted, _SMALLEST_ERROR)).mean()),
        "width": float(2 * LAPLACE_FACTOR * predicted.mean()),
        "ratio": float(predicted.mean() / max(error.mean(), 1e-12)),
        "AUROC": area_under_roc(predicted, error > LARGE_ERROR),
        "AUSE": float((curve - oracle).mean()),
    }


def area_under_roc(score: np.ndarray, positive: np.ndarray) -> float:
    """Probability that a positive scores higher than a negative, ties count half; NaN without both kinds."""
    if positive.all() or not positive.any():
        return float("nan")
    _, position = np.unique(score, return_inverse=True)
    positives = np.bincount(position[positive], minlength=position.max() + 1).astype(np.float64)
    negatives = np.bincount(position[~positive], minlength=position.max() + 1).astype(np.float64)
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2)).sum() / (positives.sum() * negatives.sum()))


def sparsification(error: np.ndarray, score: np.ndarray) -> np.ndarray:
    """(10,) mean error of the voxels kept, relative to all, when the highest-scored are left out: KEPT_SHARES."""
    ordered = error[np.argsort(score, kind="stable")]
    cumulative = np.cumsum(ordered, dtype=np.float64)
    kept = np.maximum((KEPT_SHARES * error.size).astype(int), 1)
    return cumulative[kept - 1] / kept / max(cumulative[-1] / error.size, 1e-12)


def miscoverage(error: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """(301,) share of voxels outside factor * predicted error, for every one of FACTORS."""
    scores = np.sort(error / np.maximum(predicted, _SMALLEST_ERROR))
    return 1 - np.searchsorted(scores, FACTORS, side="right") / scores.size


def conformal_factor(miscoverages: Sequence[np.ndarray], alpha: float = 1 - COVERAGE) -> float:
    """The smallest factor whose risk over calibration subjects is bounded by alpha; infinite with too few of them.

    Conformal risk control with the subject as exchangeable unit (Angelopoulos et al. 2024): (n R(q) + 1) / (n + 1) <= alpha.
    miscoverages: one curve of `miscoverage` per subject.
    """
    bound = (np.sum(miscoverages, axis=0) + 1) / (len(miscoverages) + 1)
    enough = np.flatnonzero(bound <= alpha)
    return float(FACTORS[enough[0]]) if enough.size else float("inf")


def cross_fitted_coverages(miscoverages: Sequence[np.ndarray]) -> list[float]:
    """Each subject's coverage with the conformal factor of all the others; NaN where they are too few."""
    coverages = []
    for index, own in enumerate(miscoverages):
        factor = conformal_factor([curve for other, curve in enumerate(miscoverages) if other != index])
        coverages.append(float(1 - np.interp(factor, FACTORS, own)) if np.isfinite(factor) else float("nan"))
    return coverages
