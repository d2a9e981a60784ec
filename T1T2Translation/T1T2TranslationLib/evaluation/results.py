"""What judging leaves behind: one `Result` per subject, all of them in an `Evaluation`, summed up over subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..metrics import PROTOCOL, SliceErrors
from ..subjects import Subject
from .baselines import TABLE
from .conformal import CHOSEN, FORMS, Patient, calibrate, cross_fitted
from .statistics import Estimate, estimate, paired_p_value
from .study import PanelRow

MODEL = "model"
FITTED = "brain, fitted"  # after the least-squares gain and offset of each subject
SEED_FRAME = "seed frame"
WHOLE_GRID = "whole grid"
# Metrics that only the model has: they are about its predicted error.
OF_PREDICTED_ERROR = ("ratio", "AUROC", "AUSE", "coverage")

Scores = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True, eq=False)
class Result:
    """One subject's scores.

    scores: predictor -> region -> metric -> value. conventions: predictor -> convention -> metric -> value.
    slices: predictor -> errors slice by slice in the study's frame; panel: some of these slices; empty for whole heads.
    pictures: name -> one axial slice (rows, columns), in the unit.
    patient: samples of real and predicted error. sparsification: its curve over the brain, see `calibration`.
    skull_stripped: whether the input shows no more than a brain. was_learnt_from: whether the model was trained on the patient.
    """

    subject: Subject
    scores: Scores
    conventions: Scores
    slices: Mapping[str, SliceErrors]
    panel: tuple[PanelRow, ...]
    pictures: Mapping[str, np.ndarray]
    patient: Patient
    sparsification: np.ndarray
    skull_stripped: bool
    was_learnt_from: bool = False

    @property
    def brain(self) -> Mapping[str, float]:
        """The model's scores over the first region, the brain or what stands for it."""
        return next(iter(self.scores[MODEL].values()))

    def line(self) -> str:
        """The subject's first region in one line."""
        name, values = next(iter(self.scores[MODEL].items()))
        return f"{self.subject.id}: {name} MAE {values['MAE']:.3f}, PSNR {values['PSNR']:.1f} dB, SSIM {values['SSIM']:.3f}"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All subjects judged, and why others were left out (id -> reason)."""

    results: tuple[Result, ...]
    left_out: Mapping[str, str]
    source: str
    target: str
    protocol: str = field(default=PROTOCOL)

    def groups(self) -> dict[str, list[Result]]:
        """List name -> its results, in the order of the data list."""
        found: dict[str, list[Result]] = {}
        for result in self.results:
            found.setdefault(result.subject.group, []).append(result)
        return found

    def learnt_from(self) -> list[str]:
        """Ids of the judged subjects whom the model knows from its training."""
        return [result.subject.id for result in self.results if result.was_learnt_from]

    def line(self) -> str:
        """The brain MAE of the model and its interval, group by group."""
        parts = []
        for group, results in self.groups().items():
            region = next(iter(results[0].scores[MODEL]))
            mae = estimate(_values(_scores_of(results), MODEL, region, "MAE"))
            parts.append(f"{group}: {region} MAE {mae.mean:.4f} {mae.interval(4)}".strip())
        return "; ".join(parts) or "No subject could be judged."


def summarise(results: Sequence[Result]) -> dict[str, dict[str, dict[str, Estimate]]]:
    """Predictor -> region -> metric -> mean and interval over the subjects that have it."""
    return _summary(_scores_of(results))


def summarise_conventions(results: Sequence[Result]) -> dict[str, dict[str, dict[str, Estimate]]]:
    """Predictor -> convention -> metric -> mean and interval over the subjects that have it."""
    return _summary([result.conventions for result in results])


def compare_with_table(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """Region -> metric -> Wilcoxon p of the model against the look-up table, paired by subject."""
    scores = _scores_of(results)
    compared: dict[str, dict[str, float]] = {}
    for region in dict.fromkeys(region for one in scores for region in one[MODEL]):
        compared[region] = {
            metric: paired_p_value(_values(scores, MODEL, region, metric), _values(scores, TABLE, region, metric))
            for metric in ("MAE", "MSE", "PSNR", "SSIM", "HFEN", "NMI")
        }
    return compared


def conformal(results: Sequence[Result]) -> dict[str, Any]:
    """The calibration by all, and what calibrations that never saw a subject give there: form -> subject -> `Held`."""
    patients = [result.patient for result in results]
    found = calibrate(patients)
    return {
        "error factor": found.error_factor,
        "factor": found.factor,
        "form": CHOSEN.name,
        "cross-fitted": {form.name: cross_fitted(patients, form) for form in FORMS},
    }


def _scores_of(results: Sequence[Result]) -> list[Scores]:
    return [result.scores for result in results]


def _summary(scores: Sequence[Scores]) -> dict[str, dict[str, dict[str, Estimate]]]:
    names: dict[str, dict[str, dict[str, None]]] = {}
    for one in scores:
        for predictor, regions in one.items():
            for region, metrics in regions.items():
                names.setdefault(predictor, {}).setdefault(region, {}).update(dict.fromkeys(metrics))
    return {
        predictor: {
            region: {metric: estimate(_values(scores, predictor, region, metric)) for metric in metrics}
            for region, metrics in regions.items()
        }
        for predictor, regions in names.items()
    }


def _values(scores: Sequence[Scores], predictor: str, region: str, metric: str) -> list[float]:
    """One value per subject, NaN where a subject lacks it."""
    return [one.get(predictor, {}).get(region, {}).get(metric, float("nan")) for one in scores]
