"""An evaluation on paper: report.html (self-contained), subjects.csv and scores.json."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from .. import __version__
from ..output import staged_files
from ..translation import DISCLAIMER
from .figures import errors_by_subject, gallery, trust_curves
from .results import FITTED, MODEL, SEED_FRAME, WHOLE_GRID, Evaluation, Result, compare_with_table, conformal, summarise
from .statistics import Estimate

_DIGITS = {"PSNR": 1, "slices": 0, "total MAE": 2, "total MSE": 3, "MSE": 4}
_EXPLANATIONS = {
    "tumour": "Contrast is lesion minus brain, synthetic / real: 1 is right, 0 invisible, negative turned over.",
    "CSF": "The brightest real T2 that is also dark in T1, outside the tumour.",
    FITTED: "After one least-squares gain and offset per subject: what is left is anatomy, not the unknown echo time.",
    SEED_FRAME: "The most probable frame of Avula, Conte and Erickson 2020 (whose MAE is 0.0514 and MSE 0.00854): axial slices "
    "with more than 17 % brain, cropped to the brain's box; totals are sums over a volume's slices.",
    WHOLE_GRID: "With the air around the head, which flatters everybody; for comparison with older papers only.",
}
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75em; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 0.5em 0 1.5em; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2em 0.7em; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
tr.model { background: #eef4fb; font-weight: 600; }
small { color: #666; font-weight: 400; }
img { max-width: 100%; }
.table { overflow-x: auto; }
"""


def write_report(evaluation: Evaluation, folder: Path, model: str, datalist: str) -> list[Path]:
    """Write the three files into `folder`, all or none, and return their paths. Raises UnsuitableOutput."""
    contents = {
        "report.html": _page(evaluation, model, datalist),
        "subjects.csv": _table_of_subjects(evaluation),
        "scores.json": json.dumps(_document(evaluation, model, datalist), indent=1, allow_nan=False) + "\n",
    }
    with staged_files() as staging:
        for name, text in contents.items():
            staging.add_text(text, folder / name)
    return [folder / name for name in contents]


def _document(evaluation: Evaluation, model: str, datalist: str) -> dict[str, Any]:
    """Everything as plain JSON values; what is not a finite number is null."""
    groups = {
        group: {
            "summary": _plain(summarise(results)),
            "p against the look-up table": _plain(compare_with_table(results)),
            "conformal": _plain(conformal(results)),
        }
        for group, results in evaluation.groups().items()
    }
    subjects = [
        {"id": r.subject.id, "group": r.subject.group, "fold": r.subject.fold, "scores": _plain(r.scores)}
        for r in evaluation.results
    ]
    return {
        "protocol": evaluation.protocol,
        "model": model,
        "data list": datalist,
        "source": evaluation.source,
        "target": evaluation.target,
        "software": f"T1T2Translation {__version__}",
        "groups": groups,
        "subjects": subjects,
        "left out": dict(evaluation.left_out),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Estimate):
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _table_of_subjects(evaluation: Evaluation) -> str:
    """One row per subject, predictor and region; one column per metric."""
    rows = [
        {"subject": r.subject.id, "group": r.subject.group, "fold": r.subject.fold, "predictor": predictor, "region": region}
        | dict(metrics)
        for r in evaluation.results
        for predictor, regions in r.scores.items()
        for region, metrics in regions.items()
    ]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


# ---- the page


def _page(evaluation: Evaluation, model: str, datalist: str) -> str:
    sections = [_section(group, results) for group, results in evaluation.groups().items()]
    left_out = [f"<li>{escape(name)}: {escape(reason)}</li>" for name, reason in evaluation.left_out.items()]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(model)}, {evaluation.protocol}</title>',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>{escape(model)}: {escape(evaluation.source)} to {escape(evaluation.target)}, "
            f"protocol {evaluation.protocol}</h1>",
            f"<p>{len(evaluation.results)} subjects of {escape(datalist)}. Means over subjects with 95 % bootstrap intervals. "
            "Unit: 1 is the 99.5th percentile of the real image over the brain. SSIM: 3D, Gaussian, sigma 1.5, range 1, averaged "
            f"from its map over the region. Sharpness: mean gradient, synthetic / real. {DISCLAIMER}</p>",
            *sections,
            *(["<h2>Left out</h2><ul>", *left_out, "</ul>"] if left_out else []),
            f"<p><small>T1T2Translation {__version__}</small></p></body></html>\n",
        ]
    )


