"""What a translation leaves in a viewer: image layers with their colours and windows, and a summary to read beside them."""

from __future__ import annotations

import csv
import html
import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .translation import UNIT, Check, Comparison, Translation
from .volume import Volume

IMAGE_WINDOW = (0, 1.2 * UNIT)
ERROR_WINDOW = (0, 0.4 * UNIT)


class Look(NamedTuple):
    """How a kind of image is shown.

    title: what an error map shows, in two or three words; empty for the images.
    colors: the table's name, see colors.py. window: the values at the table's two ends.
    """

    title: str
    colors: str
    window: tuple[float, float]

    @property
    def is_signed(self) -> bool:
        """Whether the window has 0 in its middle."""
        return self.window[0] < 0


LOOKS = {
    "synthetic": Look("", "Grey", IMAGE_WINDOW),
    "lens": Look("", "Grey", (0, 255)),  # a picture in colours, see lens.py
    "predictedError": Look("Predicted error", "Inferno", ERROR_WINDOW),
    "absoluteError": Look("True error", "Viridis", ERROR_WINDOW),
    "signedError": Look("Synthetic minus real", "Berlin", (-ERROR_WINDOW[1], ERROR_WINDOW[1])),
    "alignedReference": Look("", "Grey", IMAGE_WINDOW),
}
OVERLAYS = tuple(key for key, look in LOOKS.items() if look.title)
# What is read of a provenance without asking whether it is there.
_WORDS = ("model", "weights_sha256", "source_sequence", "target_sequence", "device", "software", "torch", "date")
TRUE_ERROR = ("absoluteError", "signedError", "alignedReference")


@dataclass(frozen=True)
class Layer:
    """One image to show; key: its kind, one of `LOOKS`."""

    key: str
    volume: Volume

    @property
    def look(self) -> Look:
        """How its kind is shown."""
        return LOOKS[self.key]


def layers_of(translation: Translation) -> list[Layer]:
    """The synthetic image, its predicted error and, where there was a reference, that and the true errors."""
    found = [Layer("synthetic", translation.synthetic), Layer("predictedError", translation.predicted_error)]
    comparison = translation.comparison
    if comparison is not None:
        aligned = comparison.reference.with_array(comparison.reference.array, f"{comparison.reference.name} aligned")
        found += [
            Layer("absoluteError", comparison.absolute_error),
            Layer("signedError", comparison.signed_error),
            Layer("alignedReference", aligned),
        ]
    return found


def lens_layer(synthetic: Volume) -> Layer:
    """Where the trust lens of a synthetic image is painted, see lens.py."""
    return Layer("lens", synthetic.with_array(synthetic.array, f"{synthetic.name} trust lens"))


def error_text(value: float) -> str:
    """An error in the unit and in percent of the contrast's 99.5th percentile over the brain."""
    return f"{value:.0f} ({100 * value / UNIT:.0f} %)"


def threshold_text(_: Callable[[str], str], value: float) -> str:
    """A threshold in percent, with what the unit means to a reader; `_` translates."""
    return _("{percent} % of {unit}; fluid is about {unit}").format(percent=f"{100 * value / UNIT:.0f}", unit=UNIT)


def legend_title(_: Callable[[str], str], key: str, title: str, threshold: float, opacity: float) -> str:
    """What an error map shows, from which error on, and why its colours are paler than the legend's; `_` translates.

    In short lines: a long one would cover a small view.
    """
    sign = "\N{PLUS-MINUS SIGN}" if LOOKS[key].is_signed else ""
    lines = [title]
    if threshold >= 1:
        lines.append(_("from {error}").format(error=sign + error_text(threshold)))
    if opacity < 1:
        lines.append(_("opacity {percent} %").format(percent=round(100 * opacity)))
    return "\n".join(lines)


class BrightnessMatch(NamedTuple):
    """A window that shows a synthetic image as bright as its real one: the voxels stay what they are.

    gain, offset: least squares over the brain, the offset in `UNIT`. low, high: black and white of the window before.
    """

    gain: float
    offset: float
    low: float
    high: float

    @property
    def window(self) -> tuple[float, float]:
        """Black and white between which a voxel v looks as gain * v + offset does between `low` and `high`."""
        return (self.low - self.offset) / self.gain, (self.high - self.offset) / self.gain


def brightness_fit(metrics: Mapping[str, Mapping[str, float]]) -> tuple[float, float] | None:
    """(gain, offset in `UNIT`) from synthetic to real; None where they were not measured."""
    found = next((values for values in metrics.values() if {"gain", "offset"} <= values.keys()), None)
    return None if found is None else (found["gain"], UNIT * found["offset"])


def read_match(text: str | None) -> BrightnessMatch | None:
    """A match that was kept as a JSON list; None for none, and for anything else: a scene file may say what it likes."""
    found = _read_json(text)
    if not isinstance(found, list) or len(found) != 4 or not all(isinstance(value, (int, float)) for value in found):
        return None
    return BrightnessMatch(*found) if found[0] > 0 and all(map(math.isfinite, found)) else None


def first_overlay(summary: Mapping[str, Any]) -> str:
    """The key of the error map to show first: the true error where it is known."""
    return "absoluteError" if "absoluteError" in summary.get("overlays", {}) else "predictedError"


