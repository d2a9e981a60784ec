"""The interval that covers a stated share of the next patient's brain: conformal risk control with the patient as the unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .calibration import COVERAGE, SMALLEST_ERROR

# From fewer nothing can be promised of the next one, whatever the formula yields.
FEWEST_PATIENTS = 8
FACTORS = np.geomspace(0.1, 100, 1001)  # tried as interval half width / base
# Shares of a patient's brain that the interval should cover: less is dangerous, more is useless.
LEAST_COVERAGE, MOST_COVERAGE = 0.80, 0.97


class Errors(NamedTuple):
    """A sample of one region's voxels: real absolute and predicted error, (n,) each, in the unit of the image."""

    real: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class Form:
    """How an interval is made: half width = factor * base, the factor by conformal risk control.

    base: predicted error + added, or `added` alone where the interval does not follow the prediction.
    added: in the unit of the image; what one brightness per patient adds, which no map made from the T1 alone can tell.
    largest_risk: a patient's uncovered share counts no more than this. With 1, the formula of Angelopoulos et al. as it
    stands, thirteen patients must be covered to 97 % on average to promise 90 %.
    """

    name: str
    added: float
    largest_risk: float
    follows_prediction: bool = True

    def base(self, errors: Errors, error_factor: float) -> np.ndarray:
        """(n,) what the factor multiplies, at every voxel of a sample."""
        return error_factor * errors.predicted * self.follows_prediction + np.float32(self.added)


CHOSEN = Form("predicted error + 0.3", added=0.3, largest_risk=0.4)
FORMS = (
    CHOSEN,
    Form("predicted error + 0.1", added=0.1, largest_risk=0.4),
    Form("predicted error alone", added=0.0, largest_risk=0.4),
    Form("the same width everywhere", added=0.1, largest_risk=0.4, follows_prediction=False),
    Form("predicted error + 0.3, any risk counts in full", added=0.3, largest_risk=1.0),
    Form("predicted error alone, any risk counts in full", added=0.0, largest_risk=1.0),
)


class Calibration(NamedTuple):
    """error_factor: multiplies the predicted error to make it the mean absolute error. factor: see `Form`, after that."""

    error_factor: float
    factor: float


@dataclass(frozen=True, eq=False)
class Patient:
    """Whom to calibrate with.

    name: of the session; person: who may have several. fold: patients of one fold never calibrate each other.
    """

    name: str
    person: str
    fold: int | None
    brain: Errors
    tumour: Errors | None = None


class Held(NamedTuple):
    """What a calibration that never saw the patient gives there.

    least_sure_coverage: in the tenth of the brain whose predicted error is highest. width: mean of the whole interval.
    ratio: predicted / real.
    """

    calibration: Calibration
    coverage: float
    tumour_coverage: float
    least_sure_coverage: float
    width: float
    ratio: float


def sample_of(real: np.ndarray, predicted: np.ndarray, most: int = 20_000) -> Errors:
    """At most so many voxels of a region, evenly drawn with a fixed seed."""
    if real.size > most:
        drawn = np.random.default_rng(real.size).choice(real.size, most, replace=False)
        real, predicted = real[drawn], predicted[drawn]
    return Errors(real.astype(np.float32), np.maximum(predicted, SMALLEST_ERROR).astype(np.float32))


def calibrate(patients: Sequence[Patient], form: Form = CHOSEN) -> Calibration:
    """The calibration that these patients give; its factor is infinite for fewer than eight people."""
    if len({patient.person for patient in patients}) < FEWEST_PATIENTS:
        return Calibration(1.0, math.inf)
    error_factor = mean_error_factor([patient.brain for patient in patients])
    curves = [uncovered(patient.brain, form.base(patient.brain, error_factor)) for patient in patients]
    return Calibration(error_factor, conformal_factor(curves, 1 - COVERAGE, form.largest_risk))


def mean_error_factor(samples: Sequence[Errors]) -> float:
    """Mean real error / mean predicted error, each patient counting once."""
    return float(np.sum([sample.real.mean() for sample in samples]) / np.sum([sample.predicted.mean() for sample in samples]))


def uncovered(errors: Errors, base: np.ndarray) -> np.ndarray:
    """(1001,) share of voxels whose real error is larger than factor * base, for every one of FACTORS."""
    return 1 - np.searchsorted(np.sort(errors.real / base), FACTORS, side="right") / errors.real.size


def conformal_factor(curves: Sequence[np.ndarray], alpha: float, largest_risk: float = 1.0) -> float:
    """The smallest factor whose risk for the next patient is at most alpha; infinite with too few patients.

    Conformal risk control (Angelopoulos et al. 2024) with the patient as exchangeable unit:
    (n R(q) + B) / (n + 1) <= alpha, where R is the mean over n patients of min(uncovered share, B), B = largest_risk.
    curves: one of `uncovered` per patient.
    """
    bound = (np.minimum(curves, largest_risk).sum(axis=0) + largest_risk) / (len(curves) + 1)
    enough = np.flatnonzero(bound <= alpha)
    return float(FACTORS[enough[0]]) if enough.size else math.inf


def cross_fitted(patients: Sequence[Patient], form: Form = CHOSEN) -> dict[str, Held]:
    """Each patient's coverage by the calibration of patients of other folds, or of all others where there are no folds."""
    held = {}
    for patient in patients:
        others = [other for other in patients if is_apart(patient, other)]
        held[patient.name] = _judge(patient, calibrate(others, form), form)
    return held


def is_apart(patient: Patient, other: Patient) -> bool:
    """Whether the other one may calibrate for the patient: another person and, where there are folds, another fold."""
    return other.person != patient.person and (patient.fold is None or other.fold != patient.fold)


def share_within(coverages: Sequence[float]) -> float:
    """Share of patients whose coverage is neither too little nor too much."""
    return float(np.mean([LEAST_COVERAGE <= coverage <= MOST_COVERAGE for coverage in coverages]))


def _judge(patient: Patient, found: Calibration, form: Form) -> Held:
    if not math.isfinite(found.factor):
        return Held(found, math.nan, math.nan, math.nan, math.nan, _ratio(patient.brain, found))
    half = _half_width(patient.brain, found, form)
    tumour = math.nan
    if patient.tumour is not None:
        tumour = float((patient.tumour.real <= _half_width(patient.tumour, found, form)).mean())
    covered = patient.brain.real <= half
    least_sure = covered[patient.brain.predicted >= np.quantile(patient.brain.predicted, 0.9)]
    width, ratio = float(2 * half.mean()), _ratio(patient.brain, found)
    return Held(found, float(covered.mean()), tumour, float(least_sure.mean()), width, ratio)


def _half_width(errors: Errors, found: Calibration, form: Form) -> np.ndarray:
    return found.factor * form.base(errors, found.error_factor)


def _ratio(errors: Errors, found: Calibration) -> float:
    return float(found.error_factor * errors.predicted.mean() / max(errors.real.mean(), 1e-12))
