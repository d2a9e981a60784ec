"""What is said, drawn and scored while a run goes on, by the clock and not by steps."""

from __future__ import annotations

import datetime
import logging
import math
import time
from collections.abc import Mapping
from statistics import fmean
from typing import TYPE_CHECKING

from .run import Run
from .validation import Validation

if TYPE_CHECKING:
    from .journal import Journal

log = logging.getLogger(__name__)

_LINE_SECONDS = 20.0
# A score is taken again only after this many times the seconds that the last one took.
_REST = 20.0


class Watch:
    """Called after each step of a run; `end` when it is over.

    journal: draws and keeps the curves; validation: scores; either may be absent.
    """

    def __init__(self, journal: Journal | None = None, validation: Validation | None = None):
        self.journal = journal
        self.validation = validation
        self._terms: dict[str, list[float]] = {}
        self._said = self._drawn = -math.inf
        self._scored = time.monotonic()
        self._rest = 0.0

    def __call__(self, run: Run, terms: Mapping[str, float]) -> None:
        for name, value in terms.items():
            self._terms.setdefault(name, []).append(value)
        if self.journal is not None:
            self.journal.scalars(run.steps, run.seconds, terms, run.learning_rate)
        now = time.monotonic()
        if now - self._said > _LINE_SECONDS or run.share_done == 1.0:
            self._said = now
            log.info("%s", self.line(run))
            self._terms.clear()
        if run.recipe.picture_minutes and now - self._drawn > 60 * run.recipe.picture_minutes:
            self._draw(run)
        if now - self._scored > max(60 * run.recipe.validation_minutes, self._rest):
            self._score(run)

    def line(self, run: Run) -> str:
        """How far, how long, how fast, and the means of the losses since the last line."""
        left = datetime.timedelta(seconds=round(run.seconds_left))
        samples = run.steps * run.recipe.batch_size * run.team.size / max(run.seconds, 1e-9)
        losses = "  ".join(f"{name} {fmean(values):.4f}" for name, values in self._terms.items())
        return (
            f"{100 * run.share_done:5.1f} %  {left} left  step {run.steps}  {losses}  "
            f"learning rate {run.learning_rate:.2g}  {samples:.3g} samples/s"
        )

    def end(self, run: Run) -> None:
        """The last picture and the last score."""
        start = time.monotonic()
        if self.journal is not None:
            self._draw(run)
            self.journal.finish()
        self._score(run)
        run.aside_seconds += time.monotonic() - start

    def _draw(self, run: Run) -> None:
        if self.journal is not None:
            self.journal.picture(run.average, run.steps, run.seconds)
        self._drawn = time.monotonic()

    def _score(self, run: Run) -> None:
        """Log the error of the patients held out, and how long it took: that time is not the training's."""
        if self.validation is None or not self.validation.cases:
            return
        start = time.monotonic()
        scores = self.validation.score(run.average)
        self._scored = time.monotonic()
        self._rest = _REST * (self._scored - start)
        each = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        log.info(
            "held out, mean absolute error of the brain: %.4f (%s); %.1f s, not counted as training",
            fmean(scores.values()), each, self._scored - start,
        )  # fmt: skip
