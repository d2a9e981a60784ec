"""What an evaluation leaves in a model: its scores by kind of input, beside a look-up table's, and its calibration."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..card_page import NEARER, SCORES_MARKS, write_card_page
from ..catalog import METADATA, STRIPPED_BRAIN, TABLE_MAE, TUMOUR, WHOLE_HEAD_BRAIN, read_metadata
from ..errors import UnsuitableTrainingData
from ..output import staged_files
from .baselines import TABLE
from .calibration import COVERAGE
from .conformal import CHOSEN, FEWEST_PATIENTS, Calibration, Patient, calibrate, cross_fitted
from .judged import JudgedModels
from .results import FITTED, MODEL, Evaluation, Result

log = logging.getLogger(__name__)

_MEASURES = ("PSNR", "SSIM", "HFEN", "sharpness", "contrast")
_DIGITS = 6


def write_into(folder: Path, evaluation: Evaluation, models: JudgedModels) -> None:
    """Write scores and, from eight patients on, the calibration into a bundle's metadata, and its card's page anew.

    The weights and their hash stay. Raises UnsuitableTrainingData where a judged model knows a judged patient or nobody was
    judged, UnsuitableModel, UnsuitableOutput.
    """
    _refuse_what_was_learnt(evaluation)
    metadata = read_metadata(folder)
    block = metadata["t1t2"]
    block["scores"] = scores_of(evaluation, models, block["weights_sha256"])
    patients = [result.patient for result in evaluation.results]
    found = calibrate(patients)
    if math.isfinite(found.factor):
        block |= calibrated(found, models.error_factor(), patients)
        log.info("Calibrated: %s, error factor %.3f, interval factor %.3f", folder.name, found.error_factor, found.factor)
    else:
        log.warning("Not calibrated: %s too few, judge at least %d together.", _count(len(evaluation.results)), FEWEST_PATIENTS)
    with staged_files() as staging:
        staging.add_text(json.dumps(metadata, indent=2) + "\n", folder / METADATA)
    log.info("The scores are in the metadata of %s.", folder.name)
    if not write_card_page(folder):
        log.warning("Not in its card, which has no marks for them: put %s and %s where they belong.", *SCORES_MARKS)


def _refuse_what_was_learnt(evaluation: Evaluation) -> None:
    known = evaluation.learnt_from()
    if known:
        raise UnsuitableTrainingData(
            f"Nothing was written into the model: the judged one knows {', '.join(known)} from its training.",
            "Judge the models of a cross-validation ('runs/{fold}/model'), or subjects that the model was not trained on.",
        )
    if not evaluation.results:
        raise UnsuitableTrainingData("Nothing was written into the model: nobody could be judged.", "See the reasons above.")


def _count(subjects: int) -> str:
    return "1 subject is" if subjects == 1 else f"{subjects} subjects are"


def calibrated(found: Calibration, error_factor_before: float, patients: Sequence[Patient]) -> dict[str, Any]:
    """The entries "error_factor" and "interval" of a model's metadata.

    error_factor_before: what the predicted errors carried when `found` was measured. patients: on whom.
    """
    least_sure = [held.least_sure_coverage for held in cross_fitted(patients).values()]
    measured = {"least_sure_coverage": _mean(least_sure)} if np.isfinite(least_sure).all() else {}
    return {
        "error_factor": round(error_factor_before * found.error_factor, 4),
        "interval": {
            "half_width": "factor * (predicted error + added), 1 = p99.5 of the brain",
            "stated_coverage": COVERAGE,
            "factor": round(found.factor, 4),
            "added": CHOSEN.added,
            "largest_risk": CHOSEN.largest_risk,
            "subjects": len(patients),
            **measured,
        },
    }


def scores_of(evaluation: Evaluation, models: JudgedModels, sha256: str) -> dict[str, Any]:
    """The entry "scores" of a model's metadata: how it was judged, then `scores_by_kind`.

    sha256: of the weights of the model that the scores are written into, which may not be those that were judged.
    """
    how = f"{evaluation.protocol}, {_manner(evaluation, models, sha256)}"
    return {"protocol": how, **scores_by_kind(evaluation.results)}


def _manner(evaluation: Evaluation, models: JudgedModels, sha256: str) -> str:
    if models.is_one_per_fold:
        folds = {result.subject.fold for result in evaluation.results}
        return f"cross-validated over {len(folds)} folds by patient, by models of the same recipe"
    if sha256 in models.hashes().values():
        return "on patients that it was not trained on"
    return f"taken of the model '{models.name}', on patients that it was not trained on"


def scores_by_kind(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """Kind of input -> measure -> mean over its subjects; over each subject's brain, or what stands for it, and its tumour."""
    stripped = [result for result in results if result.skull_stripped]
    whole = [result for result in results if not result.skull_stripped]
    ill = [result for result in results if TUMOUR in result.scores[MODEL]]
    kinds = {STRIPPED_BRAIN: (stripped, ""), WHOLE_HEAD_BRAIN: (whole, ""), TUMOUR: (ill, TUMOUR)}
    return {kind: _kind_scores(members, region) for kind, (members, region) in kinds.items() if members}


def _kind_scores(results: Sequence[Result], region: str) -> dict[str, float]:
    """region: its name, or "" for each subject's first one, the brain or what stands for it."""
    ours = [_of_region(result, MODEL, region) for result in results]
    found: dict[str, float] = {"subjects": len(results), "patients": len({result.subject.patient for result in results})}
    found["MAE"] = _mean([scores["MAE"] for scores in ours])
    if all(TABLE in result.scores for result in results):  # which needs others to learn it from
        tables = [_of_region(result, TABLE, region)["MAE"] for result in results]
        found[TABLE_MAE] = _mean(tables)
        found[NEARER] = sum(scores["MAE"] < table for scores, table in zip(ours, tables, strict=True))
    if not region:
        found["fitted MAE"] = _mean([result.scores[MODEL][FITTED]["MAE"] for result in results])
    return found | _means(ours, _MEASURES)


def _of_region(result: Result, predictor: str, region: str) -> Mapping[str, float]:
    regions = result.scores[predictor]
    return regions[region] if region else next(iter(regions.values()))


def _means(scores: Sequence[Mapping[str, float]], measures: Sequence[str]) -> dict[str, float]:
    """Measure -> mean over the subjects that have a finite value; measures that nobody has are left out."""
    found = {name: [one[name] for one in scores if math.isfinite(one.get(name, math.nan))] for name in measures}
    return {name: _mean(values) for name, values in found.items() if values}


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), _DIGITS)
