"""The evaluation's figures, drawn without a display: errors by subject, trust in the predicted error, the study's figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from ..translation import MARK
from .baselines import BLUR, COPY, GREY, TABLE
from .calibration import COVERAGE, KEPT_SHARES
from .conformal import CHOSEN, FACTORS, LEAST_COVERAGE, MOST_COVERAGE, calibrate, uncovered
from .results import MODEL, Result
from .study import STUDY, STUDY_TABLE, best_median_worst

# What each kind of picture is drawn with: colour table and top of its range, in the unit.
_LOOKS = {"input": ("gray", 1.0), "synthetic": ("gray", 1.0), "real": ("gray", 1.0)}
_ERROR_LOOK = ("viridis", 0.4)
_COLOURS = {MODEL: "tab:blue", TABLE: "tab:orange", GREY: "0.5"}
_UNIT = "1 = p99.5 of the real image"
_PAPER = "#fbfbf9"


def figures_of(results: Sequence[Result]) -> dict[str, Figure]:
    """Name -> figure, of one group of subjects; the study's only where there are skull-stripped ones."""
    found = {"errors by subject": errors_by_subject(results)}
    stripped = [result for result in results if result.slices]
    if stripped:
        found["errors slice by slice"] = errors_by_slice(stripped)
        places = best_median_worst([result.brain["MAE"] for result in stripped])
        for place, index in places.items():
            found[f"slices of the {place} subject"] = slice_panel(stripped[index], place)
    return found


def errors_by_subject(results: Sequence[Result]) -> Figure:
    """Brain MAE of every predictor, a dot per subject, lines joining a subject's dots."""
    predictors = [name for name in (MODEL, TABLE, GREY, COPY, BLUR) if name in results[0].scores]
    figure = _figure(7.5, 3.0)
    axes = figure.subplots()
    for result in results:
        brains = [next(iter(result.scores[name].values()))["MAE"] for name in predictors]
        axes.plot(brains, range(len(predictors)), "o-", color="0.75", markerfacecolor="tab:blue", markersize=5, linewidth=0.8)
    axes.set_yticks(range(len(predictors)), predictors)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel(f"mean absolute error over the {next(iter(results[0].scores[MODEL]))}, {_UNIT}")
    return figure


def trust_curves(results: Sequence[Result]) -> Figure:
    """Left: coverage against the interval's factor. Right: sparsification. A thin line per subject, their mean thick."""
    figure = _figure(9, 3.4)
    left, right = figure.subplots(1, 2)
    found = calibrate([result.patient for result in results])
    samples = [result.patient.brain for result in results]
    covered = [1 - uncovered(sample, CHOSEN.base(sample, found.error_factor)) for sample in samples]
    left.axhspan(
        LEAST_COVERAGE, MOST_COVERAGE, color="tab:green", alpha=0.12, linewidth=0, label="neither too little nor too much"
    )
    left.axhline(COVERAGE, color="tab:green", linestyle=":", label="stated coverage")
    _bundle_of_lines(left, FACTORS, np.array(covered))
    if np.isfinite(found.factor):
        left.axvline(found.factor, color="tab:orange", linestyle="--", label=f"conformal factor {found.factor:.2f}")
    left.set(xscale="log", xlim=(0.1, 10), ylim=(0, 1.02))
    left.set(xlabel=f"half width / ({CHOSEN.name})", ylabel="share of the brain's voxels inside")
    left.legend(fontsize="small", loc="lower right")
    _bundle_of_lines(right, 100 * (1 - KEPT_SHARES), np.array([result.sparsification for result in results]))
    right.set(xlabel="voxels of highest predicted error left out, %", ylabel="mean error of the rest, all = 1")
    right.set_ylim(0, 1.2)
    return figure


def errors_by_slice(results: Sequence[Result]) -> Figure:
    """As the study's Figures 16 and 17: MAE and MSE over the slices of one volume, of the best, median and worst subject."""
    places = best_median_worst([result.brain["MAE"] for result in results])
    figure = _figure(10, 2.1 * len(places) + 0.4)
    rows = figure.subplots(len(places), 2, squeeze=False, sharey="col")
    for (place, index), row in zip(places.items(), rows, strict=True):
        for axes, measure in zip(row, ("MAE", "MSE"), strict=True):
            _plot_slices(axes, results[index], measure)
            axes.set_title(f"{measure} of each slice, {place} subject ({results[index].subject.id})", fontsize=9, loc="left")
    for axes in rows[0]:
        axes.set_ylim(bottom=0)
    for axes in rows[-1]:
        axes.set_xlabel("axial slice")
    figure.legend(*rows[0, 0].get_legend_handles_labels(), fontsize="small", loc="outside lower center", ncols=4)
    return figure