def _section(group: str, results: list[Result]) -> str:
    summary = summarise(results)
    p_values = compare_with_table(results)
    parts = [f"<h2>{escape(group)}: {len(results)} subjects</h2>", _image(errors_by_subject(results), "MAE by subject")]
    for region in summary[MODEL]:
        parts.append(f"<h3>{escape(region)}</h3><p>{escape(_EXPLANATIONS.get(region, ''))}</p>")
        parts.append(_region_table(region, summary, p_values.get(region, {})))
    parts += ["<h3>Predicted error</h3>", _conformal_text(results), _image(trust_curves(results), "coverage and sparsification")]
    parts += ["<h3>Subject by subject</h3>", _subject_table(results)]
    for result in results:
        caption = f"{result.line()} {result.subject.pathology}".strip()
        parts.append(f"<p>{escape(caption)}<br>{_image(gallery(result), result.subject.id)}</p>")
    return "\n".join(parts)


def _region_table(region: str, summary: Mapping[str, Mapping[str, Mapping[str, Estimate]]], p_values: Mapping[str, float]) -> str:
    metrics = list(summary[MODEL][region])
    rows = [
        [predictor, *(_cell(metric, regions[region].get(metric)) for metric in metrics)]
        for predictor, regions in summary.items()
        if region in regions
    ]
    if any(math.isfinite(value) for value in p_values.values()):
        rows.append(["p, model against look-up table", *(_number(p_values.get(metric), 4) for metric in metrics)])
    return _table([region, *metrics], rows)


def _subject_table(results: Iterable[Result]) -> str:
    shown = ("MAE", "PSNR", "SSIM", "sharpness", "HFEN", "gain", "fitted MAE", "coverage", "AUROC")
    rows = []
    for result in results:
        scores = result.scores[MODEL]
        brain = next(iter(scores.values()))
        tumour, frame = scores.get("tumour", {}), scores.get(SEED_FRAME, {})
        extra = [tumour.get("MAE"), tumour.get("contrast"), frame.get("MAE")]
        numbers = [_number(brain.get(name), _DIGITS.get(name, 3)) for name in shown] + [_number(value, 3) for value in extra]
        rows.append([result.subject.id, *numbers])
    return _table(["subject", *shown, "tumour MAE", "tumour contrast", "seed frame MAE"], rows, highlight="")


def _conformal_text(results: list[Result]) -> str:
    found = conformal(results)
    coverages = [value for value in found["cross-fitted"].values() if math.isfinite(value)]
    if not coverages:
        return "<p>Too few subjects for a conformal factor at 90 %: at least ten are needed.</p>"
    return (
        f"<p>Conformal risk control over subjects: {100 * found['stated']:.0f} % of the brain's voxels are expected within "
        f"{found['factor']:.2f} predicted errors. With the factor of the other subjects, each subject's coverage is "
        f"{100 * min(coverages):.1f} to {100 * max(coverages):.1f} %.</p>"
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], highlight: str = MODEL) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "\n".join(
        f"<tr{' class=model' if row[0] == highlight else ''}><td>{escape(row[0])}</td>"
        + "".join(f"<td>{cell}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return f'<div class="table"><table><tr>{head}</tr>\n{body}</table></div>'


def _cell(metric: str, value: Estimate | None) -> str:
    if value is None or value.n == 0:
        return ""
    digits = _DIGITS.get(metric, 3)
    interval = f"{_number(value.low, digits)} to {_number(value.high, digits)}"
    return f"{_number(value.mean, digits)} <small>{interval}</small>"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _image(data_uri: str, alternative: str) -> str:
    return f'<img src="{data_uri}" alt="{escape(alternative)}">'
