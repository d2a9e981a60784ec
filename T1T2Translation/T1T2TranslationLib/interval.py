"""The stated interval of a model: how far from the synthetic value the real one is expected, in which share of a brain."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .catalog import list_models, read_metadata
from .errors import UnsuitableModel
from .translation import UNIT


@dataclass(frozen=True)
class Interval:
    """Conformal risk control over patients (Angelopoulos et al. 2022), see docs/method.md.

    coverage: the share of a brain's voxels that is expected within. factor, added: the half width is
    factor * (predicted error + added); added in `UNIT`. least_sure_coverage: the share that was within in the tenth of a brain
    whose predicted error is highest, on patients that the model never saw; None where it was not measured.
    """

    coverage: float
    factor: float
    added: float
    least_sure_coverage: float | None = None

    def half_width(self, predicted_error: float) -> float:
        """How far from the synthetic value the real one may be, in `UNIT` as the error."""
        return self.factor * (predicted_error + self.added)

    def sentence(self, _: Callable[[str], str], predicted_error: np.ndarray) -> str:
        """What it means for a reader of an image with this error map, on average where there is any; `_` translates."""
        errors = predicted_error[predicted_error > 0]
        half = self.half_width(float(errors.mean()) if errors.size else 0.0)
        sentence = _(
            "{coverage} % of the brain's voxels are expected within \N{PLUS-MINUS SIGN}{factor} \N{MULTIPLICATION SIGN} "
            "(predicted error + {added}) of the value shown: here \N{PLUS-MINUS SIGN}{half} ({percent} %) on average. {where}"
        ).format(
            coverage=round(100 * self.coverage),
            factor=f"{self.factor:.2f}",
            added=f"{self.added:.0f}",
            half=f"{half:.0f}",
            percent=round(100 * half / UNIT),
            where=self._where_fewer(_),
        )
        return sentence.replace(" %", "\N{NO-BREAK SPACE}%")

    def _where_fewer(self, _: Callable[[str], str]) -> str:
        if self.least_sure_coverage is None:
            return _("Where the map is bright, in fluid above all, fewer are.")
        least_sure = round(100 * self.least_sure_coverage)
        return _("In the tenth where the map is brightest, fluid above all, {least_sure} % are.").format(least_sure=least_sure)


def interval_of(provenance: Mapping[str, Any]) -> Interval | None:
    """What the model states that made a translation; None where it states none, or is not installed here in that version.

    An error map of before the model was calibrated anew is of another version: the weights are the same, the factor is not.
    """
    made_by = provenance.get("weights_sha256"), provenance.get("error_factor", 1.0)
    for card in list_models():
        if card.usable and (card.sha256, card.error_factor) == made_by:
            try:
                return _read(read_metadata(card.folder)["t1t2"].get("interval"))
            except UnsuitableModel:  # replaced since it was listed
                return None
    return None


def _read(block: object) -> Interval | None:
    """None for what a model's makers wrote otherwise than `t1t2 evaluate --calibrate` does."""
    if not isinstance(block, Mapping):
        return None
    found = [block.get(key) for key in ("stated_coverage", "factor", "added")]
    numbers = [float(value) for value in found if isinstance(value, (int, float)) and 0 <= value < math.inf]
    if len(numbers) < len(found) or numbers[0] > 1:
        return None
    share = block.get("least_sure_coverage")
    least_sure = float(share) if isinstance(share, (int, float)) and 0 <= share <= 1 else None
    return Interval(numbers[0], numbers[1], numbers[2] * UNIT, least_sure)