def slice_panel(result: Result, place: str) -> Figure:
    """As the study's Figure 18: slices of one volume, input, synthetic, real and error below each other, losses beneath."""
    names = list(result.panel[0].pictures)
    height, width = result.panel[0].pictures[names[0]].shape
    figure, grid, bars = _black_figure(len(names), len(result.panel), height / width)
    figure.suptitle(
        f"{place} subject, {result.subject.id}: brain MAE {result.brain['MAE']:.3f}", color="white", fontsize=11, y=0.99
    )
    for row, column in zip(result.panel, grid.T, strict=True):
        for axes, (name, picture) in zip(column, row.pictures.items(), strict=True):
            shown = _draw(axes, name, picture)
        column[0].set_title(f"slice {row.number}", color="white", fontsize=9)
        losses = f"MAE {row.absolute:.4f}\nMSE {row.squared:.5f}"
        column[-1].text(0.5, -0.03, losses, transform=column[-1].transAxes, color="white", fontsize=9, ha="center", va="top")
    for axes, name in zip(grid[:, 0], names, strict=True):
        axes.text(
            -0.04, 0.5, _said(name), transform=axes.transAxes, color="white", fontsize=9, rotation=90, ha="right", va="center"
        )
    _add_bar(figure, shown, bars)
    return figure


def gallery(result: Result) -> Figure:
    """One subject's telling axial slice: input, synthetic, real, their difference, what the model expected of it."""
    names = list(result.pictures)
    height, width = result.pictures[names[0]].shape
    figure, grid, bars = _black_figure(1, len(names), height / width)
    for axes, name in zip(grid[0], names, strict=True):
        shown = _draw(axes, name, result.pictures[name])
        axes.set_title(_said(name), color="white", fontsize=9)
    _add_bar(figure, shown, bars)
    return figure


def _black_figure(rows: int, columns: int, proportion: float) -> tuple[Figure, np.ndarray, Axes]:
    """A figure of pictures 1.9 inches wide, rows x columns, and a place for the errors' colour bar at the right."""
    side, left, right, top, bottom, gap = 1.9, 0.35, 0.75, 0.65, 0.5, 0.06
    if rows == 1:
        top, bottom = 0.3, 0.08
    width, height = left + columns * side + right, top + rows * side * proportion + bottom
    figure = Figure(figsize=(width, height), facecolor="black")
    grid = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height, wspace=gap, hspace=gap)
    row_height = (1 - (top + bottom) / height) / rows
    return figure, grid, figure.add_axes((1 - 0.65 / width, bottom / height + 0.1 * row_height, 0.12 / width, 0.8 * row_height))


def _add_bar(figure: Figure, shown: AxesImage, place: Axes) -> None:
    figure.colorbar(shown, cax=place)
    place.tick_params(colors="white", labelsize=7)


def _said(name: str) -> str:
    return MARK if name == "synthetic" else name


def _draw(axes: Axes, name: str, picture: np.ndarray) -> AxesImage:
    colours, top = _LOOKS.get(name, _ERROR_LOOK)
    axes.axis("off")
    return axes.imshow(picture.astype(np.float32), cmap=colours, vmin=0, vmax=top)


def _plot_slices(axes: Axes, result: Result, measure: str) -> None:
    for name, errors in result.slices.items():
        values = errors.absolute if measure == "MAE" else errors.squared
        axes.plot(errors.numbers, values, color=_COLOURS[name], linewidth=1.6 if name == MODEL else 1, label=name)
    axes.axhline(STUDY_TABLE[measure], color="tab:red", linestyle=":", linewidth=1, label=STUDY)


def _bundle_of_lines(axes: Axes, x: np.ndarray, curves: np.ndarray) -> None:
    axes.plot(x, curves.T, color="0.75", linewidth=0.8)
    axes.plot(x, curves.mean(axis=0), color="tab:blue", linewidth=2)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained", facecolor=_PAPER)