def read_summary(text: str | None) -> dict[str, Any]:
    """What `summarize` wrote; empty for none, and for anything else: a scene file may say what it likes."""
    found = _read_json(text)
    return found if isinstance(found, dict) and _is_summary(found) else {}


def read_metrics(text: str | None) -> dict[str, dict[str, float]]:
    """Region -> measure -> value, from JSON; empty for none, and for anything else."""
    found = _read_json(text)
    return found if _are_metrics(found) else {}


def _read_json(text: str | None) -> Any:
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}


def _is_summary(found: Mapping[str, Any]) -> bool:
    return (
        all(isinstance(found.get(key), str) for key in _WORDS)
        and isinstance(found.get("registered"), bool)
        and _is_map(found.get("overlays"), str)
        and found["overlays"].keys() <= set(OVERLAYS)
        and _are_metrics(found.get("metrics"))
        and has_notes(found)
        and isinstance(found.get("doubts", []), list)
    )


def _are_metrics(found: object) -> bool:
    return _is_map(found, dict) and all(_is_map(values, (int, float)) for values in found.values())  # type: ignore[attr-defined]


def _is_map(found: object, kind: type | tuple[type, ...]) -> bool:
    return isinstance(found, dict) and all(isinstance(value, kind) for value in found.values())


def summarize(translation: Translation) -> str:
    """The provenance as JSON, with "overlays" (key -> title of each error map), "checks", "warnings", of these
    "doubts" about the reference, and "metrics" (region -> measure -> value; empty without a reference)."""
    comparison = translation.comparison
    return json.dumps(
        {
            **translation.provenance,
            "overlays": {layer.key: layer.look.title for layer in layers_of(translation) if layer.look.title},
            "checks": [{"name": check.name, "level": check.level, "message": check.message} for check in translation.checks],
            "warnings": list(translation.warnings),
            "metrics": {} if comparison is None else {region: dict(values) for region, values in comparison.metrics.items()},
            "registered": comparison is not None and comparison.registered,
            "doubts": [] if comparison is None else list(comparison.warnings),
        }
    )


def translation_of(summary: Mapping[str, Any], volumes: Mapping[str, Volume]) -> Translation:
    """The translation that `summarize` wrote about, of its images by layer key; "synthetic" and "predictedError" are needed."""
    apart = ("overlays", "checks", "warnings", "metrics", "registered", "doubts")
    comparison = None
    if all(key in volumes for key in TRUE_ERROR):
        comparison = Comparison(
            reference=volumes["alignedReference"],
            signed_error=volumes["signedError"],
            absolute_error=volumes["absoluteError"],
            metrics=summary["metrics"],
            registered=summary["registered"],
            warnings=tuple(summary.get("doubts", ())),
        )
    return Translation(
        synthetic=volumes["synthetic"],
        predicted_error=volumes["predictedError"],
        checks=tuple(Check(check["name"], check["level"], check["message"]) for check in summary["checks"]),
        warnings=tuple(summary["warnings"]),
        provenance={name: value for name, value in summary.items() if name not in apart},
        comparison=comparison,
    )


def has_notes(summary: Mapping[str, Any]) -> bool:
    """Whether "checks" and "warnings" are there, and what `notes` can read."""
    checks, warnings = summary.get("checks"), summary.get("warnings")
    if not isinstance(checks, list) or not isinstance(warnings, list):
        return False
    words = [check.get(key) for check in checks if isinstance(check, dict) for key in ("name", "level", "message")]
    return len(words) == 3 * len(checks) and all(isinstance(word, str) for word in (*words, *warnings))


def notes(summary: Mapping[str, Any]) -> list[str]:
    """The sentences that a reader must see: checks that were not green, then warnings."""
    return [check["message"] for check in summary["checks"] if check["level"] != "green"] + list(summary["warnings"])


def notes_as_html(summary: Mapping[str, Any]) -> str:
    """The notes, one paragraph each; the little HTML that Qt draws."""
    return "".join(f"<p>&#9888; {html.escape(note)}</p>" for note in notes(summary))


def metrics_as_html(metrics: Mapping[str, Mapping[str, float]]) -> str:
    """A table of region -> measure -> value: one row a measure, one column a region; empty without any."""
    if not metrics:
        return ""
    rows = ["<th></th>" + "".join(f"<th align='right'>{html.escape(region)}</th>" for region in metrics)]
    for measure in _measures(metrics):
        cells = (f"{values[measure]:.3g}" if measure in values else "" for values in metrics.values())
        rows.append(f"<td>{html.escape(measure)}</td>" + "".join(f"<td align='right'>{cell}</td>" for cell in cells))
    return "<table cellpadding='2'>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def metrics_as_csv(metrics: Mapping[str, Mapping[str, float]]) -> str:
    """The same table as comma-separated values, one row a region, with a header."""
    measures = _measures(metrics)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["region", *measures])
    writer.writerows([region, *(values.get(measure, "") for measure in measures)] for region, values in metrics.items())
    return buffer.getvalue()


def _measures(metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(measure for values in metrics.values() for measure in values))
