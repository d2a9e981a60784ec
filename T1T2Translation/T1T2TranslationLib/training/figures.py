"""The two figures of a training run, after Figures 14 and 15 of Avula, Conte and Erickson (2020), as PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..layers import ERROR_WINDOW
from ..subjects import SEQUENCES
from ..translation import MARK, UNIT
from .recipe import Recipe
from .showcase import Sight

Row = Mapping[str, float]  # of the journal's table

_DOTS_PER_INCH = 75  # a brain of 1 mm voxels keeps about one pixel a voxel
_WIDTH_INCHES = 2.5  # of one picture
_MOST_MOMENTS = 6
_SMOOTHED_ROWS = 9
_SOURCE_TOP = 1.5  # white matter is 1; scalp fat need not be seen
_BACKGROUND, _INK, _FAINT = "black", "white", "0.6"


def draw_samples(sights: Sequence[Sight], losses: Mapping[str, float], recipe: Recipe) -> bytes:
    """A row for each sight: input, prediction, truth, error, and the slice's scores beneath; then the losses of training."""
    first = sights[0]
    heights = [_height_of(sight) + 0.45 for sight in sights]
    figure = Figure(figsize=(4 * _WIDTH_INCHES + 0.9, sum(heights) + 1.2), layout="constrained", facecolor=_BACKGROUND)
    target = SEQUENCES[recipe.target]
    titles = (SEQUENCES[recipe.source], f"{MARK} {target}", _truth_title(recipe), "error")
    grid = figure.subplots(len(sights), 4, squeeze=False, height_ratios=heights)
    for row, sight in zip(grid, sights, strict=True):
        _show_images(row[:3], sight)
        shown = _show_error(row[3], sight)
        row[0].set_title(sight.name, color=_FAINT, fontsize=8, loc="left", y=-0.09)
        row[1].set_title(_scores_line(sight), color=_INK, fontsize=8, loc="left", y=-0.09)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.annotate(title, (0.5, 1.02), xycoords="axes fraction", color=_INK, ha="center", va="bottom")
    _add_bar(figure, shown, list(grid[:, 3]), target)
    figure.suptitle(f"{recipe.name} in training: step {first.step:,}, {_time_of(first)}", color=_INK)
    figure.supxlabel(_losses_line(losses), color=_INK, fontsize=9)
    return _png(figure)


def draw_improvement(sights: Sequence[Sight], rows: Sequence[Row], recipe: Recipe) -> bytes:
    """One slice as it was predicted at some moments and as it is, the errors beneath, and the losses over time.

    sights: of one slice, in order of time. rows: of the journal's table.
    """
    moments = _some_of(sights)
    last = moments[-1]
    columns = len(moments) + 1
    losses = _loss_names(rows)
    height = _height_of(last) * 0.75
    figure = Figure(figsize=(columns * _WIDTH_INCHES * 0.75 + 0.9, 2 * height + 3.4), layout="constrained", facecolor=_BACKGROUND)
    parts: Any = figure.subfigures(2, 1, height_ratios=[2 * height + 0.6, 2.3])
    images, curves = parts
    for part in parts:
        part.set_facecolor(_BACKGROUND)
    above, below = images.subplots(2, columns)
    for sight, top, bottom in zip(moments, above, below, strict=False):
        _grey(top, sight.prediction, 1.0, sight)
        top.set_title(_time_of(sight), color=_INK, fontsize=9)
        shown = _show_error(bottom, sight)
        bottom.set_title(f"MAE {sight.scores()['MAE']:.3f}", color=_INK, fontsize=9, y=-0.14)
    target = SEQUENCES[recipe.target]
    _grey(above[-1], last.truth, 1.0, last)
    above[-1].set_title(_truth_title(recipe), color=_INK, fontsize=9)
    _grey(below[-1], last.source, _SOURCE_TOP, last)
    below[-1].set_title(SEQUENCES[recipe.source], color=_INK, fontsize=9, y=-0.14)
    _add_bar(images, shown, [*above, *below], target)
    images.suptitle(f"{MARK} {target} of {last.name} by {recipe.name}, improving with training", color=_INK)
    if losses:
        _draw_curves(curves.subplots(1, len(losses), squeeze=False)[0], losses, rows, moments)
    return _png(figure)


# ---- parts


