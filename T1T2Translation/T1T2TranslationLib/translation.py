"""What a translation returns: the images, how far to trust them, and where they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .volume import Volume

# Images in the unit of the synthetic contrast: this many = the 99.5th percentile of that contrast over the brain.
UNIT = 1000

# Written into the name of every synthetic volume, its file's metadata and its reports.
MARK = "SYNTHETIC"
DISCLAIMER = "SYNTHETIC image for research; not for diagnosis."

Level = Literal["green", "amber", "red"]
Progress = Callable[[float, str], None]  # (fraction in 0..1, message); raise Cancelled from it to stop


def ignore_progress(fraction: float, message: str) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Check:
    """One thing looked at in the input before translating it.

    level: "green" fine, "amber" translated but marked, "red" refused.
    """

    name: str
    level: Level
    message: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """The synthetic image against a real one of the same patient, all on the input's grid.

    reference: the real image, registered, in the unit of the synthetic image.
    signed_error, absolute_error: synthetic minus reference, same unit.
    metrics: region name ("brain", ...) -> metric name ("MAE", "PSNR", "SSIM", ...) -> value, protocol T2P-1.
    warnings: doubts about the real image, sentences for people.
    """

    reference: Volume
    signed_error: Volume
    absolute_error: Volume
    metrics: Mapping[str, Mapping[str, float]]
    registered: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Translation:
    """A synthetic volume and its predicted error, int16, in 1/1000 of the contrast's brain p99.5, on the input's grid.

    warnings: sentences for people, those of the comparison among them.
    provenance: plain JSON values: model, sha256, source, target, device, precision, seconds, versions, date, ...
    """

    synthetic: Volume
    predicted_error: Volume
    checks: tuple[Check, ...]
    warnings: tuple[str, ...]
    provenance: Mapping[str, Any]
    comparison: Comparison | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know: checks that are not green, then warnings."""
        return (*(check.message for check in self.checks if check.level != "green"), *self.warnings)
