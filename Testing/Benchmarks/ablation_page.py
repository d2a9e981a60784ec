"""The results of an ablation on paper: rows of means over patients, each variant's difference to the first, and bars."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from T1T2TranslationLib.evaluation.baselines import TABLE
from T1T2TranslationLib.evaluation.results import FITTED, MODEL
from T1T2TranslationLib.evaluation.statistics import estimate

BRAIN = "brain"  # a subject's first region: the brain, or the inner head where no mask is given
# (title, region, measure, digits)
MEASURES = (
    ("MAE", BRAIN, "MAE", 4),
    ("PSNR, dB", BRAIN, "PSNR", 1),
    ("SSIM", BRAIN, "SSIM", 3),
    ("fitted MAE", FITTED, "MAE", 4),
    ("tumour MAE", "tumour", "MAE", 4),
    ("tumour contrast", "tumour", "contrast", 2),
)
_DRAWN = ("MAE", "SSIM", "fitted MAE", "tumour contrast")
_DIFFERENCE = "MAE less that of"
_FIRST, _OTHERS = "#8fbbe0", "#d3d8dd"


@dataclass(frozen=True)
class Row:
    """A judged model. steps: of its training here. document: its scores.json. predictor: whose scores in it are meant."""

    name: str
    steps: int
    document: dict[str, Any]
    predictor: str = MODEL

    def values(self, group: str, region: str, measure: str) -> dict[str, float]:
        """Subject -> value, of those in a group who have one."""
        found = {}
        for subject in self.document["subjects"]:
            regions = subject["scores"].get(self.predictor, {})
            scores = next(iter(regions.values()), {}) if region == BRAIN else regions.get(region, {})
            if subject["group"] == group and scores.get(measure) is not None:
                found[subject["id"]] = scores[measure]
        return found


def table(rows: Sequence[Row], reference: str) -> list[dict[str, Any]]:
    """A line for each group of subjects and row: means over subjects, and the paired difference of MAE to `reference`."""
    lines = []
    for group in _groups(rows):
        first = next(row for row in rows if row.name == reference).values(group, BRAIN, "MAE")
        for row in _with_look_up_table(rows):
            ours = row.values(group, BRAIN, "MAE")
            line: dict[str, Any] = {"group": group, "recipe": row.name, "steps": row.steps or "", "subjects": len(ours)}
            for title, region, measure, digits in MEASURES:
                values = list(row.values(group, region, measure).values())
                line[title] = f"{np.mean(values):.{digits}f}" if values else ""
            pairs = [ours[subject] - first[subject] for subject in ours if subject in first]
            found = estimate(pairs)
            difference = "" if row.name == reference else f"{found.mean:+.4f} {found.interval(4)}"
            line[f"{_DIFFERENCE} '{reference}'"] = difference
            lines.append(line)
    return lines


def markdown(rows: Sequence[Row], reference: str, command: str) -> str:
    """The command, then a table for each group of subjects."""
    parts = [f"```\n{command}\n```"]
    lines = table(rows, reference)
    for group in _groups(rows):
        of_group = [line for line in lines if line["group"] == group]
        columns = [name for name in of_group[0] if name != "group" and any(line[name] != "" for line in of_group)]
        head = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        body = ["| " + " | ".join(str(line[name]) for name in columns) + " |" for line in of_group]
        parts.append("\n".join([f"Group `{group}`:\n", *head, *body]))
    count = f"One training each; differences: mean over subjects, 95 % bootstrap interval; below 0 is better than '{reference}'."
    return "\n\n".join([*parts, count]) + "\n"


def bars(rows: Sequence[Row], reference: str) -> bytes:
    """PNG: a bar for each row's mean, a dot for each subject; the line is where `reference` stands."""
    groups, shown = _groups(rows), _with_look_up_table(rows)[::-1]
    height = len(groups) * (0.34 * len(shown) + 0.8)
    figure = Figure(figsize=(13, height), layout="constrained")
    grid = figure.subplots(len(groups), len(_DRAWN), squeeze=False, sharey=True)
    for group, panels in zip(groups, grid, strict=True):
        for panel, title in zip(panels, _DRAWN, strict=True):
            _draw(panel, shown, group, title, reference)
        panels[0].set_ylabel(group)
    text = io.BytesIO()
    figure.savefig(text, format="png", dpi=110)
    return text.getvalue()


def _draw(panel: Any, rows: Sequence[Row], group: str, title: str, reference: str) -> None:
    _, region, measure, digits = next(entry for entry in MEASURES if entry[0] == title)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_yticks(range(len(rows)), [row.name for row in rows])
    panel.locator_params(axis="x", nbins=4)
    panel.set_title(title, fontsize=10)
    found = [list(row.values(group, region, measure).values()) for row in rows]
    if not any(found):
        panel.set_visible(False)
        return
    for place, (row, values) in enumerate(zip(rows, found, strict=True)):
        if not values:
            continue
        mean = float(np.mean(values))
        panel.barh(place, mean, color=_FIRST if row.name == reference else _OTHERS, height=0.75)
        panel.plot(values, [place] * len(values), "o", color="black", markersize=2.5, alpha=0.6)
        panel.text(1.02, place, f"{mean:.{digits}f}", transform=panel.get_yaxis_transform(), va="center", fontsize=8)
        if row.name == reference:
            panel.axvline(mean, color="0.2", linewidth=0.8, linestyle="--")


def _groups(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(subject["group"] for subject in rows[0].document["subjects"]))


def _with_look_up_table(rows: Sequence[Row]) -> list[Row]:
    return [Row(TABLE, 0, rows[0].document, TABLE), *rows]
