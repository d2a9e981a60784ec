"""How well the predicted error fits the real one: their ratio, detection of large errors, sparsification, coverage curve."""

from __future__ import annotations

import numpy as np

LARGE_ERROR = 0.2
COVERAGE = 0.9  # of the stated interval
# Of a Laplace distribution with the predicted error as its mean absolute deviation, 90 % lies within this many of it.
LAPLACE_FACTOR = float(np.log(1 / (1 - COVERAGE)))
KEPT_SHARES = np.linspace(1.0, 0.1, 10)
SMALLEST_ERROR = 1e-3  # one step of the predicted error's integers


def calibration(error: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """How one region's predicted error fits its real one; error, predicted: (n,) >= 0, in the unit of the image.

    ratio: mean predicted / mean real error. AUROC: of the predicted error as a detector of real errors above 0.2.
    AUSE: area between the sparsification curves, by the predicted error and by the real one (Ilg et al. 2018), as a share
    of the mean error; 0 is perfect. coverage: share of voxels within +- ln(10) predicted errors, 0.9 if the model's Laplace
    distribution holds; the interval that is stated is another one, see `conformal`.
    """
    curve, oracle = sparsification(error, predicted), sparsification(error, error)
    return {
        "ratio": float(predicted.mean() / max(error.mean(), 1e-12)),
        "AUROC": area_under_roc(predicted, error > LARGE_ERROR),
        "AUSE": float((curve - oracle).mean()),
        "coverage": float((error <= LAPLACE_FACTOR * np.maximum(predicted, SMALLEST_ERROR)).mean()),
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
    kept = np.maximum(np.rint(KEPT_SHARES * error.size).astype(int), 1)
    return cumulative[kept - 1] / kept / max(cumulative[-1] / error.size, 1e-12)
