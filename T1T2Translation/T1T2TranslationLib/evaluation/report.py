"""An evaluation on paper: report.html (self-contained), its figures as PNG, subjects.csv, table1.csv and scores.json."""

from __future__ import annotations

import csv
import datetime
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from .. import __version__
from ..output import staged_files
from .figures import figures_of, gallery, trust_curves
from .page import page_of
from .results import MODEL, SEED_FRAME, Evaluation, compare_with_table, conformal, summarise, summarise_conventions
from .study import STUDY, STUDY_TABLE

_DOTS_PER_INCH = 100


@dataclass(frozen=True)
class Origin:
    """Where an evaluation comes from: the command as typed, model and data list by name, SHA-256 of each model's weights."""

    command: str
    model: str
    datalist: str
    hashes: Mapping[str, str]


def write_report(evaluation: Evaluation, folder: Path, origin: Origin) -> list[Path]:
    """Write everything into `folder`, all or nothing, and return the paths. Raises UnsuitableOutput."""
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    figures = {group: _drawn(figures_of(results)) for group, results in evaluation.groups().items()}
    trust = _png(trust_curves(evaluation.results)) if evaluation.results else b""
    galleries = {result.subject.id: _png(gallery(result)) for result in evaluation.results}
    facts = _facts(evaluation, origin, date)
    texts = {
        "report.html": page_of(evaluation, facts, figures, trust, galleries),
        "subjects.csv": _csv(_rows_of_subjects(evaluation)),
        "table1.csv": _csv(_rows_of_table1(evaluation)),
        "scores.json": json.dumps(_document(evaluation, facts), indent=1, allow_nan=False) + "\n",
    }
    pictures = {
        f"figures/{group or 'all'}-{name}.png".replace(" ", "-"): png
        for group, named in figures.items()
        for name, png in named.items()
    }
    if trust:
        pictures["figures/trust.png"] = trust
    with staged_files() as staging:
        for name, text in texts.items():
            staging.add_text(text, folder / name)
        for name, png in pictures.items():
            staging.add_bytes(png, folder / name)
    return [folder / name for name in (*texts, *pictures)]


def _facts(evaluation: Evaluation, origin: Origin, date: str) -> dict[str, Any]:
    return {
        "protocol": evaluation.protocol,
        "command": origin.command,
        "model": origin.model,
        "weights_sha256": dict(origin.hashes),
        "data list": origin.datalist,
        "source": evaluation.source,
        "target": evaluation.target,
        "date": date,
        "software": f"T1T2Translation {__version__}",
    }


def _document(evaluation: Evaluation, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Everything as plain JSON values; what is not a finite number is null."""
    groups = {
        group: {
            "summary": _plain(summarise(results)),
            "conventions": _plain(summarise_conventions(results)),
            "p against the look-up table": _plain(compare_with_table(results)),
        }
        for group, results in evaluation.groups().items()
    }
    subjects = [
        {
            "id": result.subject.id,
            "group": result.subject.group,
            "fold": result.subject.fold,
            "was learnt from": result.was_learnt_from,
            "scores": _plain(result.scores),
            "conventions": _plain(result.conventions),
        }
        for result in evaluation.results
    ]
    study = {"study": {"name": STUDY, "table 1": STUDY_TABLE}}
    trust = {"conformal": _plain(conformal(evaluation.results)) if evaluation.results else None}
    return dict(facts) | study | trust | {"groups": groups, "subjects": subjects, "left out": dict(evaluation.left_out)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


# ---- tables


def _rows_of_subjects(evaluation: Evaluation) -> Iterable[dict[str, Any]]:
    """One row per subject, predictor and region or convention; one column per metric."""
    for result in evaluation.results:
        who = {"subject": result.subject.id, "group": result.subject.group, "fold": result.subject.fold}
        for kind, scores in (("T2P-1", result.scores), ("other papers", result.conventions)):
            for predictor, regions in scores.items():
                for region, metrics in regions.items():
                    yield who | {"predictor": predictor, "scored": kind, "region": region} | dict(metrics)


def _rows_of_table1(evaluation: Evaluation) -> Iterable[dict[str, Any]]:
    """The study's Table 1: its own row, then every subject's."""
    yield {"subject": STUDY} | STUDY_TABLE
    for result in evaluation.results:
        frame = result.scores[MODEL].get(SEED_FRAME)
        if frame:
            yield {"subject": result.subject.id} | dict(frame)


def _csv(rows: Iterable[dict[str, Any]]) -> str:
    rows = list(rows)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(dict.fromkeys(column for row in rows for column in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


# ---- figures


def _drawn(figures: Mapping[str, Figure]) -> dict[str, bytes]:
    return {name: _png(figure) for name, figure in figures.items()}


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()
