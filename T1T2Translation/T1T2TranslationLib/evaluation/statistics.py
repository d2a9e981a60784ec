"""From subjects to a statement: means with bootstrap intervals over subjects, paired comparison of predictors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import wilcoxon

# Of fewer subjects neither an interval nor a p-value says anything.
FEWEST_SUBJECTS = 3

_RESAMPLES = 10_000
_SEED = 20200511


class Estimate(NamedTuple):
    """Mean over subjects with its 95 % interval, NaN for one or two; n subjects with a finite value."""

    mean: float
    low: float
    high: float
    n: int

    def interval(self, digits: int) -> str:
        """The interval in words, or how few subjects stand behind the mean."""
        return f"({self.low:.{digits}f} to {self.high:.{digits}f})" if self.n >= FEWEST_SUBJECTS else f"(n = {self.n})"


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and percentile bootstrap interval (Efron 1979) over subjects; NaN where nobody has a finite value."""
    finite = np.array([value for value in values if np.isfinite(value)])
    low = high = float("nan")
    if finite.size >= FEWEST_SUBJECTS:
        drawn = np.random.default_rng(_SEED).integers(finite.size, size=(_RESAMPLES, finite.size))
        low, high = (float(end) for end in np.percentile(finite[drawn].mean(axis=1), [2.5, 97.5]))
    return Estimate(float(finite.mean()) if finite.size else float("nan"), low, high, int(finite.size))


def paired_p_value(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Two-sided Wilcoxon signed-rank p over subjects that have both values; NaN for one or two, or without a difference."""
    pairs = np.array([pair for pair in zip(ours, theirs, strict=True) if np.isfinite(pair).all()]).reshape(-1, 2)
    if len(pairs) < FEWEST_SUBJECTS or not (pairs[:, 0] != pairs[:, 1]).any():
        return float("nan")
    return float(wilcoxon(pairs[:, 0], pairs[:, 1]).pvalue)
