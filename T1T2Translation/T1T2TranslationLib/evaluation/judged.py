"""The model that judges each subject: one for all, or where its name holds {fold}, the one that never saw the subject."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from .. import inference
from ..catalog import ModelCard, find_model, read_metadata
from ..errors import UnsuitableModel, UnsuitableVolume
from ..model import Model, load_model
from ..subjects import Subject, patient_of
from ..translation import Translation
from ..volume import Volume

FOLD = "{fold}"
_MOST_FOLDS = 100


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

    @property
    def is_one_per_fold(self) -> bool:
        """Whether each subject is judged by a model of its own fold."""
        return FOLD in self._pattern

    @property
    def name(self) -> str:
        """The model's, or the last part of the pattern."""
        return Path(self._pattern).name

    def a_card(self, fold: int | None = None) -> ModelCard:
        """The card of the model, or of one of those behind the pattern: of `fold`, else the first. Raises UnsuitableModel."""
        folds = range(_MOST_FOLDS) if fold is None else [fold]
        names = [self._pattern.replace(FOLD, str(number)) for number in folds]
        return find_model(next((name for name in names if Path(name).is_dir()), names[0]))

    def model_of(self, subject: Subject) -> Model:
        """The model that judges this subject; raises UnsuitableVolume or UnsuitableModel."""
        if self.is_one_per_fold and subject.fold is None:
            message = f"'{subject.id}' has no fold number, which '{self._pattern}' asks for."
            raise UnsuitableVolume(message, "Add it to the data list.")
        name = self._pattern.replace(FOLD, str(subject.fold))
        self._names[name] = None
        return self._load(name)

    def has_learnt_from(self, subject: Subject) -> bool:
        """Whether the patient stands in the training list of the model that judges the subject."""
        training = _block(self.model_of(subject)).get("training", {})
        listed = training.get("subjects", []) if isinstance(training, dict) else []
        names = {name.removesuffix(" stripped") for name in listed if isinstance(name, str)}
        return subject.id in names or subject.patient in map(patient_of, names)

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


def _block(model: Model) -> dict[str, Any]:
    return read_metadata(model.card.folder)["t1t2"]
