"""The evaluation's pictures, as data URIs for a self-contained page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .baselines import BLUR, GREY, TABLE
from .calibration import COVERAGE, FACTORS, KEPT_SHARES, LAPLACE_FACTOR
from .results import MODEL, Result

# What each kind of picture is drawn with: colour table and top of its range, in the unit.
_LOOKS = {"input": ("gray", 1.0), "synthetic": ("gray", 1.0), "real": ("gray", 1.0)}
_ERROR_LOOK = ("inferno", 0.4)
_DOTS_PER_INCH = 90


def errors_by_subject(results: Sequence[Result]) -> str:
    """Brain MAE of every predictor, a dot per subject, lines joining a subject's dots."""
    predictors = [name for name in (MODEL, TABLE, GREY, BLUR) if name in results[0].scores]
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    for result in results:
        brains = [next(iter(result.scores[name].values()))["MAE"] for name in predictors]
        axes.plot(brains, range(len(predictors)), "o-", color="0.75", markerfacecolor="tab:blue", markersize=5, linewidth=0.8)
    axes.set_yticks(range(len(predictors)), predictors)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("MAE over the brain, 1 = p99.5 of the real image")
    return _data_uri(figure)


def trust_curves(results: Sequence[Result]) -> str:
    """Left: coverage against interval width. Right: sparsification. A thin line per subject, their mean thick."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    coverages = 1 - np.array([result.miscoverage for result in results])
    sparse = np.array([result.sparsification for result in results])
    _bundle_of_lines(left, FACTORS, coverages)
    left.set_xscale("log")
    left.set_xlim(0.3, 30)
    left.axvline(LAPLACE_FACTOR, color="tab:orange", linestyle=":", label="ln 10: 90 % of a Laplace distribution")
    left.axhline(COVERAGE, color="tab:green", linestyle=":", label="stated coverage")
    left.set(xlabel="half width / predicted error", ylabel="share of voxels inside")
    left.legend(fontsize="small", loc="lower right")
    _bundle_of_lines(right, 100 * (1 - KEPT_SHARES), sparse)
    right.set(xlabel="voxels of highest predicted error left out, %", ylabel="mean error of the rest, all = 1")
    right.set_ylim(0, 1.2)
    return _data_uri(figure)


def gallery(result: Result) -> str:
    """One subject's axial slice: input, synthetic, real, their difference, what the model expected of it."""
    figure = Figure(figsize=(2.2 * len(result.pictures), 2.7), layout="constrained", facecolor="black")
    for axes, (name, picture) in zip(figure.subplots(1, len(result.pictures)), result.pictures.items(), strict=True):
        colours, top = _LOOKS.get(name, _ERROR_LOOK)
        shown = axes.imshow(picture, cmap=colours, vmin=0, vmax=top)
        axes.set_title(name, color="white", fontsize=9)
        axes.axis("off")
        if name not in _LOOKS:
            bar = figure.colorbar(shown, ax=axes, shrink=0.6)
            bar.ax.tick_params(colors="white", labelsize=7)
    return _data_uri(figure)


def _bundle_of_lines(axes, x: np.ndarray, curves: np.ndarray) -> None:
    axes.plot(x, curves.T, color="0.75", linewidth=0.8)
    axes.plot(x, curves.mean(axis=0), color="tab:blue", linewidth=2)


def _data_uri(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
