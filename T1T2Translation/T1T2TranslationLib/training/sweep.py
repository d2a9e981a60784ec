"""The study's programme: several models that differ in learning rate, the best on patients held out is kept."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import shutil
from pathlib import Path
from statistics import fmean

from ..card_page import write_card_page
from ..catalog import METADATA, WEIGHTS, read_metadata
from ..errors import UnsuitableTrainingData
from .bundle import Manner, Materials, refuse_to_replace, train_bundle
from .checkpoint import plain_disk_errors
from .recipe import Recipe
from .run import CHECKPOINT

log = logging.getLogger(__name__)


def train_sweep(recipe: Recipe, materials: Materials, folder: Path, manner: Manner) -> None:
    """One model a learning rate in `folder`/learning-rate-..., the best also as the bundle `folder` itself.

    A wall clock is shared evenly among them. With `manner.resume` those that are finished stay. A rate at which the loss
    stops being a number is left out. Raises UnsuitableTrainingData if none is left.
    """
    rates = recipe.sweep.learning_rates
    places = {rate: folder / f"learning-rate-{rate:g}" for rate in rates}
    for place in places.values():
        refuse_to_replace(place, manner)
    errors: dict[float, float] = {}
    for number, (rate, place) in enumerate(places.items(), 1):
        log.info("Model %d of %d: learning rate %g", number, len(rates), rate)
        one = dataclasses.replace(recipe, learning_rate=rate, minutes=recipe.minutes / len(rates))
        try:
            if not (place / WEIGHTS).exists() or (place / CHECKPOINT).exists():
                train_bundle(one, materials, place, manner)
            errors[rate] = _held_out_error(place) if manner.team.is_first else math.nan
        except UnsuitableTrainingData as error:
            log.warning("Learning rate %g is left out: %s", rate, error)
    if not errors:
        raise UnsuitableTrainingData("No learning rate of the sweep could be trained with.", "Give lower ones.")
    if manner.team.is_first:
        _keep_best(folder, places, errors)


def _held_out_error(place: Path) -> float:
    """Mean over the patients held out, as the model's metadata say."""
    return fmean(read_metadata(place)["t1t2"]["training"]["held_out"].values())


def _keep_best(folder: Path, places: dict[float, Path], errors: dict[float, float]) -> None:
    for rate, error in errors.items():
        log.info("learning rate %-8g held out, mean absolute error of the brain: %.4f", rate, error)
    best = min(errors, key=errors.__getitem__)
    place = places[best]
    metadata = read_metadata(place)
    metadata["t1t2"]["training"]["sweep"] = {f"{rate:g}": round(error, 4) for rate, error in errors.items()}
    with plain_disk_errors(folder / WEIGHTS, place / WEIGHTS):
        for part in ("configs", "models"):
            shutil.copytree(place / part, folder / part, dirs_exist_ok=True)
        (folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
        write_card_page(folder)
    log.info("Kept: learning rate %g", best)
