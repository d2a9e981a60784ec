"""What judging leaves behind: one `Result` per subject, all of them in an `Evaluation`, summed up over subjects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..metrics import PROTOCOL
from ..regions import bounding_box
from ..subjects import Case, Subject
from ..volume import nearest_axes
from .baselines import TABLE
from .calibration import COVERAGE, conformal_factor, cross_fitted_coverages
from .statistics import Estimate, estimate, paired_p_value

MODEL = "model"
FITTED = "brain, fitted"  # after the least-squares gain and offset of each subject
SEED_FRAME = "seed frame"
WHOLE_GRID = "whole grid"

_PICTURE_MARGIN = 5  # voxels around the brain


@dataclass(frozen=True, eq=False)
class Result:
    """One subject's scores.

    scores: predictor -> region -> metric -> value. pictures: name -> one axial slice (rows, columns), in the unit.
    miscoverage, sparsification: curves of the predicted error over the brain, see `calibration`.
    """

    subject: Subject
    scores: Mapping[str, Mapping[str, Mapping[str, float]]]
    pictures: Mapping[str, np.ndarray]
    miscoverage: np.ndarray
    sparsification: np.ndarray

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

    def line(self) -> str:
        """The brain MAE of the model and its interval, group by group."""
        parts = []
        for group, results in self.groups().items():
            region = next(iter(results[0].scores[MODEL]))
            mae = estimate(_values(results, MODEL, region, "MAE"))
            parts.append(f"{group}: {region} MAE {mae.mean:.4f} ({mae.low:.4f}-{mae.high:.4f}) over {mae.n} subjects")
        return "; ".join(parts) or "No subject could be judged."


def summarise(results: list[Result]) -> dict[str, dict[str, dict[str, Estimate]]]:
    """Predictor -> region -> metric -> mean and interval over the subjects that have it."""
    names: dict[str, dict[str, dict[str, None]]] = {}
    for result in results:
        for predictor, regions in result.scores.items():
            for region, metrics in regions.items():
                names.setdefault(predictor, {}).setdefault(region, {}).update(dict.fromkeys(metrics))
    return {
        predictor: {
            region: {metric: estimate(_values(results, predictor, region, metric)) for metric in metrics}
            for region, metrics in regions.items()
        }
        for predictor, regions in names.items()
    }


def compare_with_table(results: list[Result]) -> dict[str, dict[str, float]]:
    """Region -> metric -> Wilcoxon p of the model against the look-up table, paired by subject."""
    compared = {}
    for region, metrics in results[0].scores[MODEL].items():
        compared[region] = {
            metric: paired_p_value(_values(results, MODEL, region, metric), _values(results, TABLE, region, metric))
            for metric in ("MAE", "MSE", "PSNR", "SSIM", "HFEN", "NMI")
            if metric in metrics
        }
    return compared


def conformal(results: list[Result]) -> dict[str, Any]:
    """The factor on the predicted error for the stated coverage, and each subject's coverage with the others' factor."""
    curves = [result.miscoverage for result in results]
    coverages = cross_fitted_coverages(curves)
    return {
        "stated": COVERAGE,
        "factor": conformal_factor(curves),
        "cross-fitted": {result.subject.id: value for result, value in zip(results, coverages, strict=True)},
    }


def axial_pictures(case: Case, images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The axial slice with most tumour, or most brain, of every image: anterior up, the patient's right on the left."""
    order, flipped = nearest_axes(case.volume.affine)
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in flipped)
    brain = case.brain.transpose(order)[steps]  # (R, A, S)
    centre = case.masks.get("tumour", case.brain).transpose(order)[steps].sum(axis=(0, 1)).argmax()
    columns, rows, _ = bounding_box(brain, _PICTURE_MARGIN)
    return {
        name: image.transpose(order)[steps][columns, rows, centre].T[::-1, ::-1].astype(np.float32)
        for name, image in images.items()
    }


def _values(results: list[Result], predictor: str, region: str, metric: str) -> list[float]:
    """One value per subject, NaN where a subject lacks it."""
    return [result.scores.get(predictor, {}).get(region, {}).get(metric, float("nan")) for result in results]