def _show_images(axes: Sequence[Axes], sight: Sight) -> None:
    _grey(axes[0], sight.source, _SOURCE_TOP, sight)
    _grey(axes[1], sight.prediction, 1.0, sight)
    _grey(axes[2], sight.truth, 1.0, sight)


def _grey(axes: Axes, image: np.ndarray, top: float, sight: Sight) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=top, aspect=sight.aspect)
    axes.axis("off")


def _show_error(axes: Axes, sight: Sight) -> Any:
    """The error map; returns what a colour bar needs."""
    low, high = (value / UNIT for value in ERROR_WINDOW)  # the colours of the panel and the report
    shown = axes.imshow(sight.error, cmap="viridis", vmin=low, vmax=high, aspect=sight.aspect)
    axes.axis("off")
    return shown


def _add_bar(figure: Any, shown: Any, axes: Sequence[Axes], target: str) -> None:
    bar = figure.colorbar(shown, ax=axes, shrink=0.7, extend="max", pad=0.02)
    bar.set_label(f"|prediction - truth|, 1 = p99.5 of {target} over the brain", color=_INK, fontsize=8)
    bar.ax.tick_params(colors=_INK, labelsize=8)
    bar.outline.set_edgecolor(_FAINT)


def _draw_curves(axes: Sequence[Axes], names: Sequence[str], rows: Sequence[Row], moments: Sequence[Sight]) -> None:
    """A loss in each of `axes`: every row faintly, their running mean strongly; ticks where the pictures above were taken."""
    for place, name in zip(axes, names, strict=True):
        told = [row for row in rows if name in row]
        minutes, values = np.array([(row["seconds"] / 60, row[name]) for row in told]).T
        place.plot(minutes, values, color="tab:blue", alpha=0.4, linewidth=0.8)
        place.plot(minutes, _running_mean(values), color="tab:blue", linewidth=2)
        for sight in moments:
            place.axvline(sight.seconds / 60, color=_FAINT, linewidth=0.6, linestyle=":")
        place.set_facecolor(_BACKGROUND)
        place.set_title(f"loss: {name}", color=_INK, fontsize=9)
        place.set_xlabel("minutes of training", color=_INK, fontsize=8)
        place.tick_params(colors=_INK, labelsize=7)
        place.spines[:].set_color(_FAINT)


def _running_mean(values: np.ndarray) -> np.ndarray:
    """The mean of each value and its nearest neighbours, fewer of them at the ends."""
    half = min(_SMOOTHED_ROWS, len(values)) // 2
    return np.array([values[max(0, index - half) : index + half + 1].mean() for index in range(len(values))])


def _some_of(sights: Sequence[Sight]) -> list[Sight]:
    """At most six, the first and the last among them, closer together in the beginning, where most is learnt."""
    if len(sights) <= _MOST_MOMENTS:
        return list(sights)
    chosen = np.geomspace(1, len(sights), _MOST_MOMENTS).round().astype(int) - 1
    return [sights[index] for index in np.unique(chosen)]


def _loss_names(rows: Sequence[Row]) -> list[str]:
    return [
        name for name in dict.fromkeys(key for row in rows for key in row) if name not in ("step", "seconds", "learning_rate")
    ]


# ---- words and sizes


def _truth_title(recipe: Recipe) -> str:
    """The truth is what training aims at: with matched medians, the real image after a power."""
    return f"real {SEQUENCES[recipe.target]}" + (", median matched" if recipe.match_medians else "")


def _scores_line(sight: Sight) -> str:
    scores = sight.scores()
    return f"this slice: MAE {scores['MAE']:.3f}   MSE {scores['MSE']:.4f}   SSIM {scores['SSIM']:.3f}"


def _losses_line(losses: Mapping[str, float]) -> str:
    text = "   ".join(f"{name} {losses[name]:.4f}" for name in _loss_names([losses]))
    return f"losses of training: {text}" if text else ""


def _time_of(sight: Sight) -> str:
    return f"{sight.seconds / 60:.1f} min" if sight.seconds >= 60 else f"{sight.seconds:.0f} s"


def _height_of(sight: Sight) -> float:
    """Inches of a picture as wide as all are."""
    rows, columns = sight.source.shape
    return _WIDTH_INCHES * rows * sight.aspect / columns


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, facecolor=_BACKGROUND, metadata={"Software": None})
    return buffer.getvalue()
