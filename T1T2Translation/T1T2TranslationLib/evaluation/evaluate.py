"""Judge a model on every subject of a data set, beside the trivial baselines: reads in the order in which things happen."""

from __future__ import annotations

import argparse
import logging
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from ..catalog import find_model
from ..errors import UnsuitableTrainingData, UnsuitableVolume
from ..metrics import (
    compute_metrics,
    fitted_to,
    mean_absolute_error,
    mean_squared_error,
    peak_signal_to_noise_ratio,
    seed_frame,
    slice_errors,
    to_unit,
)
from ..output import check_output
from ..subjects import Case, Subject, listed_name, load_case, with_folds
from ..survey import take_survey
from ..translation import UNIT, Progress, Translation, ignore_progress
from .baselines import GREY, TABLE, Tissue, baseline_predictions, tissue_of, training_tissues
from .calibration import calibration, sparsification
from .card_scores import write_into
from .conformal import Patient, sample_of
from .conventions import score_by_all
from .judged import JudgedModels
from .report import Origin, write_report
from .results import FITTED, MODEL, SEED_FRAME, WHOLE_GRID, Evaluation, Result
from .shelf import Shelf
from .study import axial_pictures, panel_rows, telling_slice

# A subject is read once for what the trivial learners may know of it, and again to be judged, which takes about so much longer.
_JUDGING_WEIGHT = 8
_BAR = "{desc} {percentage:3.0f}% |{bar}| {remaining} left"

log = logging.getLogger(__name__)

Found = TypeVar("Found")


