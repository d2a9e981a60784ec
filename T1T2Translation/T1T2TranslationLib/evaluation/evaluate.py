"""Judge a model on every subject of a data list, beside the trivial baselines: reads in the order in which things happen."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from .. import inference
from ..errors import T1T2Error, UnsuitableVolume
from ..metrics import (
    compute_metrics,
    fitted_to,
    mean_absolute_error,
    mean_squared_error,
    peak_signal_to_noise_ratio,
    seed_frame,
    to_unit,
)
from ..model import Model, load_model
from ..subjects import Case, Subject, load_case, read_datalist
from ..translation import UNIT, Translation
from ..volume import Volume
from .baselines import Tissue, baseline_predictions, tissue_of, training_tissues
from .calibration import calibration, miscoverage, sparsification
from .report import write_report
from .results import FITTED, MODEL, SEED_FRAME, WHOLE_GRID, Evaluation, Result, axial_pictures

FOLD = "{fold}"

log = logging.getLogger(__name__)

Translate = Callable[[Volume, Subject], Translation]


def main(arguments: Sequence[str]) -> int:
    """`t1t2 evaluate MODEL DATALIST -o FOLDER [--fold N] [--source S] [--target T]`; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    listed = read_datalist(options.datalist, options.source, options.target)
    subjects = [subject for subject in listed if not subject.lacks(options.source, options.target)]
    judged = [subject for subject in subjects if _is_judged(subject, options)]
    if not judged:
        raise UnsuitableVolume(f"No subject of '{options.datalist.name}' is left to judge.", "Look at --fold and --group.")
    evaluation = evaluate(judged, subjects, _translator(options.model, options.device), options.source, options.target)
    written = write_report(evaluation, options.output, options.model, options.datalist.name)
    log.info("%s", evaluation.line())
    log.info("Written: %s", ", ".join(str(path) for path in written))
    return 0 if len(evaluation.results) == len(judged) else UnsuitableVolume.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="t1t2 evaluate",
        description="Judge a model by protocol T2P-1, beside three trivial baselines and one ceiling, the blurred truth.",
        epilog="Exit code 0 if every subject was judged, 3 if some could not be read.",
    )
    parser.add_argument("model", help="a model's name or folder; '{fold}' in it stands for each subject's own fold")
    parser.add_argument("datalist", type=Path, help="a JSON object with lists of subjects")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for report.html, subjects.csv, scores.json")
    parser.add_argument("--fold", type=int, help="judge the subjects of this fold only")
    parser.add_argument("--group", help="judge the subjects of this list only, such as 'head'")
    parser.add_argument("--source", default="t1n", help="sequence to translate (default: t1n)")
    parser.add_argument("--target", default="t2w", help="sequence to compare with (default: t2w)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    return parser


def _is_judged(subject: Subject, options: argparse.Namespace) -> bool:
    in_fold = options.fold is None or subject.fold == options.fold
    return in_fold and (options.group is None or subject.group == options.group)


def _translator(model: str, device: str) -> Translate:
    """Translates a subject with the model, or where its name holds {fold}, with the one that never saw the subject."""

    @cache
    def loaded(name: str) -> Model:
        return load_model(name)

    def translate(volume: Volume, subject: Subject) -> Translation:
        if FOLD in model and subject.fold is None:
            raise UnsuitableVolume(f"'{subject.id}' has no fold number, which '{model}' asks for.", "Add it to the data list.")
        return inference.translate(volume, loaded(model.replace(FOLD, str(subject.fold))), device=device)

    return translate


def evaluate(
    judged: Sequence[Subject], everyone: Sequence[Subject], translate: Translate, source: str, target: str
) -> Evaluation:
    """Every judged subject's scores; the trivial learners learn from `everyone` else. Whoever cannot be read is left out."""
    left_out: dict[str, str] = {}
    tissues = []
    for subject in everyone:
        log.info("Reading %s", subject.id)
        try:
            tissues.append(tissue_of(load_case(subject, source, target)))
        except T1T2Error as error:
            left_out[subject.id] = str(error)
            log.warning("%s left out: %s", subject.id, error)
    results = []
    for subject in judged:
        if subject.id in left_out:
            continue
        try:
            case = load_case(subject, source, target)
            result = evaluate_subject(case, translate(case.volume, subject), training_tissues(subject, tissues))
        except UnsuitableVolume as error:
            left_out[subject.id] = str(error)
            log.warning("%s left out: %s", subject.id, error)
            continue
        results.append(result)
        log.info("%s", result.line())
    return Evaluation(tuple(results), left_out, source, target)


def evaluate_subject(case: Case, translation: Translation, training: Sequence[Tissue] = ()) -> Result:
    """One subject's scores, of the translation and of the baselines that learn from `training`."""
    prediction = translation.synthetic.array.astype(np.float32) / UNIT
    predicted_error = translation.predicted_error.array.astype(np.float32) / UNIT
    scores = {MODEL: score(prediction, case)}
    error = np.abs(prediction - case.truth)
    for name, region in case.masks.items():
        scores[MODEL][name] |= calibration(error[region], predicted_error[region])
    for name, baseline in baseline_predictions(case, training).items():
        scores[name] = score(baseline, case)
    images = {"input": to_unit(case.volume.array, case.brain), "synthetic": prediction, "real": case.truth}
    return Result(
        subject=case.subject,
        scores=scores,
        pictures=axial_pictures(case, images | {"error": error, "predicted error": predicted_error}),
        miscoverage=miscoverage(error[case.brain], predicted_error[case.brain]),
        sparsification=sparsification(error[case.brain], predicted_error[case.brain]),
    )


def score(prediction: np.ndarray, case: Case) -> dict[str, dict[str, float]]:
    """All numbers of one prediction (i, j, k, in the unit): the regions, the brain after the fit, two frames for history.

    The frames hold air as the study's did: they are left out for whole heads.
    """
    truth, brain, spacing_mm = case.truth, case.brain, case.volume.spacing_mm
    fitted = compute_metrics(fitted_to(prediction, truth, brain), truth, {FITTED: brain}, spacing_mm)[FITTED]
    scores = compute_metrics(prediction, truth, case.masks, spacing_mm)
    scores[FITTED] = {name: value for name, value in fitted.items() if name not in ("gain", "offset", "fitted MAE")}
    if case.skull_stripped:
        everywhere = np.ones_like(brain)
        scores[SEED_FRAME] = seed_frame(prediction, truth, brain, case.axial_axis)
        scores[WHOLE_GRID] = {
            "MAE": mean_absolute_error(prediction, truth, everywhere),
            "MSE": mean_squared_error(prediction, truth, everywhere),
            "PSNR": peak_signal_to_noise_ratio(prediction, truth, everywhere),
        }
    return scores
