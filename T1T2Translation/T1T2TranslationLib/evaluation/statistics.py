"""From subjects to a statement: means with bootstrap intervals over subjects, paired comparison of predictors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import wilcoxon

_RESAMPLES = 10_000
_SEED = 20200511


class Estimate(NamedTuple):
    """Mean over subjects with its 95 % interval; n subjects with a finite value."""

    mean: float
    low: float
    high: float
    n: int


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and percentile bootstrap interval (Efron 1979) over subjects; NaN where nobody has a finite value."""
    finite = np.array([value for value in values if np.isfinite(value)])
    if finite.size == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    drawn = np.random.default_rng(_SEED).integers(finite.size, size=(_RESAMPLES, finite.size))
    low, high = np.percentile(finite[drawn].mean(axis=1), [2.5, 97.5])
    return Estimate(float(finite.mean()), float(low), float(high), int(finite.size))


def paired_p_value(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Two-sided Wilcoxon signed-rank p over subjects that have both values; NaN without a difference."""
    pairs = np.array([pair for pair in zip(ours, theirs, strict=True) if np.isfinite(pair).all()]).reshape(-1, 2)
    if not (pairs[:, 0] != pairs[:, 1]).any():
        return float("nan")
    return float(wilcoxon(pairs[:, 0], pairs[:, 1]).pvalue)
