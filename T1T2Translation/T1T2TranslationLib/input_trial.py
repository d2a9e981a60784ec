"""How often the traffic light is right: every scan of a data list, as it is and degraded, against what it is known to be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from .checks import check_input, light_of
from .errors import UnsuitableTrainingData
from .head import find_head
from .io import read_volume
from .subjects import SEQUENCES
from .tissue import look_at_tissue
from .translation import Check
from .volume import Volume

_LIGHTS = ("green", "amber", "red")


# ---- degradations, each of one kind and seeded


def _noisy(volume: Volume, sigma: float = 0.08) -> Volume:
    """Rician noise, as a share of the brightest tissue."""
    level = np.float32(sigma * np.percentile(volume.array[::3, ::3, ::3], 98))
    real, imaginary = level * np.random.default_rng(1).standard_normal((2, *volume.shape), np.float32)
    return volume.with_array(np.hypot(volume.array + real, imaginary))


def _ghosted(volume: Volume) -> Volume:
    """Two ghosts of a moving head, a quarter of the field of view away."""
    shift = volume.shape[1] // 4
    ghosts = np.roll(volume.array, shift, axis=1) + np.roll(volume.array, -shift, axis=1).astype(np.float32)
    return volume.with_array(0.8 * volume.array + 0.12 * ghosts)


def _biased(volume: Volume) -> Volume:
    """A receive coil that sees the front half as much again as the back, and the ends less."""
    _, j, k = np.meshgrid(*(np.linspace(-1, 1, size, dtype=np.float32) for size in volume.shape), indexing="ij", sparse=True)
    return volume.with_array(volume.array * np.exp(0.25 * j - 0.3 * k**2))


def _blurred(volume: Volume) -> Volume:
    image = sitk.GetImageFromArray(volume.array.astype(np.float32))
    image.SetSpacing(volume.spacing_mm[::-1].tolist())
    return volume.with_array(sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(image, 1.0)))


def _thick(volume: Volume) -> Volume:
    """Slices of 8 mm along k."""
    count = max(1, round(8 / volume.spacing_mm[2]))
    usable = volume.array[:, :, : volume.shape[2] // count * count].astype(np.float32)
    affine = volume.affine @ np.diag([1, 1, count, 1.0])
    return Volume(usable.reshape(*volume.shape[:2], -1, count).mean(axis=3), affine, volume.name)


def _cropped(volume: Volume) -> Volume:
    """The upper half alone."""
    start = volume.shape[2] // 2
    affine = volume.affine.copy()
    affine[:3, 3] += start * affine[:3, 2]
    return Volume(volume.array[:, :, start:], affine, volume.name)


def _inverted(volume: Volume) -> Volume:
    """Bright becomes dark inside the head."""
    top = np.percentile(volume.array, 99.5)
    return volume.with_array(np.where(volume.array > 0.1 * top, 1.1 * top - np.minimum(volume.array, top), 0))


def _as_ct(volume: Volume) -> Volume:
    """Air at -1000, soft tissue between 0 and 80."""
    top = np.percentile(volume.array, 99.5)
    return volume.with_array(np.where(volume.array > 0.1 * top, 80 * volume.array / top, -1000))


DEGRADATIONS: dict[str, Callable[[Volume], Volume]] = {
    "as it is": lambda volume: volume,
    "noise 8 %": _noisy,
    "ghosts of motion": _ghosted,
    "bias field": _biased,
    "blurred 1 mm": _blurred,
    "8 mm slices": _thick,
    "upper half": _cropped,
    "negative": _inverted,
    "like a CT": _as_ct,
}


# ---- the trial


@dataclass(frozen=True)
class Outcome:
    """One scan under one degradation: what it is, which patient group it belongs to, what the light said, and why."""

    sequence: str
    degradation: str
    fold: int
    checks: tuple[Check, ...]
    bright_where_rough: float

    @property
    def light(self) -> str:
        return light_of(self.checks)

    def level(self, name: str) -> str:
        """Of one check; "" where it was not made."""
        return next((check.level for check in self.checks if check.name == name), "")


def run_trial(datalist: str | Path, source: str = "T1", degradations: Iterable[str] = DEGRADATIONS) -> Iterator[Outcome]:
    """Every scan of the list under every degradation; raises UnsuitableTrainingData for a list that is none."""
    for fold, sequence, path in _scans(Path(datalist)):
        original = read_volume(path)
        for name in degradations:
            volume = DEGRADATIONS[name](original)
            head = find_head(volume)
            rough = look_at_tissue(volume, head).bright_where_rough
            yield Outcome(sequence, name, fold, check_input(volume, head, source), rough)


def as_table(outcomes: Iterable[Outcome]) -> str:
    """Markdown: how many of each sequence got green, amber and red, one row a degradation."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for outcome in outcomes:
        counts[outcome.degradation, outcome.sequence, outcome.light] += 1
    rows = list(dict.fromkeys(degradation for degradation, _, _ in counts))
    lines = ["| scan | " + " | ".join(SEQUENCES.values()) + " |", "|---" * (1 + len(SEQUENCES)) + "|"]
    for row in rows:
        cells = (" / ".join(str(counts[row, sequence, light]) for light in _LIGHTS) for sequence in SEQUENCES.values())
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


def ranges(outcomes: Iterable[Outcome]) -> dict[str, tuple[float, float]]:
    """Least and largest `bright_where_rough` of each sequence's undegraded scans."""
    found: dict[str, list[float]] = {}
    for outcome in outcomes:
        if outcome.degradation == "as it is":
            found.setdefault(outcome.sequence, []).append(outcome.bright_where_rough)
    return {sequence: (min(values), max(values)) for sequence, values in found.items()}


def held_out_errors(outcomes: Iterable[Outcome]) -> tuple[int, int]:
    """How many undegraded scans get the wrong sequence (T1, FLAIR, T2) from boundaries set without their fold; and of how many.

    A boundary lies midway between the medians of the two sequences it parts.
    """
    clean = [outcome for outcome in outcomes if outcome.degradation == "as it is"]
    kinds = np.array([("T1", "FLAIR", "T2").index(outcome.sequence.split()[0]) for outcome in clean])
    values, folds = np.array([outcome.bright_where_rough for outcome in clean]), np.array([outcome.fold for outcome in clean])
    wrong = 0
    for fold in np.unique(folds):
        medians = [np.median(values[(folds != fold) & (kinds == kind)]) for kind in range(3)]
        bounds = [(medians[0] + medians[1]) / 2, (medians[1] + medians[2]) / 2]
        found = np.digitize(values[folds == fold], bounds)
        wrong += int((found != kinds[folds == fold]).sum())
    return wrong, len(clean)


def _scans(datalist: Path) -> Iterator[tuple[int, str, Path]]:
    try:
        groups: dict[str, Any] = json.loads(datalist.read_text("utf-8"))
        subjects = [one for group in groups.values() if isinstance(group, list) for one in group if "images" in one]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UnsuitableTrainingData(f"'{datalist.name}' is no data list ({error}).", "Give a datalist.json.") from error
    for one in subjects:
        for key, sequence in SEQUENCES.items():
            if key in one["images"]:
                yield int(one.get("fold", 0)), sequence, datalist.parent / one["images"][key]
