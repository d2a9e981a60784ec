"""What the page says of a group of subjects (scores, the study of 2020, other conventions), and of all: trust."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..measures import REGIONS
from ..metrics import PROTOCOL
from .baselines import GREY, TABLE
from .conformal import CHOSEN, FEWEST_PATIENTS, LEAST_COVERAGE, MOST_COVERAGE, Held, share_within
from .conventions import CONVENTIONS, PSNR, SSIM
from .markup import DASH, Html, digits_of, markup, mean_with_interval, number, picture, table
from .results import (
    MODEL,
    OF_PREDICTED_ERROR,
    SEED_FRAME,
    WHOLE_GRID,
    Result,
    compare_with_table,
    conformal,
    summarise,
    summarise_conventions,
)
from .statistics import Estimate
from .study import FRAME, STUDY, STUDY_TABLE

Summary = Mapping[str, Mapping[str, Mapping[str, Estimate]]]

_MAIN = ("MAE", "PSNR", "SSIM", "HFEN", "sharpness", "NMI", "contrast")
_COLUMNS = {"tumour": ("MAE", "PSNR", "SSIM", "sharpness", "contrast"), WHOLE_GRID: ("MAE", "MSE", "PSNR")}
_MOST_GALLERIES = 40


def section(group: str, results: Sequence[Result], figures: Mapping[str, bytes], galleries: Mapping[str, bytes]) -> Html:
    """Everything about one group."""
    summary = summarise(results)
    parts = [
        markup("h2", f"{group or 'all'}: {_subjects(len(results))}, {_shown(results)}"),
        *_scores(results, summary, figures),
        *_study(results, summary, figures),
        *_other_papers(results, summary),
        *_subject_by_subject(results, galleries),
    ]
    return markup("section", *parts)


def _shown(results: Sequence[Result]) -> str:
    kinds = {result.skull_stripped for result in results}
    return "skull-stripped and whole heads" if len(kinds) > 1 else "skull-stripped" if True in kinds else "whole heads"


def _subjects(count: int) -> str:
    return "1 subject" if count == 1 else f"{count} subjects"


# ---- scores


def _scores(results: Sequence[Result], summary: Summary, figures: Mapping[str, bytes]) -> list[Html]:
    p_values = compare_with_table(results)
    regions = [region for region in summary[MODEL] if region != SEED_FRAME]
    first, others = regions[0], regions[1:]
    few = "" if len(results) > 2 else " One or two are too few for that: n stands beside the region's name."
    return [
        markup("h3", f"Scores over the {first} (n = {_count(first, summary)})"),
        markup("p", f"{REGIONS.get(first, '')} Means over subjects, with 95 % bootstrap intervals over subjects below.{few}"),
        _region_table(first, summary, p_values.get(first, {})),
        picture(figures["errors by subject"], "mean absolute error of every subject by predictor"),
        *(part for region in others for part in _other_region(region, summary, p_values.get(region, {}))),
    ]


def _other_region(region: str, summary: Summary, p_values: Mapping[str, float]) -> list[Html]:
    title = f"{region} (n = {_count(region, summary)})"
    return [markup("h3", title), markup("p", REGIONS.get(region, "")), _region_table(region, summary, p_values)]


def _count(region: str, summary: Summary) -> int:
    """How many subjects have the region."""
    return max(value.n for value in summary[MODEL][region].values())


def _region_table(region: str, summary: Summary, p_values: Mapping[str, float]) -> Html:
    wanted = _COLUMNS.get(region, _MAIN)
    metrics = [metric for metric in wanted if metric in summary[MODEL][region]]
    rows = [
        [predictor, *(mean_with_interval(metric, regions[region].get(metric)) for metric in metrics)]
        for predictor, regions in summary.items()
        if region in regions
    ]
    if any(math.isfinite(p_values.get(metric, math.nan)) for metric in metrics):
        rows.append([f"p, {MODEL} against {TABLE}", *(number(p_values.get(metric), 4) for metric in metrics)])
    return table(["", *metrics], rows, highlight=MODEL)


# ---- the study of 2020


def _study(results: Sequence[Result], summary: Summary, figures: Mapping[str, bytes]) -> list[Html]:
    framed = [result for result in results if result.slices]
    if not framed:
        return []
    measures = ["total MSE", "total MAE", "MSE", "MAE"]
    digits = {"total MSE": 3, "total MAE": 2, "MSE": 5, "MAE": 4}
    rows = [[STUDY, *(f"{STUDY_TABLE[name]:.5f}" for name in measures), "not stated"]]
    for predictor, regions in summary.items():
        frame = regions.get(SEED_FRAME, {})
        if frame:
            rows.append(
                [predictor, *(number(frame[name].mean, digits[name]) for name in measures), number(frame["slices"].mean, 0)]
            )
    header = ["", "total volume MSE", "total volume MAE", "average per 2D slice MSE", "average per 2D slice MAE", "slices"]
    panels = [name for name in figures if name.startswith("slices of")]
    return [
        markup("h3", "Table 1 of the study, and its Figures 16 to 18"),
        markup("p", FRAME + f" Mean over {_subjects(len(framed))}; the study shows one volume."),
        table(header, rows, highlight=MODEL),
        picture(figures["errors slice by slice"], "errors of each axial slice"),
        *(picture(figures[name], name) for name in panels),
    ]


# ---- other papers


def _other_papers(results: Sequence[Result], summary: Summary) -> list[Html]:
    found = summarise_conventions([result for result in results if result.conventions])
    if not found:
        return []
    predictors = [name for name in (MODEL, TABLE, GREY) if name in found]
    brain = next(iter(summary[MODEL]))
    inside = {name: summary[name][brain] for name in predictors}
    rows = [_convention_row(f"{PROTOCOL}, {brain}", "3D over the region only, range 1", "this page", predictors, inside)]
    for convention in CONVENTIONS:
        scores = {name: found[name].get(convention.name, {}) for name in predictors}
        if scores[MODEL]:
            rows.append(_convention_row(convention.name, convention.rule, convention.source, predictors, scores))
    header = ["convention", "rule", "where", *(f"{metric}, {name}" for metric in (PSNR, SSIM) for name in predictors)]
    text = (
        "Identical predictions, scored as other papers and their published code score theirs. Between rows nothing changes but "
        "the rule; a predictor that knows next to nothing stands beside the model. Compare numbers of papers only within a row."
    )
    return [
        markup("h3", "The same predictions under the conventions of other papers"),
        markup("p", text),
        markup("div", table(header, rows), class_="rules"),
    ]


def _convention_row(
    name: str, rule: str, source: str, predictors: Sequence[str], scores: Mapping[str, Mapping[str, Estimate]]
) -> list[str]:
    cells = [
        number(scores[predictor][metric].mean if metric in scores[predictor] else None, digits_of(metric))
        for metric in (PSNR, SSIM)
        for predictor in predictors
    ]
    return [name, rule, source, *cells]


# ---- trust


def trust_section(results: Sequence[Result], curves: bytes) -> Html:
    """How far the predicted error can be trusted, over the subjects of all groups together. curves: the figure, PNG."""
    found = conformal(results)
    chosen = found["cross-fitted"][CHOSEN.name]
    text = (
        "The error map shows the mean absolute error to expect at each voxel, in the unit of the image. Interval: synthetic "
        f"value ± factor times ({CHOSEN.name}); the factor by conformal risk control with the patient as the unit, so that on "
        "average 90 % of the next patient's brain lies inside. A patient's uncovered share counts at most "
        f"{CHOSEN.largest_risk:g} in that average. Each patient below is covered by the factor of the others (of other folds "
        "where there are folds). Least sure is the tenth of the brain whose predicted error is highest. "
        "If the network's Laplace distribution held, 90 % would lie within ± ln 10 predicted errors."
    )
    parts = [
        markup("h2", f"Trust in the predicted error: {_subjects(len(results))}"),
        markup("p", text),
        _calibration_sentence(results, found, chosen),
        picture(curves, "coverage by factor, and sparsification"),
        _trust_table(results, chosen),
        *_other_forms(found["cross-fitted"]),
    ]
    return markup("section", *parts)


def _calibration_sentence(results: Sequence[Result], found: Mapping[str, float], chosen: Mapping[str, Held]) -> Html:
    coverages = [held.coverage for held in chosen.values() if math.isfinite(held.coverage)]
    if not coverages:
        return markup("p", f"Too few subjects for an interval of 90 %: at least {FEWEST_PATIENTS} others are needed for each.")
    tumours = [held.tumour_coverage for held in chosen.values() if math.isfinite(held.tumour_coverage)]
    in_tumours = f" In tumours: {_percent(min(tumours))} to {_percent(max(tumours))}." if tumours else ""
    within = round(share_within(coverages) * len(coverages))
    return markup(
        "p",
        f"Over all {_subjects(len(results))}: error factor {found['error factor']:.3f} (mean real / mean predicted error), "
        f"interval factor {found['factor']:.3f}. Cross-fitted, {_percent(min(coverages))} to {_percent(max(coverages))} of a "
        f"subject's voxels are covered; {within} of {len(coverages)} subjects lie between {_percent(LEAST_COVERAGE)} and "
        f"{_percent(MOST_COVERAGE)}.{in_tumours}",
    )


def _trust_table(results: Sequence[Result], chosen: Mapping[str, Held]) -> Html:
    rows = []
    for result in results:
        held = chosen[result.patient.name]
        numbers = [held.coverage, held.tumour_coverage, held.least_sure_coverage, held.width, held.ratio]
        rows.append([result.subject.id, *map(number, numbers), *(number(result.brain[name]) for name in OF_PREDICTED_ERROR[1:])])
    coverages = ["coverage", "in the tumour", "where least sure"]
    header = ["", *coverages, "width", "ratio", "AUROC", "AUSE", "within ± ln 10 predicted errors"]
    return table(*_without_empty_columns(header, rows))


def _other_forms(forms: Mapping[str, Mapping[str, Held]]) -> list[Html]:
    """Other ways to make the interval; those that need more subjects are left out."""
    rows = []
    for name, held in forms.items():
        covered = [one for one in held.values() if math.isfinite(one.coverage)]
        if not covered:
            continue
        coverages = [one.coverage for one in covered]
        tumours = [one.tumour_coverage for one in covered if math.isfinite(one.tumour_coverage)]
        rows.append(
            [
                name,
                _percent(sum(coverages) / len(coverages)),
                f"{_percent(min(coverages))} to {_percent(max(coverages))}",
                _percent(share_within(coverages)),
                f"{_percent(min(tumours))} to {_percent(max(tumours))}" if tumours else "-",
                _percent(sum(one.least_sure_coverage for one in covered) / len(covered)),
                number(sum(one.width for one in covered) / len(covered)),
            ]
        )
    within = f"subjects within {_percent(LEAST_COVERAGE)} to {_percent(MOST_COVERAGE)}"
    header = ["half width: factor times", "mean coverage", "by subject", within, "in tumours", "where least sure, mean", "width"]
    text = "The chosen interval and other ways to make one, on the same subjects, cross-fitted. "
    if len(rows) < len(forms):
        text += "Where any risk counts in full, more subjects are needed."
    return [markup("p", text), table(header, rows, highlight=CHOSEN.name)] if rows else []


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


# ---- subjects


def _subject_by_subject(results: Sequence[Result], galleries: Mapping[str, bytes]) -> list[Html]:
    shown = [result for result in results if result.subject.id in galleries][:_MOST_GALLERIES]
    pictures = [
        markup("figure", markup("figcaption", f"{result.line()}. {result.subject.pathology}"), picture(galleries[name], name))
        for result in shown
        for name in [result.subject.id]
    ]
    summary = markup("summary", f"One slice of {_subjects(len(shown))}: most tumour, or most brain")
    return [markup("h3", "Subject by subject"), _subject_table(results), markup("details", summary, *pictures)]


def _subject_table(results: Sequence[Result]) -> Html:
    shown = ("MAE", "PSNR", "SSIM", "sharpness", "HFEN", "gain", "fitted MAE")
    rows = []
    for result in results:
        tumour, frame = result.scores[MODEL].get("tumour", {}), result.scores[MODEL].get(SEED_FRAME, {})
        rows.append(
            [
                result.subject.id + (" (in training)" if result.was_learnt_from else ""),
                *(number(result.brain[name], digits_of(name)) for name in shown),
                number(tumour.get("MAE")),
                number(tumour.get("contrast"), 2),
                number(frame.get("MAE"), 4),
            ]
        )
    return table(*_without_empty_columns(["", *shown, "tumour MAE", "tumour contrast", "seed frame MAE"], rows))


def _without_empty_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """What nobody has, such as a tumour in whole heads, needs no column of dashes."""
    kept = [place for place in range(len(header)) if any(row[place] != DASH for row in rows)]
    return [header[place] for place in kept], [[row[place] for place in kept] for row in rows]
