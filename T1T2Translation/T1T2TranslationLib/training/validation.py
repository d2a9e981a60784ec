"""Patients that a run never learns from, translated now and then as anyone's scan would be, and scored."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..catalog import ModelCard
from ..errors import T1T2Error
from ..inference import translate
from ..metrics import mean_absolute_error
from ..model import Model
from ..network import TranslationNetwork
from ..preprocessing import Preprocessing
from ..subjects import SEQUENCES, Case, Subject, load_case
from ..translation import UNIT
from .recipe import Recipe

log = logging.getLogger(__name__)


class Validation:
    """Some of the subjects held out, evenly chosen, ready to be scored by protocol T2P-1.

    What is measured is watched, not used: a run keeps its last weights, whose learning rate has come to nothing. To choose
    among moments by these patients would make their scores too good, and each patient here weighs more than a moment does.
    Only a sweep chooses by them, among its models.
    """

    def __init__(self, subjects: Sequence[Subject], recipe: Recipe, preprocessing: Preprocessing, device: str, count: int):
        self.device = device
        self.preprocessing = preprocessing
        self.card = ModelCard(recipe.name, Path(), source=SEQUENCES[recipe.source], target=SEQUENCES[recipe.target])
        self.cases = _cases(subjects, recipe, count)
        self.last: dict[str, float] = {}

    def score(self, network: TranslationNetwork) -> dict[str, float]:
        """Subject -> mean absolute error over the brain, 1 = brain p99.5; also kept as `last`."""
        model = Model(self.card, copy.deepcopy(network).cpu().eval(), self.preprocessing)
        self.last = {case.subject.id: self._error(case, model) for case in self.cases}
        return self.last

    def _error(self, case: Case, model: Model) -> float:
        synthetic = translate(case.volume, model, device=self.device, accept_any_input=True).synthetic
        return mean_absolute_error(synthetic.array.astype(np.float32) / UNIT, case.truth, case.brain)


def _cases(subjects: Sequence[Subject], recipe: Recipe, count: int) -> list[Case]:
    """`count` of the subjects that can be read; the others are named with the reason."""
    whole = [subject for subject in subjects if not subject.lacks(recipe.source, recipe.target)]
    chosen = [whole[place] for place in np.linspace(0, len(whole) - 1, min(count, len(whole))).round().astype(int)]
    cases = []
    for subject in chosen:
        try:
            cases.append(load_case(subject, recipe.source, recipe.target))
        except T1T2Error as error:
            log.warning("%s is not scored: %s", subject.id, error)
    return cases
