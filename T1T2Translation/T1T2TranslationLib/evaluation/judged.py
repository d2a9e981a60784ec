"""The model that judges each subject: one for all, or where its name holds {fold}, the one that never saw the subject."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from .. import inference
from ..catalog import METADATA, read_metadata
from ..errors import UnsuitableModel, UnsuitableVolume
from ..model import Model, load_model
from ..output import staged_files
from ..subjects import Subject, patient_of
from ..translation import Translation
from ..volume import Volume
from .calibration import COVERAGE
from .conformal import CHOSEN, Calibration

FOLD = "{fold}"


class JudgedModels:
    """The models behind one name or pattern, each loaded once. Calling it translates a subject's volume."""

    def __init__(self, pattern: str, device: str = "auto"):
        self._pattern = pattern
        self._device = device
        self._load = cache(load_model)
        self._names: dict[str, None] = {}

    def __call__(self, volume: Volume, subject: Subject) -> Translation:
        """Translate; raises UnsuitableVolume for a subject without a fold where the pattern asks for one."""
        return inference.translate(volume, self.model_of(subject), device=self._device)

    def model_of(self, subject: Subject) -> Model:
        """The model that judges this subject; raises UnsuitableVolume or UnsuitableModel."""
        if FOLD in self._pattern and subject.fold is None:
            message = f"'{subject.id}' has no fold number, which '{self._pattern}' asks for."
            raise UnsuitableVolume(message, "Add it to the data list.")
        name = self._pattern.replace(FOLD, str(subject.fold))
        self._names[name] = None
        return self._load(name)

    def has_learnt_from(self, subject: Subject) -> bool:
        """Whether the patient stands in the training list of the model that judges the subject."""
        training = _block(self.model_of(subject)).get("training", {})
        listed = training.get("subjects", []) if isinstance(training, dict) else []
        return any(isinstance(name, str) and patient_of(name.split(" ")[0]) == subject.patient for name in listed)

    def hashes(self) -> dict[str, str]:
        """Name or folder of each model used so far -> SHA-256 of its weights."""
        return {name: self._load(name).card.sha256 for name in self._names}

    def error_factor(self) -> float:
        """The factor that the predicted errors carry already; raises UnsuitableModel where the models differ in it."""
        factors = {self._load(name).error_factor for name in self._names}
        if len(factors) != 1:
            raise UnsuitableModel(
                f"The models of '{self._pattern}' scale their predicted errors differently: {sorted(factors)}.",
                'Remove "error_factor" from their metadata and judge them again.',
            )
        return factors.pop()


def write_calibration(folder: Path, found: Calibration, error_factor_before: float, subjects: int) -> None:
    """Write the error factor and the stated interval into a bundle's metadata; its weights and their hash stay.

    error_factor_before: what the predicted errors carried when `found` was measured. Raises UnsuitableModel, UnsuitableOutput.
    """
    metadata = read_metadata(folder)
    block = metadata["t1t2"]
    block["error_factor"] = round(error_factor_before * found.error_factor, 4)
    block["interval"] = {
        "half_width": "factor * (predicted error + added), 1 = p99.5 of the brain",
        "stated_coverage": COVERAGE,
        "factor": round(found.factor, 4),
        "added": CHOSEN.added,
        "largest_risk": CHOSEN.largest_risk,
        "subjects": subjects,
    }
    with staged_files() as staging:
        staging.add_text(json.dumps(metadata, indent=2) + "\n", folder / METADATA)


def _block(model: Model) -> dict[str, Any]:
    return read_metadata(model.card.folder)["t1t2"]
