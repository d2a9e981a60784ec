"""What a translation leaves in a viewer: image layers with their colours and windows, and a summary to read beside them."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .translation import UNIT, Translation
from .volume import Volume

_IMAGE_WINDOW = (0, 1.2 * UNIT)
ERROR_WINDOW = (0, 0.4 * UNIT)
_SIGNED_ERROR_WINDOW = (-0.4 * UNIT, 0.4 * UNIT)


@dataclass(frozen=True)
class Layer:
    """One image to show.

    key: "synthetic", "predictedError", "absoluteError", "signedError" or "alignedReference".
    title: what an error map shows, in two or three words; empty for the images.
    colors: a perceptually ordered table's name, "Grey", "Inferno" or "DivergingBlueRed".
    window: the values at the table's two ends. hides_zero: whether 0 is left transparent.
    """

    key: str
    volume: Volume
    title: str
    colors: str
    window: tuple[float, float]
    hides_zero: bool = False


def layers_of(translation: Translation) -> list[Layer]:
    """The synthetic image, its predicted error and, where there was a reference, that and the true errors."""
    found = [
        Layer("synthetic", translation.synthetic, "", "Grey", _IMAGE_WINDOW),
        Layer("predictedError", translation.predicted_error, "Predicted error", "Inferno", ERROR_WINDOW, hides_zero=True),
    ]
    comparison = translation.comparison
    if comparison is not None:
        aligned = comparison.reference.with_array(comparison.reference.array, f"{comparison.reference.name} aligned")
        found += [
            Layer("absoluteError", comparison.absolute_error, "True error", "Inferno", ERROR_WINDOW, hides_zero=True),
            Layer("signedError", comparison.signed_error, "True error, signed", "DivergingBlueRed", _SIGNED_ERROR_WINDOW),
            Layer("alignedReference", aligned, "", "Grey", _IMAGE_WINDOW),
        ]
    return found


def summarize(translation: Translation) -> str:
    """The provenance as JSON, with "overlays" (key -> title of each error map), "checks", "warnings" and "metrics" (region ->
    measure -> value; empty without a reference)."""
    comparison = translation.comparison
    return json.dumps(
        {
            **translation.provenance,
            "overlays": {layer.key: layer.title for layer in layers_of(translation) if layer.title},
            "checks": [{"name": check.name, "level": check.level, "message": check.message} for check in translation.checks],
            "warnings": list(translation.warnings),
            "metrics": {} if comparison is None else {region: dict(values) for region, values in comparison.metrics.items()},
        }
    )


def notes(summary: Mapping[str, Any]) -> list[str]:
    """The sentences that a reader must see: checks that were not green, then warnings."""
    return [check["message"] for check in summary["checks"] if check["level"] != "green"] + list(summary["warnings"])


def as_html(summary: Mapping[str, Any]) -> str:
    """Notes, then a table of the metrics, one row a measure and one column a region; the little HTML that Qt draws."""
    text = "".join(f"<p>&#9888; {html.escape(note)}</p>" for note in notes(summary))
    metrics = summary["metrics"]
    if not metrics:
        return text
    measures = dict.fromkeys(measure for values in metrics.values() for measure in values)
    rows = ["<th></th>" + "".join(f"<th align='right'>{html.escape(region)}</th>" for region in metrics)]
    for measure in measures:
        cells = (f"{values[measure]:.3g}" if measure in values else "" for values in metrics.values())
        rows.append(f"<td>{html.escape(measure)}</td>" + "".join(f"<td align='right'>{cell}</td>" for cell in cells))
    return text + "<table cellpadding='2'>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"