def main(arguments: Sequence[str]) -> int:
    """`t1t2 evaluate MODEL DATA -o FOLDER [--fold N] [--into MODEL] ...`; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    check_output(options.output / "report.html")
    own = find_model(options.into).folder if options.into else None
    models = JudgedModels(options.model, options.device)
    _complete(options, models)
    judged, paired, left_out = _chosen_subjects(options)
    models.model_of(judged[0])  # a model that cannot be loaded is said before anything is read
    with logging_redirect_tqdm(), tqdm(total=1.0, desc="Judging", bar_format=_BAR, leave=False, disable=None) as bar:
        evaluation = evaluate(judged, paired, models, options.source, options.target, left_out, _progress_of(bar))
    origin = Origin(f"t1t2 evaluate {shlex.join(arguments)}", options.model, options.data.resolve().name, models.hashes())
    written = write_report(evaluation, options.output, origin)
    log.info("%s", evaluation.line())
    log.info("Written: %s", ", ".join(str(path) for path in written))
    if own is not None:
        write_into(own, evaluation, models)
    return UnsuitableVolume.exit_code if evaluation.left_out else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="t1t2 evaluate",
        description="Judge a model by protocol T2P-1, beside three trivial baselines and one ceiling, the blurred truth.",
        epilog="Exit code 0 if everybody was judged, 3 if somebody was left out, which the page explains.",
    )
    parser.add_argument("model", help="a model's name or folder; '{fold}' in it stands for each subject's own fold")
    parser.add_argument("data", type=Path, help="a data list (JSON), or a folder as BraTS, IXI or BIDS name their files")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for report.html, tables, figures, scores.json")
    parser.add_argument("--fold", type=int, help="judge the subjects of this fold only")
    parser.add_argument("--folds", type=int, metavar="K", help="deal the patients into K folds as `t1t2 train --folds K` does")
    parser.add_argument("--group", help="judge the subjects of this list only, such as 'head'")
    parser.add_argument(
        "--source", help="sequence to translate, as the data calls it: t1n, t2w, ... (default: what the model reads)"
    )
    parser.add_argument("--target", help="sequence to compare with (default: what the model makes)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--into",
        "--calibrate",
        metavar="MODEL",
        help="write the scores and, from eight patients on, the error factor and 90 %% interval found here into this model's "
        "metadata and card",
    )
    return parser


def _complete(options: argparse.Namespace, models: JudgedModels) -> None:
    """Fill in the sequences that the command line does not name: those of the model."""
    card = models.a_card(options.fold)
    options.source = options.source or listed_name(card.source)
    options.target = options.target or listed_name(card.target)


def _chosen_subjects(options: argparse.Namespace) -> tuple[list[Subject], list[Subject], dict[str, str]]:
    """Whom to judge, everybody who has both sequences, and who is left out: id -> why."""
    survey = take_survey(options.data, options.source, options.target)
    for line in survey.lines():
        log.info("%s", line)
    usable = with_folds(survey.used, options.folds) if options.folds else list(survey.used)
    judged = [subject for subject in usable if _is_judged(subject, options)]
    if not judged:
        raise UnsuitableVolume(f"No subject of '{options.data.name}' is left to judge.", "Look at --fold and --group.")
    return judged, usable, dict(survey.left_out)


def _is_judged(subject: Subject, options: argparse.Namespace) -> bool:
    in_fold = options.fold is None or subject.fold == options.fold
    return in_fold and (options.group is None or subject.group == options.group)


def _progress_of(bar: tqdm) -> Progress:
    def progress(fraction: float, message: str) -> None:
        bar.set_description(message, refresh=False)
        bar.update(max(0.0, fraction - bar.n))

    return progress


def evaluate(
    judged: Sequence[Subject],
    everyone: Sequence[Subject],
    models: JudgedModels,
    source: str,
    target: str,
    left_out: Mapping[str, str] | None = None,
    progress: Progress = ignore_progress,
) -> Evaluation:
    """Every judged subject's scores; the trivial learners learn from `everyone` else. Whoever cannot be read is left out.

    left_out: whom the caller left out already, id -> reason.
    """
    reasons = dict(left_out or {})
    total = len(everyone) + _JUDGING_WEIGHT * len(judged)
    tissues: list[Tissue] = []
    results: list[Result] = []
    awaited = {subject.id for subject in judged}
    with Shelf(lambda subject: load_case(subject, source, target)) as shelf:
        for number, subject in enumerate(everyone):
            progress(number / total, f"Reading {subject.id}")
            tissues += _or_left_out(subject, reasons, lambda one: tissue_of(shelf.read(one, keep=one.id in awaited)))
        start = time.perf_counter()
        for number, subject in enumerate(judged):
            progress((len(everyone) + _JUDGING_WEIGHT * number) / total, f"Judging {subject.id}")
            if subject.id in reasons:
                continue
            found = _or_left_out(subject, reasons, lambda one: _judge(shelf.take(one), models, tissues))
            for result in found:
                left_s = (time.perf_counter() - start) / (number + 1) * (len(judged) - number - 1)
                log.info("%d of %d, about %.0f s left. %s", number + 1, len(judged), left_s, result.line())
            results += found
    progress(1.0, "Writing")
    return Evaluation(tuple(results), reasons, source, target)


def _or_left_out(subject: Subject, reasons: dict[str, str], work: Callable[[Subject], Found]) -> list[Found]:
    """What the work finds, or nothing and the reason noted where the subject does not allow it."""
    try:
        return [work(subject)]
    except (UnsuitableVolume, UnsuitableTrainingData) as error:
        reasons[subject.id] = str(error)
        log.warning("%s left out: %s", subject.id, error)
        return []


def _judge(case: Case, models: JudgedModels, tissues: Sequence[Tissue]) -> Result:
    subject = case.subject
    known = models.has_learnt_from(subject)
    if known:
        log.warning("%s was in the model's training: its scores flatter.", subject.id)
    return evaluate_subject(case, models(case.volume, subject), training_tissues(subject, tissues), known)


def evaluate_subject(
    case: Case, translation: Translation, training: Sequence[Tissue] = (), was_learnt_from: bool = False
) -> Result:
    """One subject's scores, of the translation and of the baselines that learn from `training`."""
    prediction = translation.synthetic.array.astype(np.float32) / UNIT
    predicted_error = translation.predicted_error.array.astype(np.float32) / UNIT
    error = np.abs(prediction - case.truth)
    predictors = {MODEL: prediction} | baseline_predictions(case, training)
    scores = {name: score(image, case) for name, image in predictors.items()}
    for name, region in case.masks.items():
        scores[MODEL][name] |= calibration(error[region], predicted_error[region])
    images = {"input": to_unit(case.volume.array, case.brain), "synthetic": prediction, "real": case.truth, "error": error}
    slices = {}
    if case.skull_stripped:
        slices = {
            name: slice_errors(predictors[name], case.truth, case.brain, case.axial_axis)
            for name in (MODEL, TABLE, GREY)
            if name in predictors
        }
    return Result(
        subject=case.subject,
        scores=scores,
        conventions={name: score_by_all(predictors[name], case) for name in slices},
        slices=slices,
        panel=panel_rows(case, images, slices[MODEL]) if slices else (),
        pictures=axial_pictures(case, images | {"predicted error": predicted_error}, telling_slice(case)),
        patient=_patient(case, error, predicted_error),
        sparsification=sparsification(error[case.brain], predicted_error[case.brain]),
        skull_stripped=case.skull_stripped,
        was_learnt_from=was_learnt_from,
    )


def _patient(case: Case, error: np.ndarray, predicted_error: np.ndarray) -> Patient:
    """Samples of the real and the predicted error, to calibrate with."""
    tumour = case.masks.get("tumour")
    return Patient(
        case.subject.id,
        case.subject.patient,
        case.subject.fold,
        sample_of(error[case.brain], predicted_error[case.brain]),
        None if tumour is None else sample_of(error[tumour], predicted_error[tumour]),
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
        scores[SEED_FRAME] = seed_frame(slice_errors(prediction, truth, brain, case.axial_axis))
        scores[WHOLE_GRID] = {
            "MAE": mean_absolute_error(prediction, truth, everywhere),
            "MSE": mean_squared_error(prediction, truth, everywhere),
            "PSNR": peak_signal_to_noise_ratio(prediction, truth, everywhere),
        }
    return scores
