"""Four predictors that know next to nothing: every score stands beside theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..metrics import gaussian_blur, to_unit
from ..subjects import Case, Subject

GREY = "constant grey brain"
TABLE = "look-up table"
COPY = "input copied"
BLUR = "truth blurred"

PREDICTORS = {
    "model": "what is judged",
    TABLE: "each level of the input becomes the mean that the training subjects have there",
    GREY: "the mean of the training subjects everywhere",
    COPY: "the input itself, in the unit of what is predicted",
    BLUR: "the real image blurred with sigma 1.5 voxels: a ceiling, no honest predictor",
}

_LEVELS = 256
_BLUR_SIGMA = 1.5  # voxels


@dataclass(frozen=True, eq=False)
class Tissue:
    """What the two trivial learners need of one subject's brain, by input level 0..255 (1 = input's brain p99.5).

    counts, sums: (256,) number of voxels and sum of the truth at each level.
    """

    subject: Subject
    counts: np.ndarray
    sums: np.ndarray


def tissue_of(case: Case) -> Tissue:
    """The joint statistics of one subject."""
    levels = _levels(case)[case.brain]
    counts = np.bincount(levels, minlength=_LEVELS)
    sums = np.bincount(levels, weights=case.truth[case.brain], minlength=_LEVELS)
    return Tissue(case.subject, counts, sums)


def training_tissues(subject: Subject, tissues: Sequence[Tissue]) -> list[Tissue]:
    """Of all subjects those that may be learnt from: other patients and, where the subject has a fold, other folds."""
    others = [tissue for tissue in tissues if tissue.subject.patient != subject.patient]
    return others if subject.fold is None else [tissue for tissue in others if tissue.subject.fold != subject.fold]


def baseline_predictions(case: Case, training: Sequence[Tissue]) -> dict[str, np.ndarray]:
    """Baseline name -> prediction (i, j, k) in the unit; air stays 0. The two learners need somebody to learn from."""
    copied = to_unit(case.volume.array, case.brain)
    blurred = np.where(case.brain, gaussian_blur(case.truth, _BLUR_SIGMA), 0)
    predictions = {COPY: copied, BLUR: blurred}
    if training:
        grey = np.mean([tissue.sums.sum() / tissue.counts.sum() for tissue in training])
        table = _table(training).astype(np.float32)
        learnt = {
            TABLE: np.where(case.brain, table[_levels(case)], 0),
            GREY: np.where(case.brain, np.float32(grey), 0),
        }
        predictions = learnt | predictions
    return predictions


def _levels(case: Case) -> np.ndarray:
    """The input's level 0..255 at every voxel."""
    return np.minimum((to_unit(case.volume.array, case.brain) * _LEVELS).astype(np.int64), _LEVELS - 1)


def _table(training: Sequence[Tissue]) -> np.ndarray:
    """(256,) mean truth at each input level; levels that nobody has take the value between their neighbours."""
    counts = np.sum([tissue.counts for tissue in training], axis=0)
    sums = np.sum([tissue.sums for tissue in training], axis=0)
    present = np.flatnonzero(counts)
    return np.interp(np.arange(_LEVELS), present, sums[present] / counts[present])
